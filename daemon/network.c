// SPDX-License-Identifier: BSD-2-Clause
// Networks: L2 broadcast domains.
#include "daemon/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdb.h"
#include "daemon/link.h"
#include "daemon/meter.h"
#include "daemon/names.h"
#include "daemon/port.h"

enum {
	AGEING_DEFAULT_SECONDS = 300,
	MAC_LIMIT_DEFAULT = 16384,
	MOVE_LIMIT_DEFAULT = 100,
};

static const struct argument network_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "network", 0, 0, NULL, "the network"},
	{"vni", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 16777215, NULL,
		"its VXLAN network identifier between hosts"},
	{"subnet", NULL, ARGUMENT_PREFIX, 0, NULL, NULL, 0, 0, NULL,
		"the addresses of its machines"},
	{"gateway", NULL, ARGUMENT_ADDRESSES, 0, NULL, NULL, 0, 0, NULL,
		"addresses that weft answers for: one IPv4, one IPv6 or both"},
	{"mtu", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 68, 65521, "1500",
		"largest packet; taps are set to it"},
	{"ageing", "ageing_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 0, 31536000, "300",
		"how long a silent address is remembered; 0: for ever"},
	{"mac-limit", "mac_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1 << 24, "16384",
		"most learned addresses"},
	{"move-limit", "move_limit_per_second", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1000000, "100",
		"most moves of addresses between ports per second; 0: no limit"},
	{0},
};

u32 network_mtu(const struct object *network)
{
	return (u32)spec_number(network->spec, "mtu", NETWORK_MTU_DEFAULT);
}

u64 network_ageing_ns(const struct object *network)
{
	return (u64)spec_number(network->spec, "ageing_seconds", AGEING_DEFAULT_SECONDS) *
	       1000000000;
}

static struct network *network_live(struct weftd *weftd, u32 id)
{
	struct object *object = object_by_id(weftd, &noun_network, id);
	return object ? object->live : NULL;
}

int network_join(struct weftd *weftd, u32 id, u32 port, u16 tag, struct failure *failure)
{
	struct network *network = network_live(weftd, id);
	if (!network)
		return fail(failure, -ENOENT, "not_up", "the network is not up");
	return member_add(weftd, &network->members, port, tag, failure);
}

void network_leave(struct weftd *weftd, u32 id, u32 port, u16 tag)
{
	struct network *network = network_live(weftd, id);
	if (network)
		member_del(weftd, &network->members, port, tag);
}

bool network_tag(struct weftd *weftd, u32 id, u32 port, u16 *tag)
{
	struct network *network = network_live(weftd, id);
	for (u32 i = 0; network && i < network->members.count; i++) {
		*tag = network->members.rows[i].tag;
		if (network->members.rows[i].port == port)
			return true;
	}
	return false;
}

struct address {
	u8 bytes[16];
	bool v6;
};

static struct address address_read(const char *text)
{
	struct address a = {.v6 = strchr(text, ':') != NULL};
	inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.bytes);
	return a;
}

static bool address_within(const struct address *a, const char *prefix)
{
	char text[64];
	snprintf(text, sizeof(text), "%s", prefix);
	char *slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash = '\0';
	struct address net = address_read(text);
	u32 bits = (u32)strtoul(slash + 1, NULL, 10), whole = bits / 8;
	if (memcmp(a->bytes, net.bytes, whole) != 0)
		return false;
	u8 mask = (u8)(0xff00 >> bits % 8);
	return bits % 8 == 0 || ((a->bytes[whole] ^ net.bytes[whole]) & mask) == 0;
}

// Multicast, unspecified and loopback addresses cannot be a machine's gateway.
static bool address_usable(const struct address *a)
{
	static const u8 none[16], loopback6[16] = {[15] = 1};
	if (a->v6)
		return a->bytes[0] != 0xff && memcmp(a->bytes, none, 16) &&
		       memcmp(a->bytes, loopback6, 16);
	return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
}

