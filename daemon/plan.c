// SPDX-License-Identifier: BSD-2-Clause
// Finds what differs between a document and the model, and an order in which it can be changed.

#include "daemon/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/document.h"
#include "daemon/model.h"
#include "daemon/object_change.h"
#include "daemon/value.h"

const char *change_word(const struct change *change)
{
	static const char *const words[] = {"add", "set", "del"};

	return words[change->kind];
}

static void plan_push(struct plan *plan, struct change change)
{
	if (plan->count == plan->room) {
		plan->room = plan->room ? plan->room * 2 : 64;
		plan->changes = realloc(plan->changes, plan->room * sizeof(*plan->changes));
		if (!plan->changes)
			abort();
	}
	change.name =
		change.object ? strdup(change.object->name) : model_name(change.noun, change.after);
	json_incref(change.before);
	json_incref(change.after);
	plan->changes[plan->count++] = change;
}

// May `set` change it, or does it take a new object?
static bool fixed_differs(const struct noun *noun, const json_t *a, const json_t *b)
{
	bool differs = false;

	for (const struct argument *argument = noun->arguments; argument->word; argument++) {
		json_t *value_a, *value_b;

		if (!(argument->flags & ARGUMENT_FIXED))
			continue;
		value_a = spec_value(argument, a);
		value_b = spec_value(argument, b);
		differs |=
			value_a != value_b && !(value_a && value_b && json_equal(value_a, value_b));
		json_decref(value_a);
		json_decref(value_b);
	}
	return differs;
}

static void want(struct plan *plan, const struct noun *noun, struct object *object, json_t *spec)
{
	if (object && spec_equal(noun, object->spec, spec) && !object->trouble)
		return;
	if (object && fixed_differs(noun, object->spec, spec)) {
		plan_push(plan, (struct change){.kind = CHANGE_DEL,
					.noun = noun,
					.object = object,
					.before = object->spec});
		object = NULL;
	}
	plan_push(plan, (struct change){.kind = object ? CHANGE_SET : CHANGE_ADD,
				.noun = noun,
				.object = object,
				.before = object ? object->spec : NULL,
				.after = spec});
}

static int want_noun(
	struct plan *plan, const struct noun *noun, const json_t *list, struct failure *failure)
{
	json_t *named = json_object();
	size_t i;
	json_t *spec;
	int err = 0;

	json_array_foreach (list, i, spec) {
		char *name = model_name(noun, spec);

		if (json_object_get(named, name)) {
			err = fail(failure, -EEXIST, "bad_file", "%s: %s stands there twice",
				document_key(noun), name);
			free(name);
			break;
		}
		json_object_set_new(named, name, json_true());
		want(plan, noun, object_find(plan->weftd, noun, name), spec);
		free(name);
	}
	for (struct object *o = object_first(plan->weftd, noun); !err && o; o = o->hh.next)
		if (!json_object_get(named, o->name))
			plan_push(plan, (struct change){.kind = CHANGE_DEL,
						.noun = noun,
						.object = o,
						.before = o->spec});
	json_decref(named);
	return err;
}

int plan_make(struct plan *plan, const json_t *document, struct failure *failure)
{
	int err = 0;

	for (size_t i = 0; !err && nouns[i]; i++) {
		const json_t *list = json_object_get(document, document_key(nouns[i]));

		if (list)
			err = want_noun(plan, nouns[i], list, failure);
	}
	plan->order = calloc(plan->count ? plan->count : 1, sizeof(struct change *));
	if (!plan->order)
		abort();
	return err;
}

static int try_change(struct plan *plan, struct change *change, struct failure *failure)
{
	const struct noun *noun = change->noun;
	int err = 0;

	if (change->kind == CHANGE_ADD)
		err = object_check_add(plan->weftd, noun, change->after, failure);
	else if (noun->check)
		err = noun->check(plan->weftd, change->object, change->after, failure);
	if (err)
		return err;
	if (change->kind == CHANGE_ADD) {
		change->object = model_add(plan->weftd, noun, json_incref(change->after));
	} else if (change->kind == CHANGE_SET) {
		if (noun->complete)
			noun->complete(plan->weftd, change->object, change->after);
		json_decref(change->object->spec);
		change->object->spec = json_incref(change->after);
	} else {
		model_unlink(plan->weftd, change->object);
	}
	change->tried = true;
	plan->order[plan->ordered++] = change;
	return 0;
}

// One round over what is not made yet: deletions from the last noun to the first, so that users go
// before what they use, then the rest from the first noun to the last. Failures are expected while
// another change must come first; the one worth telling is that of an addition.
static size_t try_round(struct plan *plan, struct failure *failure)
{
	struct failure deletion = {0};
	size_t made = 0;

	failure->code = 0;
	for (size_t i = plan->count; i-- > 0;) {
		struct change *change = &plan->changes[i];
		struct failure one;

		if (change->tried || change->kind != CHANGE_DEL)
			continue;
		if (try_change(plan, change, &one) == 0)
			made++;
		else if (!deletion.code)
			deletion = one;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct change *change = &plan->changes[i];
		struct failure one;

		if (change->tried || change->kind == CHANGE_DEL)
			continue;
		if (try_change(plan, change, &one) == 0)
			made++;
		else if (!failure->code)
			*failure = one;
	}
	if (!failure->code)
		*failure = deletion;
	return made;
}

int plan_try(struct plan *plan, struct failure *failure)
{
	size_t made = 1;

	while (plan->ordered < plan->count && made > 0)
		made = try_round(plan, failure);
	return plan->ordered == plan->count ? 0 : failure->code;
}

void plan_undo(struct plan *plan)
{
	while (plan->ordered > 0) {
		struct change *change = plan->order[--plan->ordered];

		if (change->kind == CHANGE_ADD) {
			model_unlink(plan->weftd, change->object);
			model_free(plan->weftd, change->object);
			change->object = NULL;
		} else if (change->kind == CHANGE_SET) {
			json_decref(change->object->spec);
			change->object->spec = json_incref(change->before);
		} else {
			model_relink(plan->weftd, change->object);
		}
		change->tried = false;
	}
	for (size_t i = 0; nouns[i]; i++)
		model_sort(plan->weftd, nouns[i]);
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->changes[i].name);
		json_decref(plan->changes[i].before);
		json_decref(plan->changes[i].after);
	}
	free(plan->changes);
	free(plan->order);
}
