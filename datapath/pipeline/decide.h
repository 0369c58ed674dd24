// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// decide: key -> verdict. The whole policy: a pure function over const tables, a list of stages.
//
// The including file has defined TABLE_GET(tables, name, key): a const row or NULL.
#pragma once

#include <weft/stages.h>
#include <weft/tables.h>
#include <weft/verdict.h>

// What the stages share while one packet is decided.
struct decide {
	const struct weft_key *key;
	const struct tables *tables;
	u64 now_ns;
	struct weft_verdict *verdict;
	const struct weft_port_row *port;
	const struct weft_network_row *network;
};

// A stage returns true when the verdict stands and the later stages are not asked.
weft_inline bool decide_drop(struct decide *d, enum weft_drop reason)
{
	d->verdict->action = WEFT_ACTION_drop;
	d->verdict->reason = reason;
	return true;
}

weft_inline bool mac_equal(const struct weft_mac *a, const struct weft_mac *b)
{
	const u16 *x = (const u16 *)a, *y = (const u16 *)b;
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

weft_inline bool mac_is_group(const struct weft_mac *mac)
{
	return mac->byte[0] & 1;
}

weft_inline struct weft_fdb_key fdb_key(u32 network, const struct weft_mac *mac)
{
	return (struct weft_fdb_key){.network = network, .mac = *mac};
}

// An aged row is no row, whether or not weftd has reclaimed it yet.
weft_inline bool fdb_live(
	const struct weft_fdb_row *row, const struct weft_network_row *network, u64 now_ns)
{
	return row->kind == WEFT_FDB_STATIC || network->ageing_ns == 0 ||
	       (s64)(now_ns - row->seen_ns) <= (s64)network->ageing_ns;
}

#define X(name) weft_inline bool stage_##name(struct decide *d);
WEFT_STAGES(X)
#undef X

#include "datapath/pipeline/stage_admit.h"
#include "datapath/pipeline/stage_forward.h"
#include "datapath/pipeline/stage_learn.h"

// *verdict comes in zeroed.
weft_inline void decide(const struct weft_key *key, const struct tables *tables, u64 now_ns,
	struct weft_verdict *verdict)
{
	struct decide d = {
		.key = key,
		.tables = tables,
		.now_ns = now_ns,
		.verdict = verdict,
	};
#define X(name) \
	if (stage_##name(&d)) \
		return;
	WEFT_STAGES(X)
#undef X
}
