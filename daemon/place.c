// SPDX-License-Identifier: BSD-2-Clause
// Places: where an address can be. A port or a peer: they share ids, tables and rows.
#include "daemon/place.h"

#include <errno.h>
#include <string.h>
#include "daemon/drops.h"
#include "daemon/check.h"
#include "daemon/fdb.h"
#include "daemon/forget.h"
#include "daemon/latency.h"
#include "daemon/meter.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"

struct object *place_at(struct weftd *weftd, u32 id)
{
	struct object *port = object_by_id(weftd, &noun_port, id);
	return port ? port : object_by_id(weftd, &noun_peer, id);
}

bool place_is_peer(const struct object *place)
{
	return place->noun == &noun_peer;
}

bool place_there(const struct object *place)
{
	const struct port *port = place_is_peer(place) ? NULL : place->live;
	return place->live && (!port || port_there(port));
}

const char *place_state(struct weftd *weftd, const struct object *place, char why[PLACE_WHY_BYTES])
{
	if (place_is_peer(place)) {
		struct peer_state peer = peer_state(weftd, place);
		snprintf(why, PLACE_WHY_BYTES, "%s", peer.why);
		return peer.state;
	}
	struct port_state port = port_state(place);
	snprintf(why, PLACE_WHY_BYTES, "%s", port.why);
	return port.state;
}

bool place_in(struct weftd *weftd, const struct object *place, u32 network, u16 *tag)
{
	*tag = 0;
	if (place_is_peer(place))
		return peer_in(weftd, place, network);
	return network_tag(weftd, network, place->id, tag);
}

bool place_spec_uses(const struct noun *noun, const json_t *spec, const char *network)
{
	return noun == &noun_peer ? peer_spec_uses(spec, network) : port_spec_uses(spec, network);
}

struct object *place_named(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	const char *port = spec_text(spec, "port", NULL), *peer = spec_text(spec, "peer", NULL);
	const struct noun *noun = peer ? &noun_peer : &noun_port;
	const char *name = peer ? peer : port;
	if (port && peer) {
		fail(failure, -EINVAL, "bad_value", "both a port and a peer are named");
		fail_hint(failure, "an address is behind one of them: say `port none` or "
				   "`peer none`, too");
		return NULL;
	}
	struct object *place = name ? object_find(weftd, noun, name) : NULL;
	if (name && !place) {
		fail(failure, -ENOENT, "not_found", "there is no %s %s", noun->name, name);
		fail_hint(failure, "`%s show` lists what there is", noun->name);
	}
	return place;
}

int place_filter(struct weftd *weftd, const json_t *spec, struct place_filter *filter,
	struct failure *failure)
{
	const char *name = spec_text(spec, "network", NULL);
	struct object *network = name ? object_find(weftd, &noun_network, name) : NULL;
	bool named = json_object_get(spec, "port") || json_object_get(spec, "peer");
	if (name && !network)
		return fail(failure, -ENOENT, "not_found", "there is no network %s", name);
	struct object *place = named ? place_named(weftd, spec, failure) : NULL;
	if (named && !place)
		return -ENOENT;
	filter->network = network ? network->id : 0;
	filter->place = place ? place->id : 0;
	return 0;
}

const struct argument place_filter_arguments[] = {
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL, "only in this network"},
	{"port", NULL, ARGUMENT_NAME, 0, NULL, "port", 0, 0, NULL, "only behind this port"},
	{"peer", NULL, ARGUMENT_NAME, 0, NULL, "peer", 0, 0, NULL, "only behind this peer"},
	{0},
};

const struct argument place_arguments[] = {
	{"port", NULL, ARGUMENT_NAME, 0, NULL, "port", 0, 0, NULL, "only of this port"},
	{"peer", NULL, ARGUMENT_NAME, 0, NULL, "peer", 0, 0, NULL, "only of this peer"},
	{0},
};

struct weft_usage_row *place_usage(struct weftd *weftd, u32 id)
{
	return weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_port_usage, id);
}

bool place_fits(const struct place_filter *filter, u32 network, u32 place)
{
	return (!filter->network || filter->network == network) &&
	       (!filter->place || filter->place == place);
}

int place_answer_flush(struct request *request, u64 rows)
{
	if (request->json)
		request->result = json_pack("[{s:I}]", "forgotten", (json_int_t)rows);
	else
		request->text = strdup("");
	return 0;
}

void place_show(const struct object *place, json_t *shown)
{
	json_t *name = place ? json_string(place->name) : json_null();
	bool peer = place && place_is_peer(place);
	json_object_set_new(shown, "port", peer ? json_null() : name);
	json_object_set_new(shown, "peer", peer ? name : json_null());
}

