// SPDX-License-Identifier: BSD-2-Clause
// What weftctl asks hosts for itself, before or after what it was asked.
#pragma once

#include "ctl/client.h"

struct ask_hosts { // those with a status that is not 0 are left out
	struct client *clients;
	const int *statuses;
	size_t count;
};

// What the command shows, an array of the caller's; NULL: it was refused, or nobody answers. Quiet.
// words end with NULL.
json_t *ask(struct client *client, const char *const *words);
// The same command, and what becomes of it is printed. Returns the exit status.
int ask_aloud(struct client *client, const char *const *words);
// The host that has the port, the first to be asked before others; count: none. shown (or NULL):
// `port show` of it, the caller's; NULL: none.
size_t ask_port(const struct ask_hosts *hosts, size_t first, const char *port, json_t **shown);
// Several hosts have a port of that name (or "NAME:PORT"), and that was said.
bool ask_many_have(const struct ask_hosts *hosts, const char *port);
