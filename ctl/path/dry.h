// SPDX-License-Identifier: BSD-2-Clause
// The dry half of a path over several hosts: each knows its own tables only. The host at which the
// sender's packets come in says what it would do, and the one that it hands them to goes on.
#pragma once

#include "ctl/ask.h"

// Steps as weftd's `path` has them (daemon/path.h); none: no host knows both ends. The caller's.
// proto: "tcp", "udp"; NULL: as weftd has it.
json_t *dry_walk(
	const struct ask_hosts *hosts, const char *from, const char *to, const char *proto);

// `path A B` of several hosts, and nothing else.
bool dry_wanted(const json_t *words, size_t hosts);
int dry_run(const struct ask_hosts *hosts, const json_t *words);
void dry_print(FILE *out, const json_t *steps);
