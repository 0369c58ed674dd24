// SPDX-License-Identifier: BSD-2-Clause
// The words of a port: what they name, and whether they can be.
#include "daemon/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/carrier.h"
#include "daemon/network.h"
#include "daemon/place.h"
#include "daemon/service.h"
#include "daemon/value.h"

const char *port_dev(const json_t *spec)
{
	const struct port_type *type = port_type_of(spec);
	bool netdev = !type || type->kind == ENGINE_PORT_NETDEV;
	return spec_text(spec, "dev", netdev ? spec_text(spec, "name", "") : NULL);
}

// Calls fn for every network that the spec names; stops when it returns non-zero.
typedef int network_fn(const char *network, void *context);

static int each_network(const json_t *spec, network_fn *fn, void *context)
{
	static const char *const untagged[] = {"network", "native"};
	char network[64];
	json_t *item;
	size_t i;
	u32 tag;
	int stop = 0;
	for (i = 0; i < WEFT_ARRAY_SIZE(untagged) && !stop; i++) {
		const char *name = spec_text(spec, untagged[i], NULL);
		stop = name ? fn(name, context) : 0;
	}
	json_array_foreach (spec_list(spec, "tags"), i, item) {
		if (!stop && port_tag_read(json_string_value(item), network, &tag))
			stop = fn(network, context);
	}
	return stop;
}

static int same_network(const char *network, void *context)
{
	return strcmp(network, context) == 0;
}

bool port_spec_uses(const json_t *spec, const char *network)
{
	return each_network(spec, same_network, (void *)network);
}

struct mtu_search {
	struct weftd *weftd;
	u32 mtu;
};

static int larger_mtu(const char *name, void *context)
{
	struct mtu_search *s = context;
	struct object *network = object_find(s->weftd, &noun_network, name);
	u32 mtu = network ? network_mtu(s->weftd, network->spec) : 0;
	if (mtu > s->mtu)
		s->mtu = mtu;
	return 0;
}

u32 port_mtu(struct weftd *weftd, const json_t *spec)
{
	struct mtu_search s = {.weftd = weftd};
	each_network(spec, larger_mtu, &s);
	return s.mtu;
}

int port_check_mtu(struct weftd *weftd, const json_t *spec, const char *network, u32 mtu,
	struct failure *failure)
{
	const struct port_type *type = port_type_of(spec);
	struct object *object = object_find(weftd, &noun_port, spec_text(spec, "name", ""));
	const struct port *port = object ? object->live : NULL;
	if (!type || type->follows_mtu || type->kind != ENGINE_PORT_NETDEV)
		return 0;
	const struct link *link = port ? port->watch.link : link_find(weftd->links, port_dev(spec));
	if (!link || link->mtu >= mtu)
		return 0;
	fail(failure, -EINVAL, "mtu", "network %s has mtu %u, but %s has only %u", network, mtu,
		link->name, link->mtu);
	return fail_hint(failure, "raise it: ip link set dev %s mtu %u; or `network set %s mtu %u`",
		link->name, mtu, network, link->mtu);
}

struct network_checks {
	struct weftd *weftd;
	const json_t *spec;
	bool *seen; // by network id
	struct failure *failure;
};

static int check_network(const char *name, void *context)
{
	struct network_checks *c = context;
	const struct object *network = object_find(c->weftd, &noun_network, name);
	if (!network) {
		fail(c->failure, -ENOENT, "not_found", "there is no network %s", name);
		return fail_hint(c->failure, "`network add %s` makes it", name);
	}
	if (c->seen[network->id])
		return fail(c->failure, -EINVAL, "bad_value",
			"network %s is named twice: a port is in "
			"a network once, with one tag",
			name);
	c->seen[network->id] = true;
	if (spec_list(c->spec, "tags") && network_inner_tags(network->spec)) {
		fail(c->failure, -EINVAL, "bad_value",
			"network %s carries its machines' tags as they are: on a trunk port they "
			"would name other networks",
			name);
		return fail_hint(c->failure,
			"give it an access port, or `network set %s inner-tags off`", name);
	}
	return port_check_mtu(
		c->weftd, c->spec, name, network_mtu_settled(c->weftd, network->spec), c->failure);
}

