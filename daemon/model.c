// SPDX-License-Identifier: BSD-2-Clause
// Objects in memory: a hash by name and an array by id for each noun (or several: noun->ids).

#include "daemon/model.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "daemon/value.h"

enum { NOUNS_MAX = 16 };

struct group {
	char *value;
	struct object *first;
	UT_hash_handle hh;
};

struct noun_objects {
	struct object *by_name;
	struct group *groups[OBJECT_GROUPS]; // by value; none is empty
	struct object **by_id; // ids are small and dense: the smallest free one is taken
	u8 *held;              // by id, too: enum hold
	u32 size;
	u32 used;      // ids that are not free
	u32 free_hint; // no free id is smaller
};

enum hold { NOT_HELD, HELD, HELD_LONGER };

struct objects {
	struct noun_objects of[NOUNS_MAX];
	u64 last_order;
};

static struct noun_objects *of_noun(struct weftd *weftd, const struct noun *noun)
{
	size_t i = 0;

	if (!weftd->objects)
		return NULL;
	while (i < NOUNS_MAX && nouns[i] && nouns[i] != noun)
		i++;
	if (i == NOUNS_MAX || !nouns[i])
		abort(); // a noun that is not in the list
	return &weftd->objects->of[i];
}

// Nouns that share ids share the array.
static struct noun_objects *ids_of(struct weftd *weftd, const struct noun *noun)
{
	return of_noun(weftd, noun->ids ? noun->ids : noun);
}

static struct object *id_taken(struct weftd *weftd, const struct noun *noun, u32 id)
{
	struct noun_objects *set = ids_of(weftd, noun);

	return set && id < set->size ? set->by_id[id] : NULL;
}

// --- groups

static size_t group_index(const struct noun *noun, const char *key)
{
	for (size_t i = 0; i < OBJECT_GROUPS; i++)
		if (noun->groups[i] && strcmp(noun->groups[i], key) == 0)
			return i;
	abort(); // objects of this noun are not found by it
}

static struct group *group_find(struct noun_objects *set, size_t i, const char *value)
{
	struct group *group = NULL;

	HASH_FIND(hh, set->groups[i], value, strlen(value), group);
	return group;
}

static void group_join(struct noun_objects *set, size_t i, struct object *object, const char *value)
{
	struct group *group = group_find(set, i, value);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group || !(group->value = strdup(value)))
			abort();
		HASH_ADD_KEYPTR(hh, set->groups[i], group->value, strlen(group->value), group);
	}
	DL_APPEND2(group->first, object, group[i].prev, group[i].next);
}

static void group_leave(
	struct noun_objects *set, size_t i, struct object *object, const char *value)
{
	struct group *group = group_find(set, i, value);

	DL_DELETE2(group->first, object, group[i].prev, group[i].next);
	if (group->first)
		return;
	HASH_DEL(set->groups[i], group);
	free(group->value);
	free(group);
}

static void groups_free(struct noun_objects *set)
{
	for (size_t i = 0; i < OBJECT_GROUPS; i++) {
		struct group *group, *next;

		HASH_ITER (hh, set->groups[i], group, next) {
			HASH_DEL(set->groups[i], group);
			free(group->value);
			free(group);
		}
	}
}

static void link_object(struct noun_objects *set, struct object *object)
{
	HASH_ADD_KEYPTR(hh, set->by_name, object->name, strlen(object->name), object);
	for (size_t i = 0; i < OBJECT_GROUPS; i++)
		if (object->noun->groups[i])
			group_join(set, i, object,
				spec_text(object->spec, object->noun->groups[i], ""));
}

static void unlink_object(struct noun_objects *set, struct object *object)
{
	HASH_DEL(set->by_name, object);
	for (size_t i = 0; i < OBJECT_GROUPS; i++)
		if (object->noun->groups[i])
			group_leave(set, i, object,
				spec_text(object->spec, object->noun->groups[i], ""));
}

struct object *object_first_of(
	struct weftd *weftd, const struct noun *noun, const char *key, const char *value)
{
	struct noun_objects *set = of_noun(weftd, noun);
	struct group *group = set ? group_find(set, group_index(noun, key), value) : NULL;

	return group ? group->first : NULL;
}

