// SPDX-License-Identifier: BSD-2-Clause
// The FDB from weftd's side: static rows are objects; learned ones are the datapath's, and weftd
// only reclaims, flushes and shows them.
#pragma once

#include "daemon/place.h"
#include "daemon/weftd.h"

extern const struct noun noun_fdb;

// A row of either kind, as it goes. -ENOENT.
int fdb_forget_row(struct weftd *weftd, const struct weft_fdb_key *key);
// May this learned row exist: is its place in its network, with its tag?
bool fdb_placed(
	struct weftd *weftd, const struct weft_fdb_key *key, const struct weft_fdb_row *row);
// The object of a static row.
struct object *fdb_object(struct weftd *weftd, const struct weft_fdb_key *key);

// The port's tags have changed: so have those of its static rows.
int fdb_follow_port(struct weftd *weftd, const struct object *port, struct failure *failure);

// Shared with fdb_show.c.
struct weft_fdb_key fdb_key(struct weftd *weftd, const json_t *spec);
int fdb_show_all(
	struct weftd *weftd, const json_t *filter, json_t *result, struct failure *failure);

u64 clock_ns(void); // CLOCK_MONOTONIC, as in the rows
