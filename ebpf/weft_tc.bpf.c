// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The TC ingress hook of every port: parse, decide and commit from the pipeline, apply for skbs.
// Superpackets and partial checksums stay as they are; the kernel completes them on the way out.
#define HOOK_CONTEXT struct __sk_buff
#include "ebpf/hook.h"
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include "ebpf/carrier.h"
#include "ebpf/own_path.h"

// Since Linux 6.3; the headers of Debian 12 are older.
#define ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)

enum { ENTRY_BYTES = 0xffff }; // a frame of weftd's own is no longer

weft_inline u32 packet_length(const struct packet *p)
{
	return p->context->len - p->outer_bytes;
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
	return segment ? segment + layout->header_bytes : packet_length(p);
}

// gso_segs is 0 on what a tap wrote: count from the sizes.
weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout)
{
	u32 segment = p->context->gso_size;
	return segment ? (p->context->len - layout->header_bytes + segment - 1) / segment : 1;
}

weft_inline bool packet_word(const struct packet *p, u32 at, u64 *word)
{
	return !bpf_skb_load_bytes(p->context, p->outer_bytes + at, word, sizeof(*word));
}

// bpf_l4_csum_replace knows a partial checksum.
weft_inline bool packet_sum(struct packet *p, u32 at, u32 pseudo, u32 plain, bool zero_is_none)
{
	u64 flags = zero_is_none ? BPF_F_MARK_MANGLED_0 : 0;
	at += p->outer_bytes;
	if (pseudo && bpf_l4_csum_replace(p->context, at, 0, pseudo, flags | BPF_F_PSEUDO_HDR))
		return false;
	return !plain || !bpf_l4_csum_replace(p->context, at, 0, plain, flags);
}

// The headers must lie in the linear part; a small frame from a tap already does.
weft_inline bool skb_load(struct packet *p, u32 window)
{
	struct __sk_buff *skb = p->context;
	u32 want = skb->len < window ? skb->len : window;
	if ((u64)skb->data + want > (u64)skb->data_end && bpf_skb_pull_data(skb, want))
		return false;
	return packet_open(p, skb, 0);
}

#include "ebpf/tc_observe.h"

#include "ebpf/tc_send.h"

// Outer headers off, by weft itself. Never of a superpacket: it would stay marked as one of a
// tunnel.
weft_inline bool skb_decapsulate(struct pipeline *line)
{
	struct packet *p = line->packet;
	const struct eth_header *eth = packet_at(p, 0, sizeof(*eth));
	struct eth_header inner;
	u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	if (!eth)
		return false;
	inner = *eth;
	if (inner.type == weft_hton16(WEFT_ETH_IPV6))
		flags |= ADJ_ROOM_DECAP_L3_IPV6;
	if (bpf_skb_adjust_room(p->context, -(int)OWN_BYTES, BPF_ADJ_ROOM_MAC, flags))
		return false;
	p->outer_bytes = 0;
	struct eth_header *data = (void *)(long)p->context->data;
	if ((void *)(data + 1) > (void *)(long)p->context->data_end)
		return false;
	*data = inner;
	return true;
}

weft_inline u32 skb_bytes(const struct pipeline *line)
{
	return packet_length(line->packet) - packet_tag_bytes(line->layout);
}

weft_inline enum weft_drop apply_forward(struct pipeline *line)
{
	u32 port = line->verdict->port, bytes = skb_bytes(line);
	if (line->packet->outer_bytes && !skb_decapsulate(line))
		return WEFT_DROP_rewrite_failed;
	return skb_send(line, port, device_of(port), line->verdict->tag, bytes);
}

// What the carrier must segment or must not reorder stays with it: see own_path.h.
weft_inline bool skb_takes_own_path(struct pipeline *line, struct overlay_way *way)
{
	return !line->packet->context->gso_size && overlay_own_flow(line->key, line->verdict) &&
	       own_way(line, way);
}

// The kernel leaves the old Ethernet header in front: it is written again behind the outer headers.
weft_inline enum weft_drop skb_encapsulate(struct pipeline *line, struct overlay_way *way)
{
	struct __sk_buff *skb = line->packet->context;
	packet_open(line->packet, skb, 0); // a tag may have gone
	const struct eth_header *eth = packet_at(line->packet, 0, sizeof(*eth));
	u64 flags = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		    BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(*eth)) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
		    BPF_F_ADJ_ROOM_FIXED_GSO;
	if (!eth)
		return WEFT_DROP_rewrite_failed;
	struct eth_header inner = *eth;
	way->inner_bytes = skb->len;
	if (bpf_skb_adjust_room(skb, OWN_BYTES, BPF_ADJ_ROOM_MAC, flags))
		return WEFT_DROP_rewrite_failed;
	u8 *data = (void *)(long)skb->data;
	if (data + OWN_BYTES + sizeof(inner) > (u8 *)(long)skb->data_end)
		return WEFT_DROP_rewrite_failed;
	*(struct eth_header *)(data + OWN_BYTES) = inner;
	overlay_build4(way, (struct overlay4_header *)(data - 2));
	line->packet->code = bpf_redirect(way->nexthop->ifindex, 0);
	return WEFT_DROP_none;
}

