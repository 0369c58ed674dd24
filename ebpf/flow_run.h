// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The short way of nearly all packets: the flow cache knows the flow, and it goes to a port as it
// came or with other addresses. What that takes stands in the slot; nothing is parsed or decided.
//
// A hook defines before: hook_reaches(ifindex), may it send by that device; hook_send(packet,
// port, ifindex), which does, and returns the code that the hook returns.
#pragma once

// As the pipeline would have filled it in.
weft_inline void flow_record(
	struct pipeline *line, const struct flow_slot *slot, struct weft_record *record)
{
	__builtin_memset(line->verdict, 0, sizeof(*line->verdict));
	flow_verdict(slot, line->verdict);
	record->verdict = *line->verdict;
	record->passed = false;
	record->action = WEFT_ACTION_forward;
	record->reason = WEFT_DROP_none;
}

// False: nothing is done, the pipeline takes the packet. It finds in packet->look what is known.
static __noinline bool flow_run(struct pipeline *line, u32 in_port, struct weft_record *record)
{
	struct packet *p = line->packet;
	struct flow_frame f;
	const struct flow_slot *slot = flow_look(line, &f, in_port);
	if (!slot || line->seen || p->outer_bytes || slot->action != WEFT_ACTION_forward ||
		f.vid != slot->tag || f.tagged != (slot->tag != 0))
		return false;
	u32 port = slot->port, ifindex = device_of(port), max_bytes = slot->max_bytes;
	u32 tag_bytes = f.l3 - (u32)sizeof(struct eth_header);
	u32 bytes = packet_length(p) - tag_bytes;
	line->layout->header_bytes = (u16)f.headers;
	if (!ifindex || !hook_reaches(ifindex) ||
		(max_bytes && packet_segment_length(p, line->layout) > max_bytes + tag_bytes))
		return false;
	if (record)
		flow_record(line, slot, record);
	account_rx(line->tables, in_port, bytes);
	if (slot->flags & WEFT_VERDICT_REWRITE) {
		if (!flow_rewrite(p, &f, &slot->rewrite)) {
			account_drop(line->tables, in_port, WEFT_DROP_rewrite_failed);
			if (record)
				record->action = WEFT_ACTION_drop;
			return true;
		}
		account_backend(line->tables, &slot->rewrite.to, bytes);
	}
	account_tx(line->tables, port, bytes);
	p->code = hook_send(p, port, ifindex);
	return true;
}
