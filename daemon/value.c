// SPDX-License-Identifier: BSD-2-Clause
// What each kind of argument accepts, and the one spelling that is kept.

#include "daemon/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/types.h>

enum { NAME_MAX_BYTES = 63, TEXT_MAX_BYTES = 255, LIST_MAX = 4096 };

typedef json_t *parse_fn(
	const struct argument *argument, const char *text, struct failure *failure);

static json_t *bad(const struct argument *argument, const char *text, struct failure *failure,
	const char *wants)
{
	fail_words(failure, "%s: '%.64s' is not %s", argument->word, text, wants);
	if (failure)
		snprintf(failure->code_name, sizeof(failure->code_name), "bad_value");
	return NULL;
}

bool name_valid(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length > 0 && length <= NAME_MAX_BYTES && text[length] == 0 &&
	       isalnum((unsigned char)*text);
}

static json_t *parse_name(
	const struct argument *argument, const char *text, struct failure *failure)
{
	if (!name_valid(text))
		return bad(argument, text, failure,
			"a name: up to 63 of a-z 0-9 . _ - that begin with a letter or digit");
	if (strcmp(text, "none") == 0 || strcmp(text, "help") == 0)
		return bad(argument, text, failure,
			"free to be a name: it is a word of the command line");
	return json_string(text);
}

// As the kernel's dev_valid_name(), less what would not print.
static json_t *parse_device(
	const struct argument *argument, const char *text, struct failure *failure)
{
	size_t length = strlen(text);
	bool ok = length > 0 && length < IFNAMSIZ && strcmp(text, ".") != 0 &&
		  strcmp(text, "..") != 0;

	for (size_t i = 0; ok && i < length; i++)
		ok = text[i] > ' ' && text[i] < 127 && !strchr("/:%", text[i]);
	if (!ok)
		return bad(argument, text, failure,
			"a device name: up to 15 characters, no blanks / : %");
	return json_string(text);
}

static json_t *parse_choice(
	const struct argument *argument, const char *text, struct failure *failure)
{
	size_t length = strlen(text);
	const char *at = argument->choices;
	char wants[256];

	while (at && length > 0 && !strchr(text, '|')) {
		if (strncmp(at, text, length) == 0 && (at[length] == '|' || at[length] == 0))
			return json_string(text);
		at = strchr(at, '|');
		at = at ? at + 1 : NULL;
	}
	snprintf(wants, sizeof(wants), "one of %s", argument->choices);
	return bad(argument, text, failure, wants);
}

static json_t *parse_bool(
	const struct argument *argument, const char *text, struct failure *failure)
{
	if (strcmp(text, "on") == 0)
		return json_true();
	if (strcmp(text, "off") == 0)
		return json_false();
	return bad(argument, text, failure, "on or off");
}

static bool in_range(const struct argument *argument, long long number)
{
	return number >= argument->min && (argument->max == 0 || number <= argument->max);
}

// Digits only, so that " 1", "+1" and "0x1" are wrong words and not surprises.
static bool digits(const char *text, long long *number, const char **end)
{
	const char *first = text + (*text == '-');

	if (!isdigit((unsigned char)*first))
		return false;
	errno = 0;
	*number = strtoll(text, (char **)end, 10);
	return errno == 0;
}

static json_t *parse_number(
	const struct argument *argument, const char *text, struct failure *failure)
{
	char wants[80];
	const char *end;
	long long number;

	if (digits(text, &number, &end) && *end == 0 && in_range(argument, number))
		return json_integer(number);
	if (argument->max)
		snprintf(wants, sizeof(wants), "a number from %lld to %lld", argument->min,
			argument->max);
	else
		snprintf(wants, sizeof(wants), "a number from %lld", argument->min);
	return bad(argument, text, failure, wants);
}

static json_t *parse_duration(
	const struct argument *argument, const char *text, struct failure *failure)
{
	static const struct {
		const char *suffix;
		long long seconds;
	} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	char wants[112];
	const char *end;
	long long number;

	if (digits(text, &number, &end) && number >= 0) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(units); i++) {
			long long seconds;

			if (strcmp(end, units[i].suffix) != 0 ||
				__builtin_mul_overflow(number, units[i].seconds, &seconds))
				continue;
			if (in_range(argument, seconds))
				return json_integer(seconds);
		}
	}
	if (argument->max)
		snprintf(wants, sizeof(wants),
			"a time from %llds to %llds, such as 300, 300s, 5m or 2h", argument->min,
			argument->max);
	else
		snprintf(wants, sizeof(wants), "a time from %llds, such as 300, 300s, 5m or 2h",
			argument->min);
	return bad(argument, text, failure, wants);
}

