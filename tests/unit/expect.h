// SPDX-License-Identifier: BSD-2-Clause
// What a test expects of a command line, said in one line.
#pragma once

#include "tests/unit/unit.h"
#include "tests/unit/rig.h"

static RIG_MAYBE int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct failure failure = {0};

	*state = rig;
	if (rig_make(rig) == 0 && rig_start(rig, &failure) == 0)
		return 0;
	print_error("%s\n", failure.message);
	return -1;
}

static RIG_MAYBE int rig_teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->weftd.base)
		rig_stop(rig);
	rig_delete(rig->dir);
	free(rig);
	return 0;
}

static inline const char *rig_error(const json_t *answer, const char *key)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(answer, "error"), key));

	return text ? text : "";
}

// The command must be done.
static RIG_MAYBE void rig_do(struct rig *rig, const char *line)
{
	json_t *answer = rig_run(rig, false, line, NULL);

	if (json_integer_value(json_object_get(answer, "exit")) != 0)
		fail_msg("%s: %s", line, rig_error(answer, "message"));
	json_decref(answer);
}

// The command must fail with this exit status and code, its message or hint must say `sentence`.
static RIG_MAYBE void rig_refused(
	struct rig *rig, const char *line, int status, const char *code, const char *sentence)
{
	json_t *answer = rig_run(rig, false, line, NULL);
	json_int_t got = json_integer_value(json_object_get(answer, "exit"));

	if (got != status || strcmp(rig_error(answer, "code"), code) != 0 ||
		(!strstr(rig_error(answer, "message"), sentence) &&
			!strstr(rig_error(answer, "hint"), sentence)))
		fail_msg("%s: exit %d, %s: %s (%s); wanted exit %d, %s: %s", line, (int)got,
			rig_error(answer, "code"), rig_error(answer, "message"),
			rig_error(answer, "hint"), status, code, sentence);
	json_decref(answer);
}

// What `-j LINE` returns; the caller owns it.
static RIG_MAYBE json_t *rig_result(struct rig *rig, const char *line)
{
	json_t *answer = rig_run(rig, true, line, NULL);
	json_t *result = json_incref(json_object_get(answer, "result"));

	if (!result)
		fail_msg("%s: %s", line, rig_error(answer, "message"));
	json_decref(answer);
	return result;
}

static RIG_MAYBE void rig_text_is(struct rig *rig, const char *line, const char *wanted)
{
	json_t *answer = rig_run(rig, false, line, NULL);
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (!text || strcmp(text, wanted) != 0)
		fail_msg("%s: got '%s' %s, wanted '%s'", line, text ? text : "",
			rig_error(answer, "message"), wanted);
	json_decref(answer);
}

static RIG_MAYBE json_t *rig_files(const char *path, const char *content)
{
	return json_pack("{s:s}", path, content);
}
