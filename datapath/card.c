// SPDX-License-Identifier: BSD-2-Clause
// Postcards: their frames, put together and parsed.
#include "datapath/card.h"

#include <string.h>
#include "datapath/table.h"
#include "datapath/packet_flat.h"
#include "datapath/pipeline/observe_guest.h"

_Static_assert((int)CARD_FRAME_BYTES <= (int)WEFT_PARSE_BYTES, "the parser's window holds it");

u32 card_frame(const struct weft_postcard *card, u8 bytes[CARD_FRAME_BYTES])
{
	u32 captured = card->captured < WEFT_POSTCARD_FRAME ? card->captured : WEFT_POSTCARD_FRAME;
	be16 words[2] = {weft_hton16(WEFT_ETH_8021Q), weft_hton16(card->tci)};
	if (!card->tagged || captured < 12) {
		memcpy(bytes, card->frame, captured);
		return captured;
	}
	memcpy(bytes, card->frame, 12);
	memcpy(bytes + 12, words, sizeof(words));
	memcpy(bytes + 12 + sizeof(words), card->frame + 12, captured - 12);
	return captured + (u32)sizeof(words);
}

u32 card_untagged(const struct weft_postcard *card, u8 bytes[CARD_FRAME_BYTES], u32 *length)
{
	u32 captured = card->captured < WEFT_POSTCARD_FRAME ? card->captured : WEFT_POSTCARD_FRAME;
	const u8 *type = card->frame + 12;
	*length = card->bytes;
	memcpy(bytes, card->frame, captured);
	if (card->tagged || captured < 16 || (type[0] << 8 | type[1]) != WEFT_ETH_8021Q)
		return captured;
	memmove(bytes + 12, bytes + 16, captured - 16);
	*length -= 4;
	return captured - 4;
}

// What was not captured is not read, but for zeros.
static struct packet open_card(const struct weft_postcard *card, u8 bytes[WEFT_PARSE_BYTES])
{
	memset(bytes, 0, WEFT_PARSE_BYTES);
	u32 tag = card_frame(card, bytes) - card->captured;
	return (struct packet){.bytes = bytes, .length = card->bytes + tag};
}

bool card_parse(const struct weft_postcard *card, struct weft_key *key, struct weft_layout *layout)
{
	u8 bytes[WEFT_PARSE_BYTES];
	struct packet packet = open_card(card, bytes);
	return parse(&packet, card->from, key, layout) == WEFT_DROP_none;
}

// A flat packet's words are looked for up to its length, and no card holds so much.
static bool holds(const struct weft_postcard *card, const struct weft_layout *layout)
{
	return layout->l4_bytes + 12u <= card->captured;
}

bool card_asks(const struct weft_postcard *card, struct weft_guest_row *question)
{
	u8 bytes[WEFT_PARSE_BYTES];
	struct packet packet = open_card(card, bytes);
	struct weft_key key;
	struct weft_layout layout;
	return parse(&packet, card->from, &key, &layout) == WEFT_DROP_none &&
	       holds(card, &layout) && guest_question(&packet, &key, &layout, question);
}

bool card_answers(const struct weft_postcard *card, const struct weft_guest_row *question)
{
	u8 bytes[WEFT_PARSE_BYTES];
	struct packet packet = open_card(card, bytes);
	struct weft_key key;
	struct weft_layout layout;
	return parse(&packet, card->from, &key, &layout) == WEFT_DROP_none &&
	       holds(card, &layout) && guest_answers(&packet, &key, &layout, question);
}

bool card_sequence(const struct weft_postcard *card, u32 *sequence)
{
	u8 bytes[WEFT_PARSE_BYTES];
	struct packet packet = open_card(card, bytes);
	struct tcp_header tcp;
	struct weft_key key;
	struct weft_layout layout;
	if (parse(&packet, card->from, &key, &layout) != WEFT_DROP_none || !holds(card, &layout) ||
		!layout.l4_bytes || key.protocol != WEFT_IP_TCP)
		return false;
	memcpy(&tcp, bytes + layout.l4_bytes, sizeof(tcp));
	*sequence = weft_ntoh32(tcp.sequence);
	return true;
}

bool card_echo(const struct weft_postcard *card, struct card_echo *echo)
{
	u8 bytes[WEFT_PARSE_BYTES];
	struct packet packet = open_card(card, bytes);
	struct icmp_header icmp;
	struct weft_key key;
	struct weft_layout layout;
	if (parse(&packet, card->from, &key, &layout) != WEFT_DROP_none || !holds(card, &layout))
		return false;
	bool v6 = key.protocol == WEFT_IP_ICMPV6;
	if (!layout.l4_bytes || (!v6 && key.protocol != WEFT_IP_ICMP))
		return false;
	memcpy(&icmp, bytes + layout.l4_bytes, sizeof(icmp));
	echo->id = weft_ntoh16(icmp.id);
	echo->sequence = weft_ntoh16(icmp.sequence);
	echo->answer = icmp.type == (v6 ? WEFT_ICMPV6_ECHO_REPLY : WEFT_ICMP_ECHO_REPLY);
	return echo->answer || icmp.type == (v6 ? WEFT_ICMPV6_ECHO : WEFT_ICMP_ECHO);
}
