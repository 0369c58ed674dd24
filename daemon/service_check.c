// SPDX-License-Identifier: BSD-2-Clause
// Whether the words of services and backends can be.
#include <errno.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/connection.h"
#include "daemon/maglev.h"
#include "daemon/model.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/service.h"

// --- services

static int check_vip(
	struct weftd *weftd, const json_t *spec, const json_t *network, struct failure *failure)
{
	const char *text = spec_text(spec, "vip", ""), *name = spec_text(spec, "network", "");
	struct object *object = object_first_of(weftd, &noun_backend, "address", text);
	struct weft_ip vip = address_read(text);
	if (!address_usable(&vip) || address_link_local(&vip))
		return fail(failure, -EINVAL, "bad_value",
			"%s is not an address that a service can have", text);
	if (network_is_gateway(network, &vip)) {
		fail(failure, -EINVAL, "bad_value", "%s is the gateway of network %s", text, name);
		return fail_hint(failure, "give the service an address of its own");
	}
	for (; object; object = object_next_of(object, "address")) {
		struct object *service = backend_service(weftd, object->spec);
		if (!service || !service_is_in(service->spec, name))
			continue;
		fail(failure, -EINVAL, "bad_value",
			"%s is the address of a backend of service %s in network %s", text,
			service->name, name);
		return fail_hint(failure, "give the service an address of its own");
	}
	return 0;
}

static bool share_place(const json_t *a, const json_t *b)
{
	json_t *name;
	size_t i;
	if (service_is_in(a, spec_text(b, "network", "")))
		return true;
	json_array_foreach (spec_list(a, "uplink"), i, name) {
		if (service_uses_port(b, json_string_value(name)))
			return true;
	}
	return false;
}

static int check_taken(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct object *other =
		object_first_of(weftd, &noun_service, "vip", spec_text(spec, "vip", ""));
	for (; other; other = object_next_of(other, "vip")) {
		if (other == old ||
			spec_number(other->spec, "port", 0) != spec_number(spec, "port", 0) ||
			service_protocol(other->spec) != service_protocol(spec) ||
			!share_place(other->spec, spec))
			continue;
		return fail(failure, -EEXIST, "exists",
			"%s port %lld %s is already service %s's there", spec_text(spec, "vip", ""),
			spec_number(spec, "port", 0), spec_text(spec, "proto", ""), other->name);
	}
	return 0;
}

static int check_uplink(struct weftd *weftd, const char *name, struct failure *failure)
{
	struct object *port = object_find(weftd, &noun_port, name);
	if (!port) {
		fail(failure, -ENOENT, "not_found", "there is no port %s", name);
		return fail_hint(failure, "`port add %s type device dev D` makes it", name);
	}
	const struct port_type *type = port_type_of(port->spec);
	if (!type || (!type->host_if_addressed && !port_twin_wanted(port->spec)))
		return fail(failure, -EINVAL, "bad_value",
			"port %s is no uplink: services are reached by ports of type device, "
			"and of type pci with `underlay on`",
			name);
	const char *network =
		spec_text(port->spec, spec_list(port->spec, "tags") ? "native" : "network", NULL);
	if (!network)
		return 0;
	fail(failure, -EINVAL, "bad_value",
		"port %s is no uplink: its frames without a tag are network %s's", name, network);
	return fail_hint(failure, "a service is reached from outside by a port without `network` "
				  "or `native`");
}

static int check_uplinks(
	struct weftd *weftd, const json_t *spec, const json_t *network, struct failure *failure)
{
	struct weft_ip vip = service_vip(spec);
	const char *family = address_v4(&vip) ? "IPv4" : "IPv6";
	json_t *name;
	size_t i;
	if (!spec_list(spec, "uplink"))
		return 0;
	if (service_mode_is(spec, "dsr")) {
		fail(failure, -EINVAL, "bad_value",
			"mode dsr cannot be reached by an uplink: backends answer by themselves, "
			"in their own network");
		return fail_hint(failure, "use mode nat or host-dsr");
	}
	if (!network_gateway(network, address_v4(&vip))) {
		fail(failure, -EINVAL, "bad_value",
			"network %s has no %s gateway: what comes by an uplink could not be "
			"answered",
			spec_text(spec, "network", ""), family);
		return fail_hint(failure, "`network set %s gateway A` gives it one",
			spec_text(spec, "network", ""));
	}
	json_array_foreach (spec_list(spec, "uplink"), i, name) {
		int error = check_uplink(weftd, json_string_value(name), failure);
		if (error)
			return error;
	}
	return 0;
}

