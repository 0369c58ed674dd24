// SPDX-License-Identifier: BSD-2-Clause
// A port and its netdev: find, make, mark, follow, give back.
//
// The mark (mark.h) goes on before anything else is changed and comes off last, so that a weftd
// that was killed in between knows the device as its own.
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/log.h>
#include "daemon/carrier.h"
#include "daemon/check.h"
#include "daemon/drops.h"
#include "daemon/forget.h"
#include "daemon/mark.h"
#include "daemon/network.h"
#include "daemon/port.h"

LOG_MODULE(port);

static bool is_ours(const struct port *port, const struct link *link, struct mark *mark)
{
	return mark_read(link->alias, mark) && strcmp(mark->uuid, port->weftd->uuid) == 0 &&
	       strcmp(mark->port, port->object->name) == 0;
}

// By its recorded name; but a device with the port's mark was renamed while weftd was away.
static struct link *find_device(const struct port *port)
{
	struct links *links = port->weftd->links;
	struct link *named = link_refresh(links, port->watch.name);
	struct mark mark;
	if (named && is_ours(port, named, &mark))
		return named;
	for (struct link *link = link_first(links); link; link = link->by_index.next) {
		if (is_ours(port, link, &mark))
			return link;
	}
	return named;
}

static int refuse_mark(const struct port *port, const struct link *link, struct failure *failure)
{
	const struct weftd *weftd = port->weftd;
	struct mark mark;
	if (!mark_read(link->alias, &mark) || strcmp(mark.uuid, weftd->uuid) == 0)
		return 0;
	fail(failure, -EBUSY, "in_use", "%s belongs to port %s of another weftd (%s)", link->name,
		mark.port, mark.uuid);
	return fail_hint(failure,
		"delete the port there; if that weftd is gone for good: rm -r %s/weft/%s; "
		"ip link set dev %s alias ''",
		weftd->settings.bpf_dir, mark.uuid, link->name);
}

static int refuse_master(const struct port *port, const struct link *link, struct failure *failure)
{
	const struct link *master = link->master ? link_at(port->weftd->links, link->master) : NULL;
	if (!link->master)
		return 0;
	fail(failure, -EBUSY, "in_use", "%s is in the %s %s", link->name,
		master && master->kind[0] ? master->kind : "master device",
		master ? master->name : "?");
	return fail_hint(failure, "take it out: ip link set dev %s nomaster", link->name);
}

// The kernel tells of no program that replaces another, or goes with its link.
static bool has_foreign_xdp(const struct port *port, const struct link *link)
{
	const struct engine_ops *ops = port->weftd->engine_ops;
	const struct link *now = link->xdp ? link_refresh(port->weftd->links, link->name) : NULL;
	return now && now->xdp &&
	       !(ops->own_xdp && ops->own_xdp(port->weftd->engine, now->xdp_program));
}

static int accept_device(const struct port *port, const struct link *link, struct failure *failure)
{
	if (link->flags & IFF_LOOPBACK)
		return fail(
			failure, -EINVAL, "wrong_device", "%s is the loopback device", link->name);
	if (link->hardware != ARPHRD_ETHER)
		return fail(failure, -EINVAL, "wrong_device", "%s carries no Ethernet frames (%s)",
			link->name, link->kind[0] ? link->kind : "hardware");
	if (check_is_link(port->weftd, link) ||
		(link->watch && (carrier_is(link->watch) || port_twin_any(link->watch))))
		return fail(
			failure, -EINVAL, "wrong_device", "%s is weft's own device", link->name);
	if (link->watch && link->watch != &port->watch)
		return fail(failure, -EBUSY, "in_use", "%s is port %s already", link->name,
			((struct port *)link->watch)->object->name);
	if (refuse_mark(port, link, failure) || refuse_master(port, link, failure))
		return -EBUSY;
	if (has_foreign_xdp(port, link)) {
		fail(failure, -EBUSY, "in_use", "%s has an XDP program of somebody else",
			link->name);
		return fail_hint(failure, "take it off: ip link set dev %s xdp%s off", link->name,
			link->xdp == XDP_ATTACHED_SKB ? "generic" : "");
	}
	return port->type->accept ? port->type->accept(port, link, failure) : 0;
}

// First use: the mark, and what the type wants of its devices.
static int prepare_device(struct port *port, struct link *link, struct failure *failure)
{
	struct mark mark = {.words = MARK_new};
	char alias[LINK_ALIAS_BYTES];
	struct link_change change = {
		.alias = alias,
		.flags = port->type->promiscuous ? IFF_PROMISC : 0,
		.mtu = port->type->follows_mtu ? port_mtu(port->weftd, port->object->spec) : 0,
		.quiet = port->created,
	};
	change.flags_mask = change.flags;
	strcpy(mark.uuid, port->weftd->uuid);
	snprintf(mark.port, sizeof(mark.port), "%s", port->object->name);
	strcpy(mark.alias, link->alias);
	if (port->type->create && !port->created)
		mark.words |= MARK_adopted;
	if (port->type->promiscuous && link->flags & IFF_PROMISC)
		mark.words |= MARK_promisc;
	if (!mark_write(&mark, alias))
		log_warn("the alias of %s is too long to be kept whole: \"%s\"", link->name,
			link->alias);
	drops_device_start(port->weftd, port->object->id, link);
	if (port->type->no_queue)
		link_set_no_queue(port->weftd->links, link, true);
	return link_set(port->weftd->links, link, &change, failure);
}

