// SPDX-License-Identifier: BSD-2-Clause
// What `port show` says: state, counters, offloads.
#include <stdio.h>
#include <string.h>
#include "daemon/drops.h"
#include "daemon/offload.h"
#include "daemon/place.h"
#include "daemon/port.h"

static struct port_state state_of(const char *state, const char *why)
{
	struct port_state s = {.state = state};
	if (why)
		snprintf(s.why, sizeof(s.why), "%s", why);
	return s;
}

// What a veth's other end leaves to be done later is not in the frame's bytes, and XDP has
// nothing else. In another namespace nobody can see whether it does.
static void warn_of_veth(const struct port *port, const struct link *link, struct port_state *s)
{
	const struct link *peer = link_peer(port->weftd->links, link);
	if (strcmp(link->kind, "veth") != 0)
		return;
	if (!peer)
		snprintf(s->why, sizeof(s->why),
			"checksums and tags that the other end of %s leaves to its device are "
			"lost by XDP: in that end's network namespace, `ethtool -K DEVICE tx "
			"off txvlan off`; or `port set %s xdp off`",
			link->name, port->object->name);
	else if (offload_get(peer->name) & (OFFLOAD_checksum | OFFLOAD_tag))
		snprintf(s->why, sizeof(s->why),
			"checksums and tags that %s leaves to its device are lost by XDP: "
			"ethtool -K %s tx off txvlan off",
			peer->name, peer->name);
}

static void tell_driver(const struct port *port, const struct link *link, struct port_state *s)
{
	const char *why, *driver = port_driver(port, &why);
	if (driver && why)
		snprintf(s->why, sizeof(s->why), "by %s: %s",
			strcmp(driver, "tc") == 0 ? "TC alone, not by XDP"
						  : "packet sockets, not by AF_XDP",
			why);
	else if (driver && strcmp(driver, "xdp") == 0)
		warn_of_veth(port, link, s);
}

static void warn_of_twin(const struct port *port, struct port_state *s)
{
	const struct link *twin = port_twin(port);
	if (twin && !(twin->flags & IFF_UP))
		snprintf(s->why, sizeof(s->why),
			"%s, by which the kernel has it, was set down: ip link set dev %s up",
			twin->name, twin->name);
}

// Up, and yet not all that its networks carry gets through, or not as it was asked.
static struct port_state state_up(const struct port *port, const struct engine_port_state *now)
{
	u32 mtu = port_mtu(port->weftd, port->object->spec);
	const struct link *link = port->watch.link;
	const char *name = link ? link->name : port_dev(port->object->spec);
	struct port_state s = state_of("up", port->why);
	if (!port->why && link)
		tell_driver(port, link, &s);
	if (!s.why[0] && port->direct_why)
		snprintf(s.why, sizeof(s.why), "not direct: %s", port->direct_why);
	if (!port->why)
		warn_of_twin(port, &s);
	if (port->why || port->type->follows_mtu || !now->mtu || now->mtu >= mtu)
		return s;
	int used = snprintf(s.why, sizeof(s.why), "its network has mtu %u, and %s only %u", mtu,
		name, now->mtu);
	if (link)
		snprintf(s.why + used, sizeof(s.why) - (size_t)used, ": ip link set dev %s mtu %u",
			name, mtu);
	return s;
}

struct port_state port_state(const struct object *object)
{
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	struct engine_port_state now;
	char why[128];
	if (!port)
		return state_of("down", object->trouble);
	if (port->why && !port->attached)
		return state_of(
			port_is_retried(port) ? port->type->carrier_state : "down", port->why);
	if (port_has_netdev(port) && !link) {
		snprintf(why, sizeof(why), "there is no device %s", port->watch.name);
		return state_of("absent", why);
	}
	if (!port->attached)
		return state_of("down", object->trouble);
	if (link && !(link->flags & IFF_UP)) {
		snprintf(why, sizeof(why), "%s was set down: ip link set dev %s up", link->name,
			link->name);
		return state_of("down", why);
	}
	if (port_now(port, &now) || !now.carrier)
		return state_of(
			port->type->carrier_state, now.why ? now.why : port->type->carrier_why);
	return state_up(port, &now);
}

