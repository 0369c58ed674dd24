// SPDX-License-Identifier: BSD-2-Clause
// Explain: what the running datapath would do with a frame, and why. `weftctl explain`, `path`.
//
//   explain.c        the command; what is asked
//   explain_frame.c  words -> a frame, what they leave open from what weft knows
//   explain_build.c  the frame's bytes
//   explain_known.c  who is known to be behind a place, and where an address is
//   explain_pcap.c   a capture file -> frames
//   explain_walk.c   rows -> a sentence for each stage that had a say
//   explain_rows.c   rows -> JSON
//   explain_show.c   the verdict -> sentences and JSON
//   path.c           several of them in a row: from a port to an address
#pragma once

#include "datapath/explain.h"
#include "daemon/place.h"

enum { EXPLAIN_SAYS_BYTES = 512 };

struct explain_frame {
	const struct object *place;   // where it comes in
	const struct object *network; // that it means by its tag or VNI; NULL: none that there is
	u32 vni;
	u16 vid;
	u16 ethertype;
	bool tagged, ip, resolves; // resolves: ARP or ND, a question for ip_dst
	u8 protocol, tcp_flags;
	u16 sport, dport;
	struct weft_mac src, dst;
	struct weft_ip ip_src, ip_dst;
	u32 length; // with the tag; so many bytes are there, or WEFT_PARSE_BYTES
	u8 bytes[WEFT_PARSE_BYTES];
	json_t *assumed; // the words that were left open and are a guess. Owned.
};

// The place that the words `port` and `peer` name, the network, and the frame. Free it in any case.
int explain_frame_make(struct weftd *weftd, const json_t *words, struct explain_frame *frame,
	struct failure *failure);
// Only the place, the VNI and the network.
int explain_frame_place(struct weftd *weftd, const json_t *words, struct explain_frame *frame,
	struct failure *failure);
void explain_frame_free(struct explain_frame *frame);
// Its bytes, from the other fields. length: without the tag; 0: what the headers need.
int explain_frame_build(struct explain_frame *frame, long long length, struct failure *failure);

// A station in a network: what is set says whom, what is not is filled in. False: nobody known.
struct explain_station {
	u32 network;
	u32 place; // 0: any
	bool mac_known, ip_known;
	struct weft_mac mac;
	struct weft_ip ip;
	const struct weft_ip *talks_to; // its address is one that can; NULL: any
};
// By the neighbour table, else (the MAC) by the FDB; whoever was heard last. v6: of that family.
bool explain_know_ip(struct weftd *weftd, bool v6, struct explain_station *station);
bool explain_know_mac(struct weftd *weftd, struct explain_station *station);

// Calls back for each frame of a capture (base64). Stops when that fails.
typedef int explain_frame_fn(const u8 *bytes, u32 length, void *context, struct failure *failure);
int explain_pcap(const char *content, explain_frame_fn *fn, void *context, struct failure *failure);

// Asks the engine. explain_free() afterwards.
void explain_ask(struct weftd *weftd, const struct explain_frame *frame, struct explain *e);

// One sentence for each stage that had a say: [{"stage", "says"}].
json_t *explain_walk(struct weftd *weftd, const struct explain *e);
json_t *explain_rows(const struct explain *e);
json_t *explain_show(struct weftd *weftd, const struct explain *e);
void explain_print(FILE *out, const json_t *shown); // the same for people
