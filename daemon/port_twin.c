// SPDX-License-Identifier: BSD-2-Clause
// A pci port that is underlay: the netdev by which the kernel has it.
//
// The kernel's part of an underlay (addresses, routes, ARP and ND, the host's own traffic) needs a
// netdev, and a NIC that DPDK drives has none. So weft makes a veth: the twin, which stands for the
// NIC and shows its MAC, MTU and carrier, and the wire, whose frames the engine carries to the NIC
// and back. The marks go on last: what has them is whole.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/mark.h"
#include "daemon/netlink.h"
#include "daemon/offload.h"
#include "daemon/port.h"

LOG_MODULE(port);

enum { LOOK_SECONDS = 1 }; // not every driver tells of its link

struct twin_end {
	struct link_watch watch; // first: the callback is given it
	struct port *port;
};

struct port_twin {
	struct twin_end end[PORT_TWIN_ENDS];
	struct event *look;
	bool fresh; // it is to be set up once it is like the NIC
	u32 mtu;    // of both, as it was last; 0: not known
};

static const struct {
	const char *prefix;
	u32 mark;
} ends[PORT_TWIN_ENDS] = {{PORT_TWIN_PREFIX, MARK_twin}, {"wire-", MARK_wire}};

bool port_twin_wanted(const json_t *spec)
{
	return spec_bool(spec, "underlay", false);
}

const struct link *port_twin(const struct port *port)
{
	return port->twin ? port->twin->end[PORT_TWIN].watch.link : NULL;
}

static struct link *link_of(const struct port *port, enum port_twin_end end)
{
	return port->twin->end[end].watch.link;
}

static void set(struct port *port, struct link *link, const struct link_change *change)
{
	struct failure failure;
	int error = link_set(port->weftd->links, link, change, &failure);
	if (error && error != -ENODEV)
		log_warn("port=%s: %s", port->object->name, failure.message);
}

// What differs from the NIC. That has been asked for the twin's MTU by then (port_twin_take).
static void mirror(struct port *port, struct link *link, const struct engine_port_state *now)
{
	struct link_change change = {0};
	bool twin = link == link_of(port, PORT_TWIN);
	if (now->mtu && now->mtu != link->mtu)
		change.mtu = now->mtu;
	if (twin && weft_mac_known(&now->mac) &&
		memcmp(&now->mac, &link->mac, sizeof(now->mac)) != 0)
		change.mac = &now->mac;
	if (change.mtu || change.mac)
		set(port, link, &change);
}

static void set_up(struct port *port, enum port_twin_end end, bool up)
{
	struct link *link = link_of(port, end);
	struct link_change change = {.flags = up ? IFF_UP : 0, .flags_mask = IFF_UP};
	if (link && up != !!(link->flags & IFF_UP))
		set(port, link, &change);
}

// The operator sets the NIC's MTU by the twin's, and drivers want to be stopped for it.
static bool follow_mtu(struct port *port, const struct link *twin)
{
	struct failure failure = {0};
	u32 mtu = port->twin->mtu;
	if (!port->attached || !mtu || twin->mtu == mtu)
		return false;
	log_info("port=%s: mtu %u instead of %u", port->object->name, twin->mtu, mtu);
	port->twin->mtu = 0;
	port_detach(port);
	port_trouble(port, port_attach(port, &failure) ? failure.message : NULL);
	return true;
}

// A veth has carrier while its other end is up.
void port_twin_follow(struct port *port)
{
	struct engine_port_state now;
	if (!port->twin || !link_of(port, PORT_TWIN) || !link_of(port, PORT_WIRE))
		return;
	if (port_now(port, &now)) {
		set_up(port, PORT_WIRE, false);
		return;
	}
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++)
		mirror(port, link_of(port, i), &now);
	port->twin->mtu = now.mtu;
	set_up(port, PORT_WIRE, now.carrier);
	if (port->twin->fresh) // later it is the operator's to decide
		set_up(port, PORT_TWIN, true);
	port->twin->fresh = false;
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	port_follow_carrier(context);
}