// What the other side takes unfinished. Flags stay on a tap when its VM is gone: then nothing.
static json_t *offloads(const struct link *link, const struct engine_port_state *now)
{
	static const struct {
		u32 bit;
		const char *name;
	} known[] = {
		{OFFLOAD_checksum, "checksum"},
		{OFFLOAD_tso4, "tso4"},
		{OFFLOAD_tso6, "tso6"},
		{OFFLOAD_uso, "uso"},
	};
	if (link ? !(link->flags & IFF_LOWER_UP) : !now || !now->carrier)
		return json_null();
	json_t *list = json_array();
	u32 on = link ? offload_get(link->name) : now->takes;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(known); i++) {
		if (on & known[i].bit)
			json_array_append_new(list, json_string(known[i].name));
	}
	return list;
}

// What only NICs of guests have; null with the others.
static void show_guest(const struct port *port, const struct object *object,
	const struct engine_port_state *now, json_t *shown)
{
	const struct port_type *type = port_type_of(object->spec);
	bool socket = type && type->kind == ENGINE_PORT_VHOST_USER;
	char path[PORT_PATH_BYTES], mac[18];
	if (port && port->type->qemu) {
		port_guest_mac(port->weftd, object, mac);
		json_object_set_new(shown, "mac", json_string(mac));
	} else {
		json_object_set_new(shown, "queues", json_null());
	}
	if (port && socket) {
		port->type->path(port->weftd, object->spec, path);
		json_object_set_new(shown, "socket", json_string(path));
	}
	if (!socket)
		json_object_set_new(shown, "socket_mode", json_null());
	json_object_set_new(shown, "queues_used", now ? json_integer(now->queues) : json_null());
}

static json_t *known_mtu(const struct port *port, const struct engine_port_state *now)
{
	if (now && now->mtu)
		return json_integer(now->mtu);
	if (now && port->type->follows_mtu) // as the guest is told
		return json_integer(port_mtu(port->weftd, port->object->spec));
	return json_null();
}

// What takes its netdev, and what was asked; null where there is none, or no engine that tells.
static void show_driver(const struct port *port, json_t *shown)
{
	const char *why = NULL, *driver = port ? port_driver(port, &why) : NULL;
	json_object_set_new(shown, "driver", driver ? json_string(driver) : json_null());
	if (driver && port->type->xdp)
		json_object_set_new(shown, "xdp", json_boolean(port->xdp));
	if (driver && port->type->xdp && port->weftd->engine_ops->direct)
		json_object_set_new(shown, "direct", json_boolean(weft_mac_known(&port->direct)));
}

static const char *mode_of(const json_t *spec)
{
	if (port_twin_wanted(spec))
		return "underlay";
	return spec_list(spec, "tags") ? "trunk" : "access";
}

json_t *port_show(struct weftd *weftd, const struct object *object)
{
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	const struct link *twin = port ? port_twin(port) : NULL;
	json_t *tags = spec_list(object->spec, "tags");
	struct port_state state = port_state(object);
	struct engine_port_state there, *now = port && !port_now(port, &there) ? &there : NULL;
	json_t *shown = json_pack("{s:s?, s:s?, s:s, s:O?, s:o, s:b, s:s, s:s?}", "dev",
		link ? link->name : port_dev(object->spec), "twin", twin ? twin->name : NULL,
		"mode", mode_of(object->spec), "tags", tags, "offloads", offloads(link, now),
		"host", port && port->row.flags & WEFT_PORT_HOST, "state", state.state, "why",
		state.why[0] ? state.why : NULL);
	if (!tags)
		json_object_set_new(shown, "tags", json_array());
	json_object_set_new(shown, "mtu", known_mtu(port, now));
	json_object_set_new(shown, "carrier", now ? json_boolean(now->carrier) : json_null());
	show_guest(port, object, link ? NULL : now, shown);
	show_driver(port, shown);
	place_show_numbers(weftd, object->id, port ? drops_device(port) : 0, shown);
	return shown;
}