struct object *object_next_of(const struct object *object, const char *key)
{
	return object->group[group_index(object->noun, key)].next;
}

void model_init(struct weftd *weftd)
{
	weftd->objects = calloc(1, sizeof(*weftd->objects));
	if (!weftd->objects)
		abort();
}

static void object_free(struct object *object)
{
	if (object->live && object->noun->forget)
		object->noun->forget(object);
	json_decref(object->spec);
	free(object->name);
	free(object->trouble);
	free(object);
}

void model_fini(struct weftd *weftd)
{
	struct object *object, *next;

	if (!weftd->objects)
		return;
	for (size_t i = 0; i < NOUNS_MAX; i++) {
		struct noun_objects *set = &weftd->objects->of[i];

		HASH_ITER (hh, set->by_name, object, next) {
			HASH_DEL(set->by_name, object);
			object_free(object);
		}
		groups_free(set);
		free(set->by_id);
		free(set->held);
	}
	free(weftd->objects);
	weftd->objects = NULL;
}

bool identity_next(const char **at, char *key, size_t size)
{
	size_t length;

	*at += strspn(*at, " ");
	length = strcspn(*at, " ");
	if (length == 0 || length >= size)
		return false;
	memcpy(key, *at, length);
	key[length] = 0;
	*at += length;
	return true;
}

bool identity_given(const struct noun *noun, const json_t *spec)
{
	const char *at = noun->identity ? noun->identity : "";
	char key[64];

	while (identity_next(&at, key, sizeof(key)))
		if (!json_object_get(spec, key))
			return false;
	return true;
}

char *model_name(const struct noun *noun, const json_t *spec)
{
	const char *at = noun->identity ? noun->identity : "";
	char *name = NULL;
	size_t size;
	FILE *out;
	char key[64];

	if (noun->singleton)
		return strdup(noun->name);
	out = open_memstream(&name, &size);
	for (bool first = true; identity_next(&at, key, sizeof(key)); first = false) {
		char *text = value_text(json_object_get(spec, key));

		fprintf(out, "%s%s", first ? "" : " ", text);
		free(text);
	}
	fclose(out);
	return name;
}

static void id_take(struct noun_objects *set, struct object *object)
{
	if (object->id >= set->size) {
		u32 size = object->id * 2 < 64 ? 64 : object->id * 2;

		set->by_id = realloc(set->by_id, size * sizeof(*set->by_id));
		set->held = realloc(set->held, size);
		if (!set->by_id || !set->held)
			abort();
		memset(set->by_id + set->size, 0, (size - set->size) * sizeof(*set->by_id));
		memset(set->held + set->size, NOT_HELD, size - set->size);
		set->size = size;
	}
	set->by_id[object->id] = object;
	set->used++;
}

static bool id_is_free(const struct noun_objects *set, u32 id)
{
	return !set->by_id[id] && !set->held[id];
}

static u32 id_free(struct noun_objects *set)
{
	u32 id = set->free_hint ? set->free_hint : 1;

	while (id < set->size && !id_is_free(set, id))
		id++;
	set->free_hint = id;
	return id;
}

// Of its object or of who held it, one has let it go.
static void id_went(struct noun_objects *set, u32 id)
{
	if (!id_is_free(set, id))
		return;
	set->used--;
	if (id < set->free_hint)
		set->free_hint = id;
}

static struct object *object_new(const struct noun *noun, json_t *spec)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		abort();
	object->noun = noun;
	object->spec = spec;
	object->name = model_name(noun, spec);
	return object;
}

struct object *model_add(struct weftd *weftd, const struct noun *noun, json_t *spec)
{
	struct noun_objects *set = of_noun(weftd, noun);
	struct object *object = object_new(noun, spec);

	if (noun->complete)
		noun->complete(weftd, NULL, spec);
	object->id = id_free(ids_of(weftd, noun));
	object->order = ++weftd->objects->last_order;
	id_take(ids_of(weftd, noun), object);
	link_object(set, object);
	return object;
}

struct object *model_restore(
	struct weftd *weftd, const struct noun *noun, u32 id, u64 order, json_t *spec)
{
	struct noun_objects *set = of_noun(weftd, noun);
	struct object *object = object_new(noun, spec);

