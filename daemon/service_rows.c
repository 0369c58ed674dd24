// SPDX-License-Identifier: BSD-2-Clause
// A service's rows in the engine: one for each place where it is reached, and that of its address
// there.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/meter.h"
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/service.h"

enum { IDLE_TCP_SECONDS = 3600, IDLE_UDP_SECONDS = 60, CONNECTION_LIMIT_DEFAULT = 65536 };

u32 service_idle_seconds(const json_t *spec)
{
	return (u32)spec_number(spec, "idle_seconds",
		service_protocol(spec) == 17 ? IDLE_UDP_SECONDS : IDLE_TCP_SECONDS);
}

bool service_resets(const json_t *spec)
{
	return service_protocol(spec) == WEFT_IP_TCP &&
	       strcmp(spec_text(spec, "dead", "keep"), "reset") == 0;
}

// --- where it is reached

static struct weft_service_key key_in(const json_t *spec, u32 scope)
{
	struct weft_ip vip = address_read(spec_text(spec, "vip", ""));
	struct weft_service_key key = {
		.scope = scope,
		.port = (u16)spec_number(spec, "port", 0),
		.protocol = service_protocol(spec),
	};
	memcpy(key.address, vip.byte, sizeof(key.address));
	return key;
}

static struct weft_service_key address_key(const struct weft_service_key *key)
{
	struct weft_service_key address = *key;
	address.port = 0;
	address.protocol = 0;
	return address;
}

// The network first, then the uplinks that there are. NULL: out of memory.
static struct weft_service_key *wanted_keys(struct weftd *weftd, const json_t *spec, u32 *count)
{
	const json_t *uplinks = spec_list(spec, "uplink");
	struct weft_service_key *keys = calloc(json_array_size(uplinks) + 1, sizeof(*keys));
	u32 network = service_network(weftd, spec);
	json_t *name;
	size_t i;
	*count = 0;
	if (!keys)
		return NULL;
	if (network)
		keys[(*count)++] = key_in(spec, network);
	json_array_foreach (uplinks, i, name) {
		struct object *port = object_find(weftd, &noun_port, json_string_value(name));
		if (port)
			keys[(*count)++] = key_in(spec, port->id | WEFT_SCOPE_PORT);
	}
	return keys;
}

