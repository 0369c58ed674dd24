// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Counters, meters and quotas: what apply spends and counts, and what commit takes, in one source
// for every engine.
//
// Counters are per CPU. Drops are rare and shared, so they are counted by atomic addition.
#pragma once

#include <weft/tables.h>
#include <weft/verdict.h>

weft_inline void account_rx(struct tables *tables, u32 port, u32 bytes)
{
	struct weft_index index = {port};
	struct weft_port_count_row *row = TABLE_ROW(tables, port_count, &index);
	if (row) {
		row->rx_packets++;
		row->rx_bytes += bytes;
	}
}

weft_inline void account_tx(struct tables *tables, u32 port, u32 bytes)
{
	struct weft_index index = {port};
	struct weft_port_count_row *row = TABLE_ROW(tables, port_count, &index);
	if (row) {
		row->tx_packets++;
		row->tx_bytes += bytes;
	}
}

// Of a service: to its backend, or from there.
weft_inline void account_backend(
	struct tables *tables, const struct weft_rewrite *rewrite, u32 bytes)
{
	struct weft_index index = {rewrite->backend};
	struct weft_backend_count_row *row = TABLE_ROW(tables, backend_count, &index);
	if (!row)
		return;
	if (rewrite->what & WEFT_REWRITE_REPLY) {
		row->reply_packets++;
		row->reply_bytes += bytes;
	} else {
		row->packets++;
		row->bytes += bytes;
	}
}

weft_inline void account_drop(struct tables *tables, u32 port, enum weft_drop reason)
{
	struct weft_index index = {port * WEFT_DROPS_PER_PORT + reason};
	struct weft_drop_row *row = TABLE_ROW(tables, drop, &index);
	if (row)
		__sync_fetch_and_add(&row->packets, 1);
}

// Takes units from a meter. False: over the limit, nothing taken. When other CPUs win the row
// each time, the units pass: a meter may err towards the sender by a few, never block it.
weft_inline bool meter_spend(struct tables *tables, u32 meter, u64 now_ns, u32 units)
{
	if (!meter)
		return true;
	struct weft_index index = {meter};
	struct weft_meter_row *row = TABLE_ROW(tables, meter, &index);
	if (!row || !row->cost_ns)
		return true;
	for (int attempt = 0; attempt < 4; attempt++) {
		u64 was = *(volatile u64 *)&row->full_at_ns;
		u64 next = ((s64)(was - now_ns) > 0 ? was : now_ns) + row->cost_ns * units;
		if (next - now_ns > row->burst_ns)
			return false;
		if (__sync_val_compare_and_swap(&row->full_at_ns, was, next) == was)
			return true;
	}
	return true;
}

enum { COMMIT_EEXIST = 17 }; // TABLE_INSERT: the row is there

// Reserve first, then insert: a limit is never passed, whatever other CPUs do meanwhile.
weft_inline void commit_release(u64 *used)
{
	__sync_fetch_and_add(used, -1);
}

weft_inline bool commit_has_room(u64 *used, u64 limit)
{
	if (__sync_fetch_and_add(used, 1) < limit)
		return true;
	commit_release(used);
	return false;
}

weft_inline bool commit_take(u64 *used, u64 *refused, u64 limit)
{
	bool room = commit_has_room(used, limit);
	if (!room)
		__sync_fetch_and_add(refused, 1);
	return room;
}

// Rows that verdicts of the network were cached by have changed: those verdicts end here.
weft_inline void commit_forget(struct tables *tables, u32 network)
{
	struct weft_index index = {network};
	struct weft_generation_row *generation = TABLE_ROW(tables, generation, &index);
	if (generation)
		__sync_fetch_and_add(&generation->value, 1);
}