weft_inline enum weft_drop skb_to_peer(struct pipeline *line, u32 peer, u16 vid, u8 tos, u32 bytes)
{
	struct __sk_buff *skb = line->packet->context;
	struct skb_tag tag = skb_tag_of(line);
	u32 carrier = device_of(0);
	if (!carrier)
		return WEFT_DROP_port_absent;
	if (!skb_retag(skb, &tag, vid) || !carrier_set_key(skb, peer, line->verdict->vni, tos))
		return WEFT_DROP_rewrite_failed;
	account_tx(line->tables, peer, bytes);
	if (line->seen)
		line->seen->flags |= WEFT_POSTCARD_CARRIER;
	line->packet->code = bpf_redirect(carrier, 0);
	return WEFT_DROP_none;
}

// This one and the next two are subprograms: see "Subprograms" in docs/architecture.md.
static __noinline enum weft_drop apply_encap(struct pipeline *line)
{
	struct overlay_way way = {
		.tos = overlay_tos(line->packet, line->key, line->layout),
	};
	u32 bytes = skb_bytes(line);
	if (!skb_takes_own_path(line, &way))
		return skb_to_peer(line, line->verdict->port, line->verdict->tag, way.tos, bytes);
	struct skb_tag tag = skb_tag_of(line);
	if (!skb_retag(line->packet->context, &tag, 0))
		return WEFT_DROP_rewrite_failed;
	enum weft_drop drop = skb_encapsulate(line, &way);
	if (line->seen)
		line->seen->flags |= WEFT_POSTCARD_OWN;
	if (!drop)
		account_tx(line->tables, line->verdict->port, bytes);
	return drop;
}

struct flood {
	struct __sk_buff *skb;
	struct weft_member_key key;
	struct skb_tag tag;
	u32 in_port;
	u32 bytes;
	u32 carrier; // its netdev; 0: not to peers
	u32 vni;
	u16 vid;
	u8 flags; // of the verdict
	u8 tos;
};

weft_inline bool flood_to_peer(struct flood *f, u32 peer)
{
	if (!f->carrier || !carrier_set_key(f->skb, peer, f->vni, f->tos))
		return false;
	return bpf_clone_redirect(f->skb, f->carrier, 0) >= 0;
}

static long flood_one(u32 index, struct flood *f)
{
	f->key.index = index;
	const struct weft_member_row *member = TABLE_GET(NULL, member, &f->key);
	if (!member || member->port == f->in_port)
		return 0;
	u32 port = member->port, peer = member->tag == WEFT_MEMBER_PEER;
	u32 ifindex = peer ? f->carrier : device_of(port);
	if (!ifindex || !packet_may_reach(NULL, f->flags, port))
		return 0; // an absent port misses the flood; its state says so
	if (!skb_retag(f->skb, &f->tag, packet_leave_tag(f->flags, f->vid, member->tag)))
		return 1;
	if (peer ? flood_to_peer(f, port) : bpf_clone_redirect(f->skb, ifindex, 0) >= 0)
		account_tx(NULL, port, f->bytes);
	return 0;
}

static __noinline enum weft_drop apply_flood(struct pipeline *line)
{
	struct weft_index index = {line->verdict->network};
	const struct weft_network_row *network = TABLE_GET(line->tables, network, &index);
	bool peers = line->verdict->vni && !(line->verdict->flags & WEFT_VERDICT_FROM_PEER);
	if (!network)
		return WEFT_DROP_no_destination;
	struct flood f = {
		.skb = line->packet->context,
		.key = {.network = index.index, .epoch = network->member_epoch},
		.tag = skb_tag_of(line),
		.in_port = line->key->in_port,
		.bytes = skb_bytes(line),
		.carrier = peers ? device_of(0) : 0,
		.vni = line->verdict->vni,
		.vid = line->key->vid,
		.flags = line->verdict->flags,
		.tos = overlay_tos(line->packet, line->key, line->layout),
	};
	bpf_loop(network->member_count, flood_one, &f, 0);
	index.index = 0; // and the peers that all networks share
	network = TABLE_GET(line->tables, network, &index);
	if (f.carrier && network) {
		f.key = (struct weft_member_key){.epoch = network->member_epoch};
		bpf_loop(network->member_count, flood_one, &f, 0);
	}
	line->packet->code = TC_ACT_SHOT; // the copies are out; this is not counted as a drop
	return WEFT_DROP_none;
}

