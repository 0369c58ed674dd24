// SPDX-License-Identifier: BSD-2-Clause
// Ports: where machines and wires meet their networks. The noun: words, checks, apply, remove.
#include "daemon/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdb.h"
#include "daemon/mark.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/port_types.h"

#define X(type, word) "|" word
static const char port_type_words[] = PORT_TYPES(X);
#undef X

static const struct port_type *const port_types[] = {
#define X(type, word) &type,
	PORT_TYPES(X)
#undef X
};

static const struct argument port_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED, NULL,
		"port", 0, 0, NULL, "the port"},
	{"type", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_FIXED, port_type_words + 1, NULL, 0,
		0, NULL, "tap: a VM's NIC; device: an existing netdev"},
	{"dev", NULL, ARGUMENT_DEVICE, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"its device; default: the port's name"},
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"access port: frames without a tag belong to this network"},
	{"trunk", "tags", ARGUMENT_TAGS, 0, NULL, "network", 1, 4094, NULL,
		"trunk port: the network of each tag"},
	{"native", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"trunk port: the network of frames without a tag"},
	{"mac", NULL, ARGUMENT_MAC, 0, NULL, NULL, 0, 0, NULL,
		"the guest's address in the words for QEMU; default: made from the name"},
	{"queues", NULL, ARGUMENT_NUMBER, ARGUMENT_FIXED, NULL, NULL, 1, 256, "1",
		"queues of the tap; QEMU must ask for as many"},
	{"owner", NULL, ARGUMENT_USER, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"user who may open the tap"},
	{"group", NULL, ARGUMENT_USER, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"group that may open the tap"},
	{"mac-limit", "mac_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1 << 24, "1024",
		"most learned addresses"},
	{"storm-limit", "storm_limit_pps", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 100000000, "10000",
		"most flooded frames per second; 0: no limit"},
	{"host", NULL, ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, NULL,
		"frames of no network go on to the host; default: on if the device has an address"},
	{0},
};

const struct port_type *port_type_find(const char *name)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(port_types); i++) {
		if (strcmp(port_types[i]->name, name) == 0)
			return port_types[i];
	}
	return NULL;
}