static void unbind(struct port_twin *twin)
{
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++)
		link_bind(&twin->end[i].watch, NULL);
}

// Gone with its twin: both are made anew.
static void end_changed(struct link_watch *watch, struct link *link)
{
	struct port *port = ((struct twin_end *)watch)->port;
	struct failure failure = {0};
	if (link) {
		if (!follow_mtu(port, link_of(port, PORT_TWIN)))
			port_twin_follow(port);
		port_refresh(port->weftd, port->object->id); // an uplink's rows have its MAC
		return;
	}
	log_info("port=%s: its twin is gone", port->object->name);
	unbind(port->twin);
	port_detach(port);
	port_trouble(port, port_attach(port, &failure) ? failure.message : NULL);
}

bool port_twin_is(const struct link_watch *watch, enum port_twin_end end)
{
	if (!watch || watch->changed != end_changed)
		return false;
	const struct port *port = ((const struct twin_end *)watch)->port;
	return watch == &port->twin->end[end].watch;
}

bool port_twin_any(const struct link_watch *watch)
{
	return port_twin_is(watch, PORT_TWIN) || port_twin_is(watch, PORT_WIRE);
}

static int put_mark(struct port *port, struct link *link, u32 end, struct failure *failure)
{
	struct mark mark = {.words = ends[end].mark};
	char alias[LINK_ALIAS_BYTES];
	// The host has nothing to say on the wire; by the twin it says all.
	struct link_change change = {.alias = alias, .quiet = end == PORT_WIRE};
	strcpy(mark.uuid, port->weftd->uuid);
	snprintf(mark.port, sizeof(mark.port), "%s", port->object->name);
	mark_write(&mark, alias);
	return link_set(port->weftd->links, link, &change, failure);
}

static int make(struct port *port, struct link *link[PORT_TWIN_ENDS], struct failure *failure)
{
	struct links *links = port->weftd->links;
	const struct twin_end *end = port->twin->end;
	char why[NETLINK_WHY_BYTES];
	struct nl_msg *msg = netlink_veth(end[PORT_TWIN].watch.name,
		&(struct netlink_peer){.name = end[PORT_WIRE].watch.name});
	int error = netlink_talk(links_socket(links), msg, NULL, NULL, why);
	if (error)
		return fail(failure, error, "device", "the kernel refuses the veth %s: %s",
			end[PORT_TWIN].watch.name, why);
	port->twin->fresh = true;
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++)
		link[i] = link_refresh(links, end[i].watch.name);
	offload_off(end[PORT_TWIN].watch.name, OFFLOAD_tunnel);
	for (u32 i = PORT_TWIN_ENDS; i-- > 0 && !error;) // the wire first
		error = link[i] ? put_mark(port, link[i], i, failure) : -ENODEV;
	if (!error)
		log_info("made dev=%s of port=%s", link[PORT_TWIN]->name, port->object->name);
	else if (link[PORT_TWIN])
		link_delete(links, link[PORT_TWIN], NULL);
	return error;
}

static bool is_end(const struct weftd *weftd, const struct link *link, u32 words, struct mark *mark)
{
	return mark_read(link->alias, mark) && strcmp(mark->uuid, weftd->uuid) == 0 &&
	       mark->words & words;
}

// By its mark, whatever it is called by now.
static struct link *find_end(const struct port *port, enum port_twin_end end)
{
	struct link *link = link_first(port->weftd->links);
	struct mark mark;
	for (; link; link = link->by_index.next)
		if (is_end(port->weftd, link, ends[end].mark, &mark) &&
			strcmp(mark.port, port->object->name) == 0)
			return link;
	return NULL;
}

// Weftd was killed before it had marked both: made by it, and nobody uses it.
static bool is_unfinished(const struct weftd *weftd, const struct link *link)
{
	struct mark mark;
	return strcmp(link->kind, "veth") == 0 && !(link->flags & IFF_UP) &&
	       (!link->alias[0] || is_end(weftd, link, MARK_twin | MARK_wire, &mark));
}

