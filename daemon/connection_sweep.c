// SPDX-License-Identifier: BSD-2-Clause
// The sweep of the connection table: rows that are over give their room back, and counts that
// drifted are healed. A large table takes seconds: it is walked in parts, between which weftd does
// what else it has to do.
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/census.h"
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/service.h"
#include "datapath/pipeline/balance.h"

enum {
	BREATH_MS = 1, // between parts
	PART_OF = 20,  // between sweeps: so many times what one took
	PAUSE_MIN_MS = 1000,
	PAUSE_MAX_MS = 30000,
};

struct connections {
	struct weftd *weftd;
	struct event *timer, *fragments;
	struct census of_service, of_network;
	bool under_way;
	u32 cursor;
	u32 rows;    // so far
	u64 now_ns;  // when the sweep began
	u64 took_ns; // so far
};

static int sweep_connection(const void *at, const void *data, void *context)
{
	struct connections *c = context;
	struct weft_connection_key key;
	struct weft_connection_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	bool stray = connection_is_stray(c->weftd, &row);
	if ((stray || !connection_live(&row, c->now_ns)) &&
		connection_forget(c->weftd, &key, &row, !stray))
		return 0;
	c->rows++;
	if (row.flags & WEFT_CONNECTION_REPLY) // of its two rows one counts
		return 0;
	census_count(&c->of_service, row.service);
	census_count(&c->of_network, row.network);
	backends_count(c->weftd, row.rewrite.backend);
	return 0;
}

static int sweep_fragment(const void *at, const void *data, void *context)
{
	struct weftd *weftd = context;
	struct weft_fragment_key key;
	struct weft_fragment_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if ((s64)(clock_ns() - row.seen_ns) <= (s64)WEFT_FRAGMENT_NS ||
		engine_expire(weftd, fragment, &key, NULL))
		return 0;
	struct weft_usage_row *usage = network_usage(weftd, row.network);
	if (usage)
		connection_give_back(&usage->fragments);
	return 0;
}

// They are over soon, and their table is small; without services there are none.
static void on_fragments(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	if (object_count(weftd, &noun_service))
		weftd->engine_ops->table_walk(
			weftd->engine, WEFT_TABLE_fragment, sweep_fragment, weftd);
}

// Without services there is little to find: what a packet under way has put back after they went.
static bool is_due(const struct connections *c, u64 now_ns)
{
	return object_count(c->weftd, &noun_service) ||
	       now_ns - c->now_ns >= PAUSE_MAX_MS * 1000000ull;
}

static void begin(struct connections *c)
{
	c->under_way = true;
	c->cursor = 0;
	c->rows = 0;
	c->took_ns = 0;
	c->now_ns = clock_ns();
	census_begin(c->weftd, &c->of_service);
	census_begin(c->weftd, &c->of_network);
	backends_count_begin(c->weftd);
}

// A walk that failed has counted too little: it proves nothing.
static void end(struct connections *c, bool whole)
{
	if (whole) {
		census_end(c->weftd, &c->of_service);
		census_end(c->weftd, &c->of_network);
		backends_count_end(c->weftd);
		if (c->weftd->engine_ops->table_counted)
			c->weftd->engine_ops->table_counted(
				c->weftd->engine, WEFT_TABLE_connection, c->rows);
	}
	c->under_way = false;
}

static void schedule(struct connections *c)
{
	u64 pause_ms = c->took_ns * PART_OF / 1000000;
	if (pause_ms < PAUSE_MIN_MS)
		pause_ms = PAUSE_MIN_MS;
	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	if (c->under_way)
		pause_ms = BREATH_MS;
	struct timeval pause = {.tv_sec = (time_t)(pause_ms / 1000),
		.tv_usec = (suseconds_t)(pause_ms % 1000 * 1000)};
	event_add(c->timer, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct connections *c = context;
	struct weftd *weftd = c->weftd;
	u64 start_ns = clock_ns();
	int error;
	(void)fd, (void)what;
	if (!c->under_way && !is_due(c, start_ns)) {
		schedule(c);
		return;
	}
	if (!c->under_way)
		begin(c);
	error = connections_walk_part(weftd, &c->cursor, CONNECTION_PART_US, sweep_connection, c);
	c->took_ns += clock_ns() - start_ns;
	if (error || !c->cursor)
		end(c, !error);
	schedule(c);
}

int connections_open(struct weftd *weftd, struct failure *failure)
{
	static const struct timeval second = {.tv_sec = 1};
	struct connections *c = calloc(1, sizeof(*c));
	if (!c)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	c->weftd = weftd;
	c->of_service = (struct census){WEFT_TABLE_service_usage,
		offsetof(struct weft_service_usage_row, connections), "connections of service"};
	c->of_network = (struct census){WEFT_TABLE_network_usage,
		offsetof(struct weft_usage_row, connections), "connections of network"};
	c->timer = evtimer_new(weftd->base, on_timer, c);
	c->fragments = event_new(weftd->base, -1, EV_PERSIST, on_fragments, weftd);
	weftd->connections = c;
	if (!c->timer || !c->fragments || event_add(c->fragments, &second) ||
		connection_walks_open(weftd) || census_open(weftd, &c->of_service) ||
		census_open(weftd, &c->of_network)) {
		connections_close(weftd);
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	}
	connections_forget_strays(weftd); // what was adopted may be nobody's
	connections_settle(weftd);
	schedule(c);
	return 0;
}

void connections_close(struct weftd *weftd)
{
	struct connections *c = weftd->connections;
	if (!c)
		return;
	if (c->timer)
		event_free(c->timer);
	if (c->fragments)
		event_free(c->fragments);
	connection_walks_close(weftd);
	census_close(&c->of_service);
	census_close(&c->of_network);
	free(c);
	weftd->connections = NULL;
}
