// SPDX-License-Identifier: BSD-2-Clause
// One client of weftd: HTTP over its unix socket, answers and errors as people or programs want
// them.
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct client {
	const char *socket;
	long timeout_seconds;
	bool json;
	bool quiet;     // no messages
	bool many;      // one of several: what it prints says whose it is
	char host[256]; // what weftd calls itself; "": it did not answer yet
	void *curl;     // kept between requests; their connections are not
};

// 0 and the answer (owned by the caller), or an exit status after a message.
int client_get(struct client *client, const char *path, json_t **answer);
int client_post(struct client *client, const char *path, const json_t *request, json_t **answer);
// The parts of a request: everything that does not depend on how it is waited for.
struct curl_slist;
int client_prepare(struct client *client, const char *path); // 0 or an exit status after a message
struct curl_slist *client_prepare_post(struct client *client, const char *body); // to be freed
// Who has answered, by the answer's header: client_host().
void client_read_host(struct client *client);
// Once it is over, with curl's code and the body (NULL: none): as client_get.
int client_finish(
	struct client *client, int code, const char *body, size_t length, json_t **answer);
void client_close(struct client *client);

// Prints what weftd answered to /v1/run; returns the exit status.
int client_print_answer(const struct client *client, const json_t *answer);
void client_print_error(const struct client *client, const json_t *answer);
// Says it as weftd would; returns the status.
int client_fail(const struct client *client, int status, const char *code, const char *hint,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
const char *client_host(const struct client *client); // its name, else its socket
