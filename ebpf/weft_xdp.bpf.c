// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The XDP hook: the same pipeline over an xdp_buff, in front of TC. It takes what is dropped and
// what leaves by a device that has it, too; all else passes on to TC, after the kernel merged it.
#define HOOK_CONTEXT struct xdp_md
#include "ebpf/hook.h"
#include "ebpf/own_path.h"
#include "ebpf/line_observe.h"

weft_inline u32 packet_length(const struct packet *p)
{
	u64 length = (u64)(p->data_end - p->data);
	__asm__ volatile("" : "+r"(length)); // else it may be 32-bit arithmetic with pointers
	return (u32)length;
}

weft_inline bool packet_tag(const struct packet *p, u16 *tpid, u16 *tci)
{
	(void)p, (void)tpid, (void)tci;
	return false;
}

weft_inline u32 packet_segment_length(const struct packet *p, const struct weft_layout *layout)
{
	(void)layout;
	return packet_length(p);
}

weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout)
{
	(void)p, (void)layout;
	return 1;
}

weft_inline bool packet_word(const struct packet *p, u32 at, u64 *word)
{
	return !bpf_xdp_load_bytes(p->context, p->outer_bytes + at, word, sizeof(*word));
}

weft_inline bool packet_sum(struct packet *p, u32 at, u32 pseudo, u32 plain, bool zero_is_none)
{
	be16 *sum = (be16 *)packet_at(p, at, sizeof(*sum));
	if (sum)
		*sum = rewrite_sum_of(*sum, pseudo + plain, zero_is_none);
	return sum;
}

// --- observation: all but P6, for no reader of a tap can tell which frame it has got

weft_inline void observe_arrived(struct observation *seen, u64 identity)
{
	(void)seen, (void)identity;
}

weft_inline void observe_depart(
	struct xdp_md *xdp, const struct observation *seen, u32 from, u32 to, u64 out_ns)
{
	(void)seen, (void)from, (void)to, (void)out_ns;
	__asm__ volatile("" : : "r"(xdp)); // else callers leave it out, and the verifier minds
}

__noinline int weft_card(struct xdp_md *xdp, u32 at)
{
	struct weft_scratch_row *scratch = scratch_row();
	u32 length = (u32)(xdp->data_end - xdp->data);
	if (!scratch || length <= at)
		return 0;
	struct weft_postcard *card = &scratch->seen.card;
	card->captured = card->tagged = card->tci = 0;
	card->bytes = length - at;
	// Linux 6.1's verifier wants to see both bounds of this very value, the lower one signed.
	__s32 bytes = card->bytes < WEFT_POSTCARD_FRAME ? (__s32)card->bytes : WEFT_POSTCARD_FRAME;
	__asm__ volatile("" : "+r"(bytes));
	if (bytes < 1)
		return 0;
	__asm__ volatile("" : "+r"(bytes));
	if (bytes <= WEFT_POSTCARD_FRAME && !bpf_xdp_load_bytes(xdp, at, card->frame, (u32)bytes))
		card->captured = (u32)bytes;
	return 0;
}

// TC hands probes to weftd: see hook_takes.
static void probe_take(struct pipeline *line)
{
	(void)line;
}

struct tagged_eth_header {
	struct weft_mac dst;
	struct weft_mac src;
	be16 tpid;
	be16 tci;
	be16 type;
};

// Moves the addresses, so that the frame begins with or without a tag.
weft_inline bool xdp_retag(struct pipeline *line, u16 vid)
{
	struct xdp_md *xdp = line->packet->context;
	struct eth_header *eth = (void *)(long)xdp->data;
	bool tagged = line->layout->tagged;
	if (tagged == (vid != 0) && line->key->vid == vid)
		return true;
	if ((void *)(eth + 1) > (void *)(long)xdp->data_end)
		return false;
	struct tagged_eth_header head = {
		.dst = eth->dst,
		.src = eth->src,
		.tpid = weft_hton16(WEFT_ETH_8021Q),
		.tci = weft_hton16((line->layout->tci & WEFT_TCI_PRIORITY_MASK) | vid),
		.type = weft_hton16(line->key->ethertype),
	};
	int grow = (vid ? 4 : 0) - (tagged ? 4 : 0);
	if (grow && bpf_xdp_adjust_head(xdp, -grow))
		return false;
	void *data = (void *)(long)xdp->data, *data_end = (void *)(long)xdp->data_end;
	if (vid) {
		if (data + sizeof(head) > data_end)
			return false;
		__builtin_memcpy(data, &head, sizeof(head));
	} else {
		struct eth_header *plain = data;
		if ((void *)(plain + 1) > data_end)
			return false;
		plain->dst = head.dst;
		plain->src = head.src;
		plain->type = head.type;
	}
	return true;
}

// A driver without the program may lose what is redirected to it, and tell nobody.
weft_inline bool hook_reaches(u32 ifindex)
{
	return device_at(ifindex) & WEFT_DEVICE_XDP;
}

weft_inline int hook_send(const struct packet *p, u32 port, u32 ifindex)
{
	(void)port;
	return ifindex == p->context->ingress_ifindex ? XDP_TX : (int)bpf_redirect(ifindex, 0);
}

