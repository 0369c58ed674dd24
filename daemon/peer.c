// SPDX-License-Identifier: BSD-2-Clause
// Peers: remote VTEPs. The noun: words, check, apply, remove, show.
#include "daemon/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/carrier.h"
#include "daemon/host.h"
#include "daemon/network.h"
#include "daemon/place.h"
#include "daemon/port.h"
#include "daemon/service.h"
#include "daemon/underlay.h"

static const struct argument peer_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "peer", 0, 0, NULL, "the peer"},
	{"address", NULL, ARGUMENT_ADDRESS, ARGUMENT_REQUIRED, NULL, NULL, 0, 0, NULL,
		"the address of the host there, as its `host set address` says"},
	{"networks", NULL, ARGUMENT_NAMES, 0, NULL, "network", 0, 0, NULL,
		"only these networks reach it; default: every one with a vni"},
	{"mac-limit", "mac_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1 << 24, "65536",
		"most learned addresses"},
	{"storm-limit", "storm_limit_pps", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 100000000, "100000",
		"most flooded frames per second that come from it; 0: no limit"},
	{0},
};

bool peer_spec_uses(const json_t *spec, const char *network)
{
	const json_t *names = spec_list(spec, "networks");
	json_t *name;
	size_t i;
	json_array_foreach (names, i, name) {
		if (strcmp(json_string_value(name), network) == 0)
			return true;
	}
	return !names;
}

bool peer_in(struct weftd *weftd, const struct object *object, u32 id)
{
	const struct object *network = object_by_id(weftd, &noun_network, id);
	return object->live && network && network->live && network_vni(network->spec) &&
	       peer_spec_uses(object->spec, network->name);
}

int peer_check_vtep(const char *text, struct failure *failure)
{
	struct weft_ip address = address_read(text);
	if (!address_usable(&address))
		fail(failure, -EINVAL, "bad_value", "%s is not the address of a host", text);
	else if (address_link_local(&address))
		fail(failure, -EINVAL, "bad_value",
			"%s is link-local: it says nothing beyond one link", text);
	else
		return 0;
	return fail_hint(failure, "give the unicast address by which other hosts reach it");
}

int peer_check_address(
	const char *name, const char *text, const struct weft_ip *host, struct failure *failure)
{
	struct weft_ip address = address_read(text);
	char mine[ADDRESS_TEXT_BYTES];
	address_text(host, mine);
	if (address_same(&address, host)) {
		fail(failure, -EINVAL, "bad_value", "peer %s: %s is this host's own address", name,
			text);
		return fail_hint(failure, "a peer is another host: give its address");
	}
	if (address_v4(&address) == address_v4(host))
		return 0;
	fail(failure, -EINVAL, "bad_value",
		"peer %s has an %s address (%s), but this host an %s one (%s)", name,
		address_v4(&address) ? "IPv4" : "IPv6", text, address_v4(host) ? "IPv4" : "IPv6",
		mine);
	return fail_hint(failure, "the underlay is IPv4 or IPv6: give both the same family");
}

static int check_address(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	const char *text = spec_text(spec, "address", "");
	struct weft_ip address = address_read(text), host;
	struct object *other = object_first(weftd, &noun_peer);
	int error = peer_check_vtep(text, failure);
	if (error)
		return error;
	for (; other; other = other->hh.next) {
		struct weft_ip taken = address_read(spec_text(other->spec, "address", ""));
		if (other != old && address_same(&taken, &address))
			return fail(failure, -EEXIST, "exists", "%s is already peer %s's address",
				text, other->name);
	}
	return host_address(weftd, &host)
		       ? peer_check_address(spec_text(spec, "name", ""), text, &host, failure)
		       : 0;
}

static int check_networks(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	json_t *name;
	size_t i;
	json_array_foreach (spec_list(spec, "networks"), i, name) {
		const char *text = json_string_value(name);
		if (object_find(weftd, &noun_network, text))
			continue;
		fail(failure, -ENOENT, "not_found", "there is no network %s", text);
		return fail_hint(failure, "`network add %s vni V` makes it", text);
	}
	return 0;
}

static int peer_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	int error = old ? place_check_rows(weftd, old, spec, failure)
			: place_check_room(weftd, failure);
	if (error || !spec)
		return error;
	error = check_address(weftd, old, spec, failure);
	return error ? error : check_networks(weftd, spec, failure);
}

static int peer_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	bool elsewhere = old && !json_equal(json_object_get(old, "networks"),
					json_object_get(object->spec, "networks"));
	if (!object->live)
		object->live = calloc(1, sizeof(struct peer));
	if (!object->live)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	int error = peer_rows_set(weftd, object, failure);
	underlay_changed(weftd);
	balancer_hosts_changed(weftd);
	if (elsewhere) // their MTU hangs on their peers
		network_underlay_changed(weftd);
	return error;
}

static void peer_forget(struct object *object)
{
	struct peer *peer = object->live;
	free(peer->places);
	free(peer);
	object->live = NULL;
}

static int peer_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	(void)failure;
	if (!object->live)
		return 0;
	peer_rows_clear(weftd, object);
	peer_forget(object);
	underlay_changed(weftd);
	balancer_hosts_changed(weftd);
	return 0;
}

int peers_follow(struct weftd *weftd, const struct object *network, struct failure *failure)
{
	struct object *object = object_first(weftd, &noun_peer);
	int error = 0;
	for (; object && !error; object = object->hh.next) {
		if (object->live && spec_list(object->spec, "networks") &&
			peer_spec_uses(object->spec, network->name))
			error = peer_rows_set(weftd, object, failure);
	}
	return error;
}

static struct peer_state state_of(const char *state, const char *why)
{
	struct peer_state s = {.state = state};
	if (why)
		snprintf(s.why, sizeof(s.why), "%s", why);
	return s;
}

static struct peer_state state_by(
	struct weftd *weftd, const struct object *object, const json_t *way)
{
	struct weft_ip host;
	if (!object->live || object->trouble)
		return state_of("down", object->trouble);
	if (!host_address(weftd, &host))
		return state_of("waiting", "set the host's address: `host set address A`");
	if (!network_any_vni(weftd, false))
		return state_of("waiting", "no network has a vni: `network set N vni V`");
	if (carrier_why(weftd))
		return state_of("down", carrier_why(weftd));
	const char *why = spec_text(way, "why", NULL);
	return state_of(why ? "down" : "up", why);
}

struct peer_state peer_state(struct weftd *weftd, const struct object *object)
{
	json_t *way = underlay_peer_show(weftd, object->id);
	struct peer_state state = state_by(weftd, object, way);
	json_decref(way);
	return state;
}

static json_t *peer_show(struct weftd *weftd, const struct object *object)
{
	json_t *shown = underlay_peer_show(weftd, object->id);
	struct peer_state state = state_by(weftd, object, shown);
	json_object_del(shown, "why"); // the state's goes before the way's
	place_show_numbers(weftd, object->id, 0, shown);
	json_object_set_new(shown, "state", json_string(state.state));
	json_object_set_new(shown, "why", state.why[0] ? json_string(state.why) : json_null());
	return shown;
}

const struct noun noun_peer = {
	.name = "peer",
	.plural = "peers",
	.help = "other hosts of the overlay: remote VTEPs",
	.arguments = peer_arguments,
	.identity = "name",
	.columns = "name,address,networks,devices,mtu,state,rx_packets,tx_packets,macs,why",
	.ids = &noun_port,
	.check = peer_check,
	.apply = peer_apply,
	.remove = peer_remove,
	.forget = peer_forget,
	.show = peer_show,
};
