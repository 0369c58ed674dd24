// SPDX-License-Identifier: BSD-2-Clause
// Probes: STAMP test packets (weft/probe.h) from a port's place to another's, and their answers.
//
//   probe.c          the command: a session asks, and sums up at its end
//   probe_aim.c      who asks whom
//   probe_answer.c   what comes back to a session
//   probe_frame.c    frames <-> probes
//   probe_guest.c    guests are asked, by their own weftd
//   probe_reflect.c  cards of probes: to the session that asks, or an answer to them
//   probe_show.c     what came of a session, in words
#pragma once

#include <weft/probe.h>
#include "daemon/weftd.h"

struct weft_postcard;
struct probe_session;

int probe_open(struct weftd *weftd); // the engine runs: answer whoever asks
void probe_close(struct weftd *weftd);
// Of a probe that has left this host, or come to its end on it.
void probe_card(struct weftd *weftd, const struct weft_postcard *card);
void probe_key_follow(struct weftd *weftd); // the host's word has changed
bool probe_key_set(struct weftd *weftd);    // it is one that other hosts may have, too

// --- frames

struct probe_way { // from one station to another
	struct weft_mac src, dst;
	struct weft_ip ip_src, ip_dst;
	u16 tag; // that the sender's port has in the network; 0: none
};
enum { PROBE_FRAME_MAX_BYTES = 9216 };
// The smallest frame of the way; without its tag.
u32 probe_frame_least(const struct probe_way *way);
// bytes: without the tag. Returns the length with it. The tag that makes it a probe is put in.
u32 probe_frame_build(const u64 key[2], const struct probe_way *way, const struct weft_probe *probe,
	u32 bytes, u8 frame[PROBE_FRAME_MAX_BYTES]);
// What weftd asks a guest: ARP or ND, from way.src. Returns the length.
u32 probe_question_build(const struct probe_way *way, u8 frame[PROBE_FRAME_MAX_BYTES]);
// Of which address does the card say that it is there? False: it is no answer to a question.
bool probe_answer_read(const struct weft_postcard *card, struct weft_ip *ip);
// What stands in a card; false: no probe (only the engine has looked at its tag).
bool probe_frame_read(
	const struct weft_postcard *card, struct weft_probe *probe, struct probe_way *way);
void probe_time_put(be32 time[2], u64 ns);
u64 probe_time_get(const be32 time[2]);
u32 probe_clock(void); // names this machine's clock

// --- sessions

// The engine sends it as if the port had.
int probe_send(struct weftd *weftd, u32 port, const struct probe_way *way,
	const struct weft_probe *probe, u32 bytes);
// While somebody asks or is answered, packets are stamped as they come in.
void probe_watch(struct weftd *weftd);

struct probe_session *probe_session_find(struct weftd *weftd, u32 id);
// A probe of the session has left this host (or been dropped), or an answer has come.
void probe_left(struct probe_session *session, const struct weft_probe *probe,
	const struct weft_postcard *card);
void probe_answered(struct probe_session *session, const struct weft_probe *probe,
	const struct weft_postcard *card);
// An answer to it, sent by this host itself, has entered the network.
void probe_answer_left(struct probe_session *session, const struct weft_probe *probe,
	const struct weft_postcard *card);

// One of a session's probes. Times of the other end are by its clock.
struct probe_one {
	u64 sent_ns;        // 0: not yet
	u64 in_ns, out_ns;  // entered the network (P0), left the host (P2, P5); 0: not seen
	u64 there_ns;       // handed over to the other end (P5)
	u64 there_in_ns;    // from coming in there (P3) until then
	u64 back_sent_ns;   // the answer was sent
	u64 back_late_ns;   // from then until it entered the network
	u64 back_out_ns;    // and until it left that host
	u64 back_in_ns;     // came in here (P3)
	u64 back_ns;        // handed over here (P5); 0: no answer
	u32 answers;        // more than one: duplicates
	u32 answers_number; // the first one's own
	u32 reason;         // enum weft_drop: why it never left
	bool there_in, late, back_out; // these were observed
};

// What a guest's answers took.
struct probe_share {
	const char *why; // it is not asked; NULL: it is
	u32 asked, answered, count;
	u32 *ns; // count of them
};

struct probe_result {
	const struct probe_one *ones;
	u32 sent, received, duplicates, reordered;
	u32 refused, reason; // by this host's own datapath: how many, and why the last was
	u32 last_asked,
		last_count; // by the answer with the highest number: of the question, its own
	bool one_host, one_clock;
	struct probe_share guest_from, guest_to; // A's, B's
	json_t *service; // B serves there: {"service", "backend", "backend_port", "by"}. Owned.
};
json_t *probe_show_one(const struct probe_result *result, u32 sequence);
json_t *probe_show(const struct probe_result *result);
char *probe_text(const json_t *line);
