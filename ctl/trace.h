// SPDX-License-Identifier: BSD-2-Clause
// `trace`, as text: what all hosts see of a packet is one list, in the order of
// time.
#pragma once

#include "ctl/run.h"

// The hosts can tell of points.
bool trace_wanted(const struct client *client, const json_t *commands, const json_t *words);
// As run_request(), after trace_wanted().
int trace_run(struct client *clients, int *statuses, size_t count, const json_t *commands,
	const json_t *words);
