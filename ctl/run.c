// SPDX-License-Identifier: BSD-2-Clause
// Waits for every answer at once; prints one whole, or line by line if it is a stream.

#include "ctl/run.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <weft/control.h>

enum form { UNKNOWN, WHOLE, LINES };
enum { SAME_INTERRUPT_MS = 300 };

struct run {
	struct client *client;
	struct run_taker *taker;
	enum form form;
	char *text; // of a stream: the line that is not complete yet
	size_t length;
	bool running;
	bool last;  // the line that ends a stream was there
	bool ended; // weftd was asked to come to the end
	int socket;
	int process; // weftd's; -1: not seen from here
	int *status;
	struct curl_slist *headers;
};

static volatile sig_atomic_t interrupted;
static int64_t interrupted_ms;

bool run_interrupted(void)
{
	return interrupted;
}

// Some send it twice at once (timeout(1), a terminal and a shell).
static void note_interrupt(int number)
{
	if (interrupted && run_now_ms() - interrupted_ms > SAME_INTERRUPT_MS) {
		signal(number, SIG_DFL);
		raise(number);
	}
	if (!interrupted)
		interrupted_ms = run_now_ms();
	interrupted = 1;
}

// What comes in lines has a sum at its end. Once more ends weftctl.
static void end_by_interrupt(void)
{
	struct sigaction action = {.sa_handler = note_interrupt};

	if (!interrupted)
		sigaction(SIGINT, &action, NULL);
}

static void read_headers(struct run *run)
{
	char *type = NULL;

	client_read_host(run->client);
	curl_easy_getinfo(run->client->curl, CURLINFO_CONTENT_TYPE, &type);
	run->form = type && (strcmp(type, "application/x-ndjson") == 0 ||
				    strncmp(type, "text/plain", 10) == 0)
			    ? LINES
			    : WHOLE;
	if (run->form == LINES)
		end_by_interrupt();
}

static int note_socket(void *context, curl_socket_t socket, curlsocktype purpose)
{
	(void)purpose;
	((struct run *)context)->socket = socket;
	return CURL_SOCKOPT_OK;
}

// To see its end: the socket says whose it is.
static int process_of(int socket)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

// A stream may be silent for long: what it is must be known before its first line.
static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
	struct run *run = context;

	if (size * count == 2 && memcmp(bytes, "\r\n", 2) == 0) {
		read_headers(run);
		if (run->process < 0)
			run->process = process_of(run->socket);
	}
	return size * count;
}

