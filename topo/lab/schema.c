// SPDX-License-Identifier: BSD-2-Clause
// schema.c - reads maps by their fields
#include "topo/lab/schema.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/near.h"

static int refuse_key(struct lab *lab, const struct field *fields, const struct tree *key)
{
	json_t *words = json_array();
	char list[512] = "";
	const char *near;
	int err;

	for (const struct field *field = fields; field->key; field++) {
		size_t used = strlen(list);

		json_array_append_new(words, json_string(field->key));
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", field->key);
	}
	near = near_word(key->text, words);
	if (near)
		err = lab_wrong(
			lab, key, "unknown key '%.64s': did you mean '%s'?", key->text, near);
	else
		err = lab_wrong(
			lab, key, "unknown key '%.64s', expected one of: %s", key->text, list);
	json_decref(words);
	return err;
}

static const struct field *find_field(const struct field *fields, const char *key)
{
	while (fields->key && strcmp(fields->key, key) != 0)
		fields++;
	return fields->key ? fields : NULL;
}

int schema_read(struct lab *lab, const struct field *fields, const struct tree *map, void *base)
{
	if (map->type != TREE_MAP)
		return lab_wrong(
			lab, map, "expected keys and values here, such as `%s: ...`", fields->key);
	for (const struct tree *value = map->first; value; value = value->next) {
		const struct field *field = find_field(fields, value->key->text);
		int err = field ? field->read(lab, field, value, (char *)base + field->offset)
				: refuse_key(lab, fields, value->key);

		if (err)
			return err;
	}
	for (; fields->key; fields++)
		if (fields->required && !tree_get(map, fields->key))
			return lab_wrong(lab, map->key ? map->key : map, "'%s' is missing here",
				fields->key);
	return 0;
}

static int expected(struct lab *lab, const struct tree *value, const char *what)
{
	const struct tree *at = value->key ? value->key : value;

	if (value->type != TREE_TEXT)
		return lab_wrong(lab, value, "expected %s here", what);
	if (!*value->text)
		return lab_wrong(lab, at, "%s%shas no value, expected %s",
			value->key ? at->text : "", value->key ? " " : "", what);
	return lab_wrong(lab, value, "'%.64s' is wrong here, expected %s", value->text, what);
}

// A text for which the check holds.
static int read_checked(struct lab *lab, const struct tree *value, void *to,
	bool (*good)(const char *text), const char *what)
{
	if (value->type != TREE_TEXT || !good(value->text))
		return expected(lab, value, what);
	*(const char **)to = value->text;
	return 0;
}

#define NAME_RULE "a name of a-z, 0-9, - and _, at most 32, that begins with a letter or digit"

int read_name(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(lab, value, to, name_is_good, NAME_RULE);
}

static bool has_text(const char *text)
{
	return *text != 0;
}

int read_text(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(lab, value, to, has_text, "a text");
}

// The kernel's rule, and one of ours: a device is a word of NODE:DEV.
bool is_device(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length < 16 && text[0] != '.' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-")] == 0;
}

int read_device(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(
		lab, value, to, is_device, "a device name of letters, digits, . _ -, at most 15");
}

int read_number(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	char what[64], *end;
	long number;

	snprintf(what, sizeof(what), "a number from %ld to %ld", field->min, field->max);
	if (value->type != TREE_TEXT || !isdigit((unsigned char)value->text[0]))
		return expected(lab, value, what);
	errno = 0;
	number = strtol(value->text, &end, 10);
	if (*end || errno || number < field->min || number > field->max)
		return expected(lab, value, what);
	*(unsigned *)to = (unsigned)number;
	return 0;
}

int read_bool(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	bool yes = value->type == TREE_TEXT && !strcmp(value->text, "true");

	(void)field;
	if (!yes && (value->type != TREE_TEXT || strcmp(value->text, "false") != 0))
		return expected(lab, value, "true or false");
	*(bool *)to = yes;
	return 0;
}

bool is_address(const char *text, int *family)
{
	unsigned char bytes[16];

	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(*family, text, bytes) == 1;
}

bool is_prefix(const char *text, int *family)
{
	size_t length = strcspn(text, "/");
	char address[64], *end;
	unsigned long bits;

	if (length >= sizeof(address) || !text[length] || !isdigit((unsigned char)text[length + 1]))
		return false;
	memcpy(address, text, length);
	address[length] = 0;
	bits = strtoul(text + length + 1, &end, 10);
	return is_address(address, family) && !*end && bits <= (*family == AF_INET ? 32 : 128);
}

