// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What the balancer works out for one packet: decide fills it in, commit and apply read it.
#pragma once

#include <weft/tables.h>
#include <weft/verdict.h>

// Too large for a BPF stack: the hook says where it is. It holds for one packet.
struct balance {
	struct weft_rewrite rewrite;            // of this packet, if the verdict says so
	struct weft_connection_key key;         // of its row
	struct weft_connection_key partner_key; // of the other direction's; scope 0: has none
	struct weft_connection_row row;         // what commit puts there
	struct weft_connection_row partner;
	struct weft_service_key service;
	struct weft_fragment_key fragment;
	struct weft_index index; // keys of the look-up in hand
	struct weft_fdb_key place;
	struct weft_tag_key tag;
	struct weft_station_key station;
	u32 rate_meter;
	u32 connection_limit;
	bool counts; // what it does to the table is a connection's, not one more packet of one
	bool whole;  // without its rows the packet may not go: its answer would not find back
};

weft_inline u64 balance_mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

weft_inline u64 balance_mix_ip(u64 hash, const u8 *address)
{
	const u32 *word = (const u32 *)address;
	hash = balance_mix(hash, word[0] | (u64)word[1] << 32);
	return balance_mix(hash, word[2] | (u64)word[3] << 32);
}

// Of what a client sends: it chooses the backend, alike on every host.
weft_inline u64 balance_hash(const struct weft_connection_key *key, u32 seed, bool affinity)
{
	u64 hash = balance_mix_ip(seed, key->src);
	if (!affinity) {
		hash = balance_mix_ip(hash, key->dst);
		hash = balance_mix(
			hash, key->src_port | (u64)key->dst_port << 16 | (u64)key->protocol << 32);
	}
	// What came last has only been multiplied yet: clients take one port after the other, and a
	// ring's slots follow each other by a fixed step, too.
	return balance_mix(hash, 0);
}

// The client's FIN, and none of the backend's will be seen.
weft_inline bool connection_half_closed(const struct weft_connection_row *row)
{
	const u32 half = WEFT_CONNECTION_FIN | WEFT_CONNECTION_ALONE;
	return (row->flags & half) == half;
}

weft_inline bool connection_live(const struct weft_connection_row *row, u64 now_ns)
{
	const u32 brief = WEFT_CONNECTION_CLOSED | WEFT_CONNECTION_OPENING;
	u64 idle_ns = row->flags & brief ? WEFT_CLOSED_NS : row->idle_ns;
	if (connection_half_closed(row) && idle_ns > WEFT_HALF_CLOSED_NS)
		idle_ns = WEFT_HALF_CLOSED_NS;
	return (s64)(now_ns - row->seen_ns) <= (s64)idle_ns;
}

// Is the row of an answer that of the same two ends' last connection? A client that takes a port
// again keeps that of the gateway, as if it were not translated.
weft_inline bool connection_same_ends(
	const struct weft_connection_row *reply, const struct weft_connection_key *key)
{
	const struct weft_rewrite *undo = &reply->rewrite;
	const u32 *client = (const u32 *)&undo->dst, *vip = (const u32 *)&undo->src;
	const u32 *src = (const u32 *)key->src, *dst = (const u32 *)key->dst;
	u32 differ = reply->partner_scope ^ key->scope;
	differ |= (u32)(undo->dst_port ^ key->src_port) | (u32)(undo->src_port ^ key->dst_port);
	for (u32 i = 0; i < 4; i++)
		differ |= (client[i] ^ src[i]) | (vip[i] ^ dst[i]);
	return !differ;
}

// The key of the row for packets in the other direction: what this row makes of its own, turned
// around.
weft_inline void connection_partner(const struct weft_connection_key *key,
	const struct weft_connection_row *row, struct weft_connection_key *partner)
{
	const struct weft_rewrite *rewrite = &row->rewrite;
	bool src = rewrite->what & WEFT_REWRITE_SRC, dst = rewrite->what & WEFT_REWRITE_DST;
	__builtin_memset(partner, 0, sizeof(*partner));
	partner->scope = row->partner_scope;
	partner->protocol = key->protocol;
	if (dst)
		__builtin_memcpy(partner->src, &rewrite->dst, sizeof(partner->src));
	else
		__builtin_memcpy(partner->src, key->dst, sizeof(partner->src));
	if (src)
		__builtin_memcpy(partner->dst, &rewrite->src, sizeof(partner->dst));
	else
		__builtin_memcpy(partner->dst, key->src, sizeof(partner->dst));
	partner->src_port = dst ? rewrite->dst_port : key->dst_port;
	partner->dst_port = src ? rewrite->src_port : key->src_port;
}
