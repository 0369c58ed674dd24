// SPDX-License-Identifier: BSD-2-Clause
// Connections of services: rows that go give back what they counted. The datapath passes over rows
// that are over; here they lose their room.
#include "daemon/connection.h"

#include <string.h>
#include <weft/observe.h>
#include "daemon/check.h"
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/service.h"
#include "datapath/pipeline/balance.h"

bool connection_translates(struct weftd *weftd, const struct weft_postcard *card,
	const struct weft_key *key, struct weft_rewrite *rewrite)
{
	// as stage balance has it: a frame of an uplink may be in no network when it comes
	const u32 scopes[] = {card->network, card->from | WEFT_SCOPE_PORT};
	struct weft_connection_key tuple = {
		.src_port = key->l4_src, .dst_port = key->l4_dst, .protocol = key->protocol};
	struct weft_connection_row row;
	memcpy(tuple.src, key->ip_src.byte, sizeof(tuple.src));
	memcpy(tuple.dst, key->ip_dst.byte, sizeof(tuple.dst));
	for (u32 i = 0; card->backend && i < WEFT_ARRAY_SIZE(scopes); i++) {
		tuple.scope = scopes[i];
		if (!tuple.scope || engine_get(weftd, connection, &tuple, &row))
			continue;
		*rewrite = row.rewrite;
		return true;
	}
	return false;
}

void connection_give_back(u64 *count)
{
	u64 now = __atomic_load_n(count, __ATOMIC_RELAXED);
	while (now && !__atomic_compare_exchange_n(
			      count, &now, now - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

// False: a connection began, or went on, in between; it is where it was.
static bool take_out(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row, bool expired, struct weft_connection_row *gone)
{
	if (expired ? engine_expire(weftd, connection, key, gone)
		    : engine_del(weftd, connection, key, gone))
		return false;
	if (gone->seen_ns == row->seen_ns)
		return true;
	engine_put(weftd, connection, key, gone);
	return false;
}

static void give_back_row(struct weftd *weftd, const struct weft_connection_row *gone)
{
	if (gone->flags & WEFT_CONNECTION_REPLY) // the other row is counted
		return;
	struct weft_service_usage_row *service =
		weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_service_usage, gone->service);
	struct weft_usage_row *network = network_usage(weftd, gone->network);
	if (service)
		connection_give_back(&service->connections);
	if (network)
		connection_give_back(&network->connections);
}

bool connection_forget(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row, bool expired)
{
	struct weft_connection_row gone;
	if (!take_out(weftd, key, row, expired, &gone))
		return false;
	give_back_row(weftd, &gone);
	return true;
}

void connection_orphan(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row)
{
	struct weft_connection_row left;
	if (!take_out(weftd, key, row, false, &left))
		return;
	left.rewrite.backend = 0;
	left.partner_scope = 0;
	if (engine_put(weftd, connection, key, &left))
		give_back_row(weftd, &left);
}

bool connection_is_stray(struct weftd *weftd, const struct weft_connection_row *row)
{
	if (check_is_service(weftd, row->service))
		return !check_is_live(weftd, row->rewrite.backend);
	struct object *object = object_by_id(weftd, &noun_backend, row->rewrite.backend);
	const struct backend *backend = object ? object->live : NULL;
	struct object *service = object_by_id(weftd, &noun_service, row->service);
	if (!service || !service->live)
		return true;
	if (!row->rewrite.backend)
		return !service_resets(service->spec);
	return !backend || backend->row.service != row->service;
}

bool connection_over(struct weftd *weftd, const struct weft_connection_row *row, u64 now_ns)
{
	return !connection_live(row, now_ns) || connection_is_stray(weftd, row);
}
