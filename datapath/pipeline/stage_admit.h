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

weft_inline bool admit_source_ok(const struct decide *d)
{
	const u16 *mac = (const u16 *)&d->key->src;
	const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	return !mac_is_group(&d->key->src) && (mac[0] | mac[1] | mac[2]) &&
	       !mac_equal(&d->key->src, &gateway);
}

// IEEE 802.1D table 7-10: 01:80:c2:00:00:00 to 0f.
weft_inline bool admit_reserved(const struct weft_mac *mac)
{
	const u16 *word = (const u16 *)mac;
	return word[0] == weft_hton16(0x0180) && word[1] == weft_hton16(0xc200) &&
	       (word[2] & weft_hton16(0xfff0)) == 0;
}

weft_inline bool stage_admit(struct decide *d)
{
	const struct weft_key *key = d->key;
	struct weft_index index = {key->in_port};
	d->port = TABLE_GET(d->tables, port, &index);
	if (!d->port || !(d->port->flags & WEFT_PORT_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);

	u32 network = d->port->network;
	if (key->flags & WEFT_KEY_TAGGED) {
		if (!(d->port->flags & WEFT_PORT_TRUNK))
			return admit_unclaimed(d, WEFT_DROP_tag_on_access);
		struct weft_tag_key tag = {.port = key->in_port, .vid = key->vid};
		const struct weft_tag_row *row = TABLE_GET(d->tables, tag, &tag);
		if (!row)
			return admit_unclaimed(d, WEFT_DROP_tag_unknown);
		network = row->network;
	}
	if (!network)
		return admit_unclaimed(d, WEFT_DROP_untagged_on_trunk);
	if (admit_reserved(&key->dst))
		return admit_unclaimed(d, WEFT_DROP_reserved_address);
	if (!admit_source_ok(d))
		return decide_drop(d, WEFT_DROP_bad_source);

	index.index = network;
	d->network = TABLE_GET(d->tables, network, &index);
	if (!d->network || !(d->network->flags & WEFT_NETWORK_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);
	d->verdict->network = network;
	const struct weft_generation_row *generation = TABLE_GET(d->tables, generation, &index);
	d->verdict->generation = generation ? generation->value : 0;
	if (d->network->mtu)
		d->verdict->max_bytes = d->network->mtu + (u32)sizeof(struct eth_header);
	return false;
}
