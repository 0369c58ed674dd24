// SPDX-License-Identifier: BSD-2-Clause
// Drops by port and reason: what the datapath counted, and what devices say they dropped.
//
// The datapath never counts device_dropped. Its row holds what must be added to the device's own
// counter to get the drops since weft uses it (modulo 2^64): so it survives weftd like the others.
#include "daemon/drops.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
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

u64 drops_device(struct weftd *weftd, u32 port, const struct link *link)
{
	struct rtnl_link_stats64 stats;
	if (!link || link_stats(weftd->links, link, &stats))
		return 0;
	return drops_count(weftd, port, WEFT_DROP_device_dropped) + stats.tx_dropped;
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

void drops_walk(struct weftd *weftd, const struct object *object, drops_fn *fn, void *context)
{
	const struct port *port = object->live;
	for (u32 reason = WEFT_DROP_none + 1; port && reason < WEFT_DROP_count; reason++) {
		u64 packets = reason == WEFT_DROP_device_dropped
				      ? drops_device(weftd, object->id, port->watch.link)
				      : drops_count(weftd, object->id, reason);
		if (packets)
			fn(object, reason, packets, context);
	}
}

static void show_drop(const struct object *port, enum weft_drop reason, u64 packets, void *context)
{
	json_array_append_new(
		context, json_pack("{s:s, s:s, s:s, s:I, s:s}", "reason", drop_name(reason), "port",
				 port->name, "hop", drop_hop(reason), "packets",
				 (json_int_t)packets, "why", drop_sentence(reason)));
}

static int run_show(struct request *request)
{
	struct weftd *weftd = request->weftd;
	const char *name = spec_text(request->arguments, "port", NULL);
	struct object *port =
		name ? object_find(weftd, &noun_port, name) : object_first(weftd, &noun_port);
	if (name && !port) {
		fail(&request->failure, -ENOENT, "not_found", "there is no port %s", name);
		return fail_hint(&request->failure, "`port show` lists what there is");
	}
	request->result = json_array();
	for (; port; port = name ? NULL : port->hh.next)
		drops_walk(weftd, port, show_drop, request->result);
	return 0;
}

static const struct argument show_arguments[] = {
	{"port", NULL, ARGUMENT_NAME, 0, NULL, "port", 0, 0, NULL, "only of this port"},
	{0},
};

extern const struct command drops_commands[];
const struct command drops_commands[] = {
	{"drops", "show", show_arguments, "Show what was dropped, why and where",
		"reason,port,hop,packets,why", run_show, NULL},
	{0},
};
