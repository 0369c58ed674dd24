// SPDX-License-Identifier: BSD-2-Clause
// A network's rows in the engine: its own, that of its VNI, its flood list; and its MTU.
//
// What is received comes in by the tag row, what is sent goes out by the network row: a VNI that
// comes is put in before it is sent with, one that goes is taken out after.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/carrier.h"
#include "daemon/forget.h"
#include "daemon/host.h"
#include "daemon/meter.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/question.h"
#include "daemon/service.h"
#include "daemon/underlay.h"

enum {
	AGEING_DEFAULT_SECONDS = 300,
	MAC_LIMIT_DEFAULT = 16384,
	MOVE_LIMIT_DEFAULT = 100,
	SUPPRESS_DEFAULT_SECONDS = 5,
	MTU_DEFAULT = 1500,
	OVERHEAD_IPV4 = 20 + 8 + 8 + 14, // IP, UDP, VXLAN, the inner Ethernet header
	OVERHEAD_IPV6 = 40 + 8 + 8 + 14,
	TAG_BYTES = 4,
};

u32 network_vni(const json_t *spec)
{
	return (u32)spec_number(spec, "vni", 0);
}

u64 network_ageing_ns(const struct object *network)
{
	return (u64)spec_number(network->spec, "ageing_seconds", AGEING_DEFAULT_SECONDS) *
	       1000000000;
}

// Without other hosts there is little to save, and whoever takes over an IP address is found at
// once.
u32 network_suppress_seconds(const json_t *spec)
{
	return (u32)spec_number(
		spec, "suppress_seconds", network_vni(spec) ? SUPPRESS_DEFAULT_SECONDS : 0);
}

static bool is_own(struct weftd *weftd, const json_t *spec)
{
	return weftd->engine_ops->own_overlay || !network_wants_carrier(spec);
}

bool network_wants_carrier(const json_t *spec)
{
	return strcmp(spec_text(spec, "overlay", "own"), "carrier") == 0;
}

u32 network_overhead(struct weftd *weftd, const json_t *spec)
{
	struct weft_ip address;
	u32 outer = host_address(weftd, &address) && !address_v4(&address) ? OVERHEAD_IPV6
									   : OVERHEAD_IPV4;
	return outer + (network_inner_tags(spec) ? TAG_BYTES : 0);
}

struct weft_usage_row *network_usage(struct weftd *weftd, u32 id)
{
	return weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_network_usage, id);
}

const char *network_gateway(const json_t *spec, bool v4)
{
	json_t *item;
	size_t i;
	json_array_foreach (spec_list(spec, "gateway"), i, item) {
		struct weft_ip ip = address_read(json_string_value(item));
		if (address_v4(&ip) == v4)
			return json_string_value(item);
	}
	return NULL;
}

bool network_is_gateway(const json_t *spec, const struct weft_ip *ip)
{
	const char *gateway = network_gateway(spec, address_v4(ip));
	struct weft_ip address = gateway ? address_read(gateway) : (struct weft_ip){0};
	return gateway && address_same(&address, ip);
}

bool network_inner_tags(const json_t *spec)
{
	return spec_bool(spec, "inner_tags", false);
}

u32 network_mtu_largest(struct weftd *weftd, const json_t *spec)
{
	const char *name = spec_text(spec, "name", "");
	u32 underlay = network_vni(spec) ? underlay_mtu(weftd, name) : 0;
	u32 overhead = network_overhead(weftd, spec);
	return underlay > overhead ? underlay - overhead : 0;
}

u32 network_mtu(struct weftd *weftd, const json_t *spec)
{
	u32 largest = network_mtu_largest(weftd, spec), given = (u32)spec_number(spec, "mtu", 0);
	if (!given)
		return largest ? largest : MTU_DEFAULT;
	return largest && largest < given ? largest : given;
}

