// SPDX-License-Identifier: BSD-2-Clause
// The sweep: walks the FDB and the neighbour table now and then. Look-ups ignore
// aged rows already; this gives their room and their quota back, takes out rows that belong to
// nothing, and heals counts that drifted.
#include "daemon/sweep.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/census.h"
#include "daemon/fdb.h"
#include "daemon/neighbour.h"
#include "daemon/network.h"

LOG_MODULE(sweep);

enum {
	SWEEP_MIN_SECONDS = 1,
	SWEEP_MAX_SECONDS = 30,
	SWEEPS_PER_AGEING = 4,
	SWEEP_SOON_MS = 100,
};

enum {
	MACS_OF_PLACE,
	MACS_OF_NETWORK,
	BINDINGS_OF_PLACE,
	BINDINGS_OF_NETWORK,
	CENSUSES,
};

struct sweep {
	struct weftd *weftd;
	struct event *timer;
	bool soon;
	struct census censuses[CENSUSES];
	u64 now_ns;
	u64 aged, strays;
};

// The census of networks stands behind the other one.
static void count(struct sweep *s, u32 of_place, u32 place, u32 network)
{
	census_count(&s->censuses[of_place], place);
	census_count(&s->censuses[of_place + 1], network);
}

static bool aged(struct sweep *s, u32 network_id, u64 seen_ns)
{
	struct object *network = object_by_id(s->weftd, &noun_network, network_id);
	u64 ageing_ns = network ? network_ageing_ns(network) : 0;
	return ageing_ns && (s64)(s->now_ns - seen_ns) > (s64)ageing_ns;
}

static int sweep_fdb(const void *at, const void *data, void *context)
{
	struct sweep *s = context;
	struct weft_fdb_key key;
	struct weft_fdb_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (row.kind == WEFT_FDB_STATIC) {
		if (!fdb_object(s->weftd, &key))
			s->strays += fdb_forget_row(s->weftd, &key) == 0;
	} else if (aged(s, key.network, row.seen_ns)) {
		s->aged += fdb_forget_row(s->weftd, &key) == 0;
	} else if (!fdb_placed(s->weftd, &key, &row)) {
		s->strays += fdb_forget_row(s->weftd, &key) == 0;
	} else {
		count(s, MACS_OF_PLACE, row.port, key.network);
	}
	return 0;
}

static int sweep_neighbour(const void *at, const void *data, void *context)
{
	struct sweep *s = context;
	struct weft_neighbour_key key;
	struct weft_neighbour_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (aged(s, key.network, row.seen_ns))
		s->aged += neighbour_forget_row(s->weftd, &key) == 0;
	else if (!neighbour_placed(s->weftd, &key, &row))
		s->strays += neighbour_forget_row(s->weftd, &key) == 0;
	else
		count(s, BINDINGS_OF_PLACE, row.port, key.network);
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

static void schedule(struct sweep *s)
{
	struct timeval pause = {.tv_sec = pause_seconds(s->weftd)};
	s->soon = false;
	event_add(s->timer, &pause);
}

void sweep_now(struct weftd *weftd)
{
	struct sweep *s = weftd->sweep;
	s->now_ns = clock_ns();
	s->aged = s->strays = 0;
	for (u32 i = 0; i < CENSUSES; i++)
		census_begin(weftd, &s->censuses[i]);
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_fdb, sweep_fdb, s);
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_neighbour, sweep_neighbour, s);
	for (u32 i = 0; i < CENSUSES; i++)
		census_end(weftd, &s->censuses[i]);
	if (s->aged || s->strays)
		log_debug("swept aged=%llu strays=%llu", (unsigned long long)s->aged,
			(unsigned long long)s->strays);
	schedule(s);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct sweep *s = context;
	(void)fd, (void)what;
	sweep_now(s->weftd);
}

void sweep_soon(struct weftd *weftd)
{
	struct timeval pause = {.tv_usec = SWEEP_SOON_MS * 1000};
	if (!weftd->sweep || weftd->sweep->soon)
		return;
	weftd->sweep->soon = true;
	event_add(weftd->sweep->timer, &pause);
}

static int censuses_open(struct sweep *s)
{
	static const struct census kinds[CENSUSES] = {
		[MACS_OF_PLACE] = {WEFT_TABLE_port_usage, offsetof(struct weft_usage_row, macs),
			"addresses of port or peer"},
		[MACS_OF_NETWORK] = {WEFT_TABLE_network_usage,
			offsetof(struct weft_usage_row, macs), "addresses of network"},
		[BINDINGS_OF_PLACE] = {WEFT_TABLE_port_usage,
			offsetof(struct weft_usage_row, bindings), "bindings of port or peer"},
		[BINDINGS_OF_NETWORK] = {WEFT_TABLE_network_usage,
			offsetof(struct weft_usage_row, bindings), "bindings of network"},
	};
	int error = 0;
	for (u32 i = 0; i < CENSUSES && !error; i++) {
		s->censuses[i] = kinds[i];
		error = census_open(s->weftd, &s->censuses[i]);
	}
	return error;
}

int sweep_open(struct weftd *weftd, struct failure *failure)
{
	struct sweep *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	s->weftd = weftd;
	s->timer = evtimer_new(weftd->base, on_timer, s);
	weftd->sweep = s;
	if (!s->timer || censuses_open(s)) {
		sweep_close(weftd);
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	}
	sweep_soon(weftd); // what was adopted may belong to nothing
	return 0;
}

void sweep_close(struct weftd *weftd)
{
	struct sweep *s = weftd->sweep;
	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	for (u32 i = 0; i < CENSUSES; i++)
		census_close(&s->censuses[i]);
	free(s);
	weftd->sweep = NULL;
}
