// SPDX-License-Identifier: BSD-2-Clause
// `probe A B` at several hosts: A is a port of one of them, and B may be one of another.
#pragma once

#include "ctl/run.h"

bool probe_wanted(const json_t *words, size_t hosts);
// As run_request(), after probe_wanted(): the host that has A probes, the others are only asked.
int probe_run(struct client *clients, int *statuses, size_t count, const json_t *words);
