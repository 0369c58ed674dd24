// SPDX-License-Identifier: BSD-2-Clause
// Ports: where machines and wires meet their networks. The noun: words, apply, remove.
#include "daemon/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/mark.h"
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
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "port", 0, 0, NULL, "the port"},
	{"type", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_FIXED, port_type_words + 1,
		NULL, 0, 0, NULL,
		"tap, vhost-user: a VM's NIC; device: an existing netdev; pci: a NIC without the "
		"kernel"},
	{"dev", NULL, ARGUMENT_DEVICE, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"its device; default: the port's name; pci: the address, as in 0000:01:00.0, or "
		"a virtual device of DPDK's, as in net_memif0,role=client"},
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"access port: frames without a tag belong to this network"},
	{"trunk", "tags", ARGUMENT_TAGS, 0, NULL, "network", 1, 4094, NULL,
		"trunk port: the network of each tag"},
	{"native", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"trunk port: the network of frames without a tag"},
	{"mac", NULL, ARGUMENT_MAC, 0, NULL, NULL, 0, 0, NULL,
		"the guest's address in the words for QEMU; default: made from the name"},
	{"queues", NULL, ARGUMENT_NUMBER, ARGUMENT_FIXED, NULL, NULL, 1, 256, "1",
		"queues of the NIC, of vhost-user 16 at most; QEMU must ask for as many"},
	{"owner", NULL, ARGUMENT_USER, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"user who may open the tap or the socket"},
	{"group", NULL, ARGUMENT_USER, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"group that may open the tap or the socket"},
	// In show, `mode` says access or trunk.
	{"mode", "socket_mode", ARGUMENT_CHOICE, ARGUMENT_FIXED, "server|client", NULL, 0, 0,
		"server", "vhost-user: does weft listen on the socket, or QEMU?"},
	{"socket", NULL, ARGUMENT_TEXT, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"vhost-user: its path; default: vhost/NAME.sock in the run directory"},
	{"mac-limit", "mac_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1 << 24, "1024",
		"most learned addresses"},
	{"storm-limit", "storm_limit_pps", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 100000000, "10000",
		"most flooded frames per second; 0: no limit"},
	{"sample", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1000000000, NULL,
		"one of how many of its packets is timed; 0: none; default: the host's word"},
	{"host", NULL, ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, NULL,
		"frames of no network go on to the host; default: on if the device has an address"},
	{"xdp", NULL, ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, NULL,
		"device: by XDP, too (dpdk: by AF_XDP), if its driver can; default: on for "
		"hardware"},
	{"direct", NULL, ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, NULL,
		"device: a veth's other end in another namespace takes its frames at once, past "
		"the "
		"queue, captures and counters of this end; default: off"},
	{"underlay", NULL, ARGUMENT_BOOL, ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"pci: the traffic between hosts and the kernel's own take this NIC, which the "
		"kernel "
		"sees as weft-NAME; in place of a network"},
	{0},
};

const struct port_type *port_type_of(const json_t *spec)
{
	const char *name = spec_text(spec, "type", "");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(port_types); i++) {
		if (strcmp(port_types[i]->name, name) == 0)
			return port_types[i];
	}
	return NULL;
}

bool port_has_netdev(const struct port *port)
{
	return port->type->kind == ENGINE_PORT_NETDEV;
}

bool port_there(const struct port *port)
{
	return port_has_netdev(port) ? port->watch.link != NULL : port->attached;
}

// Did weft make the device? Then it makes it again after a reboot; somebody else's it waits for.
static void port_complete(struct weftd *weftd, const struct object *old, json_t *spec)
{
	const struct port_type *type = port_type_of(spec);
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
	json_object_set_new(
		spec, "made", json_boolean(!link || (ours && !(mark.words & MARK_adopted))));
}

static int port_new(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct port *port = calloc(1, sizeof(*port));
	if (!port)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	port->weftd = weftd;
	port->object = object;
	port->type = port_type_of(object->spec);
	port->watch.changed = port_link_changed;
	const char *dev = port_dev(object->spec);
	if (!port->type ||
		(port_has_netdev(port) && link_watch_add(weftd->links, &port->watch, dev))) {
		bool twin = port->type && port_twin_any(link_watch_find(weftd->links, dev));
		free(port);
		return fail(failure, -EEXIST, "in_use", "%s is %s", dev,
			twin ? "weft's own device" : "another port already");
	}
	object->live = port;
	return 0;
}

static int port_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	bool first = !object->live;
	struct failure trouble = {0};
	int error = first ? port_new(weftd, object, failure) : 0;
	if (error)
		return error;
	struct port *port = object->live;
	bool create = first && spec_bool(object->spec, "made", true);
	bool netdev = port_has_netdev(port);
	(void)old;
	int device_error = netdev ? port_link_take(port, create, &trouble) : 0;
	error = port_rows_set(port, failure);
	if (!device_error && !error)
		device_error =
			netdev ? port_link_attach(port, &trouble) : port_attach(port, &trouble);
	free(port->why);
	port->why = device_error && device_error != -ENODEV ? strdup(trouble.message) : NULL;
	if (error || !device_error || !first)
		return error; // a device that is away does not keep a port from being changed
	if (failure)
		*failure = trouble;
	return device_error;
}

static void port_forget(struct object *object)
{
	struct port *port = object->live;
	port_twin_forget(port);
	free(port->places);
	free(port->why);
	free(port);
	object->live = NULL;
}

static int port_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct port *port = object->live;
	int error = 0;
	(void)weftd;
	if (!port)
		return 0;
	if (port_has_netdev(port))
		error = port_link_release(port, failure);
	else
		port_detach(port);
	if (port->twin)
		error = port_twin_release(port, failure);
	port_rows_clear(port);
	port_forget(object);
	return error;
}

void port_refresh(struct weftd *weftd, u32 id)
{
	struct object *object = object_by_id(weftd, &noun_port, id);
	struct port *port = object ? object->live : NULL;
	struct failure failure = {0};
	if (port && port->watch.link)
		port_link_changed(&port->watch, port->watch.link);
	else if (port && port_twin(port) && port_rows_set(port, &failure))
		port_trouble(port, failure.message);
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
	.forget = port_forget,
	.show = port_show,
};
