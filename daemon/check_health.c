// SPDX-License-Identifier: BSD-2-Clause
// Whether a backend is well, from how its checks ended.
#include "daemon/check_health.h"

#include <stdlib.h>
#include <string.h>

bool health_count(struct health *health, bool success, u32 rise, u32 fall)
{
	bool was = health->dead;
	health->streak = health->last == success ? health->streak + 1 : 1;
	health->last = success;
	if (success && health->streak >= rise)
		health->dead = false;
	if (!success && health->streak >= fall)
		health->dead = true;
	health->known |= success || health->dead;
	return health->dead != was;
}

u64 check_pause_ms(u64 interval_ms, u32 random)
{
	u64 tenth = interval_ms / 10;
	return interval_ms - tenth + random % (2 * tenth + 1);
}

u64 check_first_ms(u64 interval_ms, u32 random)
{
	return interval_ms ? random % interval_ms : 0;
}

static bool number(const char **at, u32 *value)
{
	char *end;
	if (**at < '0' || **at > '9')
		return false;
	unsigned long read = strtoul(*at, &end, 10);
	*value = (u32)read;
	*at = end;
	return read >= 100 && read <= 599;
}

bool check_status_read(const char *text, u32 *first, u32 *last)
{
	if (!number(&text, first))
		return false;
	*last = *first;
	if (*text == '-' && (text++, !number(&text, last)))
		return false;
	return !*text && *first <= *last;
}

// RFC 9112: HTTP-version SP three digits, then SP or the line's end.
int check_http_status(const char *bytes, size_t length)
{
	static const char version[] = "HTTP/1.";
	size_t same = length < sizeof(version) - 1 ? length : sizeof(version) - 1;
	if (memcmp(bytes, version, same) != 0)
		return -1;
	const char *end = memchr(bytes, '\n', length);
	if (!end)
		return length < 256 ? 0 : -1;
	if (end - bytes < 12 || bytes[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return -1;
	}
	if (bytes[12] != ' ' && bytes[12] != '\r' && bytes[12] != '\n')
		return -1;
	return (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + bytes[11] - '0';
}

static int digit(char c)
{
	const char *at = c ? strchr("0123456789abcdefABCDEF", c) : NULL;
	int value = at ? (int)(at - "0123456789abcdefABCDEF") : -1;
	return value < 16 ? value : value - 6;
}

int check_payload_read(const char *text, u8 *bytes, size_t size)
{
	size_t length = strlen(text);
	if (strncmp(text, "0x", 2) != 0) {
		if (length > size)
			return -1;
		memcpy(bytes, text, length);
		return (int)length;
	}
	if (length % 2 || length / 2 - 1 > size)
		return -1;
	for (size_t i = 2; i < length; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		bytes[i / 2 - 1] = (u8)(high << 4 | low);
	}
	return (int)(length / 2) - 1;
}
