// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage forward: the FDB, the flood, and what the network's gateway address answers.
#pragma once

weft_inline bool forward_reply(struct decide *d, enum weft_reply reply)
{
	d->verdict->action = WEFT_ACTION_reply;
	d->verdict->reply = reply;
	return true;
}

weft_inline bool forward_is_gateway4(const struct decide *d)
{
	return d->network->gateway4 && d->key->ip_dst.word[3] == d->network->gateway4;
}

weft_inline bool forward_is_gateway6(const struct decide *d)
{
	const be32 *a = (const be32 *)d->network->gateway6, *b = d->key->ip_dst.word;
	return (a[0] | a[1] | a[2] | a[3]) && a[0] == b[0] && a[1] == b[1] && a[2] == b[2] &&
	       a[3] == b[3];
}

// The gateway resolves (ARP, ND) whoever the question is sent to, and answers echo.
weft_inline enum weft_reply forward_gateway_reply(const struct decide *d, bool to_gateway_mac)
{
	const struct weft_key *key = d->key;
	if (key->ethertype == WEFT_ETH_ARP)
		return key->l4_src == WEFT_ARP_REQUEST && forward_is_gateway4(d) ? WEFT_REPLY_arp
										 : WEFT_REPLY_none;
	if (!(key->flags & WEFT_KEY_L4) || (key->flags & (WEFT_KEY_FRAGMENT | WEFT_KEY_OPTIONS)))
		return WEFT_REPLY_none;
	if (key->ethertype == WEFT_ETH_IPV6 && key->protocol == WEFT_IP_ICMPV6) {
		if (!forward_is_gateway6(d))
			return WEFT_REPLY_none;
		if (key->l4_src == WEFT_ND_SOLICIT)
			return WEFT_REPLY_nd;
		if (key->l4_src == WEFT_ICMPV6_ECHO && to_gateway_mac)
			return WEFT_REPLY_echo6;
	}
	if (key->ethertype == WEFT_ETH_IPV4 && key->protocol == WEFT_IP_ICMP && to_gateway_mac &&
		key->l4_src == WEFT_ICMP_ECHO && forward_is_gateway4(d))
		return WEFT_REPLY_echo;
	return WEFT_REPLY_none;
}

weft_inline bool forward_flood(struct decide *d)
{
	if (d->network->member_count < 2) // the in-port is a member
		return decide_drop(d, WEFT_DROP_no_destination);
	d->verdict->action = WEFT_ACTION_flood;
	d->verdict->meter = d->port->storm_meter;
	return true;
}

// The wall between networks does not hang on the FDB alone: a row whose port has left the network
// (its id may be another port's by now) is no row.
weft_inline bool forward_in_network(const struct decide *d, const struct weft_fdb_row *row)
{
	struct weft_index index = {row->port};
	const struct weft_port_row *port = TABLE_GET(d->tables, port, &index);
	if (!port || !(port->flags & WEFT_PORT_PRESENT))
		return false;
	if (!row->tag)
		return port->network == d->verdict->network;
	struct weft_tag_key tag = {.port = row->port, .vid = row->tag};
	const struct weft_tag_row *tagged = TABLE_GET(d->tables, tag, &tag);
	return tagged && tagged->network == d->verdict->network;
}

weft_inline bool stage_forward(struct decide *d)
{
	const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	bool to_gateway_mac = mac_equal(&d->key->dst, &gateway);
	if (to_gateway_mac || mac_is_group(&d->key->dst)) {
		enum weft_reply reply = forward_gateway_reply(d, to_gateway_mac);
		if (reply)
			return forward_reply(d, reply);
		if (to_gateway_mac)
			return decide_drop(d, WEFT_DROP_not_routed);
		return forward_flood(d);
	}
	struct weft_fdb_key place = fdb_key(d->verdict->network, &d->key->dst);
	const struct weft_fdb_row *row = TABLE_GET(d->tables, fdb, &place);
	if (!row || !fdb_live(row, d->network, d->now_ns) || !forward_in_network(d, row))
		return forward_flood(d);
	if (row->port == d->key->in_port)
		return decide_drop(d, WEFT_DROP_hairpin);
	d->verdict->action = WEFT_ACTION_forward;
	d->verdict->port = row->port;
	d->verdict->tag = row->tag;
	return true;
}
