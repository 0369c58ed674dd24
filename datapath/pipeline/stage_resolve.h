// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage resolve: who has which IP address (from ARP and ND), and the answer instead of a flood.
#pragma once

weft_inline void resolve_bind(struct decide *d)
{
	const struct weft_key *key = decide_whole(d);
	const struct weft_ip *ip = neighbour_of(key);
	if (!(key->flags & WEFT_KEY_BINDING) || ip_is_gateway(d->network, ip))
		return;
	struct weft_neighbour_key place = neighbour_key(d->verdict->network, ip);
	const struct weft_neighbour_row *row = TABLE_GET(d->tables, neighbour, &place);
	if (!row || row->flags != neighbour_flags(key, row->flags) || row->port != key->in_port ||
		!parse_same_mac(&row->mac, &key->src) ||
		(s64)(d->now_ns - row->seen_ns) > (s64)WEFT_REFRESH_NS)
		d->verdict->effects |= WEFT_EFFECT_bind;
}

// The question asks everybody. Probes for a duplicate address (from no address) and announcements
// (RFC 5227: of the sender's own) are for everybody to hear, and for the owner to defend.
weft_inline enum weft_reply resolve_question(const struct weft_key *key)
{
	if (!mac_is_group(&key->dst) || key->in_port == 0)
		return WEFT_REPLY_none;
	if (key->ethertype == WEFT_ETH_ARP)
		return key->l4_src == WEFT_ARP_REQUEST && key->ip_src.word[3] &&
				       key->ip_src.word[3] != key->ip_dst.word[3]
			       ? WEFT_REPLY_arp
			       : WEFT_REPLY_none;
	if (key->flags & WEFT_KEY_ND && !(key->flags & (WEFT_KEY_FRAGMENT | WEFT_KEY_OPTIONS)) &&
		key->l4_src == WEFT_ND_SOLICIT && !ip_is_zero(&key->ip_src))
		return WEFT_REPLY_nd;
	return WEFT_REPLY_none;
}

// A binding is answered for only while its station is where it was and was heard of lately.
weft_inline bool resolve_fresh(const struct decide *d, const struct weft_neighbour_row *row)
{
	struct weft_fdb_key place = fdb_key(d->verdict->network, &row->mac);
	const struct weft_fdb_row *fdb = TABLE_GET(d->tables, fdb, &place);
	if (!fdb || fdb->port != row->port || row->port == d->key->in_port ||
		row->flags & WEFT_NEIGHBOUR_CONTESTED)
		return false;
	u64 seen_ns = (s64)(fdb->seen_ns - row->seen_ns) > 0 ? fdb->seen_ns : row->seen_ns;
	return (s64)(d->now_ns - seen_ns) <= (s64)d->network->neighbour_ns;
}

weft_inline bool stage_resolve(struct decide *d)
{
	if (d->outside || (d->key->ethertype != WEFT_ETH_ARP && !(d->key->flags & WEFT_KEY_ND)))
		return false;
	if (d->verdict->flags & WEFT_VERDICT_KEEP_TAG) // a payload tag is a world of its own
		return false;
	const struct weft_key *key = decide_whole(d);
	resolve_bind(d);
	enum weft_reply reply = resolve_question(key);
	if (!reply || !d->network->neighbour_ns || d->verdict->flags & WEFT_VERDICT_FROM_PEER ||
		ip_is_gateway(d->network, &key->ip_dst))
		return false;
	struct weft_neighbour_key asked = neighbour_key(d->verdict->network, &key->ip_dst);
	const struct weft_neighbour_row *row = TABLE_GET(d->tables, neighbour, &asked);
	if (!row || !resolve_fresh(d, row) ||
		(reply == WEFT_REPLY_nd && !(row->flags & WEFT_NEIGHBOUR_ADVERTISED)))
		return false;
	if (row->flags & WEFT_NEIGHBOUR_ROUTER)
		d->verdict->flags |= WEFT_VERDICT_ROUTER;
	d->verdict->effects |= WEFT_EFFECT_suppress;
	return decide_reply(d, reply, &row->mac);
}
