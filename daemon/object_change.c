// SPDX-License-Identifier: BSD-2-Clause
// How one object changes: check -> model -> store -> engine, and the way back.

#include "daemon/object_change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/command.h"
#include "daemon/model.h"
#include "daemon/store.h"
#include "daemon/value.h"

LOG_MODULE(object);

// How its words are typed: "set shop address 10.1.0.11 port 80 ..." of a backend.
static void hint_set(const struct noun *noun, const json_t *spec, struct failure *failure)
{
	const char *at = noun->identity ? noun->identity : "";
	char key[64], words[256] = "";
	size_t used = 0;

	while (identity_next(&at, key, sizeof(key))) {
		const struct argument *argument = argument_by_key(noun->arguments, key);
		if (!argument || used >= sizeof(words))
			return;
		char *text = value_text(json_object_get(spec, key));
		bool bare = argument->flags & ARGUMENT_POSITIONAL;
		used += (size_t)snprintf(words + used, sizeof(words) - used, " %s%s%s",
			bare ? "" : argument->word, bare ? "" : " ", text);
		free(text);
	}
	fail_hint(failure, "`%s set%s ...` changes it", noun->name, words);
}

int object_check_add(
	struct weftd *weftd, const struct noun *noun, const json_t *spec, struct failure *failure)
{
	char *name = model_name(noun, spec);
	bool exists = object_find(weftd, noun, name);

	if (exists) {
		fail(failure, -EEXIST, "exists", "%s %s exists already", noun->name, name);
		hint_set(noun, spec, failure);
	}
	free(name);
	if (exists)
		return -EEXIST;
	if (noun->capacity && object_count(weftd, noun) >= noun->capacity) {
		fail(failure, -ENOSPC, "full", "there are %u %s, and no room for more",
			noun->capacity, noun->plural);
		return fail_hint(failure, "delete one first");
	}
	return noun->check ? noun->check(weftd, NULL, spec, failure) : 0;
}

int object_store(struct weftd *weftd, const struct object *object, struct failure *failure)
{
	char *spec = json_dumps(object->spec, JSON_COMPACT);
	struct store_row row = {
		.noun = object->noun->name,
		.id = object->id,
		.order = object->order,
		.name = object->name,
		.spec = spec,
	};
	int err = store_put(weftd->store, &row, failure);

	free(spec);
	return err;
}

int object_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	int err = object->noun->apply(weftd, object, old, failure);

	free(object->trouble);
	object->trouble = err ? strdup(failure->message) : NULL;
	return err;
}

// One put or del in a transaction of its own.
static int store_one(
	struct weftd *weftd, const struct object *object, bool put, struct failure *failure)
{
	int err = store_begin(weftd->store, failure);

	if (!err)
		err = put ? object_store(weftd, object, failure)
			  : store_del(weftd->store, object->noun->name, object->id, failure);
	if (!err)
		err = store_commit(weftd->store, failure);
	if (err)
		store_rollback(weftd->store);
	return err;
}

// The way back: it must not fail silently, and there is nobody to refuse it to.
static void store_back(struct weftd *weftd, const struct object *object, bool put)
{
	struct failure failure;

	if (store_one(weftd, object, put, &failure))
		log_error("cannot take a change back in the store: %s object=%s name=%s",
			failure.message, object->noun->name, object->name);
}

int object_add(struct weftd *weftd, const struct noun *noun, json_t *spec, struct object **out,
	struct failure *failure)
{
	struct object *object;
	struct failure again;
	int err = object_check_add(weftd, noun, spec, failure);

	if (err)
		return err;
	object = model_add(weftd, noun, json_incref(spec));
	err = store_one(weftd, object, true, failure);
	if (err)
		goto err_model;
	err = object_apply(weftd, object, NULL, failure);
	if (err)
		goto err_applied;
	*out = object;
	return 0;

err_applied:
	model_unlink(weftd, object);
	if (noun->remove(weftd, object, &again))
		log_error("cannot take an addition back: %s object=%s name=%s", again.message,
			noun->name, object->name);
	store_back(weftd, object, false);
	model_free(weftd, object);
	return err;
err_model:
	model_unlink(weftd, object);
	model_free(weftd, object);
	return err;
}

int object_set(struct weftd *weftd, struct object *object, json_t *spec, struct failure *failure)
{
	const struct noun *noun = object->noun;
	json_t *old = object->spec;
	struct failure again;
	int err;

	if (json_equal(old, spec) && !object->trouble)
		return 0;
	err = noun->check ? noun->check(weftd, object, spec, failure) : 0;
	if (err)
		return err;
	if (noun->complete)
		noun->complete(weftd, object, spec);
	object->spec = json_incref(spec);
	err = store_one(weftd, object, true, failure);
	if (!err)
		err = object_apply(weftd, object, old, failure);
	if (!err) {
		json_decref(old);
		return 0;
	}
	json_decref(object->spec);
	object->spec = old;
	store_back(weftd, object, true);
	if (object_apply(weftd, object, spec, &again))
		log_error("cannot take a change back: %s object=%s name=%s", again.message,
			noun->name, object->name);
	return err;
}

int object_del(struct weftd *weftd, struct object *object, struct failure *failure)
{
	const struct noun *noun = object->noun;
	struct failure again;
	int err = noun->check ? noun->check(weftd, object, NULL, failure) : 0;

	if (err)
		return err;
	model_unlink(weftd, object);
	err = noun->remove(weftd, object, failure);
	if (!err)
		err = store_one(weftd, object, false, failure);
	if (!err) {
		model_free(weftd, object);
		return 0;
	}
	model_relink(weftd, object);
	model_sort(weftd, noun);
	if (object_apply(weftd, object, NULL, &again))
		log_error("cannot take a deletion back: %s object=%s name=%s", again.message,
			noun->name, object->name);
	return err;
}

static int load_row(const struct store_row *row, void *context, struct failure *failure)
{
	struct weftd *weftd = context;
	const struct noun *noun = noun_find(row->noun);
	json_t *spec = json_loads(row->spec, JSON_REJECT_DUPLICATES, NULL);

	if (!noun || !json_is_object(spec) || !identity_given(noun, spec) ||
		!model_restore(weftd, noun, row->id, row->order, json_incref(spec))) {
		json_decref(spec);
		fail(failure, -EIO, "state_damaged",
			"the state file holds a %s %s that weftd cannot read", row->noun,
			row->name);
		return fail_hint(failure, "put a copy of it back, or move it away: weftd then "
					  "starts without objects");
	}
	json_decref(spec);
	return 0;
}

int objects_load(struct weftd *weftd, struct failure *failure)
{
	int err;

	model_init(weftd);
	err = store_walk(weftd->store, load_row, weftd, failure);
	for (size_t i = 0; !err && nouns[i]; i++)
		if (nouns[i]->singleton && !object_first(weftd, nouns[i]))
			model_add(weftd, nouns[i], json_object());
	return err;
}

void objects_apply_all(struct weftd *weftd)
{
	struct failure failure;

	for (size_t i = 0; nouns[i]; i++)
		for (struct object *o = object_first(weftd, nouns[i]); o; o = o->hh.next)
			if (object_apply(weftd, o, NULL, &failure))
				log_warn("cannot apply: %s object=%s name=%s", failure.message,
					o->noun->name, o->name);
}

void objects_free(struct weftd *weftd)
{
	model_fini(weftd);
}
