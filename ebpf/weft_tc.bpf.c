// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The TC ingress hook of every port: parse, decide and commit from the pipeline, apply for skbs.
// Superpackets and partial checksums stay as they are; the kernel completes them on the way out.
#define HOOK_CONTEXT struct __sk_buff
#include "ebpf/hook.h"
#include <linux/pkt_cls.h>

weft_inline u32 packet_length(const struct packet *p)
{
	return p->context->len;
}

weft_inline bool packet_tag(const struct packet *p, u16 *tpid, u16 *tci)
{
	if (!p->context->vlan_present)
		return false;
	*tpid = weft_ntoh16(p->context->vlan_proto);
	*tci = (u16)p->context->vlan_tci;
	return true;
}

weft_inline u32 packet_segment_length(const struct packet *p, const struct weft_layout *layout)
{
	u32 segment = p->context->gso_size;
	return segment ? segment + layout->header_bytes : p->context->len;
}

// gso_segs is 0 on what a tap wrote: count from the sizes.
weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout)
{
	u32 segment = p->context->gso_size;
	return segment ? (p->context->len - layout->header_bytes + segment - 1) / segment : 1;
}

// The tag that the frame has on its way, while copies leave with different ones.
struct skb_tag {
	u16 vid;      // 0: none
	u16 priority; // PCP and DEI bits, kept through every change
	bool tagged;  // a tag is there, VID 0 included
};

weft_inline bool skb_retag(struct __sk_buff *skb, struct skb_tag *tag, u16 vid)
{
	if (tag->tagged == (vid != 0) && tag->vid == vid)
		return true;
	if (tag->tagged && bpf_skb_vlan_pop(skb))
		return false;
	tag->tagged = false;
	tag->vid = 0;
	if (vid) {
		if (bpf_skb_vlan_push(skb, weft_hton16(WEFT_ETH_8021Q), tag->priority | vid))
			return false;
		tag->tagged = true;
		tag->vid = vid;
	}
	return true;
}

weft_inline struct skb_tag skb_tag_of(const struct pipeline *line)
{
	return (struct skb_tag){
		.vid = line->key.vid,
		.priority = line->layout.tci & WEFT_TCI_PRIORITY_MASK,
		.tagged = line->layout.tagged,
	};
}

weft_inline enum weft_drop skb_send(
	struct pipeline *line, u32 port, u32 ifindex, u16 vid, u32 bytes)
{
	struct skb_tag tag = skb_tag_of(line);
	if (!ifindex)
		return WEFT_DROP_port_absent;
	if (!skb_retag(line->packet->context, &tag, vid))
		return WEFT_DROP_rewrite_failed;
	account_tx(line->tables, port, bytes);
	line->packet->code = bpf_redirect(ifindex, 0);
	return WEFT_DROP_none;
}

weft_inline u32 skb_bytes(const struct pipeline *line)
{
	return packet_length(line->packet) - packet_tag_bytes(&line->layout);
}

weft_inline enum weft_drop apply_forward(struct pipeline *line)
{
	u32 port = line->verdict.port;
	return skb_send(line, port, device_of(port), line->verdict.tag, skb_bytes(line));
}

struct flood {
	struct __sk_buff *skb;
	struct weft_member_key key;
	struct skb_tag tag;
	u32 in_port;
	u32 bytes;
};

static long flood_one(u32 index, struct flood *f)
{
	f->key.index = index;
	const struct weft_member_row *member = TABLE_GET(NULL, member, &f->key);
	if (!member || member->port == f->in_port)
		return 0;
	u32 port = member->port;
	u32 ifindex = device_of(port);
	if (!ifindex) // an absent port misses the flood; its state says so
		return 0;
	if (!skb_retag(f->skb, &f->tag, member->tag))
		return 1;
	if (bpf_clone_redirect(f->skb, ifindex, 0) >= 0)
		account_tx(NULL, port, f->bytes);
	return 0;
}

weft_inline enum weft_drop apply_flood(struct pipeline *line)
{
	struct weft_index index = {line->verdict.network};
	const struct weft_network_row *network = TABLE_GET(line->tables, network, &index);
	if (!network)
		return WEFT_DROP_no_destination;
	struct flood f = {
		.skb = line->packet->context,
		.key = {.network = index.index, .epoch = network->member_epoch},
		.tag = skb_tag_of(line),
		.in_port = line->key.in_port,
		.bytes = skb_bytes(line),
	};
	bpf_loop(network->member_count, flood_one, &f, 0);
	line->packet->code = TC_ACT_SHOT; // the copies are out; this is not counted as a drop
	return WEFT_DROP_none;
}

weft_inline enum weft_drop apply_reply(struct pipeline *line)
{
	struct packet *p = line->packet;
	struct reply reply;
	enum weft_drop drop =
		reply_build(p, &line->key, &line->layout, line->verdict.reply, &reply);
	if (drop)
		return drop;
	u32 length = reply.l3_length, at = line->layout.l3_bytes;
	if (length < 1 || length > sizeof(reply.l3) || at > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	if (!reply.keep_tail && bpf_skb_change_tail(p->context, at + length, 0))
		return WEFT_DROP_rewrite_failed;
	if (bpf_skb_store_bytes(p->context, 0, &reply, 2 * sizeof(struct weft_mac), 0) ||
		bpf_skb_store_bytes(p->context, at, reply.l3, length, 0))
		return WEFT_DROP_rewrite_failed;
	return skb_send(
		line, line->key.in_port, p->context->ifindex, line->key.vid, skb_bytes(line));
}

weft_inline enum weft_drop apply_to_host(struct pipeline *line)
{
	line->packet->code =
		TC_ACT_UNSPEC; // whatever comes after weft on the device, then the stack
	return WEFT_DROP_none;
}

// The headers must lie in the linear part; a small frame from a tap already does.
weft_inline bool skb_load(struct packet *p)
{
	struct __sk_buff *skb = p->context;
	u32 want = skb->len < WEFT_PARSE_BYTES ? skb->len : WEFT_PARSE_BYTES;
	if ((u64)skb->data + want > (u64)skb->data_end && bpf_skb_pull_data(skb, want))
		return false;
	p->data = (void *)(long)skb->data;
	p->data_end = (void *)(long)skb->data_end;
	return true;
}

SEC("tc")
int weft_tc(struct __sk_buff *skb)
{
	u32 port = port_of(skb->ifindex);
	struct packet packet = {.context = skb, .code = TC_ACT_SHOT};
	struct pipeline line = {
		.packet = &packet,
		.actions = WEFT_BIT(WEFT_ACTION_count) - 1,
	};
	if (!port)
		return TC_ACT_UNSPEC;
	if (!skb_load(&packet)) {
		account_drop(NULL, port, WEFT_DROP_rewrite_failed);
		return TC_ACT_SHOT;
	}
	line.now_ns = clock_now_ns();
	if (!weft_inject) {
		pipeline_run(&line, port, NULL);
		return packet.code;
	}
	u32 zero = 0;
	struct weft_record *record = bpf_map_lookup_elem(&weft_record, &zero);
	if (!record)
		return TC_ACT_SHOT;
	pipeline_run(&line, port, record);
	record->tagged = skb->vlan_present;
	record->tci = (u16)skb->vlan_tci;
	return packet.code;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
