// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The guest's round trip: a sampled packet that asks for an answer is remembered when it is handed
// to a port, and the first answer that comes from there ends it. One question per port at a time.
//
// An answer is: of TCP, what acknowledges the question's last byte; of ICMP echo, the reply to it;
// of UDP, anything between the same ports.
#pragma once

#include "datapath/pipeline/identity.h"
#include "datapath/pipeline/observe.h"

union guest_word { // of the L4 header, from its 5th byte on
	u64 word;
	be32 half[2]; // TCP: sequence, acknowledgement; ICMP: identifier and number, data
};

weft_inline u32 guest_pair(u16 from, u16 to)
{
	return (u32)from << 16 | to;
}

// What would answer the packet. False: nothing would.
weft_inline bool guest_question(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, struct weft_guest_row *row)
{
	union guest_word l4 = {0};
	u32 ends = key_tcp_flags(key) & (WEFT_TCP_SYN | WEFT_TCP_FIN) ? 1 : 0;
	if (!(key->flags & WEFT_KEY_L4) || key->flags & WEFT_KEY_FRAGMENT || key_is_error(key))
		return false;
	row->protocol = key->protocol;
	row->src = key->ip_src.word[3];
	row->dst = key->ip_dst.word[3];
	row->ports = guest_pair(key->l4_src, key->l4_dst);
	row->expected = 0;
	if (key->protocol == WEFT_IP_UDP)
		return true;
	if (!packet_word(p, layout->l4_bytes + 4u, &l4.word))
		return false;
	if (key->protocol == WEFT_IP_TCP) {
		u32 payload = packet_length(p) - layout->header_bytes;
		row->expected = weft_ntoh32(l4.half[0]) + payload + ends;
		return payload + ends > 0;
	}
	row->expected = l4.half[0];
	row->ports = 0;
	return key->l4_src == (key->protocol == WEFT_IP_ICMP ? WEFT_ICMP_ECHO : WEFT_ICMPV6_ECHO);
}

weft_inline bool guest_answers(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, const struct weft_guest_row *row)
{
	union guest_word l4 = {0};
	if (key->protocol != row->protocol || !(key->flags & WEFT_KEY_L4) || key_is_error(key) ||
		key->ip_src.word[3] != row->dst || key->ip_dst.word[3] != row->src)
		return false;
	if (key->protocol == WEFT_IP_UDP)
		return row->ports == guest_pair(key->l4_dst, key->l4_src);
	if (!packet_word(p, layout->l4_bytes + 4u, &l4.word))
		return false;
	if (key->protocol == WEFT_IP_TCP)
		return row->ports == guest_pair(key->l4_dst, key->l4_src) &&
		       key->tcp_flags & WEFT_TCP_ACK &&
		       (__s32)(weft_ntoh32(l4.half[1]) - row->expected) >= 0;
	return l4.half[0] == row->expected &&
	       key->l4_src == (key->protocol == WEFT_IP_ICMP ? WEFT_ICMP_ECHO_REPLY
							     : WEFT_ICMPV6_ECHO_REPLY);
}

// Of a packet that was decided: does it answer, does it ask?
weft_inline void guest_listen(struct tables *tables, const struct packet *p,
	const struct weft_key *key, const struct weft_layout *layout,
	const struct weft_verdict *verdict, struct observation *seen)
{
	struct weft_index index = {key->in_port};
	struct weft_guest_row *row = TABLE_ROW(tables, guest, &index);
	seen->asks = seen->sampled && verdict->action == WEFT_ACTION_forward &&
		     guest_question(p, key, layout, &seen->question);
	if (!row || !seen->answering || !seen->in_ns)
		return;
	u64 out_ns = *(volatile u64 *)&row->out_ns; // once: it is anybody's
	if (out_ns <= GUEST_ASKING)
		return;
	row->heard++;
	u32 from = row->from;
	if (guest_answers(p, key, layout, row) &&
		__sync_val_compare_and_swap(&row->out_ns, out_ns, 0) == out_ns)
		observe_span(tables, from, key->in_port, WEFT_SPAN_guest,
			histogram_between(out_ns, seen->in_ns));
}
