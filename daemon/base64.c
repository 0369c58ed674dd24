// SPDX-License-Identifier: BSD-2-Clause
// Base64 (RFC 4648) -> bytes.
#include "daemon/base64.h"

#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

unsigned char *base64_read(const char *text, size_t *size)
{
	size_t length = strlen(text), used = 0;
	unsigned char *bytes = length % 4 ? NULL : malloc(length / 4 * 3 + 1);
	unsigned bits = 0;
	if (!bytes)
		return NULL;
	for (int padding = 0; padding < 2 && length && text[length - 1] == '='; padding++)
		length--;
	for (size_t i = 0; i < length; i++) {
		int value = digit(text[i]);
		if (value < 0) {
			free(bytes);
			return NULL;
		}
		bits = bits << 6 | (unsigned)value;
		if (i % 4)
			bytes[used++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	*size = used;
	return bytes;
}
