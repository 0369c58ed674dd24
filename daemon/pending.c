// SPDX-License-Identifier: BSD-2-Clause
// Requests that are answered later: their limit, their deadline, their lines, their end.

#include "daemon/pending.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <weft/control.h>
#include "daemon/command_table.h"
#include "daemon/weftd.h"

struct pending {
	struct request request;
	struct outlet *outlet; // NULL: the client is gone
	bool open;             // the outlet was opened
	bool later;            // run has returned
	bool cancelling;
	bool interrupted; // by its client, who knows
	struct event *deadline;
	unsigned long long deadline_ms;
	unsigned long long lines, dropped;
	struct table *table;
	struct pending *prev, *next;
};

static void pending_free(struct pending *pending)
{
	struct weftd *weftd = pending->request.weftd;

	DL_DELETE(weftd->pending, pending);
	weftd->pending_count--;
	if (pending->outlet)
		pending->outlet->pending = NULL;
	if (pending->deadline)
		event_free(pending->deadline);
	render_row_end(pending->table);
	json_decref(pending->request.arguments);
	json_decref(pending->request.result);
	free(pending->request.text);
	free(pending);
}

static void open_outlet(struct pending *pending)
{
	if (!pending->open)
		pending->outlet->ops->open(pending->outlet, pending->request.json);
	pending->open = true;
}

// The last object is the only line that begins with '{', and text must not steer a terminal.
static char *make_plain(char *text)
{
	char *plain = NULL;
	size_t size;
	FILE *out = open_memstream(&plain, &size);

	for (const char *c = text; *c; c++) {
		bool first = c == text || c[-1] == '\n';

		if (first && *c == '{')
			fputc(' ', out);
		fputc(*c != '\n' && ((unsigned char)*c < ' ' || *c == 127) ? '?' : *c, out);
		if (!c[1] && *c != '\n')
			fputc('\n', out);
	}
	fclose(out);
	free(text);
	return plain;
}

static char *json_line(const json_t *object)
{
	char *json = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
	char *line = NULL;

	if (!json || asprintf(&line, "%s\n", json) < 0)
		abort();
	free(json);
	return line;
}

static char *text_line(struct pending *pending, const json_t *object)
{
	const struct command *command = pending->request.command;

	return make_plain(command->line ? command->line(&pending->request, object)
					: render_row(&pending->table, command->columns, object));
}

void request_line(struct request *request, json_t *object)
{
	struct pending *pending = request->pending;
	struct outlet *outlet = pending->outlet;
	char *line;
	size_t length;

	if (!outlet) {
		json_decref(object);
		return;
	}
	open_outlet(pending);
	line = request->json ? json_line(object) : text_line(pending, object);
	length = strlen(line);
	if (outlet->ops->held(outlet) + length > PENDING_OUTPUT_MAX_BYTES) {
		pending->dropped++;
	} else {
		outlet->ops->put(outlet, line, length);
		pending->lines++;
	}
	free(line);
	json_decref(object);
}

bool request_is_full(const struct request *request)
{
	const struct outlet *outlet = request->pending->outlet;

	return outlet && outlet->ops->held(outlet) > PENDING_OUTPUT_MAX_BYTES / 2;
}

static json_t *last_object(const struct pending *pending, const struct failure *failure)
{
	struct failure slow;
	json_t *last;

	if (!failure && pending->dropped) {
		fail(&slow, -ENOBUFS, "too_slow",
			"%llu of %llu lines were dropped: they came faster than they were read",
			pending->dropped, pending->dropped + pending->lines);
		slow.exit_status = WEFT_EXIT_PARTIAL;
		failure = &slow;
	}
	last = json_pack("{s:b, s:i, s:I, s:I}", "done", 1, "exit",
		failure                ? failure->exit_status
		: pending->interrupted ? WEFT_EXIT_PARTIAL
				       : WEFT_EXIT_DONE,
		"lines", (json_int_t)pending->lines, "dropped", (json_int_t)pending->dropped);
	if (failure)
		json_object_set_new(last, "error", failure_json(failure));
	return last;
}

static void finish_whole(struct pending *pending, const struct failure *failure)
{
	struct outlet *outlet = pending->outlet;
	json_t *answer = outlet ? command_answer(&pending->request, failure) : NULL;

	pending_free(pending);
	if (outlet)
		outlet->ops->whole(outlet, answer);
}

