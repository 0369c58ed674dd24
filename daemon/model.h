// SPDX-License-Identifier: BSD-2-Clause
// The model in memory: every object by (noun, name) and by (noun, id). Used by object.c, apply.c.
#pragma once

#include "daemon/weftd.h"

void model_init(struct weftd *weftd);
void model_fini(struct weftd *weftd); // frees the objects; their nouns were told before

// Makes an object with the smallest free id; takes the reference to spec.
struct object *model_add(struct weftd *weftd, const struct noun *noun, json_t *spec);

// The same with what the store says. NULL: the id or the name is taken twice.
struct object *model_restore(
	struct weftd *weftd, const struct noun *noun, u32 id, u64 order, json_t *spec);

// Unlinked objects are found by id only: the engine may still speak of them until model_free.
void model_unlink(struct weftd *weftd, struct object *object);
void model_relink(struct weftd *weftd, struct object *object); // at the end: model_sort follows
void model_sort(struct weftd *weftd, const struct noun *noun);
void model_free(struct weftd *weftd, struct object *object); // unlinked before

// Ids of objects, of unlinked ones too, and those that are held.
u32 model_ids_used(struct weftd *weftd, const struct noun *noun);

// Of rows that speak of an object when it is gone: its id is not used again before two things have
// happened to it: the holds of its noun have aged, and then they have ended.
void model_hold_id(struct weftd *weftd, const struct object *object);
void model_holds_age(struct weftd *weftd, const struct noun *noun);
void model_holds_end(struct weftd *weftd, const struct noun *noun);

// The text that names an object with this spec. malloc.
char *model_name(const struct noun *noun, const json_t *spec);

// Walks the keys of noun->identity.
bool identity_next(const char **at, char *key, size_t size);
// Does spec hold every key of the identity?
bool identity_given(const struct noun *noun, const json_t *spec);

// The value that holds: given, or the default, or NULL. New reference.
json_t *spec_value(const struct argument *argument, const json_t *spec);
bool spec_equal(const struct noun *noun, const json_t *a, const json_t *b);
