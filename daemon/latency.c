// SPDX-License-Identifier: BSD-2-Clause
// Which packets are timed.
#include "daemon/latency.h"

#include "daemon/cards.h"
#include "daemon/carrier.h"
#include "daemon/host.h"
#include "daemon/latency_rest.h"
#include "daemon/peer.h"
#include "daemon/port.h"

static u32 host_sample(struct weftd *weftd)
{
	const struct object *host = object_first(weftd, &noun_host);
	return host ? (u32)spec_number(host->spec, "sample", LATENCY_SAMPLE_DEFAULT)
		    : LATENCY_SAMPLE_DEFAULT;
}

u32 latency_sample_below(struct weftd *weftd, const struct object *place)
{
	u32 one_in = host_sample(weftd);
	if (place)
		one_in = (u32)spec_number(place->spec, "sample", one_in);
	return weft_sample_below(one_in);
}

static void set_below(u32 *field, u32 below, u32 *densest)
{
	if (below > *densest)
		*densest = below;
	if (*field != below)
		__atomic_store_n(field, below, __ATOMIC_RELAXED);
}

static void follow_places(struct weftd *weftd, const struct noun *noun, u32 *densest)
{
	for (struct object *o = object_first(weftd, noun); o; o = o->hh.next) {
		struct weft_port_row *row =
			weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_port, o->id);
		if (row && row->flags & WEFT_PORT_PRESENT)
			set_below(&row->sample_below, latency_sample_below(weftd, o), densest);
	}
}

void latency_port_sampled(struct weftd *weftd, u32 was, u32 below)
{
	if (below < was) // it may have been the densest, or the last
		latency_follow(weftd);
	else if (below > weftd->densest)
		latency_observe(weftd, cards_read(weftd), weftd->densest = below);
}

void latency_follow(struct weftd *weftd)
{
	struct weft_host_row *host = weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_host, 0);
	u32 densest = 0;
	if (host)
		set_below(&host->sample_below, latency_sample_below(weftd, NULL), &densest);
	follow_places(weftd, &noun_port, &densest);
	weftd->densest = densest;
	latency_observe(weftd, cards_read(weftd), densest);
	carrier_update(weftd);
}

bool latency_sees_underlay(struct weftd *weftd)
{
	return latency_sample_below(weftd, NULL) || cards_read(weftd);
}
