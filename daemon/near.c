// SPDX-License-Identifier: BSD-2-Clause
// Optimal string alignment distance over short words.

#include "daemon/near.h"

#include <string.h>
#include <weft/types.h>

enum { NEAR_MAX = 63 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NEAR_MAX + 1];
	size_t length_a = strlen(a);
	size_t length_b = strlen(b);

	if (length_a > NEAR_MAX || length_b > NEAR_MAX)
		return NEAR_MAX;
	for (size_t j = 0; j <= length_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= length_a; i++) {
		size_t *now = rows[i % 3];
		size_t *before = rows[(i - 1) % 3];
		size_t *two_before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= length_b; j++) {
			now[j] = least(before[j - 1] + (a[i - 1] != b[j - 1]),
				least(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two_before[j - 2] + 1);
		}
	}
	return rows[length_a % 3][length_b];
}

const char *near_word(const char *wrong, const json_t *words)
{
	size_t length = strlen(wrong);
	size_t best = length / 3 + 2; // one slip in three letters is still a slip
	const char *found = NULL;
	size_t i;
	json_t *word;

	if (length < 2)
		return NULL;
	json_array_foreach (words, i, word) {
		const char *text = json_string_value(word);
		size_t d = distance(wrong, text);

		if (strncmp(text, wrong, length) == 0)
			d = least(d, 1); // the beginning of the right word
		if (d < best && d < strlen(text)) {
			best = d;
			found = text;
		}
	}
	return found;
}