static json_t *parse_mac(const struct argument *argument, const char *text, struct failure *failure)
{
	unsigned char byte[6] = {0};
	char canonical[18];
	size_t i;

	if (strlen(text) != sizeof(canonical) - 1)
		return bad(argument, text, failure, "a MAC address, such as 02:00:00:00:00:01");
	for (i = 0; i < sizeof(canonical) - 1; i++) {
		bool colon = i % 3 == 2;

		if (colon ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return bad(argument, text, failure,
				"a MAC address, such as 02:00:00:00:00:01");
		canonical[i] = (char)tolower((unsigned char)text[i]);
		if (i % 3 == 0)
			byte[i / 3] = (unsigned char)strtoul(text + i, NULL, 16);
	}
	canonical[i] = 0;
	if (byte[0] & 1)
		return bad(
			argument, text, failure, "a unicast MAC address (its first byte is odd)");
	if (strcmp(canonical, "00:00:00:00:00:00") == 0)
		return bad(argument, text, failure, "an address that a machine can have");
	return json_string(canonical);
}

static json_t *parse_address(
	const struct argument *argument, const char *text, struct failure *failure)
{
	unsigned char address[16];
	char canonical[INET6_ADDRSTRLEN];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, address) != 1)
		return bad(argument, text, failure, "an IPv4 or IPv6 address");
	return json_string(inet_ntop(family, address, canonical, sizeof(canonical)));
}

static json_t *parse_prefix(
	const struct argument *argument, const char *text, struct failure *failure)
{
	char canonical[INET6_ADDRSTRLEN + 4];
	char address_text[INET6_ADDRSTRLEN];
	unsigned char address[16] = {0};
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	long long bits = family == AF_INET6 ? 128 : 32;
	const char *slash = strchr(text, '/');
	const char *end = "?";
	bool host_bits = false;
	long long length;

	if (!slash || (size_t)(slash - text) >= sizeof(address_text))
		return bad(argument, text, failure, "a prefix, such as 10.1.0.0/24");
	memcpy(address_text, text, (size_t)(slash - text));
	address_text[slash - text] = 0;
	if (inet_pton(family, address_text, address) != 1 || !digits(slash + 1, &length, &end) ||
		*end || length < 0 || length > bits)
		return bad(argument, text, failure, "a prefix, such as 10.1.0.0/24");
	for (long long bit = length; bit < bits; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> (bit % 8));

		host_bits |= address[bit / 8] & mask;
		address[bit / 8] &= (unsigned char)~mask;
	}
	inet_ntop(family, address, address_text, sizeof(address_text));
	snprintf(canonical, sizeof(canonical), "%s/%lld", address_text, length);
	if (!host_bits)
		return json_string(canonical);
	bad(argument, text, failure, "a prefix: it has bits beyond its length");
	fail_hint(failure, "%s is the prefix that holds this address", canonical);
	return NULL;
}

static json_t *parse_user(
	const struct argument *argument, const char *text, struct failure *failure)
{
	size_t length =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (length == 0 || length > 32 || text[length] || *text == '-')
		return bad(argument, text, failure, "a user or group: a name or a number");
	return json_string(text);
}

static json_t *parse_text(
	const struct argument *argument, const char *text, struct failure *failure)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return bad(argument, "?", failure, "printable: it has a control character");
	if (strlen(text) > TEXT_MAX_BYTES)
		return bad(argument, text, failure, "short enough: at most 255 bytes");
	return json_string(text);
}

static json_t *parse_file(
	const struct argument *argument, const char *text, struct failure *failure)
{
	(void)argument;
	(void)failure;
	return json_string(text);
}

static json_t *parse_tag(const struct argument *argument, const char *text, struct failure *failure)
{
	const char *colon = strchr(text, ':');
	char name[NAME_MAX_BYTES + 1];
	const char *end = "?";
	long long vid;

	if (colon && (size_t)(colon - text) < sizeof(name)) {
		memcpy(name, text, (size_t)(colon - text));
		name[colon - text] = 0;
		if (name_valid(name) && digits(colon + 1, &vid, &end) && *end == 0 && vid >= 1 &&
			vid <= 4094)
			return json_sprintf("%s:%lld", name, vid);
	}
	return bad(
		argument, text, failure, "NETWORK:VID with a VID from 1 to 4094, such as blue:10");
}

static const struct {
	const char *name;
	const char *form; // NULL: from the argument
	parse_fn *parse;  // of one element when it is a list
	bool list;
} kinds[] = {
	[ARGUMENT_NAME] = {"name", "NAME", parse_name, false},
	[ARGUMENT_DEVICE] = {"device", "DEVICE", parse_device, false},
	[ARGUMENT_CHOICE] = {"choice", NULL, parse_choice, false},
	[ARGUMENT_BOOL] = {"bool", "on|off", parse_bool, false},
	[ARGUMENT_NUMBER] = {"number", NULL, parse_number, false},
	[ARGUMENT_DURATION] = {"duration", "TIME", parse_duration, false},
	[ARGUMENT_MAC] = {"mac", "MAC", parse_mac, false},
	[ARGUMENT_ADDRESS] = {"address", "ADDRESS", parse_address, false},
	[ARGUMENT_PREFIX] = {"prefix", "ADDRESS/LENGTH", parse_prefix, false},
	[ARGUMENT_TAGS] = {"tags", "NETWORK:VID,...", parse_tag, true},
	[ARGUMENT_NAMES] = {"names", "NAME,...", parse_name, true},
	[ARGUMENT_ADDRESSES] = {"addresses", "ADDRESS,...", parse_address, true},
	[ARGUMENT_USER] = {"user", "USER", parse_user, false},
	[ARGUMENT_TEXT] = {"text", "TEXT", parse_text, false},
	[ARGUMENT_FILE] = {"file", "FILE", parse_file, false},
};