const char *port_dev(const json_t *spec)
{
	return spec_text(spec, "dev", spec_text(spec, "name", ""));
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
	json_array_foreach(spec_list(spec, "tags"), i, item)
	{
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
	if (network && network_mtu(network) > s->mtu)
		s->mtu = network_mtu(network);
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
	const struct port_type *type = port_type_find(spec_text(spec, "type", ""));
	struct object *object = object_find(weftd, &noun_port, spec_text(spec, "name", ""));
	const struct port *port = object ? object->live : NULL;
	const struct link *link = port ? port->watch.link : link_find(weftd->links, port_dev(spec));
	if (!type || type->follows_mtu || !link || link->mtu >= mtu)
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
		return fail(c->failure, -EINVAL, "bad_value", "network %s is named twice: a port is in "
			"a network once, with one tag", name);
	c->seen[network->id] = true;
	return port_check_mtu(c->weftd, c->spec, name, network_mtu(network), c->failure);
}

static int check_networks(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	struct engine_table_status table;
	weftd->engine_ops->table_status(weftd->engine, WEFT_TABLE_network, &table);
	struct network_checks checks = {weftd, spec, calloc(table.capacity, 1), failure};
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
	json_array_foreach(spec_list(spec, "tags"), i, item)
	{
		const char *text = json_string_value(item);
		if (!port_tag_read(text, network, &tag))
			return fail(failure, -EINVAL, "bad_value", "%s is not NETWORK:TAG", text);
		if (tag < 1 || tag > 4094)
			return fail(failure, -EINVAL, "bad_value", "%s: tags go from 1 to 4094", text);
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
	if (access && trunk) {
		fail(failure, -EINVAL, "bad_value", "port %s cannot have both `network` and `trunk`", name);
		return fail_hint(failure, "a port is access (network N) or trunk (trunk N:TAG,... "
					  "[native N]); `network none` and `trunk none` take one away");
	}
	if (!access && !trunk) {
		fail(failure, -EINVAL, "bad_value", "port %s needs `network` or `trunk`", name);
		return fail_hint(failure, "say `network N`, or `trunk N:TAG,...`");
	}
	if (access && json_object_get(spec, "native"))
		return fail(failure, -EINVAL, "bad_value", "`native` is for trunk ports only");
	return 0;
}

static int check_dev(struct weftd *weftd, const struct object *old, const json_t *spec,
	struct failure *failure)
{
	const char *dev = port_dev(spec);
	if (strlen(dev) >= IFNAMSIZ) {
		fail(failure, -EINVAL, "bad_value", "%s is too long to be the name of a device", dev);
		return fail_hint(failure, "name the device: `dev D`, at most %d characters", IFNAMSIZ - 1);
	}
	if (strcmp(dev, "lo") == 0)
		return fail(failure, -EINVAL, "wrong_device", "lo is the loopback device");
	struct object *other = object_first(weftd, &noun_port);
	for (; other; other = other->hh.next) {
		if (other != old && strcmp(port_dev(other->spec), dev) == 0)
			return fail(failure, -EEXIST, "in_use", "%s is port %s already", dev, other->name);
	}
	return 0;
}

// Static rows name the port: `networks` are those that it will still be in (NULL: none).
static int check_static_rows(struct weftd *weftd, const struct object *old, const json_t *spec,
	struct failure *failure)
{
	struct names rows = {0};
	struct object *row = old ? object_first(weftd, &noun_fdb) : NULL;
	for (; row; row = row->hh.next) {
		if (strcmp(spec_text(row->spec, "port", ""), old->name) == 0 &&
			!(spec && port_spec_uses(spec, spec_text(row->spec, "network", ""))))
			names_add(&rows, row->name);
	}
	if (!rows.count)
		return 0;
	fail(failure, -EBUSY, "in_use", "port %s is in use by static fdb rows: %s", old->name,
		names_text(&rows));
	return fail_hint(failure, "delete them first: `fdb del MAC network N`");
}

static int check_type(struct weftd *weftd, const json_t *spec, struct failure *failure)
{
	const struct port_type *type = port_type_find(spec_text(spec, "type", ""));
	if (!type)
		return fail(failure, -EINVAL, "bad_value", "there is no port type %s",
			spec_text(spec, "type", ""));
	if (type->engine && strcmp(type->engine, weftd->engine_ops->name) != 0) {
		fail(failure, -ENOTSUP, "wrong_engine",
			"ports of type %s need the %s engine; this weftd runs %s", type->name,
			type->engine, weftd->engine_ops->name);
		return fail_hint(failure, "use type tap, or start weftd with --engine %s", type->engine);
	}
	return type->check ? type->check(spec, failure) : 0;
}

static int port_check(struct weftd *weftd, const struct object *old, const json_t *spec,
	struct failure *failure)
{
	struct engine_table_status table;
	weftd->engine_ops->table_status(weftd->engine, WEFT_TABLE_port, &table);
	if (!old && object_count(weftd, &noun_port) + 1 >= table.capacity) {
		fail(failure, -ENOSPC, "table_full", "the port table is full (%u ports)",
			table.capacity - 1);
		return fail_hint(failure, "start weftd with a larger port table");
	}
	int error = check_static_rows(weftd, old, spec, failure);
	if (error || !spec)
		return error;
	error = check_type(weftd, spec, failure);
	if (!error)
		error = check_mode(spec, failure);
	if (!error)
		error = check_tags(spec, failure);
	if (!error)
		error = check_dev(weftd, old, spec, failure);
	return error ? error : check_networks(weftd, spec, failure);
}

// Did weft make the device? Then it makes it again after a reboot; somebody else's it waits for.
static void port_complete(struct weftd *weftd, const struct object *old, json_t *spec)
{
	const struct port_type *type = port_type_find(spec_text(spec, "type", ""));
	const char *dev = port_dev(spec);
	struct mark mark;
	if (!type || !type->create)
		return;
	if (old) {
		json_object_set_new(spec, "made", json_boolean(spec_bool(old->spec, "made", true)));
		return;
	}
	struct link *link = strlen(dev) < IFNAMSIZ ? link_refresh(weftd->links, dev) : NULL;
	bool ours = link && mark_read(link->alias, &mark) && !strcmp(mark.uuid, weftd->uuid);
	json_object_set_new(spec, "made",
		json_boolean(!link || (ours && !(mark.words & MARK_adopted))));
}

static int port_new(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct port *port = calloc(1, sizeof(*port));
	if (!port)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	port->weftd = weftd;
	port->object = object;
	port->type = port_type_find(spec_text(object->spec, "type", ""));
	port->watch.changed = port_link_changed;
	if (!port->type || link_watch_add(weftd->links, &port->watch, port_dev(object->spec))) {
		free(port);
		return fail(failure, -EEXIST, "in_use", "%s is another port already",
			port_dev(object->spec));
	}
	object->live = port;
	return 0;
}

static int port_apply(struct weftd *weftd, struct object *object, const json_t *old,
	struct failure *failure)
{
	bool first = !object->live;
	struct failure trouble = {0};
	int error = first ? port_new(weftd, object, failure) : 0;
	if (error)
		return error;
	struct port *port = object->live;
	bool create = first && spec_bool(object->spec, "made", true);
	(void)old;
	int device_error = port_link_take(port, create, &trouble);
	error = port_rows_set(port, failure);
	if (!device_error && !error)
		device_error = port_link_attach(port, &trouble);
	free(port->why);
	port->why = device_error && device_error != -ENODEV ? strdup(trouble.message) : NULL;
	if (error || !device_error || !first)
		return error; // a device that is away does not keep a port from being changed
	if (failure)
		*failure = trouble;
	return device_error;
}

static int port_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct port *port = object->live;
	(void)weftd;
	if (!port)
		return 0;
	int error = port_link_release(port, failure);
	port_rows_clear(port);
	free(port->places);
	free(port->why);
	free(port);
	object->live = NULL;
	return error;
}

void port_refresh(struct weftd *weftd, u32 id)
{
	struct object *object = object_by_id(weftd, &noun_port, id);
	struct port *port = object ? object->live : NULL;
	if (port && port->watch.link)
		port_link_changed(&port->watch, port->watch.link);
}

const struct noun noun_port = {
	.name = "port",
	.plural = "ports",
	.help = "where machines and wires meet their networks",
	.arguments = port_arguments,
	.identity = "name",
	.columns = "name,type,dev,network,tags,state,rx_packets,tx_packets,why",
	.check = port_check,
	.complete = port_complete,
	.apply = port_apply,
	.remove = port_remove,
	.show = port_show,
};

static const struct argument words_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "port", 0, 0, NULL,
		"the port"},
	{"form", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "qemu|libvirt", NULL, 0,
		0, NULL, "whose words"},
	{0},
};

extern const struct command port_commands[];
const struct command port_commands[] = {
	{"port", "show", words_arguments, "Show what a hypervisor needs to open a port", NULL,
		port_run_words, NULL},
	{0},
};