static __noinline enum weft_drop apply_reply(struct pipeline *line)
{
	struct packet *p = line->packet;
	u32 zero = 0;
	struct weft_scratch_row *scratch = bpf_map_lookup_elem(&weft_scratch, &zero);
	if (!scratch)
		return WEFT_DROP_rewrite_failed;
	struct reply *reply = &scratch->reply;
	enum weft_drop drop = reply_build(p, line->key, line->layout, line->verdict, reply);
	if (drop)
		return drop;
	u32 last = reply->l3_length - 1u, at = line->layout->l3_bytes;
	asm volatile("" : "+r"(last)); // Linux 6.1's verifier learns nothing from `length == 0`
	if (last >= sizeof(reply->l3) || at > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	u32 length = last + 1;
	if (!reply->keep_tail && bpf_skb_change_tail(p->context, at + length, 0))
		return WEFT_DROP_rewrite_failed;
	if (bpf_skb_store_bytes(p->context, 0, reply, 2 * sizeof(struct weft_mac), 0) ||
		bpf_skb_store_bytes(p->context, at, reply->l3, length, 0))
		return WEFT_DROP_rewrite_failed;
	if (reply->sum_bytes &&
		!packet_sum(p, at + reply->sum_bytes, reply->pseudo, reply->plain, false))
		return WEFT_DROP_rewrite_failed;
	if (line->verdict->flags & WEFT_VERDICT_FROM_PEER)
		return skb_to_peer(line, line->key->in_port, line->key->vid, 0, skb_bytes(line));
	return skb_send(
		line, line->key->in_port, p->context->ifindex, line->key->vid, skb_bytes(line));
}

weft_inline enum weft_drop apply_to_host(struct pipeline *line)
{
	line->packet->code =
		TC_ACT_UNSPEC; // whatever comes after weft on the device, then the stack
	return WEFT_DROP_none;
}

weft_inline bool hook_takes(struct pipeline *line, u32 action)
{
	return !line->packet->outer_bytes || own_takes(line, action);
}

#include "ebpf/flow_run.h"

// Which port the frame comes from. False: it is dealt with, packet->code says how.
static __noinline bool skb_receive(
	struct pipeline *line, u32 device, u32 *port, struct weft_record *record)
{
	struct packet *p = line->packet;
	u32 window = WEFT_PARSE_BYTES + (device & WEFT_DEVICE_UNDERLAY ? OVERLAY6_BYTES : 0);
	*port = device & WEFT_DEVICE_PORT;
	bool mine = p->context->pkt_type == PACKET_HOST && !p->context->vlan_present;
	if (device & WEFT_DEVICE_WATCHED && !*port) {
		p->code = TC_ACT_UNSPEC;
		return false;
	}
	if (device & WEFT_DEVICE_UNDERLAY && mine && packet_open(p, p->context, 0) &&
		own_is_tcp(p)) {
		p->code = TC_ACT_UNSPEC;
		return false;
	}
	if (!skb_load(p, window)) {
		pipeline_reject(NULL, *port, WEFT_DROP_rewrite_failed, record);
		return false;
	}
	if (device & WEFT_DEVICE_CARRIER)
		return carrier_receive(line, port, record);
	if (!(device & WEFT_DEVICE_UNDERLAY))
		return true;
	enum own_kind kind =
		mine ? own_receive(line, p->context->gso_size, port, record) : OWN_NONE;
	if (kind == OWN_CARRIER || (kind == OWN_NONE && !*port))
		p->code = TC_ACT_UNSPEC;
	return kind == OWN_INNER || (kind == OWN_NONE && *port);
}

// weftd's own frame: in whose name it comes stands behind it. 0: it is none.
static __noinline u32 skb_enter(struct __sk_buff *skb)
{
	u32 port = 0, at = skb->len - (u32)sizeof(port);
	if (at > ENTRY_BYTES || bpf_skb_load_bytes(skb, at, &port, sizeof(port)) ||
		bpf_skb_change_tail(skb, at, 0))
		return 0;
	return port & (WEFT_DEVICE_PORT | WEFT_DEVICE_OUTWARD);
}

SEC("tc")
int weft_tc(struct __sk_buff *skb)
{
	u32 device = device_at(skb->ifindex), port = 0, zero = 0;
	struct packet packet = {.context = skb, .code = TC_ACT_SHOT};
	struct pipeline line = {.packet = &packet};
	struct weft_record *record = weft_inject ? bpf_map_lookup_elem(&weft_record, &zero) : NULL;
	if (!device || !pipeline_open(&line))
		return TC_ACT_UNSPEC;
	line.now_ns = clock_now_ns();
	if (device & WEFT_DEVICE_ENTRY) {
		device = skb_enter(skb);
		if (!(device & WEFT_DEVICE_PORT))
			return TC_ACT_SHOT;
		device |= WEFT_DEVICE_ENTRY;
	}
	observe_begin(&line, device);
	if (!skb_receive(&line, device, &port, record)) {
		if (line.seen && packet.code == TC_ACT_UNSPEC)
			weft_expect(skb);
		if (record)
			record->passed = packet.code == TC_ACT_UNSPEC;
		return packet.code;
	}
	if (device & WEFT_DEVICE_CARRIER)
		observe_from_carrier(&line);
	else if (line.seen && packet.outer_bytes)
		line.seen->flags = WEFT_POSTCARD_OWN;
	if (!flow_run(&line, port, record) && !pipeline_run(&line, port, record)) {
		if (line.seen && packet.outer_bytes)
			weft_expect(skb);
		return TC_ACT_UNSPEC;
	}
	if (record) {
		record->tagged = skb->vlan_present;
		record->tci = (u16)skb->vlan_tci;
	}
	return packet.code;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