static int check_networks(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	u32 capacity = engine_capacity(weftd, WEFT_TABLE_network);
	struct network_checks checks = {weftd, spec, calloc(capacity, 1), failure};
	if (!checks.seen)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	int error = each_network(spec, check_network, &checks);
	free(checks.seen);
	return error;
}

static int check_tags(const json_t *spec, struct failure *failure)
{
	bool seen[4096] = {false};
	char network[64];
	json_t *item;
	size_t i;
	u32 tag;
	json_array_foreach (spec_list(spec, "tags"), i, item) {
		const char *text = json_string_value(item);
		if (!port_tag_read(text, network, &tag))
			return fail(failure, -EINVAL, "bad_value", "%s is not NETWORK:TAG", text);
		if (tag < 1 || tag > 4094)
			return fail(
				failure, -EINVAL, "bad_value", "%s: tags go from 1 to 4094", text);
		if (seen[tag])
			return fail(failure, -EINVAL, "bad_value",
				"tag %u is given twice: it can mean one network only", tag);
		seen[tag] = true;
	}
	return 0;
}

static int check_mode(const json_t *spec, struct failure *failure)
{
	bool access = json_object_get(spec, "network"), trunk = spec_list(spec, "tags");
	const char *name = spec_text(spec, "name", "");
	if (port_twin_wanted(spec)) {
		if (!access && !trunk && !json_object_get(spec, "native"))
			return 0;
		return fail(failure, -EINVAL, "bad_value",
			"port %s is an underlay: the hosts' traffic goes there, and no network's",
			name);
	}
	if (access && trunk) {
		fail(failure, -EINVAL, "bad_value",
			"port %s cannot have both `network` and `trunk`", name);
		return fail_hint(failure,
			"a port is access (network N) or trunk (trunk N:TAG,... "
			"[native N]); `network none` and `trunk none` take one away");
	}
	if (!access && !trunk && !port_type_of(spec)->host_if_addressed) {
		fail(failure, -EINVAL, "bad_value", "port %s needs `network` or `trunk`", name);
		return fail_hint(failure, "say `network N`, or `trunk N:TAG,...`");
	}
	if (access && json_object_get(spec, "native"))
		return fail(failure, -EINVAL, "bad_value", "`native` is for trunk ports only");
	return 0;
}

static int check_netdev(const char *dev, struct failure *failure)
{
	if (strchr(dev, ':')) {
		fail(failure, -EINVAL, "bad_value", "%s is a PCI address, and no netdev", dev);
		return fail_hint(failure, "say `type pci`, or name a device of `ip link`");
	}
	if (strlen(dev) >= IFNAMSIZ) {
		fail(failure, -EINVAL, "bad_value", "%s is too long to be the name of a device",
			dev);
		return fail_hint(
			failure, "name the device: `dev D`, at most %d characters", IFNAMSIZ - 1);
	}
	if (strcmp(dev, "lo") == 0)
		return fail(failure, -EINVAL, "wrong_device", "lo is the loopback device");
	if (strcmp(dev, CARRIER_NAME) == 0)
		return fail(failure, -EINVAL, "wrong_device", "%s is weft's own device", dev);
	return 0;
}

// Where its other end is: the name of its netdev, or the path that its type has.
static void end_of(struct weftd *weftd, const json_t *spec, char end[PORT_PATH_BYTES])
{
	const struct port_type *type = port_type_of(spec);
	if (type && type->path)
		type->path(weftd, spec, end);
	else
		snprintf(end, PORT_PATH_BYTES, "%s", port_dev(spec));
}

static int check_end(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	char end[PORT_PATH_BYTES], taken[PORT_PATH_BYTES];
	int error = port_type_of(spec)->kind == ENGINE_PORT_NETDEV
			    ? check_netdev(port_dev(spec), failure)
			    : 0;
	struct object *other = error ? NULL : object_first(weftd, &noun_port);
	end_of(weftd, spec, end);
	for (; other; other = other->hh.next) {
		end_of(weftd, other->spec, taken);
		if (other != old && strcmp(end, taken) == 0)
			return fail(failure, -EEXIST, "in_use", "%s is port %s already", end,
				other->name);
	}
	return error;
}

