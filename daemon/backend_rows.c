// SPDX-License-Identifier: BSD-2-Clause
// A backend's rows in the engine: its own, and by which MAC its host knows it.
#include <errno.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/service.h"

bool backend_could_serve(const struct object *object)
{
	const struct backend *backend = object->live;
	return backend && spec_number(object->spec, "weight", 1) &&
	       weft_mac_known(&backend->row.mac);
}

bool backend_serves(const struct object *object)
{
	return backend_could_serve(object) && !((struct backend *)object->live)->out;
}

static void del_station(struct weftd *weftd, u32 id, struct backend *backend)
{
	struct weft_station_key key = {backend->row.service, backend->row.mac, 0};
	struct weft_station_row row;
	if (backend->station && engine_get(weftd, station, &key, &row) == 0 && row.backend == id)
		engine_del(weftd, station, &key, NULL);
	backend->station = false;
}

static int put_station(
	struct weftd *weftd, u32 id, struct backend *backend, struct failure *failure)
{
	struct weft_station_key key = {backend->row.service, backend->row.mac, 0};
	struct weft_station_row row = {id};
	if (!weft_mac_known(&backend->row.mac))
		return 0;
	int error = engine_put(weftd, station, &key, &row);
	backend->station = !error;
	if (!error)
		return 0;
	fail(failure, error, "table_full", "the station table is full");
	return fail_hint(failure, "start weftd with a larger one: capacity: {station: N}");
}

int backend_rows_set(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct backend *backend = object->live;
	struct object *service = backend_service(weftd, object->spec);
	struct weft_ip address = address_read(spec_text(object->spec, "address", ""));
	const char *mac = spec_text(object->spec, "mac", NULL);
	struct weft_index index = {object->id};
	struct weft_backend_row row = {
		.flags = WEFT_BACKEND_PRESENT | (backend->out ? WEFT_BACKEND_DEAD : 0),
		.service = service->id,
		.port = (u16)spec_number(object->spec, "port", 0),
		.mac = mac ? mac_read(mac) : backend->heard,
	};
	memcpy(row.address, address.byte, sizeof(row.address));
	if (memcmp(&row, &backend->row, sizeof(row)) == 0)
		return 0;
	del_station(weftd, object->id, backend);
	int error = engine_put(weftd, backend, &index, &row);
	if (error) {
		fail(failure, error, "table_full", "the backend table has no row %u", index.index);
		return fail_hint(failure, "start weftd with a larger one: capacity: {backend: N}");
	}
	backend->row = row;
	check_follow(weftd, object);
	return put_station(weftd, object->id, backend, failure);
}

int backend_station_set(struct weftd *weftd, struct object *object, struct failure *failure)
{
	return put_station(weftd, object->id, object->live, failure);
}

void backend_rows_clear(struct weftd *weftd, u32 id, struct backend *backend)
{
	static const struct weft_backend_row no_backend;
	static const struct weft_backend_count_row no_count;
	struct weft_index index = {id};
	del_station(weftd, id, backend);
	engine_put(weftd, backend, &index, &no_backend);
	engine_put(weftd, backend_count, &index, &no_count);
}
