// SPDX-License-Identifier: BSD-2-Clause
// Forgetting learned rows of both tables: a walk over each that matters.
#include "daemon/forget.h"

#include <string.h>
#include "daemon/fdb.h"
#include "daemon/neighbour.h"
#include "daemon/network.h"
#include "daemon/sweep.h"

// Which rows go.
struct forget {
	struct weftd *weftd;
	struct place_filter filter;
	bool strays; // only those that are not in their place
	u64 rows;    // that went
};

static int forget_mac(const void *key, const void *data, void *context)
{
	struct forget *f = context;
	struct weft_fdb_key at;
	struct weft_fdb_row row;
	memcpy(&at, key, sizeof(at));
	memcpy(&row, data, sizeof(row));
	if (row.kind == WEFT_FDB_LEARNED && place_fits(&f->filter, at.network, row.port) &&
		!(f->strays && fdb_placed(f->weftd, &at, &row)))
		f->rows += fdb_forget_row(f->weftd, &at) == 0;
	return 0;
}

static int forget_binding(const void *key, const void *data, void *context)
{
	struct forget *f = context;
	struct weft_neighbour_key at;
	struct weft_neighbour_row row;
	memcpy(&at, key, sizeof(at));
	memcpy(&row, data, sizeof(row));
	if (place_fits(&f->filter, at.network, row.port) &&
		!(f->strays && neighbour_placed(f->weftd, &at, &row)))
		f->rows += neighbour_forget_row(f->weftd, &at) == 0;
	return 0;
}

static u64 forget(struct forget f, u32 what)
{
	const struct engine_ops *ops = f.weftd->engine_ops;
	if (what & FORGET_MACS)
		ops->table_walk(f.weftd->engine, WEFT_TABLE_fdb, forget_mac, &f);
	if (what & FORGET_BINDINGS)
		ops->table_walk(f.weftd->engine, WEFT_TABLE_neighbour, forget_binding, &f);
	if (what)
		sweep_soon(f.weftd);
	return f.rows;
}

// A table without a row that counts here is not walked.
static u32 counted(const struct weft_usage_row *usage, u32 what)
{
	if (!usage)
		return 0;
	if (!__atomic_load_n(&usage->macs, __ATOMIC_RELAXED))
		what &= ~(u32)FORGET_MACS;
	if (!__atomic_load_n(&usage->bindings, __ATOMIC_RELAXED))
		what &= ~(u32)FORGET_BINDINGS;
	return what;
}

void forget_place(struct weftd *weftd, u32 place, u32 what)
{
	forget((struct forget){.weftd = weftd, .filter = {.place = place}},
		counted(place_usage(weftd, place), what));
}

void forget_network(struct weftd *weftd, u32 network)
{
	forget((struct forget){.weftd = weftd, .filter = {.network = network}},
		counted(network_usage(weftd, network), FORGET_ALL));
}

void forget_strays(struct weftd *weftd, u32 network, u32 place)
{
	forget((struct forget){.weftd = weftd, .filter = {network, place}, .strays = true},
		FORGET_ALL);
}

u64 forget_matching(struct weftd *weftd, const struct place_filter *filter, u32 what)
{
	return forget((struct forget){.weftd = weftd, .filter = *filter}, what);
}
