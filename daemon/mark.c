// SPDX-License-Identifier: BSD-2-Clause
// The mark on a device that weft uses: its ifalias.
#include "daemon/mark.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	u32 bit;
} mark_words[] = {
	{"adopted", MARK_adopted},
	{"promisc", MARK_promisc},
	{"new", MARK_new},
	{"twin", MARK_twin},
	{"wire", MARK_wire},
};

// Takes one field up to the next ':' or the end; NULL: it does not fit.
static const char *take_field(const char *from, char *to, size_t size)
{
	size_t length = strcspn(from, ":");
	if (length == 0 || length >= size)
		return NULL;
	memcpy(to, from, length);
	to[length] = '\0';
	return from + length;
}

static u32 read_words(const char *from, size_t length)
{
	u32 words = 0;
	for (const char *end = from + length; from < end; from += strcspn(from, ",:") + 1) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(mark_words); i++) {
			size_t size = strlen(mark_words[i].word);
			if (strcspn(from, ",:") == size && !memcmp(from, mark_words[i].word, size))
				words |= mark_words[i].bit;
		}
	}
	return words;
}

bool mark_read(const char *alias, struct mark *mark)
{
	memset(mark, 0, sizeof(*mark));
	if (strncmp(alias, "weft:", 5) != 0)
		return false;
	const char *at = take_field(alias + 5, mark->uuid, sizeof(mark->uuid));
	if (!at || strlen(mark->uuid) != 36 || *at != ':')
		return false;
	at = take_field(at + 1, mark->port, sizeof(mark->port));
	if (!at)
		return false;
	if (*at == ':') {
		size_t length = strcspn(++at, ":");
		mark->words = read_words(at, length);
		at += length;
	}
	if (*at == ':')
		snprintf(mark->alias, sizeof(mark->alias), "%s", at + 1);
	return true;
}

bool mark_write(const struct mark *mark, char alias[LINK_ALIAS_BYTES])
{
	char words[64] = "";
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(mark_words); i++) {
		if (!(mark->words & mark_words[i].bit))
			continue;
		size_t used = strlen(words);
		snprintf(words + used, sizeof(words) - used, "%s%s", used ? "," : "",
			mark_words[i].word);
	}
	bool more = words[0] || mark->alias[0];
	int length = snprintf(alias, LINK_ALIAS_BYTES, "weft:%s:%s%s%s%s%s", mark->uuid, mark->port,
		more ? ":" : "", words, mark->alias[0] ? ":" : "", mark->alias);
	return length < LINK_ALIAS_BYTES;
}
