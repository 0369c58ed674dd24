// SPDX-License-Identifier: BSD-2-Clause
// Bytes -> base64 (RFC 4648).
#include "ctl/base64.h"

#include <stdlib.h>

json_t *base64_json(const char *bytes, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t used = 0;
	char *text = malloc((size + 2) / 3 * 4 + 1);
	json_t *string;

	if (!text)
		return NULL;
	for (size_t at = 0; at < size; at += 3) {
		unsigned bits = 0;

		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (at + i < size ? (unsigned char)bytes[at + i] : 0);
		for (size_t i = 0; i < 4; i++)
			text[used++] = at + i > size ? '=' : digits[bits >> (18 - 6 * i) & 63];
	}
	string = json_stringn(text, used);
	free(text);
	return string;
}
