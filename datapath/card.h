// SPDX-License-Identifier: BSD-2-Clause
// What a postcard tells of its frame.
#pragma once

#include <weft/observe.h>
#include <weft/tables.h>
#include <weft/verdict.h>

enum { CARD_FRAME_BYTES = WEFT_POSTCARD_FRAME + 4 };

// The first bytes of the frame, its tag among them. Returns how many.
u32 card_frame(const struct weft_postcard *card, u8 bytes[CARD_FRAME_BYTES]);
// The same without its tag, wherever that is: beside the frame or in it. *length: of the frame.
u32 card_untagged(const struct weft_postcard *card, u8 bytes[CARD_FRAME_BYTES], u32 *length);
// What the pipeline's parser makes of it. False: it would drop the frame.
bool card_parse(const struct weft_postcard *card, struct weft_key *key, struct weft_layout *layout);
// Does it ask for an answer, and is another one that answer? (pipeline/observe_guest.h)
bool card_asks(const struct weft_postcard *card, struct weft_guest_row *question);
bool card_answers(const struct weft_postcard *card, const struct weft_guest_row *question);
// Of TCP: of its first byte.
bool card_sequence(const struct weft_postcard *card, u32 *sequence);
// A ping: who asked and which one. answer: it is one.
struct card_echo {
	u16 id, sequence;
	bool answer;
};
bool card_echo(const struct weft_postcard *card, struct card_echo *echo);
