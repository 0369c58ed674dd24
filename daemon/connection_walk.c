// SPDX-License-Identifier: BSD-2-Clause
// Connections that go before they are over: with their service or backend, or by a command. A large
// table takes seconds: it is walked in parts, between which weftd does what else it has to do. The
// rows that are left meanwhile speak of services, backends and networks by their ids, so those of
// who is gone are held until all of it was walked (model.h).
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/model.h"
#include "daemon/network.h"
#include "daemon/service.h"

struct connection_walk {
	struct weftd *weftd;
	struct connection_filter filter;
	bool strays; // all that are of who is not there; no filter
	u32 cursor;
	bool begun;
	u64 connections;
	connections_gone_fn *gone;
	void *context;
	struct connection_walk *prev, *next;
};

struct connection_walks {
	struct event *timer;
	struct connection_walk *list; // the first is under way
};

int connections_walk_part(
	struct weftd *weftd, u32 *cursor, u64 most_us, engine_walk_fn *fn, void *context)
{
	u64 start_ns = clock_ns();
	int stopped;
	do
		stopped = weftd->engine_ops->table_walk_part(
			weftd->engine, WEFT_TABLE_connection, cursor, fn, context);
	while (!stopped && *cursor && clock_ns() - start_ns < most_us * 1000);
	return stopped;
}

static const struct noun *const held[] = {&noun_service, &noun_backend, &noun_network};

static bool goes(const struct connection_walk *w, const struct weft_connection_row *row)
{
	const struct connection_filter *f = &w->filter;
	if (w->strays)
		return connection_is_stray(w->weftd, row);
	return (!f->service || f->service == row->service) &&
	       (!f->backend || f->backend == row->rewrite.backend) &&
	       (!f->network || f->network == row->network);
}

// Of those that go with their backend: is the client to be told?
static bool stays_orphaned(const struct connection_walk *w, const struct weft_connection_row *row)
{
	struct object *service = object_by_id(w->weftd, &noun_service, row->service);
	bool with_backend = w->strays || w->filter.backend;
	return with_backend && service && service->live && service_resets(service->spec) &&
	       row->rewrite.backend &&
	       !(row->flags & (WEFT_CONNECTION_REPLY | WEFT_CONNECTION_CLOSED));
}

static int visit(const void *at, const void *data, void *context)
{
	struct connection_walk *w = context;
	struct weft_connection_key key;
	struct weft_connection_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (!goes(w, &row))
		return 0;
	if (stays_orphaned(w, &row))
		connection_orphan(w->weftd, &key, &row);
	else if (connection_forget(w->weftd, &key, &row, false))
		w->connections += !(row.flags & WEFT_CONNECTION_REPLY);
	return 0;
}

static void begin(struct connection_walk *w)
{
	w->begun = true;
	for (size_t i = 0; w->strays && i < WEFT_ARRAY_SIZE(held); i++)
		model_holds_age(w->weftd, held[i]);
}

static void walk_free(struct connection_walk *w)
{
	DL_DELETE(w->weftd->walks->list, w);
	free(w);
}

static void end(struct connection_walk *w)
{
	connections_gone_fn *gone = w->gone;
	void *context = w->context;
	u64 connections = w->connections;
	for (size_t i = 0; w->strays && i < WEFT_ARRAY_SIZE(held); i++)
		model_holds_end(w->weftd, held[i]);
	walk_free(w);
	if (gone)
		gone(context, connections);
}

// Of the first for so long; what cannot be walked is at its end. False: it goes on.
static bool walk_first(struct weftd *weftd, u64 most_us)
{
	struct connection_walk *w = weftd->walks->list;
	if (!w->begun)
		begin(w);
	if (!connections_walk_part(weftd, &w->cursor, most_us, visit, w) && w->cursor)
		return false;
	end(w);
	return true;
}

static void go_on(struct connection_walks *walks)
{
	static const struct timeval at_once = {0};
	if (walks->list)
		event_add(walks->timer, &at_once);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	if (weftd->walks->list) // else somebody was quicker
		walk_first(weftd, CONNECTION_PART_US);
	go_on(weftd->walks);
}

static struct connection_walk *walk_new(struct weftd *weftd)
{
	struct connection_walk *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->weftd = weftd;
	DL_APPEND(weftd->walks->list, w);
	return w;
}

// What is short is over when this returns.
static void start(struct weftd *weftd, const struct connection_walk *w)
{
	if (weftd->walks->list == w)
		walk_first(weftd, CONNECTION_FIRST_US);
	go_on(weftd->walks);
}

struct connection_walk *connections_forget(struct weftd *weftd,
	const struct connection_filter *filter, connections_gone_fn *gone, void *context)
{
	struct connection_walk *w = walk_new(weftd);
	w->filter = *filter;
	w->gone = gone;
	w->context = context;
	go_on(weftd->walks);
	return w;
}

void connections_keep(struct connection_walk *w)
{
	walk_free(w);
}

// waiting: one that has not begun, and so will see all.
static bool has_strays(const struct weftd *weftd, bool waiting)
{
	const struct connection_walk *w;
	if (!weftd->walks)
		return false;
	DL_FOREACH(weftd->walks->list, w)
	if (w->strays && !(waiting && w->begun))
		return true;
	return false;
}

void connections_forget_strays(struct weftd *weftd)
{
	if (!weftd->walks || has_strays(weftd, true)) // or they go when it starts
		return;
	struct connection_walk *w = walk_new(weftd);
	w->strays = true;
	start(weftd, w);
}

void connections_settle(struct weftd *weftd)
{
	while (has_strays(weftd, false))
		walk_first(weftd, UINT64_MAX / 1000);
}

void connections_hold_id(struct weftd *weftd, const struct object *object)
{
	if (object->noun == &noun_network && !has_strays(weftd, false))
		return;
	if (weftd->walks)
		model_hold_id(weftd, object);
	if (object->noun == &noun_network) // those of its services are under way, perhaps past them
		connections_forget_strays(weftd);
}

int connection_walks_open(struct weftd *weftd)
{
	struct connection_walks *walks = calloc(1, sizeof(*walks));
	if (!walks)
		return -ENOMEM;
	weftd->walks = walks;
	walks->timer = evtimer_new(weftd->base, on_timer, weftd);
	return walks->timer ? 0 : -ENOMEM;
}

void connection_walks_close(struct weftd *weftd)
{
	struct connection_walks *walks = weftd->walks;
	if (!walks)
		return;
	while (walks->list)
		walk_free(walks->list);
	if (walks->timer)
		event_free(walks->timer);
	free(walks);
	weftd->walks = NULL;
}
