// SPDX-License-Identifier: BSD-2-Clause
// Places: where an address can be. A port or a peer: they share ids, tables and rows.
#pragma once

#include "daemon/weftd.h"

struct object *place_at(struct weftd *weftd, u32 id); // NULL: neither
bool place_is_peer(const struct object *place);
bool place_there(const struct object *place); // live, and a port has its device

enum { PLACE_WHY_BYTES = 320 };
// Its state, and why (empty: no reason).
const char *place_state(struct weftd *weftd, const struct object *place, char why[PLACE_WHY_BYTES]);

// Is it in the network, and with which tag do its frames leave (0: none)?
bool place_in(struct weftd *weftd, const struct object *place, u32 network, u16 *tag);
// By its words alone: a peer that names no network may be in every one.
bool place_spec_uses(const struct noun *noun, const json_t *spec, const char *network);

// The place that the keys `port` and `peer` name; NULL and no failure: neither is given.
struct object *place_named(struct weftd *weftd, const json_t *spec, struct failure *failure);
// The same, and the network that the key `network` names. -ENOENT: there is none of that name.
struct place_filter {
	u32 network, place; // ids; 0: any
};
bool place_fits(const struct place_filter *filter, u32 network, u32 place);
int place_filter(struct weftd *weftd, const json_t *spec, struct place_filter *filter,
	struct failure *failure);
extern const struct argument place_filter_arguments[];     // network, port, peer: for commands
extern const struct argument place_arguments[];            // port, peer
int place_answer_flush(struct request *request, u64 rows); // {"forgotten": rows}
// What is taken of its quotas, shared with the datapath. NULL: no such row.
struct weft_usage_row *place_usage(struct weftd *weftd, u32 id);
// The counters of its rows.
void place_show_numbers(struct weftd *weftd, u32 id, u64 tx_dropped, json_t *shown);
// Sets the keys `port` and `peer`; one of them, or (place NULL) both, are null.
void place_show(const struct object *place, json_t *shown);

// Is there room for one more? (noun->check of both)
int place_check_room(struct weftd *weftd, struct failure *failure);
// Static fdb rows keep it (spec NULL), or in a network that the spec has no more.
int place_check_rows(struct weftd *weftd, const struct object *place, const json_t *spec,
	struct failure *failure);

// The limits that both have, into the row. Default limits: those of the noun.
struct place_limits {
	u32 macs;
	u64 storm_pps;
};
int place_limits_set(struct weftd *weftd, const struct object *place,
	const struct place_limits *fallback, struct weft_port_row *row, struct failure *failure);
// Everything that the engine has under its id; its flood lists were left before.
void place_clear(struct weftd *weftd, u32 id);
