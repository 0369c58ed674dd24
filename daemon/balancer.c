// SPDX-License-Identifier: BSD-2-Clause
// What follows a change of services and backends: rings are filled again, once for many changes,
// before their answers go out; then what has gone gives its rows back.
#include <event2/event.h>
#include <stdlib.h>
#include <weft/log.h>
#include "daemon/connection.h"
#include "daemon/network.h"
#include "daemon/service.h"

LOG_MODULE(balancer);

enum { FOLLOW_MS = 1000, FOLLOW_WAITING_MS = 200, FOLLOW_SOON_MS = 10 };

struct gone {
	u32 id;
	struct backend *backend;
};

struct balancer {
	struct weftd *weftd;
	struct event *settle, *tick;
	struct rings *rings;
	u32 round; // of backends_follow
	bool changed, hosts_changed, tenants_changed;
	u32 tenants; // networks that have services
	struct gone *gone;
	u32 gone_count;
};

static void on_settle(evutil_socket_t fd, short what, void *context)
{
	struct balancer *b = context;
	(void)fd, (void)what;
	balancer_settle(b->weftd);
}

static void follow_in(struct balancer *b, u32 ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	event_add(b->tick, &pause);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	struct balancer *b = context;
	(void)fd, (void)what;
	follow_in(b, backends_follow(b->weftd, b->round++) ? FOLLOW_WAITING_MS : FOLLOW_MS);
}

void balancer_follow_soon(struct weftd *weftd)
{
	follow_in(weftd->balancer, FOLLOW_SOON_MS);
}

int balancer_open(struct weftd *weftd)
{
	struct balancer *b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->weftd = weftd;
	b->settle = event_new(weftd->base, -1, 0, on_settle, b);
	b->tick = evtimer_new(weftd->base, on_tick, b);
	if (!b->settle || !b->tick)
		abort();
	b->rings = service_rings_new();
	follow_in(b, FOLLOW_MS);
	weftd->balancer = b;
	return 0;
}

void balancer_close(struct weftd *weftd)
{
	struct balancer *b = weftd->balancer;
	if (!b)
		return;
	event_free(b->settle);
	event_free(b->tick);
	for (u32 i = 0; i < b->gone_count; i++)
		free(b->gone[i].backend);
	free(b->gone);
	service_rings_free(b->rings);
	free(b);
	weftd->balancer = NULL;
}

struct rings *balancer_rings(struct weftd *weftd)
{
	return weftd->balancer->rings;
}

// The event comes before anything else that the loop waits for: before the answer.
static void settle_soon(struct balancer *b)
{
	if (!b->changed)
		event_active(b->settle, EV_TIMEOUT, 0);
	b->changed = true;
}

void balancer_changed(struct weftd *weftd, struct object *object)
{
	struct service *service = object->live;
	service->changed = true;
	settle_soon(weftd->balancer);
}

void balancer_hosts_changed(struct weftd *weftd)
{
	if (!weftd->balancer)
		return;
	weftd->balancer->hosts_changed = true;
	settle_soon(weftd->balancer);
}

void balancer_tenants_changed(struct weftd *weftd)
{
	weftd->balancer->tenants_changed = true;
	settle_soon(weftd->balancer);
}

u32 balancer_tenants(const struct weftd *weftd)
{
	return weftd->balancer ? weftd->balancer->tenants : 0;
}

// Each has an equal part of the connection table.
static void share_anew(struct balancer *b)
{
	u32 tenants = network_tenants(b->weftd);
	b->tenants_changed = false;
	if (tenants == b->tenants)
		return;
	b->tenants = tenants;
	network_shares_changed(b->weftd);
}

void balancer_gone(struct weftd *weftd, u32 id, struct backend *backend)
{
	struct balancer *b = weftd->balancer;
	struct gone *gone = realloc(b->gone, (b->gone_count + 1) * sizeof(*gone));
	if (!gone)
		abort();
	gone[b->gone_count++] = (struct gone){id, backend};
	b->gone = gone;
	settle_soon(b);
}

bool balancer_is_gone(struct weftd *weftd, u32 id)
{
	const struct balancer *b = weftd->balancer;
	for (u32 i = 0; i < b->gone_count; i++) {
		if (b->gone[i].id == id)
			return true;
	}
	return false;
}

static void fill_changed(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_service);
	for (; object; object = object->hh.next) {
		const struct service *service = object->live;
		struct failure failure;
		if (service && service->changed && service_rows_set(weftd, object, &failure))
			log_error("service=%s: %s", object->name, failure.message);
	}
}

void balancer_settle(struct weftd *weftd)
{
	struct balancer *b = weftd->balancer;
	if (!b->changed)
		return;
	b->changed = false;
	if (b->hosts_changed)
		port_blocks_set(weftd);
	b->hosts_changed = false;
	if (b->tenants_changed)
		share_anew(b);
	fill_changed(weftd);
	for (u32 i = 0; i < b->gone_count; i++) {
		backend_rows_clear(weftd, b->gone[i].id, b->gone[i].backend);
		free(b->gone[i].backend);
	}
	if (b->gone_count)
		connections_forget_strays(weftd);
	b->gone_count = 0;
}
