// SPDX-License-Identifier: BSD-2-Clause
// Rests of sampling. To see readers of taps take what is timed (P6) may cost every read something
// (30 ns with eBPF), whoever is timed. Where that adds up, packets are timed in turns: a while, and
// then none. What is timed in its turn has all its points, and a rest's length is at random, so
// that the histograms are those of fewer samples, not of other packets.
//
// Nobody rests who has asked for dense samples, or while a trace runs.
#include "daemon/latency_rest.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include <weft/observe.h>
#include "daemon/fdb.h"

LOG_MODULE(latency);

enum {
	DENSE_ONE_IN = 128,    // asked for: they are to be had
	MANY_PER_SECOND = 200, // on their way to taps
	TURN_MS = 100,
	LAND_MS = 50, // what was timed last is still seen to arrive
	REST_MS = 500,
	SPREAD_MS = 150,
	READY_MS = 5, // P6 is seen before packets are timed again
};

struct latency_rest {
	struct weftd *weftd;
	struct event *timer;
	bool may;
	enum { LOOKING, LANDING, RESTING } state;
	u32 looked_ms; // since begun was read
	u32 rest_ms;
	u64 begun; // flights to taps
};

static void watch(struct weftd *weftd, bool taps)
{
	int error =
		weftd->engine_ops->observe ? weftd->engine_ops->observe(weftd->engine, taps) : 0;
	if (error)
		log_warn("readers of taps are not observed: %s", strerror(-error));
}

static void rest_until(struct weftd *weftd, u64 until_ns)
{
	struct weft_host_row *host = weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_host, 0);
	if (host)
		__atomic_store_n(&host->rest_until_ns, until_ns, __ATOMIC_RELAXED);
}

static void in_ms(struct latency_rest *r, u32 ms)
{
	struct timeval in = {.tv_usec = (suseconds_t)ms * 1000};
	event_add(r->timer, &in);
}

static void look_in(struct latency_rest *r, u32 ms)
{
	r->state = LOOKING;
	r->looked_ms = ms;
	r->begun = r->weftd->engine_ops->flights(r->weftd->engine);
	in_ms(r, ms);
}

static void look(struct latency_rest *r)
{
	u64 flights = r->weftd->engine_ops->flights(r->weftd->engine) - r->begun;
	if (flights * 1000 < (u64)MANY_PER_SECOND * r->looked_ms) {
		look_in(r, TURN_MS);
		return;
	}
	r->rest_ms = REST_MS - SPREAD_MS + (u32)random() % (2 * SPREAD_MS);
	rest_until(r->weftd, clock_ns() + (LAND_MS + r->rest_ms) * 1000000ull);
	r->state = LANDING;
	in_ms(r, LAND_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct latency_rest *r = context;
	(void)fd, (void)what;
	if (r->state == LOOKING) {
		look(r);
	} else if (r->state == LANDING) {
		watch(r->weftd, false);
		r->state = RESTING;
		in_ms(r, r->rest_ms - READY_MS);
	} else {
		watch(r->weftd, true);
		look_in(r, READY_MS + TURN_MS);
	}
}

static struct latency_rest *rest_of(struct weftd *weftd)
{
	struct latency_rest *r = weftd->latency_rest;
	if (r || !weftd->engine_ops->flights)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->weftd = weftd;
	r->timer = evtimer_new(weftd->base, on_timer, r);
	if (!r->timer)
		abort();
	return weftd->latency_rest = r;
}

void latency_observe(struct weftd *weftd, bool traced, u32 densest)
{
	struct latency_rest *r = rest_of(weftd);
	bool may = r && densest && !traced && densest <= weft_sample_below(DENSE_ONE_IN);
	if (may && r->may) // as before, perhaps in a rest
		return;
	if (r) {
		r->may = may;
		event_del(r->timer);
		rest_until(weftd, 0);
	}
	watch(weftd, densest || traced);
	if (may)
		look_in(r, TURN_MS);
}

void latency_rest_close(struct weftd *weftd)
{
	struct latency_rest *r = weftd->latency_rest;
	if (!r)
		return;
	if (r->may && r->state != LOOKING &&
		weftd->engine) { // readers are observed without weftd, too
		rest_until(weftd, 0);
		watch(weftd, true);
	}
	event_free(r->timer);
	free(r);
	weftd->latency_rest = NULL;
}
