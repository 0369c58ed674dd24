// SPDX-License-Identifier: BSD-2-Clause
// A peer's rows in the engine.
//
// Who comes: port row, tags, VTEP, and floods last; who goes, the other way round. So no path opens
// that neither the old nor the new state allows.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/forget.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/place.h"

enum { MAC_LIMIT_DEFAULT = 65536, STORM_LIMIT_DEFAULT = 100000 };

static bool has_vni(const struct peer_place *places, u32 count, u32 vni)
{
	for (u32 i = 0; i < count; i++) {
		if (places[i].vni == vni)
			return true;
	}
	return false;
}

static bool has_place(const struct peer_place *places, u32 count, const struct peer_place *place)
{
	for (u32 i = 0; i < count; i++) {
		if (memcmp(&places[i], place, sizeof(*place)) == 0)
			return true;
	}
	return false;
}

// The networks of its limit that have a VNI now, with room for `more` behind. NULL: out of memory.
static struct peer_place *wanted_places(
	struct weftd *weftd, const json_t *spec, u32 *count, u32 more)
{
	const json_t *names = spec_list(spec, "networks");
	struct peer_place *places = calloc(json_array_size(names) + more + 1, sizeof(*places));
	json_t *name;
	size_t i;
	*count = 0;
	json_array_foreach (names, i, name) {
		struct object *network = object_find(weftd, &noun_network, json_string_value(name));
		u32 vni = network ? network_vni(network->spec) : 0;
		if (places && vni)
			places[(*count)++] = (struct peer_place){network->id, vni};
	}
	return places;
}

static int fail_full(struct failure *failure, int error, const char *table)
{
	fail(failure, error, "table_full", "the %s table is full", table);
	return fail_hint(failure, "start weftd with a larger %s table", table);
}

static int put_tags(struct weftd *weftd, u32 id, const struct peer_place *places, u32 count,
	struct failure *failure)
{
	for (u32 i = 0; i < count; i++) {
		struct weft_tag_key key = {id, places[i].vni};
		struct weft_tag_row row = {places[i].network};
		int error = engine_put(weftd, tag, &key, &row);
		if (error)
			return fail_full(failure, error, "tag");
	}
	return 0;
}

// The underlay's part of the row, `nexthops`, holds as long as the address does.
static int put_row(struct weftd *weftd, struct object *object, const struct weft_ip *address,
	struct failure *failure)
{
	static const struct place_limits limits = {MAC_LIMIT_DEFAULT, STORM_LIMIT_DEFAULT};
	bool limited = spec_list(object->spec, "networks");
	struct weft_index index = {object->id};
	struct weft_port_row is = {0}, row = {0};
	row.flags = WEFT_PORT_PRESENT | WEFT_PORT_PEER | (limited ? WEFT_PORT_LIMITED : 0);
	memcpy(row.address, address->byte, sizeof(row.address));
	int error = place_limits_set(weftd, object, &limits, &row, failure);
	if (error)
		return error;
	engine_get(weftd, port, &index, &is);
	if (memcmp(is.address, row.address, sizeof(row.address)) == 0)
		row.nexthops = is.nexthops;
	if (memcmp(&is, &row, sizeof(row)) == 0)
		return 0;
	error = engine_put(weftd, port, &index, &row);
	return error ? fail_full(failure, error, "port") : 0;
}

// Another peer may have taken the address meanwhile.
static void del_vtep(struct weftd *weftd, u32 id, const struct weft_ip *address)
{
	struct weft_vtep_key key;
	struct weft_vtep_row row;
	memcpy(key.address, address->byte, sizeof(key.address));
	if (engine_get(weftd, vtep, &key, &row) == 0 && row.peer == id)
		engine_del(weftd, vtep, &key, NULL);
}

static int put_vtep(struct weftd *weftd, struct object *object, const struct weft_ip *address,
	struct failure *failure)
{
	struct peer *peer = object->live;
	struct weft_vtep_key key;
	struct weft_vtep_row row = {object->id};
	memcpy(key.address, address->byte, sizeof(key.address));
	int error = engine_put(weftd, vtep, &key, &row);
	if (error)
		return fail_full(failure, error, "vtep");
	if (!address_same(&peer->address, address))
		del_vtep(weftd, object->id, &peer->address);
	peer->address = *address;
	return 0;
}

static void leave_floods(struct weftd *weftd, struct object *object,
	const struct peer_place *wanted, u32 count, bool common)
{
	struct peer *peer = object->live;
	for (u32 i = 0; i < peer->place_count; i++) {
		if (!has_place(wanted, count, &peer->places[i]))
			network_leave(weftd, peer->places[i].network, object->id, WEFT_MEMBER_PEER);
	}
	if (peer->common && !common)
		network_leave(weftd, 0, object->id, WEFT_MEMBER_PEER);
	peer->common = peer->common && common;
}

static int join_floods(
	struct weftd *weftd, struct object *object, bool common, struct failure *failure)
{
	struct peer *peer = object->live;
	int error = 0;
	if (common)
		error = network_join(weftd, 0, object->id, WEFT_MEMBER_PEER, failure);
	peer->common = common && !error;
	for (u32 i = 0; i < peer->place_count && !error; i++)
		error = network_join(
			weftd, peer->places[i].network, object->id, WEFT_MEMBER_PEER, failure);
	return error;
}

// Remembers the wanted places beside those that are there: whatever fails, all of them are known.
// wanted has the room.
static void merge(struct peer *peer, struct peer_place *wanted, u32 count)
{
	u32 all = count;
	for (u32 i = 0; i < peer->place_count; i++) {
		if (!has_place(wanted, count, &peer->places[i]))
			wanted[all++] = peer->places[i];
	}
	free(peer->places);
	peer->places = wanted;
	peer->place_count = all;
}

// Those behind the first `count` were of the old spec.
static bool drop_old(struct weftd *weftd, struct object *object, u32 count)
{
	struct peer *peer = object->live;
	bool any = peer->place_count > count;
	for (u32 i = count; i < peer->place_count; i++) {
		struct weft_tag_key key = {object->id, peer->places[i].vni};
		if (!has_vni(peer->places, count, key.tag))
			engine_del(weftd, tag, &key, NULL);
	}
	peer->place_count = count;
	return any;
}

int peer_rows_set(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct peer *peer = object->live;
	struct weft_ip address = address_read(spec_text(object->spec, "address", ""));
	bool common = !spec_list(object->spec, "networks"), was_common = peer->common;
	u32 count;
	struct peer_place *wanted = wanted_places(weftd, object->spec, &count, peer->place_count);
	if (!wanted)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	leave_floods(weftd, object, wanted, count, common);
	merge(peer, wanted, count);
	int error = put_tags(weftd, object->id, wanted, count, failure);
	if (!error)
		error = put_row(weftd, object, &address, failure);
	if (!error)
		error = put_vtep(weftd, object, &address, failure);
	if (error)
		return error;
	if (drop_old(weftd, object, count) || (was_common && !common)) {
		forget_strays(weftd, 0, object->id);
	}
	return join_floods(weftd, object, common, failure);
}

void peer_rows_clear(struct weftd *weftd, struct object *object)
{
	struct peer *peer = object->live;
	leave_floods(weftd, object, NULL, 0, false);
	del_vtep(weftd, object->id, &peer->address);
	drop_old(weftd, object, 0);
	place_clear(weftd, object->id);
}