static void finish(struct pending *pending, const struct failure *failure)
{
	if (pending->request.command->whole) {
		finish_whole(pending, failure);
		return;
	}
	struct outlet *outlet = pending->outlet;
	json_t *last = outlet ? last_object(pending, failure) : NULL;
	char *line;

	if (outlet) {
		open_outlet(pending);
		line = json_line(last);
		outlet->ops->put(outlet, line, strlen(line));
		free(line);
	}
	json_decref(last);
	pending_free(pending);
	if (outlet)
		outlet->ops->close(outlet);
}

void request_done(struct request *request, const struct failure *failure)
{
	struct pending *pending = request->pending;

	if (pending->cancelling)
		return;
	if (!pending->later) // run says by what it returns that it is done
		abort();
	finish(pending, failure);
}

// From here on the command does not know the request.
static void cancel(struct pending *pending)
{
	pending->cancelling = true;
	pending->request.command->cancelled(&pending->request);
}

static void deadline_over(evutil_socket_t fd, short what, void *context)
{
	struct pending *pending = context;
	struct failure failure;
	char title[96];

	(void)fd;
	(void)what;
	command_title(pending->request.command, title, sizeof(title));
	fail(&failure, -ETIMEDOUT, "timeout", "%s did not come to its end within %g seconds", title,
		(double)pending->deadline_ms / 1000);
	failure.exit_status = WEFT_EXIT_PARTIAL;
	cancel(pending);
	finish(pending, &failure);
}

int request_later(struct request *request, unsigned long long deadline_ms)
{
	struct pending *pending = request->pending;
	const struct timeval time = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_usec = (suseconds_t)(deadline_ms % 1000 * 1000),
	};

	if (!deadline_ms)
		return COMMAND_PENDING;
	pending->deadline_ms = deadline_ms;
	pending->deadline = evtimer_new(request->weftd->base, deadline_over, pending);
	if (!pending->deadline || evtimer_add(pending->deadline, &time) < 0)
		abort();
	return COMMAND_PENDING;
}

void pending_gone(struct outlet *outlet)
{
	struct pending *pending = outlet->pending;

	if (!pending)
		return;
	outlet->pending = NULL;
	pending->outlet = NULL;
	cancel(pending);
	pending_free(pending);
}

void pending_interrupt(struct outlet *outlet)
{
	struct pending *pending = outlet->pending;

	if (!pending)
		return;
	pending->interrupted = true;
	cancel(pending);
	finish(pending, NULL);
}

void pending_stop(struct weftd *weftd)
{
	struct failure failure;

	fail(&failure, -ESHUTDOWN, "stopping", "weftd was stopped before the end");
	failure.exit_status = WEFT_EXIT_PARTIAL;
	while (weftd->pending) {
		struct pending *pending = weftd->pending;

		cancel(pending);
		finish(pending, &failure);
	}
}

static bool may_run(const struct request *request, const struct outlet *outlet, struct failure *f)
{
	char title[96];

	command_title(request->command, title, sizeof(title));
	if (!outlet) {
		fail(f, -ENOTSUP, "no_stream", "%s answers in lines, as they come", title);
		fail_hint(f, "ask for it by POST /v1/run");
	} else if (request->weftd->pending_count >= PENDING_MAX) {
		fail(f, -EBUSY, "busy",
			"%d commands that take their time are under way, the most at once",
			PENDING_MAX);
		fail_hint(f, "end one of them, then try %s again", title);
	} else {
		return true;
	}
	return false;
}

json_t *pending_run(const struct request *request, struct outlet *outlet)
{
	struct failure failure;
	struct pending *pending;
	json_t *answer = NULL;
	int err;

	if (!may_run(request, outlet, &failure))
		return answer_failure(&failure);
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		abort();
	pending->request = *request;
	pending->request.pending = pending;
	json_incref(pending->request.arguments);
	pending->outlet = outlet;
	outlet->pending = pending;
	DL_APPEND(request->weftd->pending, pending);
	request->weftd->pending_count++;
	err = request->command->run(&pending->request);
	pending->later = true;
	if (err == COMMAND_PENDING && request->command->whole) {
		outlet->ops->wait(outlet);
	} else if (err == COMMAND_PENDING) {
		open_outlet(pending);
	} else if (request->command->whole) {
		answer = command_answer(&pending->request, err ? &pending->request.failure : NULL);
		pending_free(pending);
	} else if (err == 0 || pending->open) {
		finish(pending, err ? &pending->request.failure : NULL);
	} else {
		answer = answer_failure(&pending->request.failure);
		pending_free(pending);
	}
	return answer;
}
