// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Probes: STAMP test packets (RFC 8762) inside a network, from a port's place to another's.
//
// Both ports are 862, in the answer too. What makes the packet a probe is the tag in its padding: a
// keyed hash of all that stands before and behind it. Guests never see a probe, so they cannot have
// a tag that holds.
#pragma once

#include <weft/types.h>

enum {
	WEFT_PROBE_PORT = 862,
	WEFT_PROBE_WORDS = 12, // of 8 bytes: what the tag holds for, itself among them
	WEFT_PROBE_TAG = 6,    // which of them it is
};

enum weft_probe_kind {
	WEFT_PROBE_ASKS,
	WEFT_PROBE_ANSWERS,
};

// The UDP payload. Times are PTP's truncated ones: seconds and nanoseconds, of this host's clock.
struct weft_probe {
	be32 sequence;
	be32 sent[2];
	be16 error; // RFC 8762 section 4.2.1
	be16 reserved;
	be32 received[2]; // from here: of an answer
	be32 asked_sequence;
	be32 asked_sent[2];
	be16 asked_error;
	be16 reserved2;
	u8 asked_ttl;
	u8 reserved3[3];
	u8 padding_flags; // an Extra Padding TLV (RFC 8972 section 4.1)
	u8 padding_type;
	be16 padding_length;
	u64 tag;
	be32 session;
	u8 kind; // enum weft_probe_kind
	u8 seen; // enum weft_probe_seen: which of the times below were observed
	be16 reserved4;
	be32 in_ns;       // answer: from coming in to the hand-over of the question (P3 to P5)
	be32 last;        // the answer before this one: its sequence,
	be32 last_late;   // from `sent` until it entered the network (P0),
	be32 last_out;    // and from there until it left the host (P2)
	be32 clock;       // whose clock it is: hosts of one machine have one
	be32 guest_asked; // the guest that the question was for, asked by its own weftd: how often,
	be32 guest_answered; // how often it has answered, and how long it took last (0: not known)
	be32 guest_ns;
};
_Static_assert(sizeof(struct weft_probe) == 8 * WEFT_PROBE_WORDS, "no padding");

enum weft_probe_seen {
	WEFT_PROBE_SEEN_IN = WEFT_BIT(0),
	WEFT_PROBE_SEEN_LAST = WEFT_BIT(1), // last_late holds
	WEFT_PROBE_SEEN_OUT = WEFT_BIT(2),  // last_out holds
	WEFT_PROBE_GUEST = WEFT_BIT(3),     // question: ask the guest, too; answer: it is asked
};

// SipHash-2-4 (Aumasson, Bernstein 2012) over whole words.
struct weft_sip {
	u64 v0, v1, v2, v3;
};

weft_inline u64 weft_sip_turn(u64 x, int bits)
{
	return x << bits | x >> (64 - bits);
}

weft_inline void weft_sip_round(struct weft_sip *s)
{
	s->v0 += s->v1;
	s->v1 = weft_sip_turn(s->v1, 13) ^ s->v0;
	s->v0 = weft_sip_turn(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = weft_sip_turn(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = weft_sip_turn(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = weft_sip_turn(s->v1, 17) ^ s->v2;
	s->v2 = weft_sip_turn(s->v2, 32);
}

weft_inline struct weft_sip weft_sip_begin(const u64 key[2])
{
	return (struct weft_sip){
		key[0] ^ 0x736f6d6570736575ull,
		key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull,
		key[1] ^ 0x7465646279746573ull,
	};
}

weft_inline void weft_sip_word(struct weft_sip *s, u64 word)
{
	s->v3 ^= word;
	weft_sip_round(s);
	weft_sip_round(s);
	s->v0 ^= word;
}

// words: how many there were.
weft_inline u64 weft_sip_end(struct weft_sip *s, u64 words)
{
	weft_sip_word(s, words * 8 << 56);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		weft_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}
