// SPDX-License-Identifier: BSD-2-Clause
// schema.h - the keys of a map as data: reads, checks, and refuses what is unknown
#pragma once

#include "topo/lab/lab.h"

struct field {
	const char *key;
	// Puts the value at `to`; refuses with the place and what was expected.
	int (*read)(struct lab *lab, const struct field *field, const struct tree *value, void *to);
	size_t offset;
	bool required;
	long min, max;              // numbers
	const struct field *fields; // read_list, read_map: of each entry
	size_t size; // read_list: bytes of each entry, which begins with struct entry
};

// All keys of a map into the struct at `base`; the list of fields ends with a NULL key.
int schema_read(struct lab *lab, const struct field *fields, const struct tree *map, void *base);

// Readers. Texts are pointers into the tree.
#define READER(name) \
	int name(struct lab *lab, const struct field *field, const struct tree *value, void *to)
READER(read_name);     // const char *
READER(read_text);     // const char *
READER(read_device);   // const char *
READER(read_number);   // unsigned, min..max
READER(read_bool);     // bool
READER(read_prefix);   // const char *: address/length or "default"
READER(read_address);  // const char *
READER(read_duration); // const char *: 10ms
READER(read_percent);  // const char *: 0.1%
READER(read_rate);     // const char *: 100mbit
READER(read_tree);     // const struct tree *: anything
READER(read_sysctl);   // const struct tree *: a map of texts, keys net.*
READER(read_vias);     // const struct tree *: an address or a list of them
READER(read_places);   // const struct tree *: addresses with lengths; list, or device: list
READER(read_map);      // the fields of a map into the struct at `to`
READER(read_list);     // struct entry *: list of maps
#undef READER

// Is it "address/length" (or, bare, "address")? Gives the family.
bool is_prefix(const char *text, int *family);
bool is_address(const char *text, int *family);
bool is_device(const char *text);
