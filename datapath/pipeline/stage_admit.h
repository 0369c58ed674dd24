// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage admit: which network is the frame in, and may a switch forward it at all?
#pragma once

// What no network claims goes on to the host's stack where the port says so.
weft_inline bool admit_unclaimed(struct decide *d, enum weft_drop reason)
{
	if (!(d->port->flags & WEFT_PORT_HOST))
		return decide_drop(d, reason);
	d->verdict->action = WEFT_ACTION_to_host;
	return true;
}

// Before that, the services which are reached by this port are asked (stage balance).
weft_inline bool admit_outside(struct decide *d, enum weft_drop reason)
{
	if (!(d->port->flags & WEFT_PORT_VIPS))
		return admit_unclaimed(d, reason);
	d->outside = reason;
	return false;
}

// A peer's frame comes from the gateway when a service there has routed it.
weft_inline bool admit_source_ok(const struct decide *d)
{
	const be16 *mac = (const be16 *)&d->key->src;
	return !mac_is_group(&d->key->src) && (mac[0] | mac[1] | mac[2]) &&
	       (d->port->flags & WEFT_PORT_PEER || !mac_is_gateway(&d->key->src));
}

// IEEE 802.1D table 7-10: 01:80:c2:00:00:00 to 0f.
weft_inline bool admit_reserved(const struct weft_mac *mac)
{
	const be16 *word = (const be16 *)mac;
	return word[0] == weft_hton16(0x0180) && word[1] == weft_hton16(0xc200) &&
	       (word[2] & weft_hton16(0xfff0)) == 0;
}

// By the tag: of a trunk port the VID, of a peer the VNI. 0: none has it.
weft_inline u32 admit_tag(const struct decide *d, u32 port, u32 tag)
{
	struct weft_tag_key key = {.port = port, .tag = tag};
	const struct weft_tag_row *row = TABLE_GET(d->tables, tag, &key);
	return row ? row->network : 0;
}

// True: the verdict stands.
weft_inline bool admit_network(struct decide *d, u32 *network)
{
	const struct weft_key_head *key = d->key;
	u32 flags = d->port->flags;
	*network = d->port->network;
	if (flags & WEFT_PORT_PEER) {
		*network = admit_tag(d, flags & WEFT_PORT_LIMITED ? key->in_port : 0,
			key->vni & ~WEFT_KEY_BALANCED);
		d->verdict->flags |= WEFT_VERDICT_FROM_PEER;
		return !*network && decide_drop(d, WEFT_DROP_vni_unknown);
	}
	if (key->flags & WEFT_KEY_TAGGED && flags & WEFT_PORT_TRUNK) {
		*network = admit_tag(d, key->in_port, key->vid);
		return !*network && admit_unclaimed(d, WEFT_DROP_tag_unknown);
	}
	return !*network && admit_outside(d, WEFT_DROP_untagged_on_trunk);
}

// Tags that are no trunk port's are payload, where the network carries such.
weft_inline bool admit_payload_tag(struct decide *d)
{
	if (!(d->key->flags & WEFT_KEY_TAGGED) || d->port->flags & WEFT_PORT_TRUNK)
		return false;
	if (d->network->flags & WEFT_NETWORK_INNER_TAGS) {
		d->verdict->flags |= WEFT_VERDICT_KEEP_TAG;
		return false;
	}
	if (d->port->flags & WEFT_PORT_PEER)
		return decide_drop(d, WEFT_DROP_tag_inner);
	return admit_unclaimed(d, WEFT_DROP_tag_on_access);
}

weft_inline void admit_fill(struct decide *d, struct weft_index *network)
{
	struct weft_verdict *verdict = d->verdict;
	const struct weft_generation_row *generation = TABLE_GET(d->tables, generation, network);
	verdict->network = network->index;
	verdict->generation = generation ? generation->value : 0;
	verdict->vni = d->network->vni;
	if (d->network->flags & WEFT_NETWORK_OWN)
		verdict->flags |= WEFT_VERDICT_OWN;
	if (d->network->mtu)
		verdict->max_bytes = d->network->mtu + (u32)sizeof(struct eth_header);
}

weft_inline bool stage_admit(struct decide *d)
{
	struct weft_index index = {d->key->in_port};
	d->port = TABLE_GET(d->tables, port, &index);
	if (!d->port || !(d->port->flags & WEFT_PORT_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);
	if (admit_network(d, &index.index) || d->outside)
		return !d->outside;
	d->network = TABLE_GET(d->tables, network, &index);
	if (!d->network || !(d->network->flags & WEFT_NETWORK_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);
	if (admit_payload_tag(d))
		return true;
	if (admit_reserved(&d->key->dst))
		return admit_unclaimed(d, WEFT_DROP_reserved_address);
	if (!admit_source_ok(d))
		return decide_drop(d, WEFT_DROP_bad_source);
	admit_fill(d, &index);
	return false;
}
