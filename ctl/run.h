// SPDX-License-Identifier: BSD-2-Clause
// One command at one weftd or at several at the same time: answers as they come.
#pragma once

#include "ctl/client.h"

enum { SOCKETS_MAX = 64 };

// Those with a status that is not 0 already are left out. Prints everything; returns the exit
// status: that of all, or "done in part" where they differ.
int run_request(struct client *clients, int *statuses, size_t count, const json_t *request);
