// SPDX-License-Identifier: BSD-2-Clause
// Connections of services: rows that go, with what they count.
#include "daemon/connection.h"

#include <string.h>
#include "daemon/network.h"
#include "daemon/service.h"

struct forget {
	struct weftd *weftd;
	u64 rows;
};

static struct weft_service_usage_row *usage_of(struct weftd *weftd, u32 service)
{
	return weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_service_usage, service);
}

static void forget_row(struct forget *f, const struct weft_connection_key *key)
{
	struct weft_connection_row row;
	if (engine_del(f->weftd, connection, key, &row))
		return;
	f->rows++;
	if (row.flags & WEFT_CONNECTION_REPLY) // the other one is counted
		return;
	struct weft_service_usage_row *service = usage_of(f->weftd, row.service);
	struct weft_usage_row *network = network_usage(f->weftd, row.network);
	if (service && __atomic_load_n(&service->connections, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&service->connections, 1, __ATOMIC_RELAXED);
	if (network && __atomic_load_n(&network->connections, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&network->connections, 1, __ATOMIC_RELAXED);
}

static bool is_stray(struct weftd *weftd, const struct weft_connection_row *row)
{
	struct object *object = object_by_id(weftd, &noun_backend, row->rewrite.backend);
	const struct backend *backend = object ? object->live : NULL;
	struct object *service = object_by_id(weftd, &noun_service, row->service);
	return !backend || backend->row.service != row->service || !service || !service->live;
}

static int forget_stray(const void *at, const void *data, void *context)
{
	struct forget *f = context;
	struct weft_connection_key key;
	struct weft_connection_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (is_stray(f->weftd, &row))
		forget_row(f, &key);
	return 0;
}

void connections_forget_strays(struct weftd *weftd)
{
	struct forget f = {.weftd = weftd};
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_connection, forget_stray, &f);
}
