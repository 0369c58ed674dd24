// SPDX-License-Identifier: BSD-2-Clause
// Base64 (RFC 4648): how the content of a file that is no text goes into JSON.
#pragma once

#include <jansson.h>

json_t *base64_json(const char *bytes, size_t size); // a new string
