// SPDX-License-Identifier: BSD-2-Clause
// Connections of services: the datapath's rows. weftd takes out those that are over, of their own
// or with a service or a backend, and shows them.
#pragma once

#include "daemon/weftd.h"

// A row of who is not there.
bool connection_is_stray(struct weftd *weftd, const struct weft_connection_row *row);
// A row that is no connection any more: unseen for too long, or a stray.
bool connection_over(struct weftd *weftd, const struct weft_connection_row *row, u64 now_ns);
// It goes, and its quotas get it back; unless the datapath has seen it meanwhile.
// expired: it was silent for so long (5 s at least) that no cached verdict hangs on it.
bool connection_forget(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row, bool expired);
// The client's direction stays, without a backend: its next packet is answered by a reset, and
// closes it.
void connection_orphan(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row);

// What the datapath changes in this packet of a service, by its connection as it is now. False:
// there is none.
bool connection_translates(struct weftd *weftd, const struct weft_postcard *card,
	const struct weft_key *key, struct weft_rewrite *rewrite);

// One less in a usage row, that the datapath counts up.
void connection_give_back(u64 *count);

// --- connection_walk.c

// The table is large: its rows are looked at in parts, for so long each.
enum {
	CONNECTION_FIRST_US = 2000, // before an answer: all of a small table
	CONNECTION_PART_US = 250,   // who shares the core with weftd waits for it
};
// From *cursor on (0: the beginning), to the end (*cursor is 0 then), or where fn or the engine
// says stop: what that was; else 0.
int connections_walk_part(
	struct weftd *weftd, u32 *cursor, u64 most_us, engine_walk_fn *fn, void *context);

// All that are of these; 0: of any. Those of a backend, and strays, stay as far as their clients
// are to be told (service_resets): without a backend.
struct connection_filter {
	u32 service, backend, network;
};
typedef void connections_gone_fn(void *context, u64 connections); // how many went
// In parts, from the event loop; gone (or NULL) is called once, at the end, after this has
// returned.
struct connection_walk *connections_forget(struct weftd *weftd,
	const struct connection_filter *filter, connections_gone_fn *gone, void *context);
void connections_keep(struct connection_walk *walk); // the rest; gone is not called
// Of services and backends that there are no more. At once as far as it takes next to no time.
void connections_forget_strays(struct weftd *weftd);
void connections_settle(struct weftd *weftd); // all strays, at once
// Rows speak of the service, backend or network that goes: its id is not used again before the
// strays have gone.
void connections_hold_id(struct weftd *weftd, const struct object *object);
int connection_walks_open(struct weftd *weftd); // -ENOMEM; close takes what it left
void connection_walks_close(struct weftd *weftd);

// --- connection_sweep.c

// Takes out strays at once, and from then on all that are over.
int connections_open(struct weftd *weftd, struct failure *failure);
void connections_close(struct weftd *weftd);
