// SPDX-License-Identifier: BSD-2-Clause
// Censuses of rows, and the drift of what the datapath counted.
#include "daemon/census.h"

#include <errno.h>
#include <stdlib.h>
#include <weft/log.h>

LOG_MODULE(census);

static u64 *usage_at(struct weftd *weftd, const struct census *c, u32 index)
{
	u8 *row = weftd->engine_ops->table_at(weftd->engine, c->table, index);
	return row ? (u64 *)(void *)(row + c->field) : NULL;
}

int census_open(struct weftd *weftd, struct census *c)
{
	struct engine_table_status status;
	weftd->engine_ops->table_status(weftd->engine, c->table, &status);
	c->size = status.capacity;
	c->counted = calloc(c->size, sizeof(*c->counted));
	c->before = calloc(c->size, sizeof(*c->before));
	c->drift = calloc(c->size, sizeof(*c->drift));
	return c->counted && c->before && c->drift ? 0 : -ENOMEM;
}

void census_close(struct census *c)
{
	free(c->counted);
	free(c->before);
	free(c->drift);
}

void census_begin(struct weftd *weftd, struct census *c)
{
	for (u32 i = 0; i < c->size; i++) {
		u64 *usage = usage_at(weftd, c, i);
		c->counted[i] = 0;
		c->before[i] = usage ? __atomic_load_n(usage, __ATOMIC_RELAXED) : 0;
	}
}

// The datapath learns while the walk goes on, so a difference proves nothing by itself. One that
// stays the same over two walks, in which the count itself stood still, is a drift.
void census_end(struct weftd *weftd, struct census *c)
{
	for (u32 i = 0; i < c->size; i++) {
		u64 *usage = usage_at(weftd, c, i);
		if (!usage)
			continue;
		u64 rows = __atomic_load_n(usage, __ATOMIC_RELAXED);
		s64 drift = rows == c->before[i] ? (s64)(rows - c->counted[i]) : 0;
		if (drift && drift == c->drift[i]) {
			__atomic_fetch_sub(usage, (u64)drift, __ATOMIC_RELAXED);
			log_warn("usage was off by %lld: %s %u", (long long)drift, c->what, i);
			drift = 0;
		}
		c->drift[i] = drift;
	}
}
