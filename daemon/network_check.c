// SPDX-License-Identifier: BSD-2-Clause
// Whether the words of a network can be.
#include <errno.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/fdb.h"
#include "daemon/service.h"

static int check_gateway(const json_t *spec, struct failure *failure)
{
	const char *subnet = spec_text(spec, "subnet", NULL);
	bool seen[2] = {false, false};
	json_t *item;
	size_t i;
	json_array_foreach (spec_list(spec, "gateway"), i, item) {
		const char *text = json_string_value(item);
		struct weft_ip ip = address_read(text);
		bool v6 = !address_v4(&ip);
		if (seen[v6])
			return fail(failure, -EINVAL, "bad_value",
				"gateway %s is a second %s address: a network has one of each",
				text, v6 ? "IPv6" : "IPv4");
		seen[v6] = true;
		if (!address_usable(&ip))
			return fail(failure, -EINVAL, "bad_value",
				"gateway %s is not the address of a machine", text);
		if (subnet && !address_fits(&ip, subnet)) {
			fail(failure, -EINVAL, "bad_value", "gateway %s is not in the subnet %s",
				text, subnet);
			return fail_hint(failure, "give an address of %s", subnet);
		}
	}
	return 0;
}

// Static rows behind peers live by the VNI.
static int check_no_vni(struct weftd *weftd, const struct object *old, struct failure *failure)
{
	struct names rows = {0};
	struct object *row = old ? object_first(weftd, &noun_fdb) : NULL;
	for (; row; row = row->hh.next) {
		if (strcmp(spec_text(row->spec, "network", ""), old->name) == 0 &&
			json_object_get(row->spec, "peer"))
			names_add(&rows, spec_text(row->spec, "mac", ""));
	}
	if (!rows.count)
		return 0;
	fail(failure, -EBUSY, "in_use",
		"network %s cannot be without vni: static fdb rows are behind peers: %s", old->name,
		names_text(&rows));
	return fail_hint(failure, "delete them first: `fdb del MAC network %s`", old->name);
}

static int check_vni(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	u32 vni = network_vni(spec);
	struct object *other = vni ? object_first(weftd, &noun_network) : NULL;
	for (; other; other = other->hh.next) {
		if (other != old && network_vni(other->spec) == vni)
			return fail(failure, -EEXIST, "exists", "vni %u is already network %s's",
				vni, other->name);
	}
	return vni ? 0 : check_no_vni(weftd, old, failure);
}

static int check_mtu(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct network *network = old ? old->live : NULL;
	u32 given = (u32)spec_number(spec, "mtu", 0), largest = network_mtu_largest(weftd, spec);
	u32 mtu = network_mtu(weftd, spec);
	bool same = old &&
		    json_equal(json_object_get(old->spec, "mtu"), json_object_get(spec, "mtu")) &&
		    json_equal(json_object_get(old->spec, "vni"), json_object_get(spec, "vni")) &&
		    network_inner_tags(old->spec) == network_inner_tags(spec);
	if (same) // whatever the underlay has become meanwhile: show says so
		return 0;
	if (largest && given > largest) {
		u32 overhead = network_overhead(weftd, spec);
		fail(failure, -EINVAL, "mtu",
			"network %s cannot have mtu %u: the largest that works is %u (the underlay "
			"carries %u, less %u for the encapsulation)",
			spec_text(spec, "name", ""), given, largest, largest + overhead, overhead);
		return fail_hint(failure, "say mtu %u, or leave it out and it follows the underlay",
			largest);
	}
	for (u32 i = 0; network && i < network->members.count; i++) {
		struct object *port =
			object_by_id(weftd, &noun_port, network->members.rows[i].port);
		int error = port ? port_check_mtu(weftd, port->spec, old->name, mtu, failure) : 0;
		if (error)
			return error;
	}
	return 0;
}

// Appends "and by peers: h2, h3".
static void add_users(char *text, size_t size, const char *what, struct names *names)
{
	size_t used = strlen(text);
	if (names->count)
		snprintf(text + used, size - used, "%s %s: %s", used ? "; and by" : "by", what,
			names_text(names));
}

static int check_inner_tags(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	struct object *port = object_first(weftd, &noun_port);
	if (!old || !network_inner_tags(spec))
		return 0;
	for (; port; port = port->hh.next) {
		if (!spec_list(port->spec, "tags") || !port_spec_uses(port->spec, old->name))
			continue;
		fail(failure, -EINVAL, "bad_value",
			"network %s is on the trunk port %s, where its machines' tags would name "
			"other networks",
			old->name, port->name);
		return fail_hint(failure,
			"take it off the trunk first: `port set %s trunk -%s:TAG`", port->name,
			old->name);
	}
	return 0;
}

static int check_unused(struct weftd *weftd, const struct object *old, struct failure *failure)
{
	struct names ports = {0}, peers = {0}, rows = {0};
	char users[400] = "";
	struct object *user;
	for (user = object_first(weftd, &noun_port); user; user = user->hh.next) {
		if (port_spec_uses(user->spec, old->name))
			names_add(&ports, user->name);
	}
	for (user = object_first(weftd, &noun_peer); user; user = user->hh.next) {
		if (spec_list(user->spec, "networks") && peer_spec_uses(user->spec, old->name))
			names_add(&peers, user->name);
	}
	for (user = object_first(weftd, &noun_fdb); user; user = user->hh.next) {
		if (strcmp(spec_text(user->spec, "network", ""), old->name) == 0)
			names_add(&rows, spec_text(user->spec, "mac", ""));
	}
	add_users(users, sizeof(users), "ports", &ports);
	add_users(users, sizeof(users), "peers", &peers);
	add_users(users, sizeof(users), "static fdb rows", &rows);
	if (!users[0])
		return service_check_network(weftd, old, NULL, failure);
	fail(failure, -EBUSY, "in_use", "network %s is in use %s", old->name, users);
	return fail_hint(failure, "delete them first: `fdb del MAC network N`, `port del NAME`%s",
		peers.count ? ", `peer set NAME networks -N`" : "");
}

int network_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	u32 capacity = engine_capacity(weftd, WEFT_TABLE_network);
	if (!spec)
		return check_unused(weftd, old, failure);
	if (!old && object_count(weftd, &noun_network) + 1 >= capacity) {
		fail(failure, -ENOSPC, "table_full", "the network table is full (%u networks)",
			capacity - 1);
		return fail_hint(failure, "start weftd with a larger network table");
	}
	int error = check_vni(weftd, old, spec, failure);
	if (!error)
		error = check_gateway(spec, failure);
	if (!error)
		error = service_check_network(weftd, old, spec, failure);
	if (!error)
		error = check_inner_tags(weftd, old, spec, failure);
	return error ? error : check_mtu(weftd, old, spec, failure);
}