// Is the word one of those in the list, which has blanks between them?
static bool listed(const char *list, const char *word)
{
	size_t length = strlen(word);
	while (list && *list) {
		size_t next = strcspn(list, " ");
		if (next == length && strncmp(list, word, length) == 0)
			return true;
		list += next + strspn(list + next, " ");
	}
	return false;
}

static int check_words(const struct port_type *type, const json_t *spec, struct failure *failure)
{
	const struct argument *argument = noun_port.arguments;
	for (; argument->word; argument++) {
		if (json_object_get(spec, argument_key(argument)) &&
			listed(type->without, argument->word))
			return fail(failure, -EINVAL, "bad_value", "type %s has no `%s`: %s",
				type->name, argument->word, type->without_why);
	}
	return 0;
}

int port_check_engine(struct weftd *weftd, const struct port_type *type, struct failure *failure)
{
	if (type->kind == ENGINE_PORT_NETDEV || weftd->engine_ops->port_state)
		return 0;
	fail(failure, -ENOTSUP, "wrong_engine",
		"ports of type %s need the %s engine; this weftd runs %s", type->name, type->engine,
		weftd->engine_ops->name);
	return fail_hint(failure,
		"use type tap or device, or start weftd with --engine %s, where its module is "
		"installed",
		type->engine);
}

bool port_word_stays(const struct object *old, const json_t *spec, const char *word)
{
	return old && json_equal(json_object_get(old->spec, word), json_object_get(spec, word));
}

static int check_xdp(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	if (!json_object_get(spec, "xdp"))
		return 0;
	if (!port_type_of(spec)->xdp)
		return fail(failure, -EINVAL, "bad_value",
			"`xdp` is for ports of type device: a %s has no driver that it could run "
			"in",
			port_type_of(spec)->name);
	if (weftd->engine_ops->own_xdp || port_word_stays(old, spec, "xdp"))
		return 0;
	return fail(failure, -ENOTSUP, "wrong_engine", "the %s engine has no XDP: leave `xdp` out",
		weftd->engine_ops->name);
}

// The twin is named like the port.
static int check_underlay(const json_t *spec, struct failure *failure)
{
	const char *name = spec_text(spec, "name", "");
	size_t most = IFNAMSIZ - sizeof(PORT_TWIN_PREFIX);
	if (!json_object_get(spec, "underlay"))
		return 0;
	if (port_type_of(spec)->kind != ENGINE_PORT_PCI) {
		fail(failure, -EINVAL, "bad_value",
			"`underlay` is for ports of type pci: the kernel has a %s already",
			port_type_of(spec)->name);
		return fail_hint(failure,
			"a netdev is underlay by itself: when the way to a peer leads over it");
	}
	if (!port_twin_wanted(spec) || strlen(name) <= most)
		return 0;
	fail(failure, -EINVAL, "bad_value", "%s%s is too long to be the name of a device",
		PORT_TWIN_PREFIX, name);
	return fail_hint(failure,
		"the kernel sees an underlay's NIC by that name: name the port with at most %zu "
		"characters",
		most);
}

static int check_type(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	const struct port_type *type = port_type_of(spec);
	if (!type)
		return fail(failure, -EINVAL, "bad_value", "there is no port type %s",
			spec_text(spec, "type", ""));
	bool netdev = type->kind == ENGINE_PORT_NETDEV;
	int error = port_check_engine(weftd, type, failure);
	if (!error)
		error = check_words(type, spec, failure);
	if (!error)
		error = check_xdp(weftd, old, spec, failure);
	if (!error)
		error = port_check_direct(weftd, old, spec, failure);
	if (!error)
		error = check_underlay(spec, failure);
	if (error || !type->check)
		return error;
	const struct link *link =
		old || !netdev ? NULL : link_refresh(weftd->links, port_dev(spec));
	return type->check(weftd, spec, link, failure);
}

int port_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	int error = old ? place_check_rows(weftd, old, spec, failure)
			: place_check_room(weftd, failure);
	if (!error)
		error = service_check_port(weftd, old, spec, failure);
	if (error || !spec)
		return error;
	error = check_type(weftd, old, spec, failure);
	if (!error)
		error = check_mode(spec, failure);
	if (!error)
		error = check_tags(spec, failure);
	if (!error)
		error = check_end(weftd, old, spec, failure);
	return error ? error : check_networks(weftd, spec, failure);
}
