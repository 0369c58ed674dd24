// SPDX-License-Identifier: BSD-2-Clause
// Backends as they are now: who answers for their addresses, and whose time to drain is over.
#include <string.h>
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/question.h"
#include "daemon/service.h"

enum { FRESH_SECONDS = 30, ASK_SECONDS = 10, ASK_FIRST = 10, HEAR_AT_ONCE = 4096 };

// Who was heard of with its address. 0: nobody, or two at once.
static u64 heard_ns(struct weftd *weftd, const struct backend *backend, struct weft_mac *mac)
{
	struct object *service = object_by_id(weftd, &noun_service, backend->row.service);
	struct weft_neighbour_key key = {
		.network = service ? service_network(weftd, service->spec) : 0};
	struct weft_neighbour_row row;
	memcpy(key.ip, backend->row.address, sizeof(key.ip));
	if (engine_get(weftd, neighbour, &key, &row) || row.flags & WEFT_NEIGHBOUR_CONTESTED)
		return 0;
	*mac = row.mac;
	return row.seen_ns;
}

void backend_hear(struct weftd *weftd, struct object *object)
{
	struct backend *backend = object->live;
	struct object *service = object_by_id(weftd, &noun_service, backend->row.service);
	struct weft_mac mac;
	backend->heard_ns = heard_ns(weftd, backend, &mac);
	if (!backend->heard_ns || memcmp(&mac, &backend->heard, sizeof(mac)) == 0)
		return;
	backend->heard = mac;
	backend_rows_set(weftd, object, NULL);
	balancer_changed(weftd, service);
}

// Each second at first, then less often: questions go to everybody.
static bool is_due(struct backend *backend, u64 now_ns)
{
	u64 pause_s = backend->heard_ns || backend->asked >= ASK_FIRST ? ASK_SECONDS : 1;
	if (backend->heard_ns)
		backend->asked = 0;
	if (backend->heard_ns && now_ns - backend->heard_ns < FRESH_SECONDS * 1000000000ull)
		return false;
	return now_ns - backend->asked_ns >= pause_s * 1000000000ull;
}

static void ask_if_due(struct weftd *weftd, struct backend *backend, u32 network, u64 now_ns)
{
	struct weft_ip ip;
	if (!is_due(backend, now_ns))
		return;
	backend->asked++;
	backend->asked_ns = now_ns;
	memcpy(ip.byte, backend->row.address, sizeof(ip.byte));
	question_ask(weftd, network, &ip);
}

static void follow_mac(struct weftd *weftd, struct object *object, u64 now_ns)
{
	struct backend *backend = object->live;
	struct object *service = object_by_id(weftd, &noun_service, backend->row.service);
	backend_hear(weftd, object);
	if (service)
		ask_if_due(weftd, backend, service_network(weftd, service->spec), now_ns);
}

// In mode host-dsr the balancer must know on which host it is, also where its MAC was given: who is
// silent for so long that the FDB forgets it is asked.
static void follow_place(struct weftd *weftd, struct object *object, u64 now_ns)
{
	struct backend *backend = object->live;
	struct object *service = object_by_id(weftd, &noun_service, backend->row.service);
	struct weft_fdb_key key = {.mac = backend->row.mac};
	struct weft_fdb_row row;
	if (!service || !service_mode_is(service->spec, "host-dsr"))
		return;
	key.network = service_network(weftd, service->spec);
	bool known = !engine_get(weftd, fdb, &key, &row);
	backend->heard_ns = !known ? 0 : row.kind == WEFT_FDB_STATIC ? now_ns : row.seen_ns;
	ask_if_due(weftd, backend, key.network, now_ns);
}

static void follow_drain(struct weftd *weftd, const struct object *object)
{
	struct backend *backend = object->live;
	struct connection_filter all = {backend->row.service, object->id, 0};
	bool over = backend_drain_left(object->spec) == 0;
	if (over && !backend->drained)
		connections_forget(weftd, &all, NULL, NULL);
	backend->drained = over;
}

bool backends_follow(struct weftd *weftd, u32 round)
{
	struct object *object = object_first(weftd, &noun_backend);
	u32 turns = object_count(weftd, &noun_backend) / HEAR_AT_ONCE + 1;
	u64 now_ns = clock_ns();
	bool waiting = false;
	for (; object; object = object->hh.next) {
		if (!object->live)
			continue;
		follow_drain(weftd, object);
		backend_look(weftd, object, round, now_ns);
		if (json_object_get(object->spec, "mac")) {
			follow_place(weftd, object, now_ns);
			continue;
		}
		const struct backend *backend = object->live;
		if (!backend->heard_ns || object->id % turns == round % turns)
			follow_mac(weftd, object, now_ns);
		waiting |= !backend->heard_ns;
	}
	return waiting;
}
