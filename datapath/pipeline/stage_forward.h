// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage forward: the FDB, the flood, and what the network's gateway address answers.
#pragma once

// What an address that weft itself has answers: it resolves (ARP, ND) whoever the question is sent
// to, and echoes what is sent to it.
weft_inline enum weft_reply forward_reply(const struct weft_key *key, bool to_its_mac)
{
	if (key->ethertype == WEFT_ETH_ARP)
		return key->l4_src == WEFT_ARP_REQUEST ? WEFT_REPLY_arp : WEFT_REPLY_none;
	if (!(key->flags & WEFT_KEY_L4) || (key->flags & (WEFT_KEY_FRAGMENT | WEFT_KEY_OPTIONS)))
		return WEFT_REPLY_none;
	if (key->flags & WEFT_KEY_ND && key->l4_src == WEFT_ND_SOLICIT)
		return WEFT_REPLY_nd;
	if (key->protocol == WEFT_IP_ICMPV6 && key->l4_src == WEFT_ICMPV6_ECHO && to_its_mac)
		return WEFT_REPLY_echo6;
	if (key->protocol == WEFT_IP_ICMP && key->l4_src == WEFT_ICMP_ECHO && to_its_mac)
		return WEFT_REPLY_echo;
	return WEFT_REPLY_none;
}

weft_inline enum weft_reply forward_gateway_reply(const struct decide *d, bool to_gateway_mac)
{
	const struct weft_key_head *head = d->key;
	bool v4 = head->ethertype == WEFT_ETH_IPV4 && head->protocol == WEFT_IP_ICMP;
	bool v6 = head->ethertype == WEFT_ETH_IPV6 && head->protocol == WEFT_IP_ICMPV6;
	bool arp = head->ethertype == WEFT_ETH_ARP;
	if (d->verdict->flags & WEFT_VERDICT_KEEP_TAG || !(v4 || v6 || arp))
		return WEFT_REPLY_none;
	const struct weft_key *key = decide_whole(d);
	if (!ip_is_gateway(d->network, &key->ip_dst))
		return WEFT_REPLY_none;
	return forward_reply(key, to_gateway_mac);
}

// Who is left to hear it? From a local port: the other members, and the peers.
weft_inline bool forward_heard(const struct decide *d)
{
	u32 local = d->network->member_count;
	if (d->verdict->flags & WEFT_VERDICT_FROM_PEER)
		return local > 0;
	bool member = !d->outside && !(d->port->flags & WEFT_PORT_WEFTD); // the in-port
	if (local > member)
		return true;
	struct weft_index shared = {0};
	const struct weft_network_row *peers = TABLE_GET(d->tables, network, &shared);
	return d->verdict->vni && peers && peers->member_count;
}

weft_inline bool forward_flood(struct decide *d)
{
	if (!forward_heard(d))
		return decide_drop(d, WEFT_DROP_no_destination);
	d->verdict->action = WEFT_ACTION_flood;
	d->verdict->meter = d->port->storm_meter;
	return true;
}

// The wall between networks does not hang on the FDB alone: a row whose port has left the network
// (its id may be another port's by now) is no row. NULL: not in the network.
weft_inline const struct weft_port_row *forward_place(
	const struct decide *d, const struct weft_fdb_row *row)
{
	struct weft_index index = {row->port};
	const struct weft_port_row *port = TABLE_GET(d->tables, port, &index);
	struct weft_tag_key tag = {.port = row->port, .tag = row->tag};
	if (!port || !(port->flags & WEFT_PORT_PRESENT))
		return NULL;
	if (d->verdict->flags & WEFT_VERDICT_KEEP_TAG && port->flags & WEFT_PORT_TRUNK)
		return NULL; // there a payload tag would name another network
	if (port->flags & WEFT_PORT_PEER) {
		if (!(port->flags & WEFT_PORT_LIMITED))
			return d->verdict->vni ? port : NULL;
		tag.tag = d->verdict->vni;
	} else if (!row->tag) {
		return port->network == d->verdict->network ? port : NULL;
	}
	const struct weft_tag_row *tagged = TABLE_GET(d->tables, tag, &tag);
	return tagged && tagged->network == d->verdict->network ? port : NULL;
}

weft_inline bool forward_to(
	struct decide *d, const struct weft_fdb_row *row, const struct weft_port_row *port)
{
	struct weft_verdict *verdict = d->verdict;
	bool peer = port->flags & WEFT_PORT_PEER;
	if (port->flags & WEFT_PORT_WEFTD)
		return decide_drop(d, WEFT_DROP_answered_weftd);
	if (row->port == d->key->in_port && !(verdict->flags & WEFT_VERDICT_REWRITE))
		return decide_drop(d, WEFT_DROP_hairpin); // a service may answer where it is asked
	if (peer && verdict->flags & WEFT_VERDICT_FROM_PEER)
		return decide_drop(d, WEFT_DROP_split_horizon);
	verdict->action = peer ? WEFT_ACTION_encap : WEFT_ACTION_forward;
	verdict->port = row->port;
	verdict->tag = verdict->flags & WEFT_VERDICT_KEEP_TAG ? d->key->vid : row->tag;
	return true;
}

weft_inline bool stage_forward(struct decide *d)
{
	const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	bool to_gateway_mac = mac_is_gateway(&d->dst);
	if (!d->network)
		return decide_drop(d, WEFT_DROP_port_removed);
	if (d->key->vni & WEFT_KEY_BALANCED && !(d->verdict->flags & WEFT_VERDICT_REWRITE))
		return decide_drop(d, WEFT_DROP_no_service);
	if (to_gateway_mac || mac_is_group(&d->dst)) {
		enum weft_reply reply = forward_gateway_reply(d, to_gateway_mac);
		d->verdict->flags |= reply ? WEFT_VERDICT_ROUTER : 0;
		if (reply)
			return decide_reply(d, reply, &gateway);
		if (to_gateway_mac)
			return decide_drop(d, WEFT_DROP_not_routed);
		return forward_flood(d);
	}
	struct weft_fdb_key place = fdb_key(d->verdict->network, &d->dst);
	const struct weft_fdb_row *row = TABLE_GET(d->tables, fdb, &place);
	if (!row || !fdb_live(row, d->network, d->now_ns))
		return forward_flood(d);
	const struct weft_port_row *port = forward_place(d, row);
	return port ? forward_to(d, row, port) : forward_flood(d);
}
