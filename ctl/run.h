// SPDX-License-Identifier: BSD-2-Clause
// One command at one weftd or at several at the same time: answers as they come.
#pragma once

#include <stdint.h>
#include "ctl/client.h"

enum { SOCKETS_MAX = 64 };

// Who takes what comes in lines, in place of printing it.
struct run_taker {
	// One object; the last one of a stream goes by its status.
	void (*line)(struct run_taker *taker, const struct client *client, const json_t *line);
	// Between lines. Returns after how many ms at the latest it wants its turn again, or -1:
	// that was enough, hang up. *fd: a descriptor to be woken by, too.
	int (*turn)(struct run_taker *taker, int *fd);
};

// Those with a status that is not 0 already are left out. Prints everything; returns the exit
// status: that of all, or "done in part" where they differ.
int run_request(struct client *clients, int *statuses, size_t count, const json_t *request,
	struct run_taker *taker); // NULL: they are printed
// The same of a "joined" command (weft/control.h), for the points of packets.
int run_points(struct client *clients, int *statuses, size_t count, const json_t *words,
	struct run_taker *taker);

// For takers. Have all hosts begun to answer, but those that refused?
bool run_all_begun(const int *statuses, size_t count, size_t begun);
int64_t run_now_ms(void);
bool run_interrupted(void); // who takes lines was told to end
// Says that no host has the port; returns the status.
int run_no_port(const struct client *client, const char *port);
