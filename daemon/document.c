// SPDX-License-Identifier: BSD-2-Clause
// Reads and writes files of objects, by the nouns' arguments.

#include "daemon/document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weft/control.h>
#include "daemon/near.h"
#include "daemon/value.h"
#include "daemon/yaml.h"

const char *document_key(const struct noun *noun)
{
	return noun->singleton ? noun->name : noun->plural;
}

// Puts where it is wrong before what is wrong: "ports: web1: mtu: 'x' is not a number".
static void locate(struct failure *failure, const struct noun *noun, const json_t *given, size_t at)
{
	char message[sizeof(failure->message)];
	const char *name = json_string_value(json_object_get(given, "name"));
	char number[32];

	snprintf(number, sizeof(number), "entry %zu", at + 1);
	snprintf(message, sizeof(message), "%s: %.64s: %.400s", document_key(noun),
		name ? name : number, failure->message);
	snprintf(failure->message, sizeof(failure->message), "%s", message);
	snprintf(failure->code_name, sizeof(failure->code_name), "bad_file");
	failure->exit_status = WEFT_EXIT_REFUSED; // the words were right
}

static int fail_key(const struct noun *noun, const char *key, struct failure *failure)
{
	json_t *keys = json_array();
	const char *near;

	for (const struct argument *a = noun->arguments; a->word; a++)
		json_array_append_new(keys, json_string(argument_key(a)));
	near = near_word(key, keys);
	fail(failure, -EINVAL, "bad_file", "unknown key '%.64s'", key);
	if (near)
		fail_hint(failure, "did you mean '%s'?", near);
	json_decref(keys);
	return -EINVAL;
}

static int read_keys(const struct noun *noun, const json_t *given, struct failure *failure)
{
	const char *key;
	json_t *value;

	if (!json_is_object(given))
		return fail(failure, -EINVAL, "bad_file", "this is no list of keys and values");
	json_object_foreach ((json_t *)given, key, value)
		if (!argument_by_key(noun->arguments, key))
			return fail_key(noun, key, failure);
	return 0;
}

// In the order of the arguments, so that what is shown and exported reads well.
static json_t *read_spec(const struct noun *noun, const json_t *given, struct failure *failure)
{
	json_t *spec;

	if (read_keys(noun, given, failure))
		return NULL;
	spec = json_object();
	for (const struct argument *a = noun->arguments; a->word; a++) {
		const json_t *text = json_object_get(given, argument_key(a));
		json_t *value = NULL;

		if (text && !json_is_null(text)) {
			value = value_from_json(a, text, failure);
			if (!value)
				goto err_spec;
			if (json_is_array(value) && json_array_size(value) == 0)
				json_decref(value); // an empty list is no list
			else
				json_object_set_new(spec, argument_key(a), value);
		} else if (a->flags & ARGUMENT_REQUIRED) {
			fail(failure, -EINVAL, "bad_file", "'%s' is missing", argument_key(a));
			goto err_spec;
		}
	}
	return spec;

err_spec:
	json_decref(spec);
	return NULL;
}

static json_t *read_list(const struct noun *noun, const json_t *given, struct failure *failure)
{
	json_t *list = json_array();
	size_t i;
	json_t *entry;

	if (!json_is_array(given)) {
		fail(failure, -EINVAL, "bad_file", "%s: this is no list", noun->plural);
		goto err_list;
	}
	json_array_foreach (given, i, entry) {
		json_t *spec = read_spec(noun, entry, failure);

		if (!spec) {
			locate(failure, noun, entry, i);
			goto err_list;
		}
		json_array_append_new(list, spec);
	}
	return list;

err_list:
	json_decref(list);
	return NULL;
}

static json_t *read_noun(const struct noun *noun, json_t *given, struct failure *failure)
{
	json_t *list;

	if (json_is_null(given)) // `ports:` with nothing below
		list = noun->singleton ? json_pack("[{}]") : json_array();
	else
		list = noun->singleton ? json_pack("[O]", given) : json_incref(given);
	given = read_list(noun, list, failure);
	json_decref(list);
	return given;
}

static int check_keys(const json_t *given, struct failure *failure)
{
	json_t *keys = json_array();
	const char *key, *near;
	json_t *value;
	size_t i;
	int err = 0;

	for (i = 0; nouns[i]; i++)
		json_array_append_new(keys, json_string(document_key(nouns[i])));
	json_object_foreach ((json_t *)given, key, value) {
		for (i = 0; nouns[i] && strcmp(document_key(nouns[i]), key) != 0; i++)
			;
		if (nouns[i])
			continue;
		near = near_word(key, keys);
		err = fail(failure, -EINVAL, "bad_file", "unknown key '%.64s'", key);
		if (near)
			fail_hint(failure, "did you mean '%s'?", near);
		break;
	}
	json_decref(keys);
	return err;
}

json_t *document_read(const char *text, struct failure *failure)
{
	json_t *given = document_parse(text, strlen(text), failure);
	json_t *document;

	if (!given)
		return NULL;
	if (!json_is_object(given)) {
		fail(failure, -EINVAL, "bad_file",
			"the file holds no keys such as `networks:` and `ports:`");
		json_decref(given);
		return NULL;
	}
	document = check_keys(given, failure) ? NULL : json_object();
	for (size_t i = 0; document && nouns[i]; i++) {
		json_t *one = json_object_get(given, document_key(nouns[i]));
		json_t *list = one ? read_noun(nouns[i], one, failure) : NULL;

		if (list) {
			json_object_set_new(document, document_key(nouns[i]), list);
		} else if (one) {
			json_decref(document);
			document = NULL;
		}
	}
	json_decref(given);
	return document;
}

static json_t *spec_ordered(const struct object *object)
{
	json_t *spec = json_object();

	for (const struct argument *a = object->noun->arguments; a->word; a++) {
		json_t *value = json_object_get(object->spec, argument_key(a));

		if (value)
			json_object_set(spec, argument_key(a), value);
	}
	return spec;
}

json_t *document_write(struct weftd *weftd)
{
	json_t *document = json_object();

	for (size_t i = 0; nouns[i]; i++) {
		json_t *list = json_array();

		for (struct object *o = object_first(weftd, nouns[i]); o; o = o->hh.next)
			json_array_append_new(list, spec_ordered(o));
		json_object_set_new(document, document_key(nouns[i]),
			nouns[i]->singleton ? json_incref(json_array_get(list, 0))
					    : json_incref(list));
		json_decref(list);
	}
	return document;
}
