// SPDX-License-Identifier: BSD-2-Clause
// The verbs add, set, del and show of every noun, and the model at start.

#include "daemon/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/model.h"
#include "daemon/near.h"
#include "daemon/object_change.h"
#include "daemon/value.h"

LOG_MODULE(object);

// Is it because of another object that it is said to belong to?
static bool fail_without(struct request *request)
{
	const struct argument *argument = request->command->noun->arguments;

	for (; argument->word; argument++) {
		const char *value = spec_text(request->arguments, argument_key(argument), NULL);
		const struct noun *noun = argument->refers ? noun_find(argument->refers) : NULL;
		if (!noun || !value || noun == request->command->noun ||
			!(argument->flags & ARGUMENT_POSITIONAL) ||
			object_find(request->weftd, noun, value))
			continue;
		fail(&request->failure, -ENOENT, "not_found", "there is no %s %s", noun->name,
			value);
		fail_hint(&request->failure, "`%s show` lists what there is", noun->name);
		return true;
	}
	return false;
}

static int fail_absent(struct request *request, const char *name)
{
	const struct noun *noun = request->command->noun;
	json_t *names = json_array();
	const char *near;

	for (struct object *o = object_first(request->weftd, noun); o; o = o->hh.next)
		json_array_append_new(names, json_string(o->name));
	near = near_word(name, names);
	fail(&request->failure, -ENOENT, "not_found", "there is no %s %s", noun->name, name);
	if (near)
		fail_hint(&request->failure, "did you mean %s?", near);
	else
		fail_hint(&request->failure, "`%s show` lists what there is", noun->name);
	json_decref(names);
	return -ENOENT;
}

// The object that the arguments name; NULL with the failure filled.
static struct object *find_named(struct request *request)
{
	char *name = model_name(request->command->noun, request->arguments);
	struct object *object = object_find(request->weftd, request->command->noun, name);

	if (!object && !fail_without(request))
		fail_absent(request, name);
	free(name);
	return object;
}

static void answer_object(struct request *request, const struct object *object)
{
	if (request->json)
		request->result = json_pack("[o]", object_show(request->weftd, object));
	else
		request->text = strdup("");
}

int object_run_add(struct request *request)
{
	const struct noun *noun = request->command->noun;
	json_t *spec = json_object();
	struct object *object;
	const char *key;
	json_t *value;
	int err;

	json_object_foreach (request->arguments, key, value)
		if (!json_is_null(value))
			json_object_set(spec, key, value);
	err = object_add(request->weftd, noun, spec, &object, &request->failure);
	json_decref(spec);
	if (!err)
		answer_object(request, object);
	return err;
}

static bool list_index(const json_t *list, const json_t *value, size_t *index)
{
	for (*index = 0; *index < json_array_size(list); ++*index)
		if (json_equal(json_array_get(list, *index), value))
			return true;
	return false;
}

// +x and -x of a list. Adding what is there changes nothing; taking what is not there is refused.
static int list_change(struct request *request, const char *key, const json_t *change, json_t *list)
{
	size_t i, index;
	json_t *element;

	json_array_foreach (json_object_get(change, "-"), i, element) {
		if (!list_index(list, element, &index))
			return fail(&request->failure, -ENOENT, "not_found", "%s has no %s", key,
				json_string_value(element));
		json_array_remove(list, index);
	}
	json_array_foreach (json_object_get(change, "+"), i, element)
		if (!list_index(list, element, &index))
			json_array_append(list, element);
	return 0;
}

// The spec after `set`: new reference, or NULL with the failure filled.
static json_t *spec_changed(struct request *request, const struct object *object)
{
	json_t *spec = json_deep_copy(object->spec);
	const char *key;
	json_t *value;

	json_object_foreach (request->arguments, key, value) {
		if (json_is_null(value)) {
			json_object_del(spec, key);
		} else if (json_is_object(value)) {
			json_t *list = spec_list(spec, key);

			if (!list) {
				list = json_array();
				json_object_set_new(spec, key, list);
			}
			if (list_change(request, key, value, list)) {
				json_decref(spec);
				return NULL;
			}
			if (json_array_size(list) == 0)
				json_object_del(spec, key);
		} else {
			json_object_set(spec, key, value);
		}
	}
	return spec;
}

int object_run_set(struct request *request)
{
	struct object *object = find_named(request);
	json_t *spec = object ? spec_changed(request, object) : NULL;
	int err;

	if (!spec)
		return request->failure.code;
	err = object_set(request->weftd, object, spec, &request->failure);
	json_decref(spec);
	if (!err)
		answer_object(request, object);
	return err;
}

int object_run_del(struct request *request)
{
	struct object *object = find_named(request);
	int err;

	if (!object)
		return request->failure.code;
	err = object_del(request->weftd, object, &request->failure);
	if (!err)
		request->text = strdup("");
	return err;
}

// Keys of show: those of the spec, the default where nothing is given, then the noun's own.
json_t *object_show(struct weftd *weftd, const struct object *object)
{
	json_t *shown = json_object();
	json_t *more = object->noun->show ? object->noun->show(weftd, object) : NULL;

	for (const struct argument *argument = object->noun->arguments; argument->word;
		argument++) {
		json_t *value = spec_value(argument, object->spec);

		json_object_set_new(shown, argument_key(argument), value ? value : json_null());
	}
	if (more)
		json_object_update(shown, more);
	json_decref(more);
	if (object->trouble && !json_is_string(json_object_get(shown, "why"))) {
		json_object_set_new(shown, "state", json_string("down"));
		json_object_set_new(shown, "why", json_string(object->trouble));
	}
	return shown;
}

static bool fits(const json_t *shown, const json_t *filter)
{
	const char *key;
	json_t *wanted;

	json_object_foreach ((json_t *)filter, key, wanted) {
		const json_t *value = json_object_get(shown, key);
		size_t i, index;
		json_t *element;

		if (json_is_array(wanted) && json_is_array(value)) {
			json_array_foreach (wanted, i, element)
				if (!list_index(value, element, &index))
					return false;
		} else if (!value || !json_equal(value, wanted)) {
			return false;
		}
	}
	return true;
}

static void show_objects(struct request *request, bool named, json_t *result)
{
	const struct noun *noun = request->command->noun;
	struct object *object;
	char *name;

	if (named) {
		name = model_name(noun, request->arguments);
		object = object_find(request->weftd, noun, name);
		free(name);
		if (!object)
			return;
		json_array_append_new(result, object_show(request->weftd, object));
		if (noun->show_one)
			noun->show_one(request->weftd, object, json_array_get(result, 0));
		return;
	}
	for (object = object_first(request->weftd, noun); object; object = object->hh.next)
		json_array_append_new(result, object_show(request->weftd, object));
}

int object_run_show(struct request *request)
{
	const struct noun *noun = request->command->noun;
	bool named = noun->singleton || identity_given(noun, request->arguments);
	json_t *all = json_array();
	size_t i;
	json_t *shown;
	char *name;
	int err = 0;

	request->result = json_array();
	show_objects(request, named, all);
	if (noun->show_all)
		err = noun->show_all(request->weftd, request->arguments, all, &request->failure);
	json_array_foreach (all, i, shown)
		if (!err && fits(shown, request->arguments))
			json_array_append(request->result, shown);
	if (!err && named && json_array_size(all) == 0) {
		name = model_name(noun, request->arguments);
		err = fail_absent(request, name);
		free(name);
	}
	json_decref(all);
	return err;
}
