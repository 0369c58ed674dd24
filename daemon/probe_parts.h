// SPDX-License-Identifier: BSD-2-Clause
// What weftd keeps of probes, for probe*.c.
#pragma once

#include "daemon/cards.h"
#include "daemon/probe.h"

enum { PROBE_ASKERS = 64 };

// Who asks this host. When there are more, who was silent longest is forgotten.
struct probe_asker {
	u32 session, from; // from: the place, a peer or a port
	u64 seen_ns;       // 0: none
	u32 sequence;      // of the next answer
	u64 sent_ns;
	u32 last, last_late, last_out; // of the answer that has left last
	u8 last_seen;
};

struct probes {
	u64 key[2], random[2]; // random: while the host has no word
	struct probe_session *sessions;
	struct probe_asker askers[PROBE_ASKERS];
	struct card_reader reader; // wants no packet but their stamps
	struct event *idle;
	bool watching;
};

struct probe_session {
	struct request *request;
	u32 id;
	const char *from_name; // of the request's words
	u32 from, network, to; // to: the place of B
	struct probe_way way;
	u32 bytes, count;
	u32 interval_ms;
	struct probe_one *ones;
	struct probe_result result;
	u32 highest; // question that was answered, and one more
	struct event *timer;
	struct probe_session *prev, *next;
};

// probe_aim.c: fills in network, places and way, from the request's words.
int probe_aim(struct probe_session *session);
// probe.c: the answer to this question has come.
void probe_session_shown(struct probe_session *session, u32 number);
