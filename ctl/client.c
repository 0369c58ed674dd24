// SPDX-License-Identifier: BSD-2-Clause
// Requests by libcurl, and what to say when nobody answers.

#include "ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weft/control.h>

struct answer_text {
	char *bytes;
	size_t length;
};

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
	struct answer_text *text = context;
	char *larger = realloc(text->bytes, text->length + size * count + 1);

	if (!larger)
		return 0;
	memcpy(larger + text->length, bytes, size * count);
	text->bytes = larger;
	text->length += size * count;
	text->bytes[text->length] = 0;
	return size * count;
}

const char *client_host(const struct client *client)
{
	return client->host[0] ? client->host : client->socket;
}

void client_print_error(const struct client *client, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	json_t *only;

	if (client->quiet)
		return;
	fflush(stdout);
	if (client->json) {
		only = json_object();
		if (client->many)
			json_object_set_new(only, "host", json_string(client_host(client)));
		json_object_set(only, "error", (json_t *)error);
		json_dumpf(only, stderr, JSON_INDENT(2));
		fputc('\n', stderr);
		json_decref(only);
	} else {
		fprintf(stderr, "weftctl: %s%s%s\n", client->many ? client_host(client) : "",
			client->many ? ": " : "", message ? message : "weftd does not say why");
		if (hint)
			fprintf(stderr, "  %s\n", hint);
	}
}

int client_print_answer(const struct client *client, const json_t *answer)
{
	const json_t *status = json_object_get(answer, "exit");
	const json_t *text = json_object_get(answer, "text");
	const json_t *result = json_object_get(answer, "result");

	if (result) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else if (json_is_string(text)) {
		fwrite(json_string_value(text), 1, json_string_length(text), stdout);
	}
	if (json_object_get(answer, "error"))
		client_print_error(client, answer);
	return json_is_integer(status) ? (int)json_integer_value(status) : WEFT_EXIT_NO_DAEMON;
}

int client_fail(const struct client *client, int status, const char *code, const char *hint,
	const char *format, ...)
{
	char *message = NULL;
	va_list arguments;
	json_t *answer;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		abort();
	va_end(arguments);
	answer = json_pack(
		"{s:{s:s, s:s, s:s?}}", "error", "code", code, "message", message, "hint", hint);
	client_print_error(client, answer);
	json_decref(answer);
	free(message);
	return status;
}

static int fail_connect(const struct client *client)
{
	const char *start =
		"start weftd, or name the socket of a running one with -s or $WEFT_SOCKET";
	long err = 0;
	struct stat st;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &err);
	if (err == EACCES || err == EPERM)
		return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon",
			"weftctl needs the rights of who started weftd",
			"no permission for the socket %s", client->socket);
	if (err == ECONNREFUSED && stat(client->socket, &st) == 0 && !S_ISSOCK(st.st_mode))
		return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", start,
			"%s is no socket", client->socket);
	if (err == ECONNREFUSED)
		return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", start,
			"no weftd answers on %s: the socket was left by one that is gone",
			client->socket);
	if (err == ENOENT)
		return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", start,
			"no weftd answers: there is no socket %s", client->socket);
	return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", start,
		"no weftd answers on %s: %s", client->socket,
		err ? strerror((int)err) : "it cannot be connected to");
}

static int fail_request(const struct client *client, CURLcode code)
{
	if (code == CURLE_COULDNT_CONNECT)
		return fail_connect(client);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return client_fail(client, WEFT_EXIT_PARTIAL, "timeout",
			"what was asked may still be done",
			"weftd did not answer within %ld seconds", client->timeout_seconds);
	return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", NULL,
		"weftd on %s did not answer: %s", client->socket, curl_easy_strerror(code));
}

int client_prepare(struct client *client, const char *path)
{
	char url[256];

	if (client->curl) {
		curl_easy_reset(client->curl);
	} else {
		curl_global_init(CURL_GLOBAL_NOTHING);
		client->curl = curl_easy_init();
		if (!client->curl)
			abort();
	}
	if (curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->socket) != CURLE_OK)
		return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", NULL,
			"%s can be no socket", client->socket);
	snprintf(url, sizeof(url), "http://weftd%s", path);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
	return 0;
}

struct curl_slist *client_prepare_post(struct client *client, const char *body)
{
	struct curl_slist *headers = NULL;

	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:"); // no round trip before a large body
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
	return headers;
}

void client_read_host(struct client *client)
{
	struct curl_header *header;

	if (curl_easy_header(client->curl, WEFT_HOST_HEADER, 0, CURLH_HEADER, -1, &header) ==
		CURLHE_OK)
		snprintf(client->host, sizeof(client->host), "%s", header->value);
}

int client_finish(struct client *client, int code, const char *body, size_t length, json_t **answer)
{
	long status = 0;

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	client_read_host(client);
	*answer = body ? json_loadb(body, length, 0, NULL) : NULL;
	if (!*answer && status == 413)
		return client_fail(client, WEFT_EXIT_REFUSED, "too_large", NULL,
			"the request is larger than weftd takes (16 MiB)");
	if (code != CURLE_OK) {
		json_decref(*answer);
		*answer = NULL;
		return fail_request(client, (CURLcode)code);
	}
	if (*answer)
		return 0;
	return client_fail(client, WEFT_EXIT_NO_DAEMON, "no_daemon", NULL,
		"what answers on %s is no weftd (HTTP %ld)", client->socket, status);
}

static int perform(struct client *client, json_t **answer)
{
	struct answer_text text = {0};
	CURLcode code;
	int status;

	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, client->timeout_seconds);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &text);
	// Kept, it would be idle while run.c has one of its own; weftd gives out only so many.
	curl_easy_setopt(client->curl, CURLOPT_FORBID_REUSE, 1L);
	code = curl_easy_perform(client->curl);
	status = client_finish(client, (int)code, text.bytes, text.length, answer);
	free(text.bytes);
	return status;
}

int client_get(struct client *client, const char *path, json_t **answer)
{
	int status = client_prepare(client, path);

	return status ? status : perform(client, answer);
}

int client_post(struct client *client, const char *path, const json_t *request, json_t **answer)
{
	struct curl_slist *headers;
	char *body;
	int status = client_prepare(client, path);

	if (status)
		return status;
	body = json_dumps(request, JSON_COMPACT);
	headers = client_prepare_post(client, body);
	status = perform(client, answer);
	curl_slist_free_all(headers);
	free(body);
	return status;
}

void client_close(struct client *client)
{
	if (!client->curl)
		return;
	curl_easy_cleanup(client->curl);
	curl_global_cleanup();
	client->curl = NULL;
}
