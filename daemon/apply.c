// SPDX-License-Identifier: BSD-2-Clause
// apply FILE, diff FILE, export: the desired state as a whole.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include <weft/log.h>
#include "daemon/command_table.h"
#include "daemon/document.h"
#include "daemon/model.h"
#include "daemon/object_change.h"
#include "daemon/plan.h"
#include "daemon/store.h"
#include "daemon/value.h"
#include "daemon/yaml.h"

LOG_MODULE(apply);

static void put_differences(FILE *out, const struct change *change)
{
	const char *before = ":";

	for (const struct argument *a = change->noun->arguments; a->word; a++) {
		json_t *old = spec_value(a, change->before);
		json_t *new = spec_value(a, change->after);

		if (old != new && !(old && new &&json_equal(old, new))) {
			char *old_text = value_text(old);
			char *new_text = value_text(new);

			fprintf(out, "%s %s %s -> %s", before, a->word, old_text, new_text);
			before = ",";
			free(old_text);
			free(new_text);
		}
		json_decref(old);
		json_decref(new);
	}
	if (*before == ':')
		fputs(": try again", out); // the same spec, which could not be applied before
}

static char *plan_text(const struct plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < plan->ordered; i++) {
		const struct change *change = plan->order[i];

		fprintf(out, "%s %s", change_word(change), change->noun->name);
		if (!change->noun->singleton)
			fprintf(out, " %s", change->name);
		if (change->kind == CHANGE_SET)
			put_differences(out, change);
		fputc('\n', out);
	}
	if (plan->count == 0)
		fputs("nothing to change\n", out);
	fclose(out);
	return text;
}

static json_t *spec_or_null(json_t *spec)
{
	return spec ? json_incref(spec) : json_null();
}

static json_t *plan_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->ordered; i++) {
		const struct change *change = plan->order[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "change", change_word(change),
				      "object", change->noun->name, "name", change->name, "before",
				      spec_or_null(change->before), "after",
				      spec_or_null(change->after)));
	}
	return list;
}

static int plan_store(struct plan *plan, struct failure *failure)
{
	struct store *store = plan->weftd->store;
	int err = store_begin(store, failure);

	for (size_t i = 0; !err && i < plan->ordered; i++) {
		const struct change *change = plan->order[i];

		if (change->kind == CHANGE_DEL)
			err = store_del(store, change->noun->name, change->object->id, failure);
		else
			err = object_store(plan->weftd, change->object, failure);
	}
	if (!err)
		err = store_commit(store, failure);
	if (err)
		store_rollback(store);
	return err;
}

// From here on the changes are the desired state: what cannot be done now says so and stays wanted.
static int plan_apply(struct plan *plan, struct failure *failure)
{
	struct failure first = {0};
	size_t failed = 0;

	for (size_t i = 0; i < plan->ordered; i++) {
		struct change *change = plan->order[i];
		struct failure one = {0};
		int err;

		if (change->kind == CHANGE_DEL)
			err = change->noun->remove(plan->weftd, change->object, &one);
		else
			err = object_apply(plan->weftd, change->object, change->before, &one);
		if (err)
			log_warn("stored, but cannot be done: %s change=%s object=%s name=%s",
				one.message, change_word(change), change->noun->name, change->name);
		if (err && failed++ == 0)
			first = one;
		if (change->kind == CHANGE_DEL)
			model_free(plan->weftd, change->object);
	}
	if (failed == 0)
		return 0;
	fail(failure, first.code, "partial",
		"%zu of %zu changes are stored but could not be made: %.300s", failed,
		plan->ordered, first.message);
	failure->exit_status = WEFT_EXIT_PARTIAL;
	return fail_hint(failure, "%s",
		first.hint[0] ? first.hint : "`port show` says why; `apply` tries again");
}

static int run(struct request *request, bool dry)
{
	struct plan plan = {.weftd = request->weftd};
	json_t *document =
		document_read(spec_text(request->arguments, "file", ""), &request->failure);
	int err = document ? plan_make(&plan, document, &request->failure) : request->failure.code;

	if (!err)
		err = plan_try(&plan, &request->failure);
	if (!err && request->json)
		request->result = plan_json(&plan);
	else if (!err)
		request->text = plan_text(&plan);
	if (!err && !dry)
		err = plan_store(&plan, &request->failure);
	if (err || dry)
		plan_undo(&plan);
	else
		err = plan_apply(&plan, &request->failure);
	plan_free(&plan);
	json_decref(document);
	return err;
}

static int apply_run(struct request *request)
{
	return run(request, false);
}

static int diff_run(struct request *request)
{
	return run(request, true);
}

// With -j the document itself, so that what is exported can be applied.
static int export_run(struct request *request)
{
	json_t *document = document_write(request->weftd);

	if (request->json) {
		request->result = document;
		return 0;
	}
	request->text = yaml_dump(document);
	json_decref(document);
	return 0;
}

static const struct argument file_arguments[] = {
	{.word = "file",
		.kind = ARGUMENT_FILE,
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL,
		.help = "objects in YAML or JSON, as `export` writes them; - is standard input"},
	{0},
};

extern const struct command apply_commands[];
const struct command apply_commands[] = {
	{.object = "apply",
		.arguments = file_arguments,
		.help = "Make the objects equal to the file; kinds that it does not name stay as "
			"they are",
		.run = apply_run},
	{.object = "diff",
		.arguments = file_arguments,
		.help = "Show what apply would change; change nothing",
		.run = diff_run},
	{.object = "export", .help = "Print every object as a file for apply", .run = export_run},
	{0},
};
