// SPDX-License-Identifier: BSD-2-Clause
// The underlay: the ways from this host to its peers, as the kernel would go.
//
// Events and commands say what is stale. It is read again when somebody asks, and soon anyway; only
// the latter writes rows and tells others.
#include "daemon/fdb.h"
#include "daemon/underlay.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/host.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/underlay_parts.h"

enum { COALESCE_MS = 20 };

static void peer_forget(struct underlay *u, struct underlay_peer *peer)
{
	underlay_rows_delete(u, peer);
	HASH_DEL(u->peers, peer);
	free(peer);
}

static void peer_know(struct underlay *u, const struct object *object)
{
	struct weft_ip address = address_read(spec_text(object->spec, "address", ""));
	struct underlay_peer *peer = NULL;
	HASH_FIND(hh, u->peers, &object->id, sizeof(object->id), peer);
	if (!peer) {
		peer = calloc(1, sizeof(*peer));
		if (!peer)
			abort();
		peer->id = object->id;
		HASH_ADD(hh, u->peers, id, sizeof(peer->id), peer);
	}
	if (!address_same(&peer->address, &address))
		peer->mtu = 0;
	peer->address = address;
	peer->known = true;
}

static void read_objects(struct underlay *u)
{
	struct weft_ip address = {0};
	struct object *object = object_first(u->weftd, &noun_peer);
	struct underlay_peer *peer, *next;

	u->has_address = host_address(u->weftd, &address);
	if (!address_same(&address, &u->address))
		u->host_mtu = 0;
	u->address = address;
	HASH_ITER (hh, u->peers, peer, next)
		peer->known = false;
	for (; object; object = object->hh.next)
		peer_know(u, object);
	HASH_ITER (hh, u->peers, peer, next) {
		if (!peer->known)
			peer_forget(u, peer);
	}
}

static void read_peer(struct underlay *u, struct underlay_peer *peer)
{
	u32 mtu = 0;
	underlay_route_read(u, peer);
	for (u32 i = 0; i < peer->count; i++) {
		struct way *way = &peer->way[i];
		way->neighbour = way->plain ? neighbour_need(u, way) : NULL;
		if (way->mtu && (!mtu || way->mtu < mtu))
			mtu = way->mtu;
	}
	peer->mtu = mtu ? mtu : peer->mtu;
}

static void read_routes(struct underlay *u)
{
	struct underlay_peer *peer, *next;
	struct underlay_neighbour *n, *after;
	const struct link *link;

	u->routes_stale = false;
	read_objects(u);
	u->host_ifindex = underlay_route_host(u);
	link = link_at(u->weftd->links, u->host_ifindex);
	if (link && !(link->flags & IFF_LOOPBACK))
		u->host_mtu = link->mtu;
	HASH_ITER (hh, u->neighbours, n, after)
		n->needed = false;
	HASH_ITER (hh, u->peers, peer, next)
		read_peer(u, peer);
	neighbours_sweep(u);
}

// What is known and not stale. NULL: not open, or the objects are gone.
static struct underlay *fresh(struct weftd *weftd)
{
	struct underlay *u = weftd->underlay;
	if (!u || !weftd->objects)
		return NULL;
	if (u->routes_stale)
		read_routes(u);
	if (u->neighbours_stale)
		neighbours_read(u);
	return u;
}

struct underlay_peer *underlay_peer(struct weftd *weftd, u32 id)
{
	struct underlay *u = fresh(weftd);
	struct underlay_peer *peer = NULL;
	if (u)
		HASH_FIND(hh, u->peers, &id, sizeof(id), peer);
	return peer;
}

// Changes when the MTU of any way does: networks have different peers.
static u32 mtu_sum(const struct underlay *u)
{
	u32 sum = u->host_mtu;
	for (const struct underlay_peer *peer = u->peers; peer; peer = peer->hh.next)
		sum += (peer->id * 65537 + 1) * peer->mtu;
	return sum;
}

static void tell(struct underlay *u)
{
	u32 device[ENGINE_UNDERLAYS];
	u32 count = underlay_devices(u->weftd, device, ENGINE_UNDERLAYS);
	u32 mtus = mtu_sum(u);

	if (mtus == u->told_mtus && count == u->told_count &&
		memcmp(device, u->told, count * sizeof(device[0])) == 0)
		return;
	u->told_mtus = mtus;
	u->told_count = count;
	memcpy(u->told, device, count * sizeof(device[0]));
	network_underlay_changed(u->weftd);
}

void underlay_update(struct weftd *weftd)
{
	struct underlay *u = fresh(weftd);
	struct underlay_peer *peer, *next;

	if (!u || !weftd->engine)
		return;
	HASH_ITER (hh, u->peers, peer, next)
		underlay_rows_write(u, peer);
	tell(u);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	struct underlay *u = weftd->underlay;
	(void)fd, (void)what;
	u->routes_stale = u->routes_stale || u->routes_due;
	u->routes_due = false;
	underlay_update(weftd);
}