static u32 backends_of(struct weftd *weftd, const struct object *service)
{
	struct object *object = backends_first(weftd, service);
	u32 count = 0;
	for (; object; object = backends_next(object))
		count++;
	return count;
}

static int check_table(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	static const u32 sizes[] = {251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537, 131071};
	u32 size = service_table_size(spec), first, left, backends = 0;
	bool good = false;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(sizes); i++)
		good |= sizes[i] == size;
	if (!good)
		return fail_words(failure, "table-size: %u is none of %s", size, MAGLEV_SIZES);
	if (old)
		backends = backends_of(weftd, old);
	if (backends > size)
		return fail(failure, -EINVAL, "bad_value",
			"a table of %u slots has no place for %u backends", size, backends);
	if (old && service_table_size(old->spec) == size)
		return 0;
	if (service_ring_find(weftd, size, &first, &left) == 0)
		return 0;
	fail(failure, -ENOSPC, "table_full",
		"the ring table has no room for %u slots: %u of its %u rows are free", size, left,
		engine_capacity(weftd, WEFT_TABLE_ring));
	return fail_hint(failure,
		"say a smaller `table-size`, or start weftd with a larger ring table: "
		"`capacity: {ring: N}`");
}

// Who is gone gives its id back.
static void settle(struct weftd *weftd)
{
	balancer_settle(weftd);
	connections_settle(weftd);
}

static int check_room(struct weftd *weftd, struct failure *failure)
{
	u32 capacity = engine_capacity(weftd, WEFT_TABLE_service_usage);
	capacity -= checks_count(weftd) != 0; // they have the last one
	if (model_ids_used(weftd, &noun_service) + 1 >= capacity)
		settle(weftd);
	if (model_ids_used(weftd, &noun_service) + 1 < capacity)
		return 0;
	fail(failure, -ENOSPC, "table_full", "the service_usage table is full (%u services)",
		capacity - 1);
	return fail_hint(failure, "start weftd with a larger one: `capacity: {service_usage: N}`");
}

static int check_no_backends(
	struct weftd *weftd, const struct object *service, struct failure *failure)
{
	struct object *object = backends_first(weftd, service);
	struct names names = {0};
	for (; object; object = backends_next(object))
		names_add(&names, spec_text(object->spec, "address", ""));
	if (!names.count)
		return 0;
	fail(failure, -EBUSY, "in_use", "service %s has backends: %s", service->name,
		names_text(&names));
	return fail_hint(
		failure, "delete them first: `backend del %s address A port P`", service->name);
}

// The port of a backend, in a service as its words are, or are to be.
static int check_port(struct weftd *weftd, const struct object *own, const struct object *service,
	const json_t *service_spec, const json_t *spec, struct failure *failure)
{
	long long port = spec_number(spec, "port", 0);
	const char *address = spec_text(spec, "address", "");
	struct object *other = object_first_of(weftd, &noun_backend, "address", address);
	if (service_mode_is(service_spec, "dsr") && port &&
		port != spec_number(service_spec, "port", 0))
		return fail(failure, -EINVAL, "bad_value",
			"mode dsr translates nothing: the port of %s is to be the service's, or "
			"none",
			address);
	if (!service_mode_is(service_spec, "host-dsr"))
		return 0;
	for (; other; other = object_next_of(other, "address")) {
		if (other == own || backend_service(weftd, other->spec) != service)
			continue;
		return fail(failure, -EEXIST, "exists",
			"mode host-dsr tells backends by their machine: %s is one already",
			address);
	}
	return 0;
}

static int check_ports(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct object *backend = old ? backends_first(weftd, old) : NULL;
	int error = 0;
	for (; backend && !error; backend = backends_next(backend))
		error = check_port(weftd, backend, old, spec, backend->spec, failure);
	return error;
}

static int check_checks(struct weftd *weftd, const struct object *old, const json_t *spec,
	const json_t *network, struct failure *failure)
{
	struct object *object = old ? backends_first(weftd, old) : NULL;
	struct weft_ip vip = service_vip(spec);
	int error = check_words(spec, network_gateway(network, address_v4(&vip)), failure);
	for (; object && !error; object = backends_next(object))
		error = check_backend_words(spec, object->spec, failure);
	return error;
}

int service_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	const char *name = spec_text(spec, "network", "");
	if (!spec)
		return check_no_backends(weftd, old, failure);
	struct object *network = object_find(weftd, &noun_network, name);
	if (!network) {
		fail(failure, -ENOENT, "not_found", "there is no network %s", name);
		return fail_hint(failure, "`network add %s` makes it", name);
	}
	int error = old ? 0 : check_room(weftd, failure);
	if (!error)
		error = check_vip(weftd, spec, network->spec, failure);
	if (!error)
		error = check_taken(weftd, old, spec, failure);
	if (!error)
		error = check_uplinks(weftd, spec, network->spec, failure);
	if (!error)
		error = check_ports(weftd, old, spec, failure);
	if (!error)
		error = check_checks(weftd, old, spec, network->spec, failure);
	return error ? error : check_table(weftd, old, spec, failure);
}

