// SPDX-License-Identifier: BSD-2-Clause
// YAML <-> the same tree of values that jansson has. Scalars stay text: the schema gives them
// types.
#pragma once

#include <jansson.h>
#include "daemon/failure.h"

// One document: mappings, sequences, scalars; no anchors. NULL with the failure filled.
// Plain true, false and null are such; everything else is text. Empty: an empty object.
json_t *yaml_parse(const char *text, size_t length, struct failure *failure);

// JSON when the text begins as JSON does, else YAML.
json_t *document_parse(const char *text, size_t length, struct failure *failure);

char *yaml_dump(const json_t *value); // malloc
