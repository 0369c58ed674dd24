// SPDX-License-Identifier: BSD-2-Clause
// Drops by port and reason: what the datapath counted, and what devices say they dropped.
//
// For a netdev the row of device_dropped holds what must be added to the device's own counter to
// get the drops since weft uses it (modulo 2^64): so it survives weftd like the others. What an
// engine itself cannot hand over it counts in the same row. The same holds for carrier_dropped,
// whose row is that of port 0: no port.
#include "daemon/drops.h"

#include <linux/if_link.h>
#include <stdlib.h>
#include "daemon/carrier.h"
#include "daemon/peer.h"
#include "daemon/place.h"
#include "daemon/port.h"

static struct weft_drop_row *row_at(struct weftd *weftd, u32 port, enum weft_drop reason)
{
	return weftd->engine_ops->table_at(
		weftd->engine, WEFT_TABLE_drop, port * WEFT_DROPS_PER_PORT + reason);
}

u64 drops_count(struct weftd *weftd, u32 port, enum weft_drop reason)
{
	const struct weft_drop_row *row = row_at(weftd, port, reason);
	return row ? __atomic_load_n(&row->packets, __ATOMIC_RELAXED) : 0;
}

void drops_device_start(struct weftd *weftd, u32 port, const struct link *link)
{
	struct rtnl_link_stats64 stats;
	struct weft_drop_row *row = row_at(weftd, port, WEFT_DROP_device_dropped);
	link_stats(weftd->links, link, &stats);
	if (row)
		__atomic_store_n(&row->packets, 0 - stats.tx_dropped, __ATOMIC_RELAXED);
}

u64 drops_device(const struct port *port)
{
	struct weftd *weftd = port->weftd;
	const struct link *link = port->watch.link;
	struct rtnl_link_stats64 stats = {0};
	if (port_has_netdev(port) && (!link || link_stats(weftd->links, link, &stats)))
		return 0;
	return drops_count(weftd, port->object->id, WEFT_DROP_device_dropped) + stats.tx_dropped;
}

u64 drops_total(struct weftd *weftd, u32 port)
{
	u64 total = 0;
	for (u32 reason = WEFT_DROP_none + 1; reason < WEFT_DROP_count; reason++) {
		if (reason != WEFT_DROP_device_dropped)
			total += drops_count(weftd, port, reason);
	}
	return total;
}

static u64 carrier_stats(struct weftd *weftd, const struct link *link)
{
	struct rtnl_link_stats64 stats;
	if (!link || link_stats(weftd->links, link, &stats))
		return 0;
	return stats.rx_errors + stats.rx_dropped + stats.tx_errors + stats.tx_dropped;
}

void drops_carrier_gone(struct weftd *weftd, const struct link *link)
{
	struct weft_drop_row *row = row_at(weftd, 0, WEFT_DROP_carrier_dropped);
	u64 packets = carrier_stats(weftd, link);
	if (row)
		__atomic_fetch_add(&row->packets, packets, __ATOMIC_RELAXED);
}

static u64 count(struct weftd *weftd, const struct object *place, enum weft_drop reason)
{
	u64 packets = drops_count(weftd, place ? place->id : 0, reason);
	if (!place && reason == WEFT_DROP_carrier_dropped)
		return packets + carrier_stats(weftd, carrier_link(weftd));
	if (reason != WEFT_DROP_device_dropped || !place)
		return packets;
	const struct port *port = place_is_peer(place) ? NULL : place->live;
	return port ? drops_device(port) : 0;
}

void drops_walk(struct weftd *weftd, const struct object *place, drops_fn *fn, void *context)
{
	if (place && !place->live)
		return;
	for (u32 reason = WEFT_DROP_none + 1; reason < WEFT_DROP_count; reason++) {
		u64 packets = count(weftd, place, reason);
		if (packets)
			fn(place, reason, packets, context);
	}
}

static void show_drop(const struct object *place, enum weft_drop reason, u64 packets, void *context)
{
	json_t *shown = json_pack("{s:s}", "reason", drop_name(reason));
	place_show(place, shown);
	json_t *more = json_pack("{s:s, s:I, s:s}", "hop", drop_hop(reason), "packets",
		(json_int_t)packets, "why", drop_sentence(reason));
	json_object_update(shown, more);
	json_decref(more);
	json_array_append_new(context, shown);
}

static int run_show(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct place_filter filter;
	struct object *object;
	int error = place_filter(weftd, request->arguments, &filter, &request->failure);
	if (error)
		return error;
	request->result = json_array();
	if (filter.place) {
		drops_walk(weftd, place_at(weftd, filter.place), show_drop, request->result);
		return 0;
	}
	for (object = object_first(weftd, &noun_port); object; object = object->hh.next)
		drops_walk(weftd, object, show_drop, request->result);
	for (object = object_first(weftd, &noun_peer); object; object = object->hh.next)
		drops_walk(weftd, object, show_drop, request->result);
	drops_walk(weftd, NULL, show_drop, request->result);
	return 0;
}

extern const struct command drops_commands[];
const struct command drops_commands[] = {
	{"drops", "show", place_arguments, "Show what was dropped, why and where",
		"reason,port,peer,hop,packets,why", run_show, NULL, "reason port peer hop"},
	{0},
};
