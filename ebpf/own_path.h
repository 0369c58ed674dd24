// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Which frames between hosts weft carries itself; all others the carrier does.
//
// The choice is by flow, never by packet, or TCP would be reordered: TCP keeps to the carrier,
// which merges and splits superpackets. IPv4 underlay only: over IPv6 the outer checksum covers the
// payload.
#pragma once

// Outer headers of a received frame: whose is it?
enum own_kind {
	OWN_NONE,    // not of the overlay
	OWN_INNER,   // the packet begins at the inner frame now, the port is the peer
	OWN_CARRIER, // of the overlay, for the kernel's device
	OWN_DROPPED, // counted
};

struct own_peek { // an IPv4 VTEP's frame, as far as the inner IP header's protocol
	struct overlay4_header outer;
	struct eth_header inner;
	u8 l3[10];
};

// The protocol in a plain IP header; 0: no IP.
weft_inline u8 own_protocol(be16 type, const u8 *l3)
{
	if (type == weft_hton16(WEFT_ETH_IPV4))
		return l3[9];
	return type == weft_hton16(WEFT_ETH_IPV6) ? l3[6] : 0;
}

// TCP between hosts is most of what an underlay carries, and none of it is for the own path: seen
// before anything is looked up. p->data may be short: then it is asked again later.
weft_inline bool own_is_tcp(const struct packet *p)
{
	u32 zero = 0;
	const u8 *data = p->data;
	if (data + sizeof(struct own_peek) - 2 > (const u8 *)p->data_end)
		return false;
	const struct own_peek *peek = (const void *)(data - 2);
	const struct weft_host_row *host = TABLE_GET(NULL, host, &zero);
	return host && peek->outer.eth.type == weft_hton16(WEFT_ETH_IPV4) &&
	       peek->outer.ip.version_ihl == 0x45 && peek->outer.ip.protocol == WEFT_IP_UDP &&
	       peek->outer.ip.dst == *(const be32 *)(host->address + 12) &&
	       peek->outer.udp.dst_port == weft_hton16(host->udp_port) &&
	       own_protocol(peek->inner.type, peek->l3) == WEFT_IP_TCP;
}

// Would TC leave it to the carrier? The inner frame, at the packet's beginning.
weft_inline bool own_regular(const struct packet *p, u8 outer_tos)
{
	const struct eth_header *eth = packet_at(p, 0, sizeof(*eth) + 20);
	if (!eth)
		return false;
	const u8 *l3 = (const u8 *)(eth + 1);
	u16 type = weft_ntoh16(eth->type);
	if (type != WEFT_ETH_IPV4 && !(type == WEFT_ETH_IPV6 && weft_decap_ipv6))
		return false;
	u8 tos = overlay_inner_tos(type, l3);
	return own_protocol(eth->type, l3) != WEFT_IP_TCP &&
	       overlay_ecn(tos, outer_tos) == (tos & 3);
}

// What came with outer headers goes to one port or nowhere; for all else the carrier takes it
// apart.
weft_inline bool own_takes(const struct pipeline *line, u32 action)
{
	return action == WEFT_ACTION_drop ||
	       (action == WEFT_ACTION_forward && line->verdict->flags & WEFT_VERDICT_OWN);
}

__noinline int weft_outer(HOOK_CONTEXT *context, struct overlay *o)
{
	struct packet p = {0};
	if (!o || !packet_open(&p, context, 0))
		return OWN_NONE;
	switch (overlay_receive(NULL, &p, o)) {
	case OVERLAY_NO:
		return OWN_NONE;
	case OVERLAY_BAD:
		return OWN_DROPPED;
	default:
		break;
	}
	if (o->ipv6 || o->checksum || !packet_open(&p, context, OWN_BYTES))
		return OWN_CARRIER;
	return own_regular(&p, o->tos) ? OWN_INNER : OWN_CARRIER;
}

weft_inline enum own_kind own_receive(
	struct pipeline *line, bool superpacket, u32 *port, struct weft_record *record)
{
	struct packet *p = line->packet;
	struct overlay o = {0};
	enum own_kind kind = weft_outer(p->context, &o);
	if (kind == OWN_NONE)
		return OWN_NONE;
	if (kind == OWN_DROPPED && !superpacket)
		pipeline_reject(NULL, 0, o.drop, record);
	else if (kind != OWN_INNER || superpacket || !packet_open(p, p->context, OWN_BYTES))
		kind = OWN_CARRIER;
	if (kind != OWN_INNER)
		return kind;
	line->vni = o.vni;
	*port = o.peer;
	return OWN_INNER;
}

// The way of a frame that is to leave for the verdict's peer; false: there is none of weft's own.
static __noinline bool own_way(struct pipeline *line, struct overlay_way *way)
{
	if (!(line->verdict->flags & WEFT_VERDICT_OWN))
		return false;
	overlay_find_way(NULL, line->key, line->verdict->port, way);
	way->vni = line->verdict->vni;
	return overlay_own_way(way, packet_length(line->packet), line->now_ns);
}
