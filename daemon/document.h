// SPDX-License-Identifier: BSD-2-Clause
// Files of objects: {"networks": [{...}], "ports": [...], "host": {...}}; the schema is the nouns'
// arguments by key.
#pragma once

#include "daemon/object.h"

// The key under which a noun's objects stand.
const char *document_key(const struct noun *noun);

// Keeps only what the nouns know: document -> {"networks": [spec, ...]} with canonical values and
// every required one. NULL with the failure filled.
json_t *document_read(const char *text, struct failure *failure);

// Every object of the model, as document_read would return it.
json_t *document_write(struct weftd *weftd);
