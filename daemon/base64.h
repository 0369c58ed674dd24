// SPDX-License-Identifier: BSD-2-Clause
// Base64 (RFC 4648): how the content of a file that is no text comes in JSON.
#pragma once

#include <stddef.h>

// malloc; *size: its bytes. NULL: it is none.
unsigned char *base64_read(const char *text, size_t *size);
