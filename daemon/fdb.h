// SPDX-License-Identifier: BSD-2-Clause
// The FDB from weftd's side: static rows are objects; learned ones are the datapath's, and weftd
// only reclaims, flushes and shows them.
#pragma once

#include "daemon/weftd.h"

extern const struct noun noun_fdb;

// Learned rows only; each that goes is taken off the quotas it counted against.
void fdb_forget_port(struct weftd *weftd, u32 port);
void fdb_forget_strays(struct weftd *weftd, u32 port); // of networks and tags it has left
void fdb_forget_network(struct weftd *weftd, u32 network);
// A row of either kind, as it goes. -ENOENT.
int fdb_forget_row(struct weftd *weftd, const struct weft_fdb_key *key);
// May this learned row exist: is its port in its network, with its tag?
bool fdb_placed(
	struct weftd *weftd, const struct weft_fdb_key *key, const struct weft_fdb_row *row);
// The object of a static row.
struct object *fdb_object(struct weftd *weftd, const struct weft_fdb_key *key);

// The port's tags have changed: so have those of its static rows.
int fdb_follow_port(struct weftd *weftd, const struct object *port, struct failure *failure);

// fdb_sweep.c: now and then walks the table: aged rows, strays, quotas that drifted.
int fdb_sweep_open(struct weftd *weftd, struct failure *failure);
void fdb_sweep_close(struct weftd *weftd);
// A frame that was under way while rows were forgotten may have put one back: look again shortly.
void fdb_sweep_soon(struct weftd *weftd);

u64 clock_ns(void); // CLOCK_MONOTONIC, as in the rows
