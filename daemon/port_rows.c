// SPDX-License-Identifier: BSD-2-Clause
// A port's rows in the engine: networks, tags, floods, limits.
//
// The order never opens a path that neither the old nor the new state allows: what goes is taken
// out first, what comes is put in last.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdb.h"
#include "daemon/forget.h"
#include "daemon/latency.h"
#include "daemon/network.h"
#include "daemon/place.h"
#include "daemon/port.h"
#include "daemon/service.h"

enum { STORM_LIMIT_DEFAULT = 10000, MAC_LIMIT_DEFAULT = 1024 };

bool port_tag_read(const char *text, char network[64], u32 *tag)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;
	char *end;
	if (!length || length >= 64 || colon[1] < '0' || colon[1] > '9')
		return false;
	memcpy(network, text, length);
	network[length] = '\0';
	unsigned long number = strtoul(colon + 1, &end, 10);
	*tag = number > 0xffff ? 0xffff : (u32)number;
	return *end == '\0';
}

static bool add_place(struct port *port, const char *network, u32 tag, struct port_place *place)
{
	struct object *object = object_find(port->weftd, &noun_network, network);
	*place = (struct port_place){object ? object->id : 0, tag};
	return object != NULL;
}

// As the spec says: the untagged one first, the tags in its order. NULL: out of memory.
static struct port_place *wanted_places(struct port *port, u32 *count)
{
	const json_t *spec = port->object->spec;
	const json_t *tags = spec_list(spec, "tags");
	const char *untagged = spec_text(spec, tags ? "native" : "network", NULL);
	struct port_place *places = calloc(json_array_size(tags) + 1, sizeof(*places));
	char network[64];
	json_t *item;
	size_t i;
	u32 tag;
	*count = 0;
	if (!places)
		return NULL;
	if (untagged)
		*count += add_place(port, untagged, 0, &places[*count]);
	json_array_foreach (tags, i, item) {
		if (port_tag_read(json_string_value(item), network, &tag))
			*count += add_place(port, network, tag, &places[*count]);
	}
	return places;
}

static bool has_place(const struct port_place *places, u32 count, const struct port_place *place)
{
	for (u32 i = 0; i < count; i++) {
		if (places[i].network == place->network && places[i].tag == place->tag)
			return true;
	}
	return false;
}

static void leave(struct port *port, const struct port_place *place)
{
	struct weft_tag_key key = {.port = port->object->id, .tag = place->tag};
	network_leave(port->weftd, place->network, port->object->id, (u16)place->tag);
	if (place->tag)
		engine_del(port->weftd, tag, &key, NULL);
}

static int join(struct port *port, const struct port_place *place, struct failure *failure)
{
	struct weft_tag_key key = {.port = port->object->id, .tag = place->tag};
	struct weft_tag_row row = {.network = place->network};
	int error = place->tag ? engine_put(port->weftd, tag, &key, &row) : 0;
	if (error) {
		fail(failure, error, "table_full", "the tag table is full");
		return fail_hint(failure, "start weftd with a larger tag table");
	}
	error = network_join(
		port->weftd, place->network, port->object->id, (u16)place->tag, failure);
	if (error && place->tag)
		engine_del(port->weftd, tag, &key, NULL);
	return error;
}

// By what the kernel has it.
static const struct link *device_of(const struct port *port)
{
	return port->watch.link ? port->watch.link : port_twin(port);
}

static bool host_wanted(const struct port *port)
{
	const struct link *link = port->watch.link;
	if (port_twin(port)) // what it is for
		return true;
	return spec_bool(port->object->spec, "host",
		port->type->host_if_addressed && link && link->has_address);
}

static int put_row(struct port *port, u32 untagged_network, struct failure *failure)
{
	static const struct place_limits limits = {MAC_LIMIT_DEFAULT, STORM_LIMIT_DEFAULT};
	struct weftd *weftd = port->weftd;
	const json_t *spec = port->object->spec;
	struct weft_index index = {port->object->id};
	struct weft_port_row row = {
		.flags = WEFT_PORT_PRESENT | (spec_list(spec, "tags") ? WEFT_PORT_TRUNK : 0) |
			 (host_wanted(port) ? WEFT_PORT_HOST : 0) |
			 (port->watch.link && port->watch.link->tap ? WEFT_PORT_TAP : 0),
		.network = untagged_network,
	};
	const struct link *device = device_of(port);
	if (device && service_by_port(weftd, port->object->name)) {
		row.flags |= WEFT_PORT_VIPS;
		memcpy(row.address, &device->mac, sizeof(device->mac));
	}
	int error = place_limits_set(weftd, port->object, &limits, &row, failure);
	if (error || memcmp(&row, &port->row, sizeof(row)) == 0)
		return error;
	error = engine_put(weftd, port, &index, &row);
	if (error) {
		fail(failure, error, "table_full", "the port table has no row %u", index.index);
		return fail_hint(failure, "start weftd with a larger port table");
	}
	latency_port_sampled(weftd, port->row.sample_below, row.sample_below);
	port->row = row;
	return 0;
}

// Takes out what is not wanted any more. What stays keeps its order.
static bool leave_unwanted(struct port *port, const struct port_place *wanted, u32 count)
{
	u32 kept = 0;
	for (u32 i = 0; i < port->place_count; i++) {
		if (has_place(wanted, count, &port->places[i]))
			port->places[kept++] = port->places[i];
		else
			leave(port, &port->places[i]);
	}
	bool any = kept < port->place_count;
	port->place_count = kept;
	return any;
}

static int join_wanted(
	struct port *port, const struct port_place *wanted, u32 count, struct failure *failure)
{
	struct port_place *places = realloc(port->places, (count + 1) * sizeof(*places));
	int error = 0;
	if (!places)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	port->places = places;
	for (u32 i = 0; i < count && !error; i++) {
		if (has_place(port->places, port->place_count, &wanted[i]))
			continue;
		error = join(port, &wanted[i], failure);
		if (!error)
			port->places[port->place_count++] = wanted[i];
	}
	if (!error) // in the order of the spec, so that the next comparison is one memcmp
		memcpy(port->places, wanted, count * sizeof(*wanted));
	return error;
}

int port_rows_set(struct port *port, struct failure *failure)
{
	u32 count;
	struct port_place *wanted = wanted_places(port, &count);
	if (!wanted)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	bool same = count == port->place_count &&
		    (!count || memcmp(wanted, port->places, count * sizeof(*wanted)) == 0);
	u32 untagged = count && !wanted[0].tag ? wanted[0].network : 0;
	bool left = !same && leave_unwanted(port, wanted, count);
	int error = put_row(port, untagged, failure);
	if (left) {
		forget_strays(port->weftd, 0, port->object->id);
	}
	if (!error && !same)
		error = join_wanted(port, wanted, count, failure);
	if (!error && left)
		error = fdb_follow_port(port->weftd, port->object, failure);
	free(wanted);
	return error;
}

void port_rows_clear(struct port *port)
{
	for (u32 i = 0; i < port->place_count; i++)
		leave(port, &port->places[i]);
	port->place_count = 0;
	place_clear(port->weftd, port->object->id);
}
