// SPDX-License-Identifier: BSD-2-Clause
// A port and the engine: attach, detach, and what the engine says of ports without a netdev.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/forget.h"
#include "daemon/port.h"

LOG_MODULE(port);

static int fail_attach(const char *name, int error, const char *why, struct failure *failure)
{
	if (error == -EBUSY)
		return fail(failure, error, "in_use", "%s cannot be attached: %s", name,
			why ? why : "it has a program of somebody else");
	return fail(failure, error, "device", "%s cannot be attached: %s", name,
		fail_reason(error, why));
}

bool port_xdp(const struct port *port)
{
	const struct link *link = port->watch.link;
	return port->type->xdp && link && port->weftd->engine_ops->own_xdp &&
	       spec_bool(port->object->spec, "xdp", link_is_hardware(link));
}

static bool is_attached(const struct port *port, const struct engine_port *as)
{
	return port->attached && port->ifindex == as->ifindex && port->xdp == as->xdp &&
	       memcmp(&port->direct, &as->direct, sizeof(as->direct)) == 0;
}

int port_attach(struct port *port, struct failure *failure)
{
	struct weftd *weftd = port->weftd;
	const struct link *link = port->watch.link;
	char path[PORT_PATH_BYTES] = "";
	struct engine_port attach = {
		.id = port->object->id,
		.ifindex = link ? link->ifindex : 0,
		.name = link ? link->name : port->object->name,
		.kind = port->type->kind,
		.xdp = port_xdp(port),
	};
	const char *why = NULL;
	port->direct_why = port_direct_look(port, &attach.direct);
	if (is_attached(port, &attach))
		return 0;
	if (port->type->path) {
		port->type->path(weftd, port->object->spec, path);
		attach.path = path;
	}
	int error = port_check_engine(weftd, port->type, failure);
	if (error)
		return error;
	if (port->type->prepare)
		error = port->type->prepare(port, &attach, failure);
	if (error) {
		port_retry_soon(weftd);
		return error;
	}
	error = weftd->engine_ops->port_attach(weftd->engine, &attach, &why);
	if (error && (error != -EBUSY || port->ifindex != attach.ifindex))
		port_detach(port);
	if (error) {
		port_retry_soon(weftd);
		return fail_attach(attach.name, error, why, failure);
	}
	port->attached = true;
	port->ifindex = attach.ifindex;
	port->xdp = attach.xdp;
	port->direct = attach.direct;
	error = port->type->settle ? port->type->settle(port, &attach, failure) : 0;
	if (error) {
		port_detach(port);
		port_retry_soon(weftd);
		return error;
	}
	log_info("attached port=%s dev=%s ifindex=%u", port->object->name, link ? link->name : path,
		attach.ifindex);
	port_follow_carrier(port);
	return 0;
}

void port_detach(struct port *port)
{
	struct weftd *weftd = port->weftd;
	if (port->attached)
		weftd->engine_ops->port_detach(weftd->engine, port->object->id);
	port->attached = false;
	port->ifindex = 0;
	port_twin_follow(port);
}

int port_now(const struct port *port, struct engine_port_state *now)
{
	const struct weftd *weftd = port->weftd;
	const struct link *link = port->watch.link;
	*now = (struct engine_port_state){0};
	if (link) {
		now->carrier = link->flags & IFF_LOWER_UP;
		now->mtu = link->mtu;
		return 0;
	}
	return port_has_netdev(port) || !port->attached
		       ? -ENODEV
		       : weftd->engine_ops->port_state(weftd->engine, port->object->id, now);
}

const char *port_driver(const struct port *port, const char **why)
{
	const struct engine_ops *ops = port->weftd->engine_ops;
	*why = NULL;
	return port->attached && ops->driver ? ops->driver(port->weftd->engine, port->ifindex, why)
					     : NULL;
}

// Whoever was there is gone, and nothing is answered for him: the next one may have his IP address
// and another MAC.
void port_follow_carrier(struct port *port)
{
	struct engine_port_state now;
	bool carrier = port_now(port, &now) == 0 && now.carrier;
	if (port->carrier && !carrier)
		forget_place(port->weftd, port->object->id, FORGET_BINDINGS);
	if (port->carrier != carrier && !port_has_netdev(port))
		log_info("port=%s: %s", port->object->name,
			carrier   ? "up"
			: now.why ? now.why
				  : "nobody is there");
	port->carrier = carrier;
	port_twin_follow(port);
}

static void on_change(u32 port_id, void *context)
{
	struct object *object = object_by_id(context, &noun_port, port_id);
	if (object && object->live)
		port_follow_carrier(object->live);
}

static void on_events(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	weftd->engine_ops->events(weftd->engine, on_change, weftd);
}

int port_events_open(struct weftd *weftd, struct failure *failure)
{
	const struct engine_ops *ops = weftd->engine_ops;
	if (!ops->event_fd)
		return 0;
	weftd->port_events = event_new(
		weftd->base, ops->event_fd(weftd->engine), EV_READ | EV_PERSIST, on_events, weftd);
	if (weftd->port_events && event_add(weftd->port_events, NULL) == 0)
		return 0;
	return fail(failure, -ENOMEM, "engine_failed", "the %s engine cannot be listened to",
		ops->name);
}

void port_events_close(struct weftd *weftd)
{
	port_retry_close(weftd);
	port_twins_down(weftd);
	if (weftd->port_events)
		event_free(weftd->port_events);
	weftd->port_events = NULL;
}