void place_show_numbers(struct weftd *weftd, u32 id, u64 tx_dropped, json_t *shown)
{
	struct weft_index index = {id};
	struct weft_port_count_row count = {0};
	struct weft_usage_row usage = {0};
	engine_get(weftd, port_count, &index, &count);
	engine_get(weftd, port_usage, &index, &usage);
	const struct {
		const char *key;
		u64 value;
	} numbers[] = {
		{"id", id},
		{"rx_packets", count.rx_packets},
		{"rx_bytes", count.rx_bytes},
		{"rx_dropped", drops_total(weftd, id)},
		{"tx_packets", count.tx_packets},
		{"tx_bytes", count.tx_bytes},
		{"tx_dropped", tx_dropped},
		{"macs", usage.macs},
		{"learn_refused", usage.learn_refused},
		{"moves", usage.moves},
		{"moves_refused", usage.moves_refused},
		{"bindings", usage.bindings},
		{"bindings_refused", usage.bindings_refused},
		{"samples_lost", usage.samples_lost},
	};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(numbers); i++)
		json_object_set_new(
			shown, numbers[i].key, json_integer((json_int_t)numbers[i].value));
}

// Row 0 is nobody's, and the last ones are weftd's own (question.h, and with checks check.h).
static u32 place_most(const struct weftd *weftd)
{
	return engine_capacity(weftd, WEFT_TABLE_port) - 2 - (checks_count(weftd) ? 1 : 0);
}

int place_check_room(struct weftd *weftd, struct failure *failure)
{
	u32 used = object_count(weftd, &noun_port) + object_count(weftd, &noun_peer);
	if (used < place_most(weftd))
		return 0;
	fail(failure, -ENOSPC, "table_full", "the port table is full (%u ports and peers)",
		place_most(weftd));
	return fail_hint(failure, "start weftd with a larger port table");
}

int place_check_rows(struct weftd *weftd, const struct object *place, const json_t *spec,
	struct failure *failure)
{
	struct names rows = {0};
	struct object *row = place ? object_first(weftd, &noun_fdb) : NULL;
	for (; row; row = row->hh.next) {
		const char *network = spec_text(row->spec, "network", "");
		if (strcmp(spec_text(row->spec, place->noun->name, ""), place->name) == 0 &&
			!(spec && place_spec_uses(place->noun, spec, network)))
			names_add(&rows, row->name);
	}
	if (!rows.count)
		return 0;
	fail(failure, -EBUSY, "in_use", "%s %s is in use by static fdb rows: %s", place->noun->name,
		place->name, names_text(&rows));
	return fail_hint(failure, "delete them first: `fdb del MAC network N`");
}

int place_limits_set(struct weftd *weftd, const struct object *place,
	const struct place_limits *fallback, struct weft_port_row *row, struct failure *failure)
{
	u64 storm =
		(u64)spec_number(place->spec, "storm_limit_pps", (long long)fallback->storm_pps);
	row->sample_below = latency_sample_below(weftd, place);
	row->mac_limit = (u32)spec_number(place->spec, "mac_limit", fallback->macs);
	int error = meter_set(weftd, meter_of_port(place->id), storm, &row->storm_meter, failure);
	return error ? error
		     : meter_set(weftd, meter_of_errors(weftd, place->id), METER_ERRORS_PER_SECOND,
			       &row->error_meter, failure);
}

void place_clear(struct weftd *weftd, u32 id)
{
	static const struct weft_port_row no_port;
	static const struct weft_usage_row no_usage;
	static const struct weft_guest_row no_guest;
	static const struct weft_port_count_row no_count;
	struct weft_index index = {id};
	u32 none;
	engine_put(weftd, port, &index, &no_port);
	forget_place(weftd, id, FORGET_ALL);
	engine_put(weftd, port_usage, &index, &no_usage);
	engine_put(weftd, port_count, &index, &no_count);
	latency_forget(weftd, id);
	engine_put(weftd, guest, &index, &no_guest);
	meter_set(weftd, meter_of_port(id), 0, &none, NULL);
	meter_set(weftd, meter_of_errors(weftd, id), 0, &none, NULL);
	for (u32 reason = 0; reason < WEFT_DROPS_PER_PORT; reason++) {
		struct weft_drop_row *row = weftd->engine_ops->table_at(
			weftd->engine, WEFT_TABLE_drop, id * WEFT_DROPS_PER_PORT + reason);
		if (row)
			__atomic_store_n(&row->packets, 0, __ATOMIC_RELAXED);
	}
}