static void print_object(const struct run *run, json_t *object)
{
	json_t *with_host = json_pack("{s:s}", "host", client_host(run->client));

	json_object_update_missing(with_host, object);
	json_dumpf(with_host, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(with_host);
}

// Of text only the last line begins with '{'.
static void print_line(struct run *run, const char *line, size_t length)
{
	json_t *object = *line == '{' ? json_loadb(line, length, 0, NULL) : NULL;

	if (json_is_true(json_object_get(object, "done"))) {
		run->last = true;
		*run->status = client_print_answer(run->client, object);
	} else if (run->taker) {
		run->taker->line(run->taker, run->client, object);
	} else if (object && run->client->many) {
		print_object(run, object);
	} else {
		if (run->client->many)
			printf("%s: ", client_host(run->client));
		fwrite(line, 1, length, stdout);
	}
	json_decref(object);
}

// Who reads weftctl gets each line when it is there. false: nobody does.
static bool print_lines(struct run *run)
{
	char *begin = run->text, *end;

	while ((end = memchr(begin, '\n', run->length - (size_t)(begin - run->text)))) {
		print_line(run, begin, (size_t)(end + 1 - begin));
		begin = end + 1;
		if (fflush(stdout) != 0)
			return false;
	}
	run->length -= (size_t)(begin - run->text);
	memmove(run->text, begin, run->length);
	return true;
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
	struct run *run = context;
	char *larger = realloc(run->text, run->length + size * count + 1);

	if (!larger)
		return 0;
	memcpy(larger + run->length, bytes, size * count);
	run->text = larger;
	run->length += size * count;
	if (run->form == LINES && !print_lines(run))
		return 0;
	return size * count;
}

static int finish_stream(const struct run *run, CURLcode code)
{
	if (run->last)
		return *run->status;
	if (code == CURLE_WRITE_ERROR)
		return client_fail(run->client, WEFT_EXIT_REFUSED, "no_output", NULL,
			"cannot write the answer: %s", strerror(errno));
	return client_fail(run->client, WEFT_EXIT_NO_DAEMON, "no_daemon", NULL,
		"weftd on %s went away before the end", run->client->socket);
}

// Who has stopped or purged weftd goes on when that is done, not when it has begun.
static int wait_for_end(const struct run *run)
{
	struct pollfd end = {.fd = run->process, .events = POLLIN};

	if (end.fd < 0 || poll(&end, 1, (int)run->client->timeout_seconds * 1000) > 0)
		return *run->status;
	return client_fail(run->client, WEFT_EXIT_PARTIAL, "timeout", NULL,
		"weftd is ending, and has not ended within %ld seconds",
		run->client->timeout_seconds);
}

static void finish(struct run *run, CURLcode code)
{
	json_t *answer = NULL;

	if (!run->running)
		return;
	run->running = false;
	if (run->form == LINES) {
		*run->status = finish_stream(run, code);
		return;
	}
	*run->status = client_finish(run->client, (int)code, run->text, run->length, &answer);
	if (*run->status == 0)
		*run->status = client_print_answer(run->client, answer);
	if (json_is_true(json_object_get(answer, "ending")))
		*run->status = wait_for_end(run);
	json_decref(answer);
}

static bool begin(struct run *run, CURLM *multi, const char *body)
{
	*run->status = client_prepare(run->client, "/v1/run");
	if (*run->status)
		return false;
	run->headers = client_prepare_post(run->client, body);
	curl_easy_setopt(run->client->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(run->client->curl, CURLOPT_WRITEDATA, run);
	curl_easy_setopt(run->client->curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(run->client->curl, CURLOPT_HEADERDATA, run);
	curl_easy_setopt(run->client->curl, CURLOPT_SOCKOPTFUNCTION, note_socket);
	curl_easy_setopt(run->client->curl, CURLOPT_SOCKOPTDATA, run);
	curl_easy_setopt(run->client->curl, CURLOPT_PRIVATE, run);
	run->running = curl_multi_add_handle(multi, run->client->curl) == CURLM_OK;
	return run->running;
}

static long now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

// Lines may take any time; what has not begun to answer may not.
static void give_up(struct run *runs, size_t count, long began)
{
	for (size_t i = 0; i < count; i++)
		if (runs[i].running && runs[i].form != LINES &&
			now_seconds() - began >= runs[i].client->timeout_seconds)
			finish(&runs[i], CURLE_OPERATION_TIMEDOUT);
}

static bool any_running(const struct run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (runs[i].running)
			return true;
	return false;
}

static void finish_those_that_are(CURLM *multi)
{
	CURLMsg *message;
	int left;
	struct run *run;

	while ((message = curl_multi_info_read(multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &run);
		finish(run, message->data.result);
	}
}

// weftd sums up what there is, and ends.
static void ask_for_end(struct run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct run *run = &runs[i];

		if (run->running && run->form == LINES && !run->ended)
			run->ended = send(run->socket, WEFT_END_OF_STREAM, 1,
					     MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
	}
}

static void wait_for_all(CURLM *multi, struct run *runs, size_t count, struct run_taker *taker)
{
	long began = now_seconds();

	while (any_running(runs, count)) {
		struct curl_waitfd wake = {.fd = -1, .events = CURL_WAIT_POLLIN};
		int number, wait_ms = 1000;

		curl_multi_perform(multi, &number);
		finish_those_that_are(multi);
		give_up(runs, count, began);
		if (taker)
			wait_ms = taker->turn(taker, &wake.fd);
		if (wait_ms < 0 || (interrupted && taker))
			return;
		if (interrupted)
			ask_for_end(runs, count);
		if (any_running(runs, count))
			curl_multi_poll(multi, &wake, wake.fd >= 0, wait_ms, NULL);
	}
}

static int status_of_all(const int *statuses, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (statuses[i] != statuses[0])
			return WEFT_EXIT_PARTIAL;
	return statuses[0];
}

int run_request(struct client *clients, int *statuses, size_t count, const json_t *request,
	struct run_taker *taker)
{
	struct run *runs = calloc(count, sizeof(*runs));
	char *body = json_dumps(request, JSON_COMPACT);
	CURLM *multi;

	curl_global_init(CURL_GLOBAL_NOTHING);
	multi = curl_multi_init();
	if (!runs || !body || !multi)
		abort();
	for (size_t i = 0; i < count; i++) {
		runs[i] = (struct run){.client = &clients[i],
			.taker = taker,
			.socket = -1,
			.process = -1,
			.status = &statuses[i]};
		if (!statuses[i])
			begin(&runs[i], multi, body);
	}
	if (taker)
		end_by_interrupt();
	wait_for_all(multi, runs, count, taker);
	for (size_t i = 0; i < count; i++) {
		if (runs[i].headers)
			curl_multi_remove_handle(multi, clients[i].curl);
		curl_slist_free_all(runs[i].headers);
		free(runs[i].text);
		if (runs[i].process >= 0)
			close(runs[i].process);
	}
	curl_multi_cleanup(multi);
	curl_global_cleanup();
	free(body);
	free(runs);
	return interrupted && !taker ? 128 + SIGINT : status_of_all(statuses, count);
}

int run_points(struct client *clients, int *statuses, size_t count, const json_t *words,
	struct run_taker *taker)
{
	json_t *request = json_pack("{s:O, s:b, s:b, s:b}", "words", (json_t *)words, "json", 1,
		"points", 1, "stream", 1);
	int status = run_request(clients, statuses, count, request, taker);

	json_decref(request);
	return status;
}

bool run_all_begun(const int *statuses, size_t count, size_t begun)
{
	size_t refused = 0;

	for (size_t i = 0; i < count; i++)
		refused += statuses[i] != 0;
	return begun + refused >= count;
}

int64_t run_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

int run_no_port(const struct client *client, const char *port)
{
	return client_fail(client, WEFT_EXIT_REFUSED, "not_found",
		"`port show` lists the ports of a host; -s names one more",
		"no host that was asked has a port %s", port);
}