static int check_gateway(const json_t *spec, struct failure *failure)
{
	const char *subnet = spec_text(spec, "subnet", NULL);
	bool seen[2] = {false, false};
	json_t *item;
	size_t i;
	json_array_foreach (spec_list(spec, "gateway"), i, item) {
		const char *text = json_string_value(item);
		struct address a = address_read(text);
		if (seen[a.v6])
			return fail(failure, -EINVAL, "bad_value",
				"gateway %s is a second %s address: a network has one of each",
				text, a.v6 ? "IPv6" : "IPv4");
		seen[a.v6] = true;
		if (!address_usable(&a))
			return fail(failure, -EINVAL, "bad_value",
				"gateway %s is not the address of a machine", text);
		if (subnet && a.v6 == (strchr(subnet, ':') != NULL) &&
			!address_within(&a, subnet)) {
			fail(failure, -EINVAL, "bad_value", "gateway %s is not in the subnet %s",
				text, subnet);
			return fail_hint(failure, "give an address of %s", subnet);
		}
	}
	return 0;
}

static int check_vni(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	long long vni = spec_number(spec, "vni", 0);
	struct object *other = vni ? object_first(weftd, &noun_network) : NULL;
	for (; other; other = other->hh.next) {
		if (other != old && spec_number(other->spec, "vni", 0) == vni)
			return fail(failure, -EEXIST, "exists", "vni %lld is already network %s's",
				vni, other->name);
	}
	return 0;
}

static int check_mtu(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct network *network = old ? old->live : NULL;
	u32 mtu = (u32)spec_number(spec, "mtu", NETWORK_MTU_DEFAULT);
	for (u32 i = 0; network && i < network->members.count; i++) {
		struct object *port =
			object_by_id(weftd, &noun_port, network->members.rows[i].port);
		int error = port ? port_check_mtu(weftd, port->spec, old->name, mtu, failure) : 0;
		if (error)
			return error;
	}
	return 0;
}

static int check_unused(struct weftd *weftd, const struct object *old, struct failure *failure)
{
	struct names ports = {0}, rows = {0};
	struct object *user;
	for (user = object_first(weftd, &noun_port); user; user = user->hh.next) {
		if (port_spec_uses(user->spec, old->name))
			names_add(&ports, user->name);
	}
	for (user = object_first(weftd, &noun_fdb); user; user = user->hh.next) {
		if (strcmp(spec_text(user->spec, "network", ""), old->name) == 0)
			names_add(&rows, spec_text(user->spec, "mac", ""));
	}
	if (!ports.count && !rows.count)
		return 0;
	if (!rows.count)
		fail(failure, -EBUSY, "in_use", "network %s is in use by ports: %s", old->name,
			names_text(&ports));
	else if (!ports.count)
		fail(failure, -EBUSY, "in_use", "network %s is in use by static fdb rows: %s",
			old->name, names_text(&rows));
	else
		fail(failure, -EBUSY, "in_use",
			"network %s is in use by ports: %s; and by static fdb rows: %s", old->name,
			names_text(&ports), names_text(&rows));
	return fail_hint(failure, "delete them first: `fdb del MAC network N`, `port del NAME`");
}

static int network_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct engine_table_status table;
	if (!spec)
		return check_unused(weftd, old, failure);
	weftd->engine_ops->table_status(weftd->engine, WEFT_TABLE_network, &table);
	if (!old && object_count(weftd, &noun_network) + 1 >= table.capacity) {
		fail(failure, -ENOSPC, "table_full", "the network table is full (%u networks)",
			table.capacity - 1);
		return fail_hint(failure, "start weftd with a larger network table");
	}
	int error = check_vni(weftd, old, spec, failure);
	if (!error)
		error = check_gateway(spec, failure);
	return error ? error : check_mtu(weftd, old, spec, failure);
}

