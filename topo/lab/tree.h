// SPDX-License-Identifier: BSD-2-Clause
// tree.h - a YAML file as a tree that knows where each value stands
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum { TREE_WHY_LEN = 1024 };

enum tree_type { TREE_TEXT, TREE_LIST, TREE_MAP };

// A value. In a map each value carries its key. Everything lives until tree_free of the root.
struct tree {
	enum tree_type type;
	const char *file;
	size_t line, column; // of the value, from 1
	char *text;          // TREE_TEXT
	bool plain;          // written without quotes
	struct tree *key;    // in a map: TREE_TEXT
	struct tree *first, *next;
};

// Reads one document. NULL: `why` holds "file:line:column: ..." .
struct tree *tree_load(const char *file, char why[TREE_WHY_LEN]);
void tree_free(struct tree *root);

// The first of a list's or map's values; NULL: none.
const struct tree *tree_first(const struct tree *parent);
// The values of a list, or a text as the only one, one after another: `after` NULL begins.
const struct tree *tree_item(const struct tree *of, const struct tree *after);
// The value of a key of a map; NULL: none, or no map.
const struct tree *tree_get(const struct tree *map, const char *key);
// The text of a key's value; NULL: none.
const char *tree_text(const struct tree *map, const char *key);
bool tree_is_null(const struct tree *value);

// What jansson has for it: text stays text, save plain true, false and null.
json_t *tree_json(const struct tree *value);
