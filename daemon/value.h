// SPDX-License-Identifier: BSD-2-Clause
// The kinds of arguments: text -> canonical JSON value, and back.
#pragma once

#include "daemon/command.h"

// A new value, or NULL with *failure filled: wrong words (exit status 2).
json_t *value_parse(const struct argument *argument, const char *text, struct failure *failure);

// The same from a file, where numbers, booleans and lists may stand as such.
json_t *value_from_json(
	const struct argument *argument, const json_t *value, struct failure *failure);

// The default as a value, or NULL when there is none.
json_t *value_fallback(const struct argument *argument);

// As it is typed and printed: on, off, a,b; `-` for null. malloc.
char *value_text(const json_t *value);

bool value_is_list(const struct argument *argument);
const char *value_kind(const struct argument *argument);                  // "number"
void value_form(const struct argument *argument, char *out, size_t size); // "1..4094", "tap|device"
const char *argument_key(const struct argument *argument);
// Of a list; NULL: it has none.
const struct argument *argument_by_key(const struct argument *list, const char *key);

bool name_valid(const char *text);
