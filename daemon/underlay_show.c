// SPDX-License-Identifier: BSD-2-Clause
// The ways to a peer, for people.
#include "daemon/underlay_parts.h"

static const char *device_name(struct underlay *u, u32 ifindex)
{
	const struct link *link = link_at(u->weftd->links, ifindex);
	return link && link->name[0] ? link->name : "?";
}

static json_t *show_way(struct underlay *u, const struct way *way)
{
	char gateway[ADDRESS_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	bool valid = way->neighbour && way->neighbour->valid;

	address_text(&way->gateway, gateway);
	if (valid)
		mac_text(&way->neighbour->mac, mac);
	return json_pack("{s:s, s:s?, s:s?}", "device", device_name(u, way->ifindex), "gateway",
		way->on_link ? NULL : gateway, "mac", valid ? mac : NULL);
}

static json_t *show_devices(struct underlay *u, const struct underlay_peer *peer)
{
	json_t *devices = json_array();
	for (u32 i = 0; i < peer->count; i++) // in order of their ifindex
		if (!i || peer->way[i].ifindex != peer->way[i - 1].ifindex)
			json_array_append_new(
				devices, json_string(device_name(u, peer->way[i].ifindex)));
	return devices;
}

// The carrier goes where the kernel goes; weft itself needs an Ethernet device and a MAC.
static bool works(const struct underlay *u, const struct way *way)
{
	bool needs_mac = way->neighbour || u->weftd->engine_ops->own_overlay;
	return !way->down && (!needs_mac || (way->neighbour && way->neighbour->valid));
}

// Why nothing gets through. What is wrong with one way of several stands with it: it has no MAC.
static json_t *show_why(struct underlay *u, const struct underlay_peer *peer)
{
	const struct way *first = peer->way;
	char gateway[ADDRESS_TEXT_BYTES];

	if (!peer->count)
		return json_string(peer->why);
	if (peer->short_of_rows && !peer->rows && u->weftd->engine_ops->own_overlay)
		return json_string("the nexthop table is full: start weftd with a larger one");
	for (u32 i = 0; i < peer->count; i++)
		if (works(u, &peer->way[i]))
			return json_null();
	if (first->down)
		return json_sprintf("%s is down", device_name(u, first->ifindex));
	if (!first->neighbour)
		return json_sprintf("the way leads over %s, which is no plain Ethernet device: the "
				    "%s engine cannot send there",
			device_name(u, first->ifindex), u->weftd->engine_ops->name);
	address_text(&first->gateway, gateway);
	return json_sprintf(
		"the neighbour %s on %s does not answer", gateway, device_name(u, first->ifindex));
}

json_t *underlay_peer_show(struct weftd *weftd, u32 peer_id)
{
	struct underlay *u = weftd->underlay;
	struct underlay_peer *peer = underlay_peer(weftd, peer_id);
	json_t *hops = json_array();

	if (!peer)
		return json_pack(
			"{s:[], s:o, s:n, s:n}", "devices", "nexthops", hops, "mtu", "why");
	for (u32 i = 0; i < peer->count; i++)
		json_array_append_new(hops, show_way(u, &peer->way[i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "devices", show_devices(u, peer), "nexthops", hops,
		"mtu", peer->count && peer->mtu ? json_integer(peer->mtu) : json_null(), "why",
		show_why(u, peer));
}
