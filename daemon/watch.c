// SPDX-License-Identifier: BSD-2-Clause
// watch: the rows of a show command, whenever they change.
//
// A look compares the rows with those of the look before. Ages are no change; counters get a rate.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/command_table.h"
#include "daemon/fdb.h"
#include "daemon/model.h"
#include "daemon/pending.h"
#include "daemon/value.h"

enum {
	ROWS_MAX = 10000, // each is kept until the next look
	BUSY_SHARE = 10,  // looks take at most one tenth of weftd's time
};

struct watch {
	struct request *request;
	const struct command *show;
	json_t *rows; // of the last look, by identity
	u64 looked_ns;
	long long interval_seconds;
	long long left; // looks; -1: no end
	struct event *timer;
};

static const char *identity(const struct command *show)
{
	if (show->identity)
		return show->identity;
	return show->noun && show->noun->identity ? show->noun->identity : "";
}

static bool is_identity(const struct command *show, const char *key)
{
	const char *at = identity(show);
	char part[64];

	while (identity_next(&at, part, sizeof(part)))
		if (strcmp(part, key) == 0)
			return true;
	return false;
}

static char *row_name(const struct command *show, const json_t *row)
{
	const char *at = identity(show);
	char *name = NULL;
	char key[64];
	size_t size;
	FILE *out = open_memstream(&name, &size);

	while (identity_next(&at, key, sizeof(key))) {
		char *text = value_text(json_object_get(row, key));

		fprintf(out, "%s%s", ftell(out) ? " " : "", text);
		free(text);
	}
	fclose(out);
	return name;
}

static bool ends_with(const char *key, const char *end)
{
	size_t length = strlen(key), wanted = strlen(end);

	return length >= wanted && strcmp(key + length - wanted, end) == 0;
}

static bool is_counter(const char *key)
{
	static const char *const ends[] = {
		"packets", "_bytes", "_dropped", "_refused", "moves", "sleeps"};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(ends); i++)
		if (ends_with(key, ends[i]))
			return true;
	return false;
}

// `host` of a port row is that weftctl writes, with several hosts (pending.h).
static bool is_ignored(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "age_seconds") == 0 ||
	       strcmp(key, "uptime_seconds") == 0;
}

// What `OBJECT show` shows now, by identity.
static int look(struct watch *watch, json_t **rows, struct failure *failure)
{
	struct request show = {
		.weftd = watch->request->weftd,
		.command = watch->show,
		.arguments = json_object(),
		.json = true,
	};
	int err = watch->show->run(&show);
	size_t i;
	json_t *row;

	*rows = NULL;
	if (err) {
		*failure = show.failure;
	} else if (json_array_size(show.result) > ROWS_MAX) {
		err = fail(failure, -E2BIG, "too_many", "%s has %zu rows; watch takes at most %d",
			watch->show->object, json_array_size(show.result), ROWS_MAX);
	} else {
		*rows = json_object();
		json_array_foreach (show.result, i, row) {
			char *name = row_name(watch->show, row);

			json_object_set(*rows, name, row);
			free(name);
		}
	}
	json_decref(show.arguments);
	json_decref(show.result);
	free(show.text);
	return err;
}

static void put_rate(
	json_t *line, const char *key, const json_t *old, const json_t *now, double seconds)
{
	json_int_t more = json_integer_value(now) - json_integer_value(old);
	char name[96];

	if (!is_counter(key) || !json_is_integer(old) || more <= 0)
		return; // it began anew
	snprintf(name, sizeof(name), "%s_per_second", key);
	json_object_set_new(line, name, json_real(round((double)more / seconds * 10) / 10));
}

// The keys whose values differ, before NULL: all of them. NULL: none does.
static json_t *changes(const json_t *before, const json_t *now, double seconds)
{
	json_t *line = json_object();
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)now, key, value) {
		const json_t *old = json_object_get(before, key);

		if (is_ignored(key) || (old && json_equal(old, value)))
			continue;
		json_object_set(line, key, value);
		if (old)
			put_rate(line, key, old, value, seconds);
	}
	if (json_object_size(line))
		return line;
	json_decref(line);
	return NULL;
}

static void put_line(struct watch *watch, const char *event, const json_t *row, json_t *more)
{
	const char *at = identity(watch->show);
	struct timespec now;
	char key[64];
	json_t *line;

	clock_gettime(CLOCK_REALTIME, &now);
	line = json_pack("{s:I, s:s, s:s}", "time_ns",
		(json_int_t)now.tv_sec * 1000000000 + now.tv_nsec, "object", watch->show->object,
		"event", event);
	while (identity_next(&at, key, sizeof(key)))
		json_object_set(line, key, json_object_get(row, key));
	if (more)
		json_object_update(line, more);
	json_decref(more);
	request_line(watch->request, line);
}

static void compare(struct watch *watch, json_t *rows, double seconds)
{
	const char *name;
	json_t *row;

	json_object_foreach (rows, name, row) {
		const json_t *before = json_object_get(watch->rows, name);
		json_t *more = changes(before, row, seconds);

		if (more)
			put_line(watch, before ? "changed" : "new", row, more);
	}
	json_object_foreach (watch->rows, name, row)
		if (!json_object_get(rows, name))
			put_line(watch, "gone", row, NULL);
}

static void watch_free(struct watch *watch)
{
	if (watch->timer)
		event_free(watch->timer);
	json_decref(watch->rows);
	free(watch);
}

