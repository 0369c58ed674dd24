// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// How the TC hook sends by a device: with which tag, and which way.
#pragma once

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
		.vid = line->key->vid,
		.priority = line->layout->tci & WEFT_TCI_PRIORITY_MASK,
		.tagged = line->layout->tagged,
	};
}

weft_inline bool hook_reaches(u32 ifindex)
{
	(void)ifindex;
	return true;
}

// Past the queue between a veth's two ends, if the port is `direct`. As for a NIC, it is this
// machine's only by its address; for another one (a bridge behind) it goes the ordinary way.
weft_inline int skb_leave(struct __sk_buff *skb, u32 port, u32 ifindex)
{
	const struct weft_port_device_row *row = bpf_map_lookup_elem(&weft_port_device, &port);
	const struct eth_header *eth = (void *)(long)skb->data;
	if (row && row->direct && row->ifindex == ifindex &&
		(void *)(eth + 1) <= (void *)(long)skb->data_end &&
		parse_same_mac(&eth->dst, &row->peer) && !bpf_skb_change_type(skb, PACKET_HOST))
		return (int)bpf_redirect_peer(ifindex, 0);
	return (int)bpf_redirect(ifindex, 0);
}

weft_inline int hook_send(const struct packet *p, u32 port, u32 ifindex)
{
	return skb_leave(p->context, port, ifindex);
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
	line->packet->code = skb_leave(line->packet->context, port, ifindex);
	return WEFT_DROP_none;
}
