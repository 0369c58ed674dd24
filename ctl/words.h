// SPDX-License-Identifier: BSD-2-Clause
// What weftd's table of commands (GET /v1/commands) says of the words that were typed.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// Of what weftd answers: "" where there is no such text.
static inline const char *words_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

const char *words_at(const json_t *words, size_t i); // "": so many there are not
// By the object and verb alone: several commands may fit.
bool words_fit(const json_t *command, const json_t *words);
bool words_argument_is(const json_t *argument, const char *kind);
// The index of the word that is the argument's value; 0: none.
size_t words_value_at(const json_t *words, const json_t *command, const json_t *argument);
// The index of the value of the argument with that key; 0: none.
size_t words_key_at(const json_t *words, const json_t *command, const char *key);
// The value itself; NULL: none.
const char *words_value(const json_t *words, const json_t *command, const char *key);
// A number from 1 to most; 0: none (NULL), or one that weftd refuses.
long words_count(const char *text, long most);
// The file to write may be left out where the word for it is the last: then it is "-".
void words_complete(json_t *words, const json_t *commands);
