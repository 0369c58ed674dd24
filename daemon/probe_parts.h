// SPDX-License-Identifier: BSD-2-Clause
// What weftd keeps of probes, for probe*.c.
#pragma once

#include "daemon/cards.h"
#include "daemon/probe.h"

enum { PROBE_ASKERS = 64 };

// A guest that is asked from its own port, one question at a time.
struct probe_guest {
	u32 port;             // 0: nobody is asked
	struct probe_way way; // of the questions
	u32 asked, answered;
	u32 last_ns;                   // so long the last answer took; 0: that is not known
	u64 asked_ns;                  // a question waits for its answer since; 0: none
	u64 out_ns, in_ns;             // of that: handed over to the guest (P5), answered (P0)
	bool unsure;                   // the one before was lost, or is late
	struct probe_session *session; // to be told of answers; NULL: nobody
	struct probe_guest *prev, *next;
};
// way: to the guest; who asks is chosen here.
void probe_guest_aim(struct weftd *weftd, struct probe_guest *guest, u32 port, u32 network,
	const struct probe_way *way);
void probe_guest_ask(struct weftd *weftd, struct probe_guest *guest); // unless one waits
void probe_guest_end(struct weftd *weftd, struct probe_guest *guest);
void probe_guests_idle(struct weftd *weftd);            // nobody probes: answers are late
u32 probe_guest_asked(const struct probe_guest *guest); // but for the one that waits
void probe_guest_answered(struct probe_session *session);
// False: it is none of a question or its answer.
bool probe_guest_card(struct weftd *weftd, const struct weft_postcard *card);

// Who asks this host. When there are more, who was silent longest is forgotten.
struct probe_asker {
	u32 session, from; // from: the place, a peer or a port
	u64 seen_ns;       // 0: none
	u32 sequence;      // of the next answer: first ones, so it is how many probes have come
	u32 asked_next;    // the highest question that has come, and one more
	u64 asked;         // of the 64 up to it, bits: which have come; bit 0: the highest
	u64 sent_ns;
	u32 last, last_late, last_out; // of the answer that has left last
	u8 last_seen;
	struct probe_guest guest; // whom the questions are for
};

struct probes {
	u64 key[2], random[2]; // random: while the host has no word
	struct probe_session *sessions;
	struct probe_asker askers[PROBE_ASKERS];
	struct probe_guest *guests; // that are to answer
	struct card_reader reader;  // wants no packet but their stamps
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
	u32 highest;              // question that was answered, and one more
	struct probe_guest guest; // A's
	struct event *timer;
	struct probe_session *prev, *next;
};

// probe_aim.c: fills in network, places and way, from the request's words.
int probe_aim(struct probe_session *session);
// probe_service.c: B is a service's address and port: who serves A there? s: that one.
struct target;
struct explain_station;
int probe_service(struct probe_session *session, const struct object *network,
	const struct target *target, struct explain_station *s);
// probe.c: the answer to this question has come; is that all?
void probe_session_shown(struct probe_session *session, u32 number);
void probe_session_look(struct probe_session *session);