static bool is_target(const char *text)
{
	int family;

	return !strcmp(text, "default") || is_prefix(text, &family);
}

static bool is_any_address(const char *text)
{
	int family;

	return is_address(text, &family);
}

int read_prefix(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(lab, value, to, is_target,
		"a prefix such as 10.2.0.0/16 or fd00:2::/64, or default");
}

int read_address(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(
		lab, value, to, is_any_address, "an address such as 192.0.2.1 or fd00::1");
}

// Digits, perhaps a fraction, then one of the units.
static bool is_quantity(const char *text, const char *units)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;

	if (digits && *unit == '.' && isdigit((unsigned char)unit[1]))
		unit += 1 + strspn(unit + 1, "0123456789");
	if (!digits || !*unit)
		return false;
	for (; *units; units += strcspn(units, "|"), units += *units == '|')
		if (strcspn(units, "|") == strlen(unit) && !strncmp(units, unit, strlen(unit)))
			return true;
	return false;
}

static bool is_duration(const char *text)
{
	return is_quantity(text, "ns|us|ms|s");
}

static bool is_percent(const char *text)
{
	return is_quantity(text, "%") && atof(text) <= 100;
}

static bool is_rate(const char *text)
{
	return is_quantity(text, "bit|kbit|mbit|gbit");
}

int read_duration(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(lab, value, to, is_duration, "a time such as 10ms (ns, us, ms, s)");
}

int read_percent(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(lab, value, to, is_percent, "a share such as 0.1%, at most 100%");
}

int read_rate(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)field;
	return read_checked(
		lab, value, to, is_rate, "a rate such as 100mbit (bit, kbit, mbit, gbit)");
}

int read_tree(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	(void)lab, (void)field;
	*(const struct tree **)to = value;
	return 0;
}

int read_sysctl(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	const char *text;
	int err = 0;

	if (value->type != TREE_MAP)
		return lab_wrong(lab, value, "expected keys and values here");
	for (const struct tree *one = value->first; one && !err; one = one->next) {
		if (strncmp(one->key->text, "net.", 4) != 0)
			return lab_wrong(lab, one->key,
				"'%.64s' would change the whole machine, expected net.*",
				one->key->text);
		err = read_text(lab, field, one, &text);
	}
	*(const struct tree **)to = value;
	return err;
}

int read_vias(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	const char *text;
	int err = 0;

	*(const struct tree **)to = value;
	if (value->type != TREE_LIST)
		return read_address(lab, field, value, &text);
	if (!value->first)
		return lab_wrong(lab, value, "expected at least one address here");
	for (const struct tree *one = value->first; one && !err; one = one->next)
		err = read_address(lab, field, one, &text);
	return err;
}

static bool is_place(const char *text)
{
	int family;

	return is_prefix(text, &family);
}

static int read_place_list(struct lab *lab, const struct tree *list)
{
	const char *text;
	int err = 0;

	if (list->type != TREE_LIST)
		return lab_wrong(lab, list, "expected a list of addresses, such as [10.1.0.11/24]");
	for (const struct tree *one = list->first; one && !err; one = one->next)
		err = read_checked(lab, one, &text, is_place,
			"an address with its length, such as 10.1.0.11/24");
	return err;
}

int read_places(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	int err = 0;

	(void)field;
	*(const struct tree **)to = value;
	if (value->type != TREE_MAP)
		return read_place_list(lab, value);
	for (const struct tree *one = value->first; one && !err; one = one->next) {
		if (!is_device(one->key->text))
			return lab_wrong(lab, one->key,
				"'%.64s' is no device name: letters, digits, . _ -, at most 15",
				one->key->text);
		err = read_place_list(lab, one);
	}
	return err;
}

int read_map(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	return schema_read(lab, field->fields, value, to);
}

int read_list(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	struct entry **tail = to;
	int err = 0;

	if (value->type != TREE_LIST)
		return lab_wrong(lab, value, "expected a list here: lines that begin with '-'");
	for (const struct tree *one = value->first; one && !err; one = one->next) {
		struct entry *entry = calloc(1, field->size);

		if (!entry)
			abort();
		entry->at = one;
		*tail = entry;
		tail = &entry->next;
		err = schema_read(lab, field->fields, one, entry);
	}
	return err;
}
