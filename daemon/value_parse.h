// SPDX-License-Identifier: BSD-2-Clause
// Between value.c and value_parse.c: one function per kind of argument.
#pragma once

#include "daemon/value.h"

enum { VALUE_NAME_BYTES = 63 };

// A new value in its canonical spelling, or NULL with the failure filled.
typedef json_t *value_parse_fn(
	const struct argument *argument, const char *text, struct failure *failure);

value_parse_fn value_parse_device, value_parse_mac, value_parse_any_mac, value_parse_address,
	value_parse_prefix, value_parse_tag;

// Fills the failure with "WORD: 'TEXT' is not WANTS"; returns NULL.
json_t *value_bad(const struct argument *argument, const char *text, struct failure *failure,
	const char *wants);
bool value_digits(const char *text, long long *number, const char **end);
