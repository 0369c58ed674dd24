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
	bool quiet; // no messages
	void *curl; // kept between requests
};

// 0 and the answer (owned by the caller), or an exit status after a message.
int client_get(struct client *client, const char *path, json_t **answer);
int client_post(struct client *client, const char *path, const json_t *request, json_t **answer);
void client_close(struct client *client);

// Prints what weftd answered to /v1/run; returns the exit status.
int client_print_answer(const struct client *client, const json_t *answer);
void client_print_error(const struct client *client, const json_t *answer);