	if (id == 0 || id_taken(weftd, noun, id) || object_find(weftd, noun, object->name)) {
		object_free(object);
		return NULL;
	}
	object->id = id;
	object->order = order;
	if (order > weftd->objects->last_order)
		weftd->objects->last_order = order;
	id_take(ids_of(weftd, noun), object);
	link_object(set, object);
	return object;
}

void model_unlink(struct weftd *weftd, struct object *object)
{
	struct noun_objects *set = of_noun(weftd, object->noun);

	unlink_object(set, object);
}

static int by_order(const struct object *a, const struct object *b)
{
	return a->order < b->order ? -1 : a->order > b->order;
}

void model_relink(struct weftd *weftd, struct object *object)
{
	struct noun_objects *set = of_noun(weftd, object->noun);

	link_object(set, object);
}

void model_sort(struct weftd *weftd, const struct noun *noun)
{
	struct noun_objects *set = of_noun(weftd, noun);

	HASH_SORT(set->by_name, by_order);
}

void model_free(struct weftd *weftd, struct object *object)
{
	struct noun_objects *set = ids_of(weftd, object->noun);

	set->by_id[object->id] = NULL;
	id_went(set, object->id);
	object_free(object);
}

u32 model_ids_used(struct weftd *weftd, const struct noun *noun)
{
	return ids_of(weftd, noun)->used;
}

void model_hold_id(struct weftd *weftd, const struct object *object)
{
	ids_of(weftd, object->noun)->held[object->id] = HELD_LONGER;
}

void model_holds_age(struct weftd *weftd, const struct noun *noun)
{
	struct noun_objects *set = ids_of(weftd, noun);

	for (u32 id = 0; id < set->size; id++)
		set->held[id] = set->held[id] ? HELD : NOT_HELD;
}

void model_holds_end(struct weftd *weftd, const struct noun *noun)
{
	struct noun_objects *set = ids_of(weftd, noun);

	for (u32 id = 0; id < set->size; id++) {
		if (set->held[id] != HELD)
			continue;
		set->held[id] = NOT_HELD;
		id_went(set, id);
	}
}

const struct noun *noun_find(const char *name)
{
	for (size_t i = 0; nouns[i]; i++)
		if (strcmp(nouns[i]->name, name) == 0)
			return nouns[i];
	return NULL;
}

struct object *object_find(struct weftd *weftd, const struct noun *noun, const char *name)
{
	struct noun_objects *set = of_noun(weftd, noun);
	struct object *object = NULL;

	if (set)
		HASH_FIND(hh, set->by_name, name, strlen(name), object);
	return object;
}

struct object *object_by_id(struct weftd *weftd, const struct noun *noun, u32 id)
{
	struct object *object = id_taken(weftd, noun, id);

	return object && object->noun == noun ? object : NULL;
}

struct object *object_first(struct weftd *weftd, const struct noun *noun)
{
	struct noun_objects *set = of_noun(weftd, noun);

	return set ? set->by_name : NULL;
}

u32 object_count(struct weftd *weftd, const struct noun *noun)
{
	struct noun_objects *set = of_noun(weftd, noun);

	return set ? HASH_COUNT(set->by_name) : 0;
}

json_t *spec_value(const struct argument *argument, const json_t *spec)
{
	json_t *value = json_object_get(spec, argument_key(argument));

	return value ? json_incref(value) : value_fallback(argument);
}

bool spec_equal(const struct noun *noun, const json_t *a, const json_t *b)
{
	bool equal = true;

	for (const struct argument *argument = noun->arguments; equal && argument->word;
		argument++) {
		json_t *value_a = spec_value(argument, a);
		json_t *value_b = spec_value(argument, b);

		equal = value_a == value_b || (value_a && value_b && json_equal(value_a, value_b));
		json_decref(value_a);
		json_decref(value_b);
	}
	return equal;
}

const char *spec_text(const json_t *spec, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(spec, key));

	return text ? text : fallback;
}

long long spec_number(const json_t *spec, const char *key, long long fallback)
{
	const json_t *value = json_object_get(spec, key);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool spec_bool(const json_t *spec, const char *key, bool fallback)
{
	const json_t *value = json_object_get(spec, key);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

json_t *spec_list(const json_t *spec, const char *key)
{
	json_t *value = json_object_get(spec, key);

	return json_is_array(value) ? value : NULL;
}
