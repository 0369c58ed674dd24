// SPDX-License-Identifier: BSD-2-Clause
// Method, path and body -> HTTP status and body. Knows no network.

#include "daemon/api.h"

#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include "daemon/command.h"

static struct api_answer answer_json(int status, json_t *value)
{
	struct api_answer answer = {.status = status, .type = "application/json"};

	answer.body = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
	json_decref(value);
	if (!answer.body) // text that is no UTF-8 cannot come from jansson's own values
		abort();
	return answer;
}

static struct api_answer answer_error(
	int status, int exit_status, const char *code, const char *message)
{
	return answer_json(status, json_pack("{s:i, s:{s:s, s:s, s:n}}", "exit", exit_status,
					   "error", "code", code, "message", message, "hint"));
}

static int status_of(const json_t *answer)
{
	json_int_t code = json_integer_value(json_object_get(answer, "exit"));
	const char *name =
		json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	if (code == WEFT_EXIT_WORDS)
		return 400;
	if (code == WEFT_EXIT_REFUSED)
		return name && strcmp(name, "not_found") == 0 ? 404 : 409;
	return 200;
}

struct api_answer api_answer_to_run(json_t *answer)
{
	return answer_json(status_of(answer), answer);
}

static struct api_answer answer_post(struct weftd *weftd, const char *path, const char *body,
	size_t length, struct outlet *outlet)
{
	json_t *request = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer;

	if (!json_is_object(request)) {
		json_decref(request);
		return answer_error(
			400, WEFT_EXIT_WORDS, "bad_request", "the request is no JSON object");
	}
	if (strcmp(path, "/v1/run") == 0)
		answer = command_start(weftd, request, outlet);
	else
		answer = command_complete(weftd, request);
	json_decref(request);
	if (!answer)
		return (struct api_answer){0};
	return api_answer_to_run(answer);
}

// GET /v1/OBJECT[/NAME]: what `OBJECT show [NAME]` returns, the bare array.
static struct api_answer answer_show(struct weftd *weftd, const char *path)
{
	json_t *words = json_array();
	char *copy = strdup(path);
	char *rest = copy;
	json_t *request, *answer, *result;
	char *word;
	int status;

	while ((word = strsep(&rest, "/")))
		if (*word) {
			json_t *text = json_string(word);

			json_array_append_new(words, text ? text : json_string("?"));
			if (json_array_size(words) == 1)
				json_array_append_new(words, json_string("show"));
		}
	free(copy);
	request = json_pack("{s:o, s:b}", "words", words, "json", 1);
	answer = command_run(weftd, request);
	json_decref(request);
	status = status_of(answer);
	result = json_incref(json_object_get(answer, "result"));
	if (!result)
		return answer_json(status == 400 ? 404 : status, answer);
	json_decref(answer);
	return answer_json(status, result);
}

struct api_answer api_answer(struct weftd *weftd, bool post, const char *path, const char *body,
	size_t length, struct outlet *outlet)
{
	bool is_run = strcmp(path, "/v1/run") == 0 || strcmp(path, "/v1/complete") == 0;

	if (is_run && post)
		return answer_post(weftd, path, body, length, outlet);
	if (is_run || post)
		return answer_error(is_run ? 405 : 404, WEFT_EXIT_WORDS, "bad_request",
			is_run ? "this path wants POST" : "POST goes to /v1/run or /v1/complete");
	if (strcmp(path, "/v1/commands") == 0)
		return answer_json(200, command_list(NULL));
	if (strncmp(path, "/v1/commands/", 13) == 0)
		return answer_json(200, command_list(path + 13));
	if (strcmp(path, "/metrics") == 0)
		return (struct api_answer){200,
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
			metrics_text(weftd)};
	if (strncmp(path, "/v1/", 4) == 0 && path[4])
		return answer_show(weftd, path + 4);
	return answer_error(404, WEFT_EXIT_WORDS, "bad_request", "there is no such path");
}
