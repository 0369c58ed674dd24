// SPDX-License-Identifier: BSD-2-Clause
// What each kind of argument accepts, and the one spelling that is kept.

#include "daemon/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/types.h>
#include "daemon/near.h"
#include "daemon/value_parse.h"

enum { TEXT_MAX_BYTES = 255, LIST_MAX = 4096 };

json_t *value_bad(const struct argument *argument, const char *text, struct failure *failure,
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

	return length > 0 && length <= VALUE_NAME_BYTES && text[length] == 0 &&
	       isalnum((unsigned char)*text);
}

static json_t *parse_name(
	const struct argument *argument, const char *text, struct failure *failure)
{
	if (!name_valid(text))
		return value_bad(argument, text, failure,
			"a name: up to 63 of a-z 0-9 . _ - that begin with a letter or digit");
	if (strcmp(text, "none") == 0 || strcmp(text, "help") == 0)
		return value_bad(argument, text, failure,
			"free to be a name: it is a word of the command line");
	return json_string(text);
}

static json_t *choices_list(const char *choices)
{
	json_t *list = json_array();
	char *copy = strdup(choices);
	char *rest = copy;

	for (char *choice; (choice = strsep(&rest, "|"));)
		json_array_append_new(list, json_string(choice));
	free(copy);
	return list;
}

static json_t *parse_choice(
	const struct argument *argument, const char *text, struct failure *failure)
{
	json_t *list = choices_list(argument->choices);
	const char *near;
	char wants[256];
	size_t i;
	json_t *choice;

	json_array_foreach (list, i, choice) {
		if (strcmp(json_string_value(choice), text) == 0) {
			json_decref(list);
			return json_string(text);
		}
	}
	snprintf(wants, sizeof(wants), "one of %s", argument->choices);
	value_bad(argument, text, failure, wants);
	near = near_word(text, list);
	if (near)
		fail_hint(failure, "did you mean '%s'?", near);
	json_decref(list);
	return NULL;
}

static json_t *parse_bool(
	const struct argument *argument, const char *text, struct failure *failure)
{
	if (strcmp(text, "on") == 0)
		return json_true();
	if (strcmp(text, "off") == 0)
		return json_false();
	return value_bad(argument, text, failure, "on or off");
}

static bool in_range(const struct argument *argument, long long number)
{
	return number >= argument->min && (argument->max == 0 || number <= argument->max);
}

// The unit that its key names, which may stand behind the number; of ms the larger one, too.
static const char *unit_of(const struct argument *argument)
{
	size_t length = argument->key ? strlen(argument->key) : 0;

	return length > 3 && strcmp(argument->key + length - 3, "_ms") == 0 ? "ms" : "";
}

static json_t *parse_number(
	const struct argument *argument, const char *text, struct failure *failure)
{
	char wants[96];
	const char *end, *unit = unit_of(argument);
	long long number;

	if (value_digits(text, &number, &end)) {
		bool seconds = *unit && strcmp(end, "s") == 0 && number <= argument->max / 1000;
		number = seconds ? number * 1000 : number;
		if ((seconds || *end == 0 || strcmp(end, unit) == 0) && in_range(argument, number))
			return json_integer(number);
	}
	if (argument->choices && strcmp(text, argument->choices) == 0)
		return json_integer(argument->min);
	if (argument->max)
		snprintf(wants, sizeof(wants), "a number%s%s from %lld to %lld",
			*unit ? " of " : "", unit, argument->min, argument->max);
	else
		snprintf(wants, sizeof(wants), "a number from %lld", argument->min);
	value_bad(argument, text, failure, wants);
	if (strcmp(text, argument->fallback ? "none" : "default") == 0)
		fail_hint(failure, "`%s %s` takes back what was set", argument->word,
			argument->fallback ? "default" : "none");
	return NULL;
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

	if (value_digits(text, &number, &end) && number >= 0) {
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
	return value_bad(argument, text, failure, wants);
}

static json_t *parse_user(
	const struct argument *argument, const char *text, struct failure *failure)
{
	size_t length =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (length == 0 || length > 32 || text[length] || *text == '-')
		return value_bad(argument, text, failure, "a user or group: a name or a number");
	return json_string(text);
}

static json_t *parse_text(
	const struct argument *argument, const char *text, struct failure *failure)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return value_bad(
				argument, "?", failure, "printable: it has a control character");
	if (strlen(text) > TEXT_MAX_BYTES)
		return value_bad(argument, text, failure, "short enough: at most 255 bytes");
	return json_string(text);
}

static json_t *parse_file(
	const struct argument *argument, const char *text, struct failure *failure)
{
	(void)argument;
	(void)failure;
	return json_string(text);
}

static const struct {
	const char *name;
	const char *form;      // NULL: from the argument
	value_parse_fn *parse; // of one element when it is a list
	bool list;
} kinds[] = {
	[ARGUMENT_NAME] = {"name", "NAME", parse_name, false},
	[ARGUMENT_DEVICE] = {"device", "DEVICE", value_parse_device, false},
	[ARGUMENT_CHOICE] = {"choice", NULL, parse_choice, false},
	[ARGUMENT_BOOL] = {"bool", "on|off", parse_bool, false},
	[ARGUMENT_NUMBER] = {"number", NULL, parse_number, false},
	[ARGUMENT_DURATION] = {"duration", "TIME", parse_duration, false},
	[ARGUMENT_MAC] = {"mac", "MAC", value_parse_mac, false},
	[ARGUMENT_ADDRESS] = {"address", "ADDRESS", value_parse_address, false},
	[ARGUMENT_PREFIX] = {"prefix", "ADDRESS/LENGTH", value_parse_prefix, false},
	[ARGUMENT_TAGS] = {"tags", "NETWORK:VID,...", value_parse_tag, true},
	[ARGUMENT_NAMES] = {"names", "NAME,...", parse_name, true},
	[ARGUMENT_ADDRESSES] = {"addresses", "ADDRESS,...", value_parse_address, true},
	[ARGUMENT_USER] = {"user", "USER", parse_user, false},
	[ARGUMENT_TEXT] = {"text", "TEXT", parse_text, false},
	[ARGUMENT_ANY_MAC] = {"any-mac", "MAC", value_parse_any_mac, false},
	[ARGUMENT_FILE] = {"file", "FILE", parse_file, false},
	[ARGUMENT_DATA] = {"data", "FILE", parse_file, false},
	[ARGUMENT_OUTPUT] = {"output", "FILE", parse_text, false},
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
		value_bad(argument, text, failure,
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
			value_bad(argument, "an element", failure, "text");
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
	return value_bad(argument, json_is_real(value) ? "a fraction" : "a structure", failure,
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
		snprintf(number, sizeof(number), "%.6g", json_real_value(value));
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
		snprintf(out, size, "%lld..%lld%s%s", argument->min, argument->max,
			argument->choices ? "|" : "", argument->choices ? argument->choices : "");
	else
		snprintf(out, size, "NUMBER");
}

const char *argument_key(const struct argument *argument)
{
	return argument->key ? argument->key : argument->word;
}

const struct argument *argument_by_key(const struct argument *list, const char *key)
{
	for (; list->word; list++)
		if (strcmp(argument_key(list), key) == 0)
			return list;
	return NULL;
}
