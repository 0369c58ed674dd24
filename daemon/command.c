// SPDX-License-Identifier: BSD-2-Clause
// One request: words -> command -> run -> answer as weft/control.h says.

#include "daemon/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include "daemon/command_table.h"
#include "daemon/model.h"
#include "daemon/pending.h"

enum { WORDS_MAX = 1024 };

json_t *failure_json(const struct failure *failure)
{
	return json_pack("{s:s, s:s, s:o}", "code", failure->code_name, "message", failure->message,
		"hint", failure->hint[0] ? json_string(failure->hint) : json_null());
}

json_t *answer_failure(const struct failure *failure)
{
	return json_pack(
		"{s:i, s:o}", "exit", failure->exit_status, "error", failure_json(failure));
}

static json_t *answer_text(char *text)
{
	json_t *value = json_string(text);
	json_t *answer = json_pack(
		"{s:i, s:o}", "exit", WEFT_EXIT_DONE, "text", value ? value : json_null());

	free(text);
	return answer;
}

static bool words_valid(const json_t *words, struct failure *failure)
{
	size_t i;
	json_t *word;

	if (!json_is_array(words) || json_array_size(words) > WORDS_MAX) {
		fail_words(failure, "the request has no list of at most %d words", WORDS_MAX);
		return false;
	}
	json_array_foreach (words, i, word) {
		if (!json_is_string(word) ||
			strlen(json_string_value(word)) != json_string_length(word)) {
			fail_words(failure, "word %zu of the request is not text", i + 1);
			return false;
		}
	}
	return true;
}

// `help [OBJECT [VERB]]`, `OBJECT help`, `OBJECT VERB help`. NULL: this is no request for help.
static json_t *help_answer(const json_t *words)
{
	size_t count = json_array_size(words);
	const char *word[3] = {NULL};
	struct failure failure;
	bool first;
	char *text;

	for (size_t i = 0; i < count && i < 3; i++)
		word[i] = json_string_value(json_array_get(words, i));
	first = count >= 1 && count <= 3 && strcmp(word[0], "help") == 0;
	if (!first && (count < 2 || count > 3 || strcmp(word[count - 1], "help") != 0))
		return NULL;
	text = first ? help_text(word[1], word[2])
		     : help_text(word[0], count == 3 ? word[1] : NULL);
	if (text)
		return answer_text(text);
	fail_words(&failure, "there is no help for this");
	fail_hint(&failure, "`help` lists the commands");
	return answer_failure(&failure);
}

// One object asked for by its name prints as lines, anything else as a table.
static bool is_one_object(const struct request *request)
{
	const struct noun *noun = request->command->noun;

	return noun && json_array_size(request->result) == 1 &&
	       (noun->singleton || identity_given(noun, request->arguments));
}

static char *render(const struct request *request)
{
	if (!request->result || !json_is_array(request->result))
		return strdup("");
	if (is_one_object(request))
		return render_object(json_array_get(request->result, 0));
	return render_table(request->result, request->command->columns);
}

static json_t *answer_done(struct request *request)
{
	json_t *answer;

	if (request->json) {
		answer = json_pack("{s:i, s:O}", "exit", WEFT_EXIT_DONE, "result", request->result);
	} else {
		answer = answer_text(request->text ? request->text : render(request));
		request->text = NULL;
	}
	return answer;
}

json_t *command_answer(struct request *request, const struct failure *failure)
{
	json_t *answer;

	if (!request->result && request->json)
		request->result = json_array();
	if (!failure) {
		answer = answer_done(request);
	} else if (failure->exit_status == WEFT_EXIT_PARTIAL) {
		answer = answer_done(request);
		json_object_set_new(answer, "exit", json_integer(WEFT_EXIT_PARTIAL));
		json_object_set_new(answer, "error", failure_json(failure));
	} else {
		answer = answer_failure(failure);
	}
	if (request->weftd->stopping)
		json_object_set_new(answer, "ending", json_true());
	return answer;
}

static json_t *run(struct request *request)
{
	int err = request->command->run(request);
	json_t *answer = command_answer(request, err ? &request->failure : NULL);

	json_decref(request->result);
	free(request->text);
	return answer;
}

json_t *command_run(struct weftd *weftd, const json_t *request)
{
	return command_start(weftd, request, NULL);
}

// Several hosts get the same words only where nothing can be half done.
static json_t *refuse_many(void)
{
	struct failure failure;

	fail_words(&failure, "this command cannot be given to several hosts at once");
	fail_hint(&failure, "only `watch`, `trace`, `probe`, `path` and `connection flush` can");
	return answer_failure(&failure);
}

json_t *command_start(struct weftd *weftd, const json_t *request, struct outlet *outlet)
{
	const bool many = json_is_true(json_object_get(request, "stream"));
	const json_t *words = json_object_get(request, "words");
	const json_t *files = json_object_get(request, "files");
	struct failure failure;
	struct parsed parsed;
	struct request to_run;
	json_t *answer;

	if (!words_valid(words, &failure))
		return answer_failure(&failure);
	answer = many ? NULL : help_answer(words);
	if (answer)
		return answer;
	command_parse(words, files, &parsed);
	if (!parsed.command)
		return answer_failure(&parsed.failure);
	to_run = (struct request){
		.weftd = weftd,
		.command = parsed.command,
		.arguments = parsed.arguments,
		.json = json_is_true(json_object_get(request, "json")),
		.points =
			parsed.command->joined && json_is_true(json_object_get(request, "points")),
	};
	if (many && (!parsed.command->cancelled || parsed.command->whole))
		answer = refuse_many();
	else if (parsed.command->cancelled && (outlet || !parsed.command->whole))
		answer = pending_run(&to_run, outlet);
	else
		answer = run(&to_run);
	json_decref(parsed.arguments);
	return answer;
}

json_t *command_complete(struct weftd *weftd, const json_t *request)
{
	const json_t *words = json_object_get(request, "words");
	struct failure failure;
	json_t *found;
	bool file;

	if (!words_valid(words, &failure))
		return answer_failure(&failure);
	found = complete_words(weftd, words, &file);
	return json_pack("{s:o, s:b}", "words", found, "file", file);
}
