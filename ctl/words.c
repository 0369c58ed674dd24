// SPDX-License-Identifier: BSD-2-Clause
// Words and the table of commands: which word is the value of what.
#include "ctl/words.h"

#include <stdlib.h>
#include <string.h>

const char *words_at(const json_t *words, size_t i)
{
	const char *word = json_string_value(json_array_get(words, i));

	return word ? word : "";
}

bool words_fit(const json_t *command, const json_t *words)
{
	const char *object = json_string_value(json_object_get(command, "object"));
	const char *verb = json_string_value(json_object_get(command, "verb"));

	return object && strcmp(object, words_at(words, 0)) == 0 &&
	       (!verb || strcmp(verb, words_at(words, 1)) == 0);
}

bool words_argument_is(const json_t *argument, const char *kind)
{
	const char *its = json_string_value(json_object_get(argument, "kind"));

	return its && strcmp(its, kind) == 0;
}

// Is it the word of an argument, with its value behind it?
static bool begins_pair(const json_t *words, const json_t *command, size_t at)
{
	size_t i;
	json_t *argument;

	if (at + 1 >= json_array_size(words))
		return false;
	json_array_foreach (json_object_get(command, "arguments"), i, argument)
		if (!json_is_true(json_object_get(argument, "positional")) &&
			!strcmp(words_text(argument, "word"), words_at(words, at)))
			return true;
	return false;
}

size_t words_value_at(const json_t *words, const json_t *command, const json_t *argument)
{
	const char *word = json_string_value(json_object_get(argument, "word"));
	size_t at = json_is_string(json_object_get(command, "verb")) ? 2 : 1;
	size_t i;
	json_t *other;

	json_array_foreach (json_object_get(command, "arguments"), i, other) {
		if (!json_is_true(json_object_get(other, "positional")))
			continue;
		if (!json_is_true(json_object_get(other, "required")) &&
			begins_pair(words, command, at))
			continue;
		if (other == argument)
			return at < json_array_size(words) ? at : 0;
		at++;
		while (json_is_true(json_object_get(other, "rest")) &&
			at < json_array_size(words) && !begins_pair(words, command, at))
			at++;
	}
	// Words with values go in pairs behind those without.
	for (; word && at + 1 < json_array_size(words); at += 2)
		if (strcmp(words_at(words, at), word) == 0)
			return at + 1;
	return 0;
}

size_t words_key_at(const json_t *words, const json_t *command, const char *key)
{
	size_t i;
	json_t *argument;

	json_array_foreach (json_object_get(command, "arguments"), i, argument)
		if (!strcmp(words_text(argument, "key"), key))
			return words_value_at(words, command, argument);
	return 0;
}

const char *words_value(const json_t *words, const json_t *command, const char *key)
{
	size_t at = words_key_at(words, command, key);

	return at ? words_at(words, at) : NULL;
}

static bool ends_with_output(const json_t *words, const json_t *command)
{
	const char *last = words_at(words, json_array_size(words) - 1);
	size_t i;
	json_t *argument;

	json_array_foreach (json_object_get(command, "arguments"), i, argument)
		if (words_argument_is(argument, "output") &&
			!strcmp(json_string_value(json_object_get(argument, "word")), last))
			return true;
	return false;
}

long words_count(const char *text, long most)
{
	char *end = NULL;
	long count = text ? strtol(text, &end, 10) : 0;

	return count > 0 && count <= most && !*end ? count : 0;
}

void words_complete(json_t *words, const json_t *commands)
{
	size_t i;
	json_t *command;

	json_array_foreach (commands, i, command) {
		if (words_fit(command, words) && ends_with_output(words, command)) {
			json_array_append_new(words, json_string("-"));
			return;
		}
	}
}
