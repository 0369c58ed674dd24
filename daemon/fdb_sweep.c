// SPDX-License-Identifier: BSD-2-Clause
// The sweep: walks the FDB now and then. Look-ups ignore aged rows already; this gives their room
// and their quota back, takes out rows that belong to nothing, and heals counts that drifted.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/port.h"

LOG_MODULE(fdb);

enum {
	SWEEP_MIN_SECONDS = 1,
	SWEEP_MAX_SECONDS = 30,
	SWEEPS_PER_AGEING = 4,
	SWEEP_SOON_MS = 100,
};

// Learned rows by port or by network: what this sweep counted, and by how much the usage row was
// off at the last one.
struct census {
	enum weft_table table;
	u32 size;
	u64 *counted;
	u64 *before; // usage when the walk began
	s64 *drift;
};

struct fdb_sweep {
	struct weftd *weftd;
	struct event *timer;
	bool soon;
	struct census ports, networks;
	u64 now_ns;
	u64 aged, strays;
};

static struct weft_usage_row *usage_at(struct fdb_sweep *s, const struct census *c, u32 index)
{
	return s->weftd->engine_ops->table_at(s->weftd->engine, c->table, index);
}

static int census_open(struct weftd *weftd, struct census *c, enum weft_table table)
{
	struct engine_table_status status;
	weftd->engine_ops->table_status(weftd->engine, table, &status);
	c->table = table;
	c->size = status.capacity;
	c->counted = calloc(c->size, sizeof(*c->counted));
	c->before = calloc(c->size, sizeof(*c->before));
	c->drift = calloc(c->size, sizeof(*c->drift));
	return c->counted && c->before && c->drift ? 0 : -ENOMEM;
}

static void census_close(struct census *c)
{
	free(c->counted);
	free(c->before);
	free(c->drift);
}

static void census_begin(struct fdb_sweep *s, struct census *c)
{
	for (u32 i = 0; i < c->size; i++) {
		struct weft_usage_row *usage = usage_at(s, c, i);
		c->counted[i] = 0;
		c->before[i] = usage ? __atomic_load_n(&usage->macs, __ATOMIC_RELAXED) : 0;
	}
}

// The datapath learns while the walk goes on, so a difference proves nothing by itself. One that
// stays the same over two walks, in which the count itself stood still, is a drift.
static void census_end(struct fdb_sweep *s, struct census *c)
{
	for (u32 i = 0; i < c->size; i++) {
		struct weft_usage_row *usage = usage_at(s, c, i);
		if (!usage)
			continue;
		u64 macs = __atomic_load_n(&usage->macs, __ATOMIC_RELAXED);
		s64 drift = macs == c->before[i] ? (s64)(macs - c->counted[i]) : 0;
		if (drift && drift == c->drift[i]) {
			__atomic_fetch_sub(&usage->macs, (u64)drift, __ATOMIC_RELAXED);
			log_warn("usage of %s %u was off by %lld",
				c->table == WEFT_TABLE_port_usage ? "port" : "network", i,
				(long long)drift);
			drift = 0;
		}
		c->drift[i] = drift;
	}
}

static bool row_aged(
	struct fdb_sweep *s, const struct weft_fdb_key *key, const struct weft_fdb_row *row)
{
	struct object *network = object_by_id(s->weftd, &noun_network, key->network);
	u64 ageing_ns = network ? network_ageing_ns(network) : 0;
	return ageing_ns && (s64)(s->now_ns - row->seen_ns) > (s64)ageing_ns;
}

static int sweep_row(const void *at, const void *data, void *context)
{
	struct fdb_sweep *s = context;
	struct weft_fdb_key key;
	struct weft_fdb_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (row.kind == WEFT_FDB_STATIC) {
		if (!fdb_object(s->weftd, &key))
			s->strays += fdb_forget_row(s->weftd, &key) == 0;
	} else if (row_aged(s, &key, &row)) {
		s->aged += fdb_forget_row(s->weftd, &key) == 0;
	} else if (!fdb_placed(s->weftd, &key, &row)) {
		s->strays += fdb_forget_row(s->weftd, &key) == 0;
	} else {
		s->ports.counted[row.port]++;
		s->networks.counted[key.network]++;
	}
	return 0;
}

static u32 pause_seconds(struct weftd *weftd)
{
	u64 pause = SWEEP_MAX_SECONDS;
	struct object *network = object_first(weftd, &noun_network);
	for (; network; network = network->hh.next) {
		u64 ageing = network_ageing_ns(network) / 1000000000 / SWEEPS_PER_AGEING;
		if (network_ageing_ns(network) && ageing < pause)
			pause = ageing;
	}
	return pause < SWEEP_MIN_SECONDS ? SWEEP_MIN_SECONDS : (u32)pause;
}

static void schedule(struct fdb_sweep *s)
{
	struct timeval pause = {.tv_sec = pause_seconds(s->weftd)};
	s->soon = false;
	event_add(s->timer, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct fdb_sweep *s = context;
	struct weftd *weftd = s->weftd;
	(void)fd, (void)what;
	s->now_ns = clock_ns();
	s->aged = s->strays = 0;
	census_begin(s, &s->ports);
	census_begin(s, &s->networks);
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_fdb, sweep_row, s);
	census_end(s, &s->ports);
	census_end(s, &s->networks);
	if (s->aged || s->strays)
		log_debug("swept aged=%llu strays=%llu", (unsigned long long)s->aged,
			(unsigned long long)s->strays);
	schedule(s);
}

void fdb_sweep_soon(struct weftd *weftd)
{
	struct timeval pause = {.tv_usec = SWEEP_SOON_MS * 1000};
	if (!weftd->fdb_sweep || weftd->fdb_sweep->soon)
		return;
	weftd->fdb_sweep->soon = true;
	event_add(weftd->fdb_sweep->timer, &pause);
}

int fdb_sweep_open(struct weftd *weftd, struct failure *failure)
{
	struct fdb_sweep *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	s->weftd = weftd;
	s->timer = evtimer_new(weftd->base, on_timer, s);
	weftd->fdb_sweep = s;
	if (!s->timer || census_open(weftd, &s->ports, WEFT_TABLE_port_usage) ||
		census_open(weftd, &s->networks, WEFT_TABLE_network_usage)) {
		fdb_sweep_close(weftd);
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	}
	fdb_sweep_soon(weftd); // what was adopted may belong to nothing
	return 0;
}

void fdb_sweep_close(struct weftd *weftd)
{
	struct fdb_sweep *s = weftd->fdb_sweep;
	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	census_close(&s->ports);
	census_close(&s->networks);
	free(s);
	weftd->fdb_sweep = NULL;
}
