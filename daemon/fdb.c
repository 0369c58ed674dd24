// SPDX-License-Identifier: BSD-2-Clause
// Static FDB rows as objects, and what weftd may do to learned ones.
#include "daemon/fdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/address.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"

static const struct argument fdb_arguments[] = {
	{"mac", NULL, ARGUMENT_MAC, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED, NULL,
		NULL, 0, 0, NULL, "the address"},
	{"network", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_FIXED, NULL, "network", 0, 0,
		NULL, "the network it is in"},
	{"port", NULL, ARGUMENT_NAME, 0, NULL, "port", 0, 0, NULL, "the port it is behind"},
	{"peer", NULL, ARGUMENT_NAME, 0, NULL, "peer", 0, 0, NULL,
		"the peer it is behind, instead of a port"},
	{0},
};

u64 clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

struct weft_fdb_key fdb_key(struct weftd *weftd, const json_t *spec)
{
	struct object *network = object_find(weftd, &noun_network, spec_text(spec, "network", ""));
	return (struct weft_fdb_key){
		.network = network ? network->id : 0,
		.mac = mac_read(spec_text(spec, "mac", "")),
	};
}

struct object *fdb_object(struct weftd *weftd, const struct weft_fdb_key *key)
{
	struct object *network = object_by_id(weftd, &noun_network, key->network);
	char mac[MAC_TEXT_BYTES], name[128];
	mac_text(&key->mac, mac);
	snprintf(name, sizeof(name), "%s %s", mac, network ? network->name : "");
	return object_find(weftd, &noun_fdb, name);
}

int fdb_forget_row(struct weftd *weftd, const struct weft_fdb_key *key)
{
	struct weft_fdb_row row;
	int error = engine_del(weftd, fdb, key, &row);
	if (error || row.kind != WEFT_FDB_LEARNED)
		return error;
	struct weft_usage_row *port = place_usage(weftd, row.port);
	struct weft_usage_row *network = network_usage(weftd, key->network);
	if (port)
		__atomic_fetch_sub(&port->macs, 1, __ATOMIC_RELAXED);
	if (network)
		__atomic_fetch_sub(&network->macs, 1, __ATOMIC_RELAXED);
	return 0;
}

bool fdb_placed(struct weftd *weftd, const struct weft_fdb_key *key, const struct weft_fdb_row *row)
{
	const struct object *place = place_at(weftd, row->port);
	struct weft_tag_key tag = {.port = row->port, .tag = row->tag};
	struct weft_tag_row network;
	if (!place || !place_there(place))
		return false;
	if (place_is_peer(place))
		return peer_in(weftd, place, key->network);
	if (!row->tag)
		return ((const struct port *)place->live)->row.network == key->network;
	return engine_get(weftd, tag, &tag, &network) == 0 && network.network == key->network;
}

static int check_place(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	const char *name = spec_text(spec, "network", "");
	struct object *network = object_find(weftd, &noun_network, name);
	if (!network) {
		fail(failure, -ENOENT, "not_found", "there is no network %s", name);
		return fail_hint(failure, "`network show` lists what there is");
	}
	if (!json_object_get(spec, "port") && !json_object_get(spec, "peer")) {
		fail(failure, -EINVAL, "bad_value", "fdb needs `port` or `peer`");
		return fail_hint(failure, "say behind which the address is");
	}
	const struct object *place = place_named(weftd, spec, failure);
	if (!place)
		return -ENOENT;
	if (place_is_peer(place) && !network_vni(network->spec)) {
		fail(failure, -EINVAL, "bad_value", "network %s has no vni: no peer is in it",
			name);
		return fail_hint(failure, "`network set %s vni V` gives it one", name);
	}
	if (place_spec_uses(place->noun, place->spec, name))
		return 0;
	fail(failure, -EINVAL, "bad_value", "%s %s is not in network %s", place->noun->name,
		place->name, name);
	return fail_hint(
		failure, "`%s show %s` names its networks", place->noun->name, place->name);
}

static int fdb_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	static const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	(void)old;
	if (!spec)
		return 0;
	struct weft_mac mac = mac_read(spec_text(spec, "mac", ""));
	if (memcmp(&mac, &gateway, sizeof(mac)) == 0)
		return fail(failure, -EINVAL, "bad_value", "%s is the address of weft's gateways",
			spec_text(spec, "mac", ""));
	return check_place(weftd, spec, failure);
}

static int fdb_put(struct weftd *weftd, const struct object *object, struct failure *failure)
{
	const struct object *place = place_named(weftd, object->spec, NULL);
	struct weft_fdb_key key = fdb_key(weftd, object->spec);
	struct weft_fdb_row row = {.kind = WEFT_FDB_STATIC, .seen_ns = clock_ns()}, is;
	if (!place || !place_in(weftd, place, key.network, &row.tag))
		return fail(failure, -ENOENT, "not_up", "%s is not up in network %s",
			place ? place->name : "its place", spec_text(object->spec, "network", ""));
	row.port = place->id;
	if (engine_get(weftd, fdb, &key, &is) == 0 && is.kind == WEFT_FDB_LEARNED)
		fdb_forget_row(weftd, &key); // a learned row counts, a static one does not
	int error = engine_put(weftd, fdb, &key, &row);
	if (error) {
		fail(failure, error, "table_full", "the fdb table is full");
		return fail_hint(failure,
			"`fdb flush` forgets what was learned; or start weftd with a "
			"larger fdb table");
	}
	return 0;
}

// object->live is the row's key: a file that deletes the network, too, has taken its name already.
static int fdb_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	struct weft_fdb_key *key = object->live ? object->live : calloc(1, sizeof(*key));
	(void)old;
	if (!key)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	*key = fdb_key(weftd, object->spec);
	object->live = key;
	return fdb_put(weftd, object, failure);
}

static void fdb_forget(struct object *object)
{
	free(object->live);
	object->live = NULL;
}

static int fdb_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	(void)failure;
	if (object->live)
		fdb_forget_row(weftd, object->live);
	fdb_forget(object);
	return 0;
}

int fdb_follow_port(struct weftd *weftd, const struct object *port, struct failure *failure)
{
	struct object *object = object_first(weftd, &noun_fdb);
	int error = 0;
	for (; object && !error; object = object->hh.next) {
		if (strcmp(spec_text(object->spec, "port", ""), port->name) == 0)
			error = fdb_put(weftd, object, failure);
	}
	return error;
}

static json_t *fdb_show(struct weftd *weftd, const struct object *object)
{
	const struct object *place = place_named(weftd, object->spec, NULL);
	struct weft_fdb_key key = fdb_key(weftd, object->spec);
	struct weft_fdb_row row = {0};
	char why[PLACE_WHY_BYTES] = "";
	const char *state = place ? place_state(weftd, place, why) : "down";
	engine_get(weftd, fdb, &key, &row);
	return json_pack("{s:I, s:s, s:n, s:s, s:s?}", "tag", (json_int_t)row.tag, "kind", "static",
		"age_seconds", "state", state, "why", why[0] ? why : NULL);
}

const struct noun noun_fdb = {
	.name = "fdb",
	.plural = "fdb",
	.help = "which port or peer an address is behind",
	.arguments = fdb_arguments,
	.identity = "mac network",
	.columns = "network,mac,port,peer,tag,kind,age_seconds",
	.check = fdb_check,
	.apply = fdb_apply,
	.remove = fdb_remove,
	.forget = fdb_forget,
	.show = fdb_show,
	.show_all = fdb_show_all,
};