static void fill_gateway(const json_t *spec, struct weft_network_row *row)
{
	json_t *item;
	size_t i;
	json_array_foreach (spec_list(spec, "gateway"), i, item) {
		struct address a = address_read(json_string_value(item));
		if (a.v6)
			memcpy(row->gateway6, a.bytes, sizeof(row->gateway6));
		else
			memcpy(&row->gateway4, a.bytes, sizeof(row->gateway4));
	}
}

static int network_put(struct weftd *weftd, struct object *object, struct failure *failure)
{
	const struct network *network = object->live;
	struct weft_index index = {object->id};
	struct weft_network_row row = {
		.flags = WEFT_NETWORK_PRESENT,
		.mtu = network_mtu(object),
		.ageing_ns = network_ageing_ns(object),
		.mac_limit = (u32)spec_number(object->spec, "mac_limit", MAC_LIMIT_DEFAULT),
		.member_epoch = network->members.epoch,
		.member_count = network->members.count,
	};
	fill_gateway(object->spec, &row);
	int error = meter_set(weftd, meter_of_network(weftd, object->id),
		(u64)spec_number(object->spec, "move_limit_per_second", MOVE_LIMIT_DEFAULT),
		&row.move_meter, failure);
	if (error)
		return error;
	error = engine_put(weftd, network, &index, &row);
	if (error) {
		fail(failure, error, "table_full", "the network table has no row %u", object->id);
		return fail_hint(failure, "start weftd with a larger network table");
	}
	return 0;
}

static int network_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	bool first = !object->live;
	if (first) {
		struct network *network = calloc(1, sizeof(*network));
		if (!network)
			return fail(failure, -ENOMEM, "no_memory", "out of memory");
		network->members.network = object->id;
		object->live = network;
	}
	int error = network_put(weftd, object, failure);
	if (error && first) {
		free(object->live);
		object->live = NULL;
	}
	fdb_sweep_soon(weftd); // it may age faster now
	const struct network *network = object->live;
	if (error || !old ||
		(u32)spec_number(old, "mtu", NETWORK_MTU_DEFAULT) == network_mtu(object))
		return error;
	for (u32 i = 0; i < network->members.count; i++)
		port_refresh(weftd, network->members.rows[i].port);
	return 0;
}

static void network_forget(struct object *object)
{
	struct network *network = object->live;
	member_free(&network->members);
	free(network);
	object->live = NULL;
}

static int network_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	static const struct weft_network_row no_network;
	static const struct weft_usage_row no_usage;
	struct weft_index index = {object->id};
	u32 none;
	if (!object->live)
		return 0;
	engine_put(weftd, network, &index, &no_network);
	fdb_forget_network(weftd, object->id);
	engine_put(weftd, network_usage, &index, &no_usage);
	meter_set(weftd, meter_of_network(weftd, object->id), 0, &none, failure);
	network_forget(object);
	return 0;
}

static json_t *network_show(struct weftd *weftd, const struct object *object)
{
	const struct network *network = object->live;
	struct weft_index index = {object->id};
	struct weft_usage_row usage = {0};
	engine_get(weftd, network_usage, &index, &usage);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "id", (json_int_t)object->id,
		"ports", (json_int_t)(network ? network->members.count : 0), "macs",
		(json_int_t)usage.macs, "moves", (json_int_t)usage.moves, "moves_refused",
		(json_int_t)usage.moves_refused, "learn_refused", (json_int_t)usage.learn_refused,
		"state", network ? "up" : "down", "why", object->trouble);
}

const struct noun noun_network = {
	.name = "network",
	.plural = "networks",
	.help = "L2 broadcast domains: a hard wall around each",
	.arguments = network_arguments,
	.identity = "name",
	.columns = "name,vni,subnet,gateway,mtu,ports,macs,state,why",
	.check = network_check,
	.apply = network_apply,
	.remove = network_remove,
	.forget = network_forget,
	.show = network_show,
};
