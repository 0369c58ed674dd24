// SPDX-License-Identifier: BSD-2-Clause
// The nearest of several words to one that is wrong: "did you mean".
#pragma once

#include <jansson.h>

// words: array of strings. NULL when none is near enough to be meant.
const char *near_word(const char *wrong, const json_t *words);