// The next look, which a slow one puts off: others want weftd's time, too.
static void arm(struct watch *watch, u64 spent_ns)
{
	u64 wait_ns = (u64)watch->interval_seconds * 1000000000u;
	struct timeval time;

	if (wait_ns < spent_ns * BUSY_SHARE)
		wait_ns = spent_ns * BUSY_SHARE;
	wait_ns -= spent_ns;
	time.tv_sec = (time_t)(wait_ns / 1000000000);
	time.tv_usec = (suseconds_t)(wait_ns % 1000000000 / 1000);
	evtimer_add(watch->timer, &time);
}

static void look_again(evutil_socket_t fd, short what, void *context)
{
	struct watch *watch = context;
	struct request *request = watch->request;
	struct failure failure;
	u64 began_ns = clock_ns();
	json_t *rows;
	int err = look(watch, &rows, &failure);

	(void)fd;
	(void)what;
	if (!err) {
		compare(watch, rows, (double)(began_ns - watch->looked_ns) / 1e9);
		json_decref(watch->rows);
		watch->rows = rows;
		watch->looked_ns = began_ns;
		if (watch->left > 0)
			watch->left--;
	}
	if (!err && watch->left) {
		arm(watch, clock_ns() - began_ns);
		return;
	}
	watch_free(watch);
	request_done(request, err ? &failure : NULL);
}

static void cancelled(struct request *request)
{
	watch_free(request->context);
}

static const struct command *find_show(const char *object)
{
	json_t *words = json_pack("[s,s]", object, "show");
	struct parsed parsed;

	command_parse(words, NULL, &parsed);
	json_decref(parsed.arguments);
	json_decref(words);
	return parsed.command;
}

static int run_watch(struct request *request)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		abort();
	request->context = watch;
	*watch = (struct watch){
		.request = request,
		.show = find_show(spec_text(request->arguments, "what", "")),
		.interval_seconds = spec_number(request->arguments, "interval_seconds", 1),
		.left = spec_number(request->arguments, "count", -1),
		.timer = evtimer_new(request->weftd->base, look_again, watch),
	};
	if (!watch->show || !watch->timer) // the choices are objects with a show
		abort();
	watch->looked_ns = clock_ns();
	err = look(watch, &watch->rows, &request->failure);
	if (err) {
		watch_free(watch);
		return err;
	}
	arm(watch, clock_ns() - watch->looked_ns);
	return request_later(request, 0); // it ends by its count, or by who asked
}

// Of a new row what the table shows; of a changed one what changed.
static bool is_printed(
	const struct command *show, const json_t *line, const char *key, const json_t *value)
{
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *at;
	size_t length = strlen(key);

	if (is_identity(show, key) || ends_with(key, "_per_second"))
		return false;
	if (strcmp(event, "new") != 0)
		return true;
	if (json_is_null(value) || !show->columns)
		return false;
	for (at = show->columns; (at = strstr(at, key)); at += length)
		if ((at == show->columns || at[-1] == ',') && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

static void print_value(FILE *out, const json_t *line, const char *key, const json_t *value)
{
	char rate_key[96];
	const json_t *rate;
	char *text;

	if (json_is_object(json_array_get(value, 0))) { // a table of its own, as host has one
		fprintf(out, "  %s (see show)", key);
		return;
	}
	text = value_text(value);
	fprintf(out, "  %s %s", key, *text ? text : "-");
	free(text);
	snprintf(rate_key, sizeof(rate_key), "%s_per_second", key);
	rate = json_object_get(line, rate_key);
	if (rate)
		fprintf(out, " +%.6g/s", json_real_value(rate));
}

// "12:01:31 port web1  rx_packets 1500 +512/s  state up"
static char *watch_line(const struct request *request, const json_t *line)
{
	const struct command *show = ((const struct watch *)request->context)->show;
	const char *event = json_string_value(json_object_get(line, "event"));
	time_t now = (time_t)(json_integer_value(json_object_get(line, "time_ns")) / 1000000000);
	char *name = row_name(show, line);
	char *text = NULL, clock[16];
	struct tm local;
	size_t size, at = 0;
	const char *key;
	json_t *value;
	FILE *out = open_memstream(&text, &size);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	fprintf(out, "%s %s%s%s", clock, show->object, *name ? " " : "", name);
	if (strcmp(event, "changed") != 0)
		fprintf(out, " %s", event);
	json_object_foreach ((json_t *)line, key, value)
		if (at++ >= 3 && is_printed(show, line, key, value)) // after time, object, event
			print_value(out, line, key, value);
	fputc('\n', out);
	fclose(out);
	free(name);
	return text;
}

static const struct argument watch_arguments[] = {
	{"what", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL,
		"host|network|port|peer|fdb|service|backend|connection|neighbour|drops|cpu|latency",
		NULL, 0, 0, NULL, "whose rows, as `show` shows them"},
	{"interval", "interval_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 1, 86400, "1s",
		"how often it looks"},
	{"count", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 1000000000, NULL,
		"how many looks; else until weftctl is ended"},
	{0},
};

extern const struct command watch_commands[];
const struct command watch_commands[] = {
	{
		.object = "watch",
		.arguments = watch_arguments,
		.help = "Show what changes, as it changes: new and changed rows, those that are "
			"gone, and the rates of counters",
		.run = run_watch,
		.cancelled = cancelled,
		.line = watch_line,
	},
	{0},
};