static int follow_mtu(struct port *port, struct link *link, struct failure *failure)
{
	struct link_change change = {.mtu = port_mtu(port->weftd, port->object->spec)};
	if (!port->type->follows_mtu || !change.mtu || change.mtu == link->mtu)
		return 0;
	return link_set(port->weftd->links, link, &change, failure);
}

static void give_back(struct port *port, struct link *link)
{
	struct mark mark;
	struct link_change change = {.alias = mark.alias};
	struct failure failure;
	if (!is_ours(port, link, &mark))
		return;
	if (port->type->promiscuous && !(mark.words & MARK_promisc))
		change.flags_mask = IFF_PROMISC;
	if (port->type->no_queue)
		link_set_no_queue(port->weftd->links, link, false);
	int error = link_set(port->weftd->links, link, &change, &failure);
	if (error && error != -ENODEV)
		log_warn("cannot give %s back: %s", link->name, failure.message);
}

static int bind_device(struct port *port, struct link *link, int fd, struct failure *failure)
{
	struct mark mark;
	int error = accept_device(port, link, failure);
	if (error)
		return error;
	bool known = is_ours(port, link, &mark);
	port->bring_up = !known || mark.words & MARK_new;
	port->created = known ? port->type->create && !(mark.words & MARK_adopted) : fd >= 0;
	if (!known)
		error = prepare_device(port, link, failure);
	if (!error)
		error = follow_mtu(port, link, failure);
	if (error) {
		give_back(port, link);
		return error;
	}
	link_bind(&port->watch, link);
	port->carrier = link->flags & IFF_LOWER_UP;
	return 0;
}

static int no_device(const struct port *port, struct failure *failure)
{
	fail(failure, -ENODEV, "no_device", "there is no device %s", port->watch.name);
	return fail_hint(failure, "`ip link` lists the devices of this network namespace");
}

int port_link_take(struct port *port, bool create, struct failure *failure)
{
	int fd = -1, error = 0;
	if (port->watch.link)
		return follow_mtu(port, port->watch.link, failure);
	struct link *link = find_device(port);
	if (!link && create && port->type->create) {
		error = port->type->create(port, &fd, failure);
		if (error)
			return error;
		link = link_refresh(port->weftd->links, port->watch.name);
	}
	if (!link)
		error = no_device(port, failure);
	else
		error = bind_device(port, link, fd, failure);
	if (fd >= 0 && error)
		close(fd);
	else if (fd >= 0)
		error = port->type->keep(fd, failure);
	return error;
}

// Last, so that no frame comes in before the switch takes it. Later it is the operator's to decide.
static int bring_up(struct port *port, struct link *link, struct failure *failure)
{
	struct mark mark;
	char alias[LINK_ALIAS_BYTES];
	struct link_change change = {.flags = IFF_UP, .flags_mask = IFF_UP};
	if (!port->bring_up)
		return 0;
	port->bring_up = false;
	if (is_ours(port, link, &mark)) {
		mark.words &= ~(u32)MARK_new;
		mark_write(&mark, alias);
		change.alias = alias;
	}
	return link_set(port->weftd->links, link, &change, failure);
}

int port_link_attach(struct port *port, struct failure *failure)
{
	int error = port_attach(port, failure);
	return error ? error : bring_up(port, port->watch.link, failure);
}

int port_link_release(struct port *port, struct failure *failure)
{
	struct link *link = port->watch.link;
	port_detach(port);
	link_watch_del(port->weftd->links, &port->watch);
	if (link && port->created)
		return link_delete(port->weftd->links, link, failure);
	if (link)
		give_back(port, link);
	return 0;
}

void port_trouble(struct port *port, const char *why)
{
	if (why && (!port->why || strcmp(port->why, why) != 0))
		log_warn("port=%s: %s", port->object->name, why);
	free(port->why);
	port->why = why ? strdup(why) : NULL;
	free(port->object->trouble); // of the last apply: no longer true
	port->object->trouble = NULL;
}

void port_link_changed(struct link_watch *watch, struct link *link)
{
	struct port *port = (struct port *)watch;
	struct failure failure = {0};
	if (!link) {
		log_info("port=%s: its device is gone", port->object->name);
		port_detach(port);
		forget_place(port->weftd, port->object->id, FORGET_MACS);
	}
	port_follow_carrier(port);
	int error = port_link_take(port, false, &failure);
	if (error != -ENODEV && port_rows_set(port, error ? NULL : &failure) && !error)
		error = failure.code;
	if (!error)
		error = port_link_attach(port, &failure);
	port_trouble(port, error && error != -ENODEV ? failure.message : NULL);
}
