// SPDX-License-Identifier: BSD-2-Clause
// Objects: the desired state. One mechanism for every noun: check, store, apply.
//
// A change goes: validate words (command.c) -> noun->check against the model -> model -> store, one
// transaction, durable -> noun->apply to the engine and the kernel -> answer. When apply fails on a
// single command the change is taken back and refused; with `apply FILE` it stays as desired state
// and the object says why it is not up (exit 4). Deletion applies first, then stores.
#pragma once

#include <uthash.h>
#include "daemon/command.h"
#include "weft/types.h"

enum { OBJECT_GROUPS = 2 };

struct object {
	const struct noun *noun;
	u32 id;     // from 1, stable for the object's life, reused after deletion: the engine's row
	char *name; // identity: the key arguments joined by a space
	json_t *spec;  // canonical values by key, identity included; absent: the default. Owned.
	void *live;    // the noun's run-time state; made by the first apply, freed by remove
	char *trouble; // why the last apply failed: show says it; NULL: it did not. Owned.
	u64 order;     // of creation: show and export keep it
	UT_hash_handle hh;
	struct object_link { // of noun->groups
		struct object *prev, *next;
	} group[OBJECT_GROUPS];
};

struct noun {
	const char *name;   // "port"
	const char *plural; // "ports": the key in files
	const char *help;
	const struct argument *arguments; // those of identity first (POSITIONAL | FIXED or FIXED)
	const char *identity;             // keys of the identity: "name", or "mac network"
	const char *columns;              // default columns of the table that show prints
	bool singleton;                   // host: always there, only set and show
	u32 capacity;                     // most objects; 0: no limit but the tables'
	const struct noun *ids;           // the noun whose ids it shares; NULL: it has its own
	// Keys that are text and FIXED, by whose values objects are found.
	const char *groups[OBJECT_GROUPS];

	// Is this change possible against the model? No side effects. old or spec NULL: add or del.
	int (*check)(struct weftd *weftd, const struct object *old, const json_t *spec,
		struct failure *failure);
	// Remembers with the object what its words leave open (old: the object that the spec is to
	// replace, NULL at add): keys that no argument has are stored, and shown nowhere. NULL:
	// nothing.
	void (*complete)(struct weftd *weftd, const struct object *old, json_t *spec);
	// Brings engine and kernel to object->spec. old: the spec before, NULL at add and at start.
	// A missing device is not a failure at start (state absent). Must be repeatable.
	int (*apply)(struct weftd *weftd, struct object *object, const json_t *old,
		struct failure *failure);
	// Takes the object out of engine and kernel and frees object->live.
	int (*remove)(struct weftd *weftd, struct object *object, struct failure *failure);
	// Frees object->live when weftd ends; engine and kernel stay as they are. NULL: nothing to
	// free.
	void (*forget)(struct object *object);
	// The fields that show adds to the spec (state, why, counters). New object.
	json_t *(*show)(struct weftd *weftd, const struct object *object);
	// What show adds where one object was asked for, by its name. NULL: nothing.
	void (*show_one)(struct weftd *weftd, const struct object *object, json_t *shown);
	// show of things that are no objects too (learned FDB rows); NULL: the objects only.
	// filter: the arguments given to show. Appends to result.
	int (*show_all)(
		struct weftd *weftd, const json_t *filter, json_t *result, struct failure *failure);
};

// In dependency order: host, network, port, peer, fdb, service, backend (daemon/command_list.c).
extern const struct noun *const nouns[];
const struct noun *noun_find(const char *name);

struct object *object_find(struct weftd *weftd, const struct noun *noun, const char *name);
struct object *object_by_id(struct weftd *weftd, const struct noun *noun, u32 id);
struct object *object_first(struct weftd *weftd, const struct noun *noun); // then object->hh.next
u32 object_count(struct weftd *weftd, const struct noun *noun);
// Those whose value of a key in noun->groups is this, in no order.
struct object *object_first_of(
	struct weftd *weftd, const struct noun *noun, const char *key, const char *value);
struct object *object_next_of(const struct object *object, const char *key);

// Fields of a spec, with the default when absent.
const char *spec_text(const json_t *spec, const char *key, const char *fallback);
long long spec_number(const json_t *spec, const char *key, long long fallback);
bool spec_bool(const json_t *spec, const char *key, bool fallback);
json_t *spec_list(const json_t *spec, const char *key); // array or NULL; borrowed

// The verbs add, set, del, show of a noun, and the whole-model verbs.
int object_run_add(struct request *request);
int object_run_set(struct request *request);
int object_run_del(struct request *request);
int object_run_show(struct request *request);

// Loads the model from the store and applies every object, failures noted in the objects.
int objects_load(struct weftd *weftd, struct failure *failure);
void objects_apply_all(struct weftd *weftd);
void objects_free(struct weftd *weftd);