weft_inline enum weft_drop apply_forward(struct pipeline *line)
{
	u32 port = line->verdict->port;
	u32 ifindex = device_of(port);
	u32 bytes = packet_length(line->packet) - packet_tag_bytes(line->layout);
	if (!ifindex)
		return WEFT_DROP_port_absent;
	if (line->packet->outer_bytes && bpf_xdp_adjust_head(line->packet->context, OWN_BYTES))
		return WEFT_DROP_rewrite_failed;
	if (!xdp_retag(line, line->verdict->tag))
		return WEFT_DROP_rewrite_failed;
	account_tx(line->tables, port, bytes);
	line->packet->code = hook_send(line->packet, port, ifindex);
	return WEFT_DROP_none;
}

static __noinline enum weft_drop apply_encap(struct pipeline *line)
{
	struct xdp_md *xdp = line->packet->context;
	struct overlay_way way = {
		.tos = overlay_tos(line->packet, line->key, line->layout),
	};
	u32 bytes = packet_length(line->packet) - packet_tag_bytes(line->layout);
	if (!own_way(line, &way) || !xdp_retag(line, line->verdict->tag))
		return WEFT_DROP_rewrite_failed;
	way.inner_bytes = bytes + (line->verdict->tag ? (u32)sizeof(struct vlan_header) : 0);
	if (bpf_xdp_adjust_head(xdp, -(int)OWN_BYTES))
		return WEFT_DROP_rewrite_failed;
	u8 *data = (void *)(long)xdp->data;
	if (data + OWN_BYTES > (u8 *)(long)xdp->data_end)
		return WEFT_DROP_rewrite_failed;
	overlay_build4(&way, (struct overlay4_header *)(data - 2));
	account_tx(line->tables, line->verdict->port, bytes);
	line->packet->code = hook_send(line->packet, 0, way.nexthop->ifindex);
	return WEFT_DROP_none;
}

// A stack frame of its own: the program's is below decide's, and both must fit.
static __noinline bool xdp_takes(struct pipeline *line, u32 action)
{
	struct overlay_way way = {0};
	if (probe_suspect(line->key) && line->verdict->flags & WEFT_VERDICT_FROM_PEER)
		return action == WEFT_ACTION_drop; // TC hands probes to weftd
	if (probe_answer_suspect(line->key))
		return false; // and guests' answers
	if (action == WEFT_ACTION_drop)
		return true;
	if (line->packet->outer_bytes && !own_takes(line, action))
		return false;
	if (action == WEFT_ACTION_encap)
		return own_way(line, &way) && hook_reaches(way.nexthop->ifindex);
	return action == WEFT_ACTION_forward && hook_reaches(device_of(line->verdict->port));
}

weft_inline bool hook_takes(struct pipeline *line, u32 action)
{
	return xdp_takes(line, action);
}

// What hook_takes refuses: the driver never calls them.
weft_inline enum weft_drop apply_flood(struct pipeline *line)
{
	(void)line;
	return WEFT_DROP_rewrite_failed;
}

weft_inline enum weft_drop apply_reply(struct pipeline *line)
{
	(void)line;
	return WEFT_DROP_rewrite_failed;
}

weft_inline enum weft_drop apply_to_host(struct pipeline *line)
{
	(void)line;
	return WEFT_DROP_rewrite_failed;
}

#include "ebpf/flow_run.h"

// The flow is known, and goes where this hook does not: nothing more is to be worked out here.
static __noinline bool xdp_passes(const struct pipeline *line)
{
	struct flow_look *look = line->packet->look;
	const struct flow_slot *slot =
		look->hit ? bpf_map_lookup_elem(&weft_flow, &look->slot) : NULL;
	return slot && slot->action == WEFT_ACTION_forward && !hook_reaches(device_of(slot->port));
}

// Which port the frame comes from; 0: it is dealt with, as *code says.
static __noinline u32 xdp_receive(
	struct pipeline *line, u32 device, struct weft_record *record, int *code)
{
	u32 port = device & WEFT_DEVICE_PORT;
	*code = XDP_PASS;
	if (!(device & WEFT_DEVICE_UNDERLAY))
		return port;
	enum own_kind kind = own_receive(line, false, &port, record);
	if (kind == OWN_DROPPED)
		*code = XDP_DROP;
	return kind == OWN_DROPPED || kind == OWN_CARRIER ? 0 : port;
}

SEC("xdp")
int weft_xdp(struct xdp_md *xdp)
{
	u32 device = device_at(xdp->ingress_ifindex), zero = 0;
	int code;
	struct packet packet = {.code = XDP_DROP};
	struct pipeline line = {.packet = &packet};
	struct weft_record *record = weft_inject ? bpf_map_lookup_elem(&weft_record, &zero) : NULL;
	packet_open(&packet, xdp, 0);
	if (!(device & (WEFT_DEVICE_PORT | WEFT_DEVICE_UNDERLAY)) || !pipeline_open(&line))
		return XDP_PASS;
	line.now_ns = clock_now_ns();
	observe_begin(&line, device);
	u32 port = xdp_receive(&line, device, record, &code);
	if (!port) {
		if (record && code == XDP_PASS)
			record->passed = true;
		return code;
	}
	if (line.seen && packet.outer_bytes)
		line.seen->flags = WEFT_POSTCARD_OWN;
	if (flow_run(&line, port, record))
		return packet.code;
	if (!record && xdp_passes(&line))
		return XDP_PASS;
	return pipeline_run(&line, port, record) ? packet.code : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