// --- backends

static int check_address(struct weftd *weftd, const struct object *service, const json_t *spec,
	struct failure *failure)
{
	const char *text = spec_text(spec, "address", "");
	const char *name = spec_text(service->spec, "network", "");
	const struct object *network = object_find(weftd, &noun_network, name);
	const char *subnet = network ? spec_text(network->spec, "subnet", NULL) : NULL;
	struct weft_ip address = address_read(text), vip = service_vip(service->spec);
	struct object *other = object_first_of(weftd, &noun_service, "vip", text);
	if (!address_usable(&address) || address_link_local(&address))
		return fail(
			failure, -EINVAL, "bad_value", "%s is not the address of a machine", text);
	if (address_v4(&address) != address_v4(&vip))
		return fail(failure, -EINVAL, "bad_value",
			"%s and %s, the address of service %s, are not of one family", text,
			spec_text(service->spec, "vip", ""), service->name);
	if (network && network_is_gateway(network->spec, &address))
		return fail(failure, -EINVAL, "bad_value", "%s is the gateway of network %s", text,
			name);
	if (subnet && !address_fits(&address, subnet))
		return fail(failure, -EINVAL, "bad_value",
			"%s is not in %s, the subnet of network %s", text, subnet, name);
	if (subnet && address_of_all(&address, subnet))
		return fail(failure, -EINVAL, "bad_value",
			"%s is no machine's: it stands for all of %s, the subnet of network %s",
			text, subnet, name);
	for (; other; other = object_next_of(other, "vip")) {
		if (service_is_in(other->spec, name))
			return fail(failure, -EINVAL, "bad_value",
				"%s is the address of service %s", text, other->name);
	}
	return 0;
}

// The table that has no room for one more; NULL: none. Backends that are gone count until nothing
// speaks of them any more.
static const char *full_of_backends(struct weftd *weftd)
{
	u32 count = model_ids_used(weftd, &noun_backend) + 1;
	if (count >= engine_capacity(weftd, WEFT_TABLE_backend) - checks_count(weftd))
		return "backend";
	if (count >= engine_capacity(weftd, WEFT_TABLE_backend_count))
		return "backend_count";
	return count > engine_capacity(weftd, WEFT_TABLE_station) ? "station" : NULL;
}

static int check_backend_room(
	struct weftd *weftd, const struct object *service, struct failure *failure)
{
	const char *table = full_of_backends(weftd);
	if (table) {
		settle(weftd);
		table = full_of_backends(weftd);
	}
	if (table) {
		fail(failure, -ENOSPC, "table_full", "the %s table is full (%u backends)", table,
			model_ids_used(weftd, &noun_backend));
		return fail_hint(
			failure, "start weftd with a larger one: `capacity: {%s: N}`", table);
	}
	if (backends_of(weftd, service) < service_table_size(service->spec))
		return 0;
	fail(failure, -ENOSPC, "full", "the table of service %s has %u slots, one for each backend",
		service->name, service_table_size(service->spec));
	return fail_hint(failure, "`service set %s table-size N` makes it larger", service->name);
}

int backend_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	static const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	if (!spec)
		return 0;
	const struct object *service = backend_service(weftd, spec);
	struct weft_mac mac = mac_read(spec_text(spec, "mac", "02:00:00:00:00:00"));
	if (!service) {
		fail(failure, -ENOENT, "not_found", "there is no service %s",
			spec_text(spec, "service", ""));
		return fail_hint(failure, "`service show` lists what there is");
	}
	if (memcmp(&mac, &gateway, sizeof(mac)) == 0)
		return fail(failure, -EINVAL, "bad_value", "%s is the address of weft's gateways",
			spec_text(spec, "mac", ""));
	if (json_object_get(spec, "drain_seconds") && spec_number(spec, "weight", 1)) {
		fail(failure, -EINVAL, "bad_value", "`drain` is for a backend of weight 0");
		return fail_hint(failure, "say `weight 0 drain TIME`; `drain none` takes it away");
	}
	int error = old ? 0 : check_backend_room(weftd, service, failure);
	if (!error)
		error = check_address(weftd, service, spec, failure);
	if (!error)
		error = check_backend_words(service->spec, spec, failure);
	return error ? error : check_port(weftd, old, service, service->spec, spec, failure);
}