// Makes room for the names.
static int clear(struct port *port, struct failure *failure)
{
	struct links *links = port->weftd->links;
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++) {
		const char *name = port->twin->end[i].watch.name;
		struct link *link = link_refresh(links, name);
		if (!link)
			continue;
		if (!is_unfinished(port->weftd, link)) {
			fail(failure, -EEXIST, "in_use",
				"there is a device %s already that is not this weftd's", name);
			return fail_hint(failure, "delete it: ip link del %s", name);
		}
		int error = link_delete(links, link, failure);
		if (error)
			return error;
	}
	return 0;
}

static int twin_new(struct port *port, struct failure *failure)
{
	struct timeval pause = {.tv_sec = LOOK_SECONDS};
	struct port_twin *twin = calloc(1, sizeof(*twin));
	char name[IFNAMSIZ];
	if (!twin)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	port->twin = twin;
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++) {
		struct link_watch *watch = &twin->end[i].watch;
		snprintf(name, sizeof(name), "%s%s", ends[i].prefix, port->object->name);
		twin->end[i].port = port;
		watch->changed = end_changed;
		if (link_watch_add(port->weftd->links, watch, name) == 0)
			continue;
		if (i)
			link_watch_del(port->weftd->links, &twin->end[0].watch);
		free(twin);
		port->twin = NULL;
		return fail(failure, -EEXIST, "in_use", "%s is another port already", name);
	}
	twin->look = event_new(port->weftd->base, -1, EV_PERSIST, on_look, port);
	if (twin->look)
		event_add(twin->look, &pause);
	return 0;
}

int port_twin_take(struct port *port, struct engine_port *attach, struct failure *failure)
{
	struct link *link[PORT_TWIN_ENDS];
	int error = port->twin ? 0 : twin_new(port, failure);
	if (error)
		return error;
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++) {
		link[i] = link_of(port, i);
		if (!link[i])
			link[i] = find_end(port, i);
	}
	if (!link[PORT_TWIN] || !link[PORT_WIRE]) {
		error = clear(port, failure);
		error = error ? error : make(port, link, failure);
	}
	if (error)
		return error;
	for (u32 i = 0; i < PORT_TWIN_ENDS; i++)
		link_bind(&port->twin->end[i].watch, link[i]);
	attach->ifindex = link[PORT_TWIN]->ifindex;
	attach->wire = link[PORT_WIRE]->ifindex;
	attach->mtu = port->twin->fresh ? 0 : link[PORT_TWIN]->mtu;
	return 0;
}

void port_twin_forget(struct port *port)
{
	struct port_twin *twin = port->twin;
	if (!twin)
		return;
	for (u32 i = 0; port->weftd->links && i < PORT_TWIN_ENDS; i++)
		link_watch_del(port->weftd->links, &twin->end[i].watch);
	if (twin->look)
		event_free(twin->look);
	free(twin);
	port->twin = NULL;
}

int port_twin_release(struct port *port, struct failure *failure)
{
	struct links *links = port->weftd->links;
	struct link *link = link_of(port, PORT_TWIN);
	port_twin_forget(port);
	return link ? link_delete(links, link, failure) : 0;
}

void port_twins_down(struct weftd *weftd)
{
	for (struct object *o = object_first(weftd, &noun_port); o; o = o->hh.next) {
		struct port *port = o->live;
		if (port && port->twin)
			set_up(port, PORT_WIRE, false);
	}
}

void port_twins_sweep(struct weftd *weftd)
{
	struct mark mark;
	struct link *link = link_first(weftd->links);
	while (link) {
		struct link *next = link->by_index.next;
		if (!link->watch && is_end(weftd, link, MARK_twin, &mark)) {
			log_info("deleting dev=%s: no port has it", link->name);
			link_delete(weftd->links, link, NULL);
		}
		link = next;
	}
}