static bool has_key(
	const struct weft_service_key *keys, u32 count, const struct weft_service_key *key)
{
	for (u32 i = 0; i < count; i++) {
		if (memcmp(&keys[i], key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

// Has a service but this one the same address there?
static bool address_shared(
	struct weftd *weftd, const struct object *own, const struct weft_service_key *address)
{
	struct object *object =
		object_first_of(weftd, &noun_service, "vip", spec_text(own->spec, "vip", ""));
	for (; object; object = object_next_of(object, "vip")) {
		const struct service *service = object->live;
		for (u32 i = 0; object != own && service && i < service->key_count; i++) {
			struct weft_service_key other = address_key(&service->keys[i]);
			if (memcmp(&other, address, sizeof(other)) == 0)
				return true;
		}
	}
	return false;
}

static void del_rows(
	struct weftd *weftd, const struct object *own, const struct weft_service_key *key)
{
	struct weft_service_key address = address_key(key);
	engine_del(weftd, service, key, NULL);
	if (!address_shared(weftd, own, &address))
		engine_del(weftd, service, &address, NULL);
}

static int put_rows(struct weftd *weftd, const struct weft_service_key *key,
	const struct weft_service_row *row, struct failure *failure)
{
	struct weft_service_key address = address_key(key);
	struct weft_service_row there = {.flags = WEFT_SERVICE_ADDRESS, .network = row->network};
	int error = engine_put(weftd, service, key, row);
	if (!error)
		error = engine_put(weftd, service, &address, &there);
	if (!error)
		return 0;
	fail(failure, error, "table_full", "the service table is full");
	return fail_hint(failure, "start weftd with a larger one: capacity: {service: N}");
}

// --- the ring

static int take_region(struct weftd *weftd, const struct service *service, u32 size, u32 *first,
	struct failure *failure)
{
	u32 left;
	*first = service->ring;
	if (service->size == size)
		return 0;
	// Beside its old one, which packets still read.
	if (service_ring_find(weftd, size, first, &left) == 0)
		return 0;
	fail(failure, -ENOSPC, "table_full",
		"the ring table has no room for %u slots in a row: %u of its rows are free", size,
		left);
	return fail_hint(failure, "say a smaller `table-size`, or start weftd with a larger ring "
				  "table: capacity: {ring: N}");
}

// --- all of it

static struct weft_service_row row_of(struct weftd *weftd, const struct object *object)
{
	const struct service *service = object->live;
	const json_t *spec = object->spec;
	struct weft_service_row row = {
		.id = object->id,
		.flags = service_mode_is(spec, "nat")        ? WEFT_SERVICE_NAT
			 : service_mode_is(spec, "host-dsr") ? WEFT_SERVICE_HOST_DSR
							     : WEFT_SERVICE_DSR,
		.network = service_network(weftd, spec),
		.ring = service->ring,
		.ring_size = service->serving ? service->size : 0,
		.seed = (u32)spec_number(spec, "seed", 0),
		.connection_limit =
			(u32)spec_number(spec, "connection_limit", CONNECTION_LIMIT_DEFAULT),
		.idle_ns = (u64)service_idle_seconds(spec) * 1000000000,
	};
	if (strcmp(spec_text(spec, "affinity", "none"), "source") == 0)
		row.flags |= WEFT_SERVICE_AFFINITY;
	if (strcmp(spec_text(spec, "on_empty", "keep"), "reject") == 0)
		row.flags |= WEFT_SERVICE_REJECT;
	if (service_resets(spec))
		row.flags |= WEFT_SERVICE_RESET;
	return row;
}

static int put_keys(struct weftd *weftd, struct object *object, struct weft_service_key *keys,
	u32 count, struct failure *failure)
{
	struct service *service = object->live;
	struct weft_service_row row = row_of(weftd, object);
	int error = meter_set(weftd, meter_of_service(weftd, object->id),
		(u64)spec_number(object->spec, "rate_limit_per_second", 0), &row.rate_meter,
		failure);
	for (u32 i = 0; i < count && !error; i++)
		error = put_rows(weftd, &keys[i], &row, failure);
	if (error)
		return error;
	struct weft_service_key *old = service->keys;
	u32 old_count = service->key_count;
	service->keys = keys;
	service->key_count = count;
	for (u32 i = 0; i < old_count; i++) {
		if (!has_key(keys, count, &old[i]))
			del_rows(weftd, object, &old[i]);
	}
	free(old);
	return 0;
}

int service_rows_set(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct service *service = object->live;
	u32 size = service_table_size(object->spec), first, count;
	int error = take_region(weftd, service, size, &first, failure);
	if (error)
		return error;
	struct weft_service_key *keys = wanted_keys(weftd, object->spec, &count);
	if (!keys)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	service->changed = false;
	checks_settle(weftd, object);
	service->serving = service_ring_fill(weftd, object, first, size);
	service_ring_set(weftd, service, first, size);
	error = put_keys(weftd, object, keys, count, failure);
	if (error) { // of those that were new, none may stay
		for (u32 i = 0; i < count; i++) {
			if (!has_key(service->keys, service->key_count, &keys[i]))
				del_rows(weftd, object, &keys[i]);
		}
		free(keys);
	}
	return error;
}

void service_rows_clear(struct weftd *weftd, struct object *object)
{
	static const struct weft_service_usage_row no_usage;
	struct service *service = object->live;
	struct weft_index index = {object->id};
	u32 none;
	for (u32 i = 0; i < service->key_count; i++)
		del_rows(weftd, object, &service->keys[i]);
	service_ring_set(weftd, service, 0, 0);
	engine_put(weftd, service_usage, &index, &no_usage);
	meter_set(weftd, meter_of_service(weftd, object->id), 0, &none, NULL);
}

bool service_in_network(struct weftd *weftd, u32 network)
{
	struct object *object = object_first(weftd, &noun_service);
	for (; object; object = object->hh.next) {
		if (object->live && service_network(weftd, object->spec) == network)
			return true;
	}
	return false;
}

bool service_by_port(struct weftd *weftd, const char *port)
{
	struct object *object = object_first(weftd, &noun_service);
	for (; object; object = object->hh.next) {
		if (object->live && service_uses_port(object->spec, port))
			return true;
	}
	return false;
}