static bool list_has(const json_t *list, const json_t *value)
{
	size_t i;
	json_t *element;

	json_array_foreach (list, i, element)
		if (json_equal(element, value))
			return true;
	return false;
}

// Adds one element to the list; takes no reference.
static int list_add(
	json_t *list, const struct argument *argument, const char *text, struct failure *failure)
{
	json_t *element = kinds[argument->kind].parse(argument, text, failure);

	if (!element)
		return -EINVAL;
	if (list_has(list, element) || json_array_size(list) >= LIST_MAX) {
		bad(argument, text, failure,
			list_has(list, element) ? "new in this list: it stands there twice"
						: "room in this list");
		json_decref(element);
		return -EINVAL;
	}
	return json_array_append_new(list, element);
}

static json_t *parse_list(
	const struct argument *argument, const char *text, struct failure *failure)
{
	json_t *list = json_array();
	char *copy = strdup(text);
	char *rest = copy;
	char *element;

	while ((element = strsep(&rest, ","))) {
		if (list_add(list, argument, element, failure) < 0) {
			json_decref(list);
			list = NULL;
			break;
		}
	}
	free(copy);
	return list;
}

json_t *value_parse(const struct argument *argument, const char *text, struct failure *failure)
{
	if (kinds[argument->kind].list)
		return parse_list(argument, text, failure);
	return kinds[argument->kind].parse(argument, text, failure);
}

static json_t *list_from_json(
	const struct argument *argument, const json_t *value, struct failure *failure)
{
	json_t *list = json_array();
	size_t i;
	json_t *element;

	json_array_foreach (value, i, element) {
		const char *text = json_string_value(element);

		if (!text)
			bad(argument, "an element", failure, "text");
		if (!text || list_add(list, argument, text, failure) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *value_from_json(
	const struct argument *argument, const json_t *value, struct failure *failure)
{
	char number[24];

	if (json_is_array(value) && kinds[argument->kind].list)
		return list_from_json(argument, value, failure);
	if (json_is_string(value))
		return value_parse(argument, json_string_value(value), failure);
	if (json_is_boolean(value)) {
		bool on = json_is_true(value);

		if (argument->kind == ARGUMENT_BOOL)
			return json_boolean(on);
		return value_parse(argument, on ? "true" : "false", failure);
	}
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		return value_parse(argument, number, failure);
	}
	return bad(argument, json_is_real(value) ? "a fraction" : "a structure", failure,
		"what stands here; see `help`");
}

json_t *value_fallback(const struct argument *argument)
{
	return argument->fallback ? value_parse(argument, argument->fallback, NULL) : NULL;
}

static char *list_text(const json_t *list)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	size_t i;
	json_t *element;

	json_array_foreach (list, i, element) {
		char *one = value_text(element);

		fprintf(out, "%s%s", i ? "," : "", one);
		free(one);
	}
	if (json_array_size(list) == 0)
		fputc('-', out);
	fclose(out);
	return text;
}

char *value_text(const json_t *value)
{
	char number[32];

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		return strdup(json_string_value(value));
	case JSON_TRUE:
		return strdup("on");
	case JSON_FALSE:
		return strdup("off");
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		return strdup(number);
	case JSON_REAL:
		snprintf(number, sizeof(number), "%.3f", json_real_value(value));
		return strdup(number);
	case JSON_ARRAY:
		return list_text(value);
	case JSON_OBJECT:
		return json_dumps(value, JSON_COMPACT);
	case JSON_NULL:
		break;
	}
	return strdup("-");
}

bool value_is_list(const struct argument *argument)
{
	return kinds[argument->kind].list;
}

const char *value_kind(const struct argument *argument)
{
	return kinds[argument->kind].name;
}

void value_form(const struct argument *argument, char *out, size_t size)
{
	const char *form = kinds[argument->kind].form;

	if (argument->kind == ARGUMENT_CHOICE)
		form = argument->choices;
	if (form)
		snprintf(out, size, "%s", form);
	else if (argument->max)
		snprintf(out, size, "%lld..%lld", argument->min, argument->max);
	else
		snprintf(out, size, "NUMBER");
}

const char *argument_key(const struct argument *argument)
{
	return argument->key ? argument->key : argument->word;
}