u32 network_mtu_settled(struct weftd *weftd, const json_t *spec)
{
	bool open = network_vni(spec) && !spec_number(spec, "mtu", 0) &&
		    !network_mtu_largest(weftd, spec);
	return open ? 0 : network_mtu(weftd, spec);
}

bool network_any_vni(struct weftd *weftd, bool own)
{
	struct object *object = object_first(weftd, &noun_network);
	for (; object; object = object->hh.next) {
		if (network_vni(object->spec) && (!own || is_own(weftd, object->spec)))
			return true;
	}
	return false;
}

static struct network *network_live(struct weftd *weftd, u32 id)
{
	struct object *object = id ? object_by_id(weftd, &noun_network, id) : NULL;
	if (!id && !weftd->common)
		weftd->common = calloc(1, sizeof(*weftd->common));
	return id ? object ? object->live : NULL : weftd->common;
}

void network_forget_common(struct weftd *weftd)
{
	if (weftd->common)
		member_free(&weftd->common->members);
	free(weftd->common);
	weftd->common = NULL;
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

static void fill_gateway(const json_t *spec, struct weft_network_row *row)
{
	json_t *item;
	size_t i;
	json_array_foreach (spec_list(spec, "gateway"), i, item) {
		struct weft_ip ip = address_read(json_string_value(item));
		if (address_v4(&ip))
			row->gateway4 = ip.word[3];
		else
			memcpy(row->gateway6, ip.byte, sizeof(row->gateway6));
	}
}

// However many addresses a network may have, it leaves most of the table to the others.
static u32 binding_limit(struct weftd *weftd, const json_t *spec)
{
	u32 most = engine_capacity(weftd, WEFT_TABLE_neighbour) / 4;
	u64 limit = (u64)spec_number(spec, "mac_limit", MAC_LIMIT_DEFAULT) * WEFT_BINDINGS_PER_MAC;
	return limit < most ? (u32)limit : most;
}

// Of networks that share a table none takes another's part, though what each counts has so many
// rows.
static u32 part_of_table(struct weftd *weftd, enum weft_table table, u32 rows_each)
{
	u32 rows = engine_capacity(weftd, table), tenants = balancer_tenants(weftd);
	u32 part = tenants > 1 ? rows / rows_each / tenants : rows;
	return part ? part : 1;
}

u32 network_connection_limit(struct weftd *weftd, const json_t *spec)
{
	return (u32)spec_number(
		spec, "connection_limit", part_of_table(weftd, WEFT_TABLE_connection, 2));
}

static int put_row(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct network *network = object->live;
	const json_t *spec = object->spec;
	struct weft_index index = {object->id};
	struct weft_network_row row = {
		.flags = WEFT_NETWORK_PRESENT | (is_own(weftd, spec) ? WEFT_NETWORK_OWN : 0) |
			 (network_inner_tags(spec) ? WEFT_NETWORK_INNER_TAGS : 0),
		.mtu = network_mtu(weftd, spec),
		.ageing_ns = network_ageing_ns(object),
		.mac_limit = (u32)spec_number(spec, "mac_limit", MAC_LIMIT_DEFAULT),
		.member_epoch = network->members.epoch,
		.member_count = network->members.count,
		.vni = network_vni(spec),
		.binding_limit = binding_limit(weftd, spec),
		.connection_limit = network_connection_limit(weftd, spec),
		.fragment_limit = part_of_table(weftd, WEFT_TABLE_fragment, 1),
		.neighbour_ns = (u64)network_suppress_seconds(spec) * 1000000000,
	};
	if (service_in_network(weftd, object->id))
		row.flags |= WEFT_NETWORK_SERVICES;
	fill_gateway(spec, &row);
	int error = meter_set(weftd, meter_of_network(weftd, object->id),
		(u64)spec_number(spec, "move_limit_per_second", MOVE_LIMIT_DEFAULT),
		&row.move_meter, failure);
	if (error)
		return error;
	error = engine_put(weftd, network, &index, &row);
	if (error) {
		fail(failure, error, "table_full", "the network table has no row %u", object->id);
		return fail_hint(failure, "start weftd with a larger network table");
	}
	network->mtu = row.mtu;
	return 0;
}

// (0, VNI) -> network: for every peer without limit.
static int put_vni(struct weftd *weftd, u32 vni, u32 network, struct failure *failure)
{
	struct weft_tag_key key = {.tag = vni};
	struct weft_tag_row row = {network};
	int error = engine_put(weftd, tag, &key, &row);
	if (!error)
		return 0;
	fail(failure, error, "table_full", "the tag table is full");
	return fail_hint(failure, "start weftd with a larger tag table");
}

// Another network may have taken it meanwhile.
static void del_vni(struct weftd *weftd, u32 vni, u32 network)
{
	struct weft_tag_key key = {.tag = vni};
	struct weft_tag_row row;
	if (vni && engine_get(weftd, tag, &key, &row) == 0 && row.network == network)
		engine_del(weftd, tag, &key, NULL);
}

// Ports have it as their own.
static void mtu_changed(struct weftd *weftd, const struct network *network)
{
	for (u32 i = 0; i < network->members.count; i++)
		port_refresh(weftd, network->members.rows[i].port);
}

int network_rows_set(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct network *network = object->live;
	u32 vni = network_vni(object->spec), old_vni = network->vni, old_mtu = network->mtu;
	int error = vni && vni != old_vni ? put_vni(weftd, vni, object->id, failure) : 0;
	if (!error && old_vni && !vni) // nobody sends to a peer in it any more
		error = peers_follow(weftd, object, failure);
	if (error)
		return error;
	error = put_row(weftd, object, failure);
	if (vni != old_vni)
		del_vni(weftd, error ? vni : old_vni, object->id);
	if (error)
		return error;
	network->vni = vni;
	if (old_vni && !vni) {
		forget_strays(weftd, object->id, 0);
	}
	if (vni)
		error = peers_follow(weftd, object, failure);
	if (old_mtu && old_mtu != network->mtu)
		mtu_changed(weftd, network);
	return error;
}

void network_rows_clear(struct weftd *weftd, struct object *object)
{
	static const struct weft_network_row no_network;
	static const struct weft_usage_row no_usage;
	struct network *network = object->live;
	struct weft_index index = {object->id};
	u32 none;
	del_vni(weftd, network->vni, object->id);
	engine_put(weftd, network, &index, &no_network);
	question_forget_network(weftd, object->id);
	forget_network(weftd, object->id);
	engine_put(weftd, network_usage, &index, &no_usage);
	meter_set(weftd, meter_of_network(weftd, object->id), 0, &none, NULL);
}

void network_underlay_changed(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_network);
	for (; object; object = object->hh.next) {
		struct network *network = object->live;
		if (!network || network->mtu == network_mtu(weftd, object->spec))
			continue;
		if (put_row(weftd, object, NULL) == 0)
			mtu_changed(weftd, network);
	}
	carrier_update(weftd);
}

void network_services_changed(struct weftd *weftd, u32 id)
{
	struct object *object = object_by_id(weftd, &noun_network, id);
	struct weft_index index = {id};
	struct weft_network_row row;
	if (!object || !object->live || engine_get(weftd, network, &index, &row))
		return;
	if (service_in_network(weftd, id) == !!(row.flags & WEFT_NETWORK_SERVICES))
		return;
	put_row(weftd, object, NULL);
	balancer_tenants_changed(weftd);
}

u32 network_tenants(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_network);
	u32 tenants = 0;
	for (; object; object = object->hh.next)
		tenants += object->live && service_in_network(weftd, object->id);
	return tenants;
}

void network_shares_changed(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_network);
	for (; object; object = object->hh.next)
		if (object->live && service_in_network(weftd, object->id))
			put_row(weftd, object, NULL);
}