void underlay_schedule(struct underlay *u)
{
	struct timeval pause = {.tv_usec = COALESCE_MS * 1000};
	if (!evtimer_pending(u->timer, NULL))
		evtimer_add(u->timer, &pause);
}

void underlay_routes_stale(struct underlay *u)
{
	u->routes_stale = u->routes_due = true;
	underlay_schedule(u);
}

void underlay_changed(struct weftd *weftd)
{
	if (weftd->underlay)
		underlay_routes_stale(weftd->underlay);
}

u32 underlay_mtu(struct weftd *weftd, const char *network)
{
	struct underlay *u = fresh(weftd);
	struct underlay_peer *peer, *next;
	u32 mtu = 0;

	if (!u)
		return 0;
	HASH_ITER (hh, u->peers, peer, next) {
		const struct object *object = object_by_id(weftd, &noun_peer, peer->id);
		bool spans = !network || !object || peer_spec_uses(object->spec, network);
		if (spans && peer->mtu && (!mtu || peer->mtu < mtu))
			mtu = peer->mtu;
	}
	return mtu ? mtu : u->host_mtu;
}

static bool holds(const u32 list[], u32 count, u32 value)
{
	for (u32 i = 0; i < count; i++)
		if (list[i] == value)
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	return x < y ? -1 : x > y;
}

u32 underlay_rows(struct weftd *weftd)
{
	struct underlay_peer *peer, *next;
	u32 rows = 0;
	if (weftd->underlay)
		HASH_ITER (hh, weftd->underlay->peers, peer, next)
			rows += peer->rows;
	return rows;
}

// Does another own the device, a port above all? Its machines could speak for a peer. A twin is the
// host's.
static bool owned(const struct link *link)
{
	return link->watch && !port_twin_is(link->watch, PORT_TWIN);
}

// Where peers may send to this host, whichever way it takes itself.
static u32 add_addressed(struct weftd *weftd, u32 ifindex[], u32 count, u32 capacity)
{
	struct link *link = link_first(weftd->links);
	for (; link && count < capacity; link = link->by_index.next)
		if (link->has_address && link->hardware == ARPHRD_ETHER && !owned(link) &&
			!link->master && !holds(ifindex, count, link->ifindex))
			ifindex[count++] = link->ifindex;
	return count;
}

u32 underlay_devices(struct weftd *weftd, u32 ifindex[], u32 capacity)
{
	struct underlay *u = fresh(weftd);
	struct underlay_peer *peer, *next;
	u32 count = 0;

	if (!u)
		return 0;
	HASH_ITER (hh, u->peers, peer, next) {
		for (u32 i = 0; i < peer->count && count < capacity; i++) {
			u32 device = peer->way[i].ifindex;
			const struct link *link = link_at(weftd->links, device);
			if (link && link->hardware == ARPHRD_ETHER &&
				!holds(ifindex, count, device))
				ifindex[count++] = device;
		}
	}
	if (u->peers && weftd->engine_ops->own_overlay)
		count = add_addressed(weftd, ifindex, count, capacity);
	qsort(ifindex, count, sizeof(ifindex[0]), by_value);
	return count;
}

// The datapath believes the next hops for as long as somebody follows the underlay (WEFT_ALIVE_NS).
static void on_beat(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	struct weft_host_row *row =
		weftd->engine ? weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_host, 0)
			      : NULL;
	if (row)
		__atomic_store_n(&row->alive_ns, clock_ns(), __ATOMIC_RELAXED);
	for (struct underlay_peer *peer = weftd->underlay->peers; peer; peer = peer->hh.next)
		if (peer->kept_since_ns)
			underlay_rows_write(weftd->underlay, peer);
}

int underlay_open(struct weftd *weftd, struct failure *failure)
{
	struct underlay *u = calloc(1, sizeof(*u));
	const struct timeval second = {.tv_sec = 1};
	int error = -ENOMEM;
	if (!u)
		return fail(failure, error, "no_memory", "out of memory");
	weftd->underlay = u;
	u->weftd = weftd;
	u->routes_stale = true;
	u->timer = evtimer_new(weftd->base, on_timer, weftd);
	u->beat = event_new(weftd->base, -1, EV_PERSIST, on_beat, weftd);
	if (u->timer && u->beat)
		error = evtimer_add(u->beat, &second) ? -ENOMEM : underlay_events_open(u);
	if (!error)
		error = neighbours_adopt(u);
	if (!error)
		return 0;
	underlay_close(weftd);
	return fail(failure, error, "netlink",
		"cannot follow the routes of this network namespace: %s", strerror(-error));
}

void underlay_close(struct weftd *weftd)
{
	struct underlay *u = weftd->underlay;
	struct underlay_peer *peer, *next;

	if (!u)
		return;
	if (u->event)
		event_free(u->event);
	if (u->timer)
		event_free(u->timer);
	if (u->beat)
		event_free(u->beat);
	nl_socket_free(u->events);
	neighbours_free(u, weftd->purging);
	HASH_ITER (hh, u->peers, peer, next) {
		HASH_DEL(u->peers, peer);
		free(peer);
	}
	free(u);
	weftd->underlay = NULL;
}
