// SPDX-License-Identifier: BSD-2-Clause
// The ways to a peer as rows of the nexthop table, and how many of them the datapath may read.
#include <string.h>
#include <weft/log.h>
#include "daemon/fdb.h"
#include "daemon/underlay_parts.h"

LOG_MODULE(underlay);

enum { KEEP_NS = 1000000000 };

static u32 divisor(u32 a, u32 b)
{
	while (b) {
		u32 rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

void underlay_shares(const u32 weight[], u32 n, u32 share[])
{
	u32 common = 0;
	u64 total = 0;
	for (u32 i = 0; i < n; i++)
		common = divisor(weight[i], common);
	for (u32 i = 0; i < n; i++)
		total += weight[i] / common;
	for (u32 i = 0; i < n; i++) {
		share[i] = weight[i] / common;
		if (total > UNDERLAY_ROWS) // one each, and what is left by weight
			share[i] = 1 + (u32)((UNDERLAY_ROWS - n) * (u64)share[i] / total);
	}
}

// The ways that have a MAC.
static u32 make_rows(const struct underlay_peer *peer, struct weft_nexthop_row rows[])
{
	u32 weight[UNDERLAY_WAYS] = {0}, share[UNDERLAY_WAYS], count = 0, n = 0;
	struct weft_nexthop_row one[UNDERLAY_WAYS];

	for (u32 i = 0; i < peer->count; i++) {
		const struct way *way = &peer->way[i];
		if (!way->neighbour || !way->neighbour->valid)
			continue;
		weight[n] = way->weight;
		one[n++] = (struct weft_nexthop_row){
			.mtu = way->mtu,
			.dst = way->neighbour->mac,
			.src = way->mac,
			.ifindex = way->ifindex,
		};
	}
	underlay_shares(weight, n, share);
	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < share[i]; k++)
			rows[count++] = one[i];
	return count;
}

// One field of the peer's row, while the datapath reads it. A row that is no peer's (not there yet,
// or gone) is left alone.
static void set_count(struct underlay *u, u32 id, u32 count)
{
	struct weft_port_row *row =
		u->weftd->engine_ops->table_at(u->weftd->engine, WEFT_TABLE_port, id);
	if (row && (row->flags & WEFT_PORT_PEER) && row->nexthops != count)
		__atomic_store_n(&row->nexthops, count, __ATOMIC_RELEASE);
}

// Returns how many are in the table from the first on.
static u32 put_rows(struct underlay *u, struct underlay_peer *peer,
	const struct weft_nexthop_row rows[], u32 count)
{
	static const struct weft_nexthop_row none;
	for (u32 i = 0; i < count; i++) {
		struct weft_index index = {peer->id * WEFT_NEXTHOPS_PER_PEER + i};
		if (i < peer->rows && memcmp(&rows[i], &peer->row[i], sizeof(rows[i])) == 0)
			continue;
		// The row is not replaced in one piece: meanwhile it is none.
		if (engine_put(u->weftd, nexthop, &index, &none) != 0 ||
			engine_put(u->weftd, nexthop, &index, &rows[i]) != 0)
			return i;
		peer->row[i] = rows[i];
	}
	return count;
}

// Never a count that covers a row which is not there.
static void shrink(struct underlay *u, struct underlay_peer *peer, u32 count)
{
	if (count >= peer->rows)
		return;
	static const struct weft_nexthop_row none;
	set_count(u, peer->id, count);
	while (peer->rows > count) {
		struct weft_index index = {peer->id * WEFT_NEXTHOPS_PER_PEER + --peer->rows};
		engine_put(u->weftd, nexthop, &index, &none);
	}
}

static bool is_asked(const struct way *way)
{
	return way->neighbour && !way->neighbour->valid && !way->down;
}

// A route moved and the MACs of its next hops are not known yet. Without a carrier nothing could
// leave meanwhile: what leaves the old way has a chance.
static bool keeps_rows(const struct underlay *u, struct underlay_peer *peer)
{
	bool asked = false;
	for (u32 i = 0; i < peer->count; i++)
		asked = asked || is_asked(&peer->way[i]);
	if (!asked || !peer->rows || !u->weftd->engine_ops->own_overlay)
		return false;
	if (!peer->kept_since_ns)
		peer->kept_since_ns = clock_ns();
	return clock_ns() - peer->kept_since_ns < KEEP_NS;
}

void underlay_rows_write(struct underlay *u, struct underlay_peer *peer)
{
	struct weft_nexthop_row rows[UNDERLAY_ROWS];
	u32 count = make_rows(peer, rows);

	if (!count && keeps_rows(u, peer))
		return;
	peer->kept_since_ns = 0;
	shrink(u, peer, count);
	u32 put = put_rows(u, peer, rows, count);
	if (put < count && !peer->short_of_rows)
		log_warn("no room for %u of %u next hops of peer %u; raise capacity.nexthop",
			count - put, count, peer->id);
	peer->short_of_rows = put < count;
	shrink(u, peer, put);
	peer->rows = put;
	set_count(u, peer->id, put);
}

void underlay_rows_delete(struct underlay *u, struct underlay_peer *peer)
{
	shrink(u, peer, 0);
}
