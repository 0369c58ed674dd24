// SPDX-License-Identifier: BSD-2-Clause
// Ports of type tap: a VM's NIC through QEMU. Made by weft, or adopted as it stands.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/owner.h"
#include "daemon/port_types.h"
#include "daemon/tap.h"

static int refuse_user(
	const struct link *link, const char *word, const char *wanted, struct failure *failure)
{
	fail(failure, -EINVAL, "wrong_device", "the tap %s is there already and its %s is not %s",
		link->name, word, wanted);
	return fail_hint(failure, "leave out `%s`, or delete the tap first", word);
}

static int tap_check(
	struct weftd *weftd, const json_t *spec, const struct link *link, struct failure *failure)
{
	struct owner owner;
	(void)weftd;
	int error = owner_read(spec, &owner, failure);
	if (error || !link)
		return error;
	if (owner.user && owner.uid != link->owner)
		return refuse_user(link, "owner", owner.user, failure);
	if (owner.group && owner.gid != link->group)
		return refuse_user(link, "group", owner.group, failure);
	return 0;
}

static int tap_make(const struct port *port, int *fd, struct failure *failure)
{
	struct owner owner;
	int error = owner_read(port->object->spec, &owner, failure);
	struct tap_config config = {
		.name = port->watch.name,
		.multi_queue = spec_number(port->object->spec, "queues", 1) > 1,
		.owner = owner.user ? &owner.uid : NULL,
		.group = owner.group ? &owner.gid : NULL,
	};
	return error ? error : tap_create(&config, fd, failure);
}

static int tap_accept(const struct port *port, const struct link *link, struct failure *failure)
{
	const json_t *spec = port->object->spec;
	bool many = spec_number(spec, "queues", 1) > 1;
	if (!link->tap) {
		fail(failure, -EINVAL, "wrong_device", "%s is no tap (%s)", link->name,
			link->kind[0] ? link->kind : "hardware");
		return fail_hint(failure, "use type device, or another dev");
	}
	if (many != link->multi_queue) {
		fail(failure, -EINVAL, "wrong_device", "the tap %s is there already and has %s",
			link->name, link->multi_queue ? "several queues" : "one queue only");
		return fail_hint(
			failure, many ? "leave out `queues`, or delete the tap first"
				      : "say `queues N`, N at least 2, or delete the tap first");
	}
	return 0;
}

static const char *device_name(const struct object *object)
{
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	return link ? link->name : port_dev(object->spec);
}

static char *tap_qemu(struct weftd *weftd, const struct object *object, u32 memory_mb)
{
	long long queues = spec_number(object->spec, "queues", 1);
	char many[32] = "", *words = NULL;
	struct port_guest guest;
	(void)memory_mb;
	if (queues > 1)
		snprintf(many, sizeof(many), ",queues=%lld", queues);
	port_guest(weftd, object, &guest);
	if (asprintf(&words, "-netdev tap,id=%s,ifname=%s,script=no,downscript=no%s %s\n", guest.id,
		    device_name(object), many, guest.device) < 0)
		words = NULL;
	port_guest_free(&guest);
	return words;
}

static char *tap_libvirt(struct weftd *weftd, const struct object *object)
{
	struct port_guest guest;
	char *words = NULL;
	port_guest(weftd, object, &guest);
	if (asprintf(&words,
		    "<interface type='ethernet'>\n"
		    "  <mac address='%s'/>\n"
		    "  <target dev='%s' managed='no'/>\n"
		    "%s",
		    guest.mac, device_name(object), guest.interface) < 0)
		words = NULL;
	port_guest_free(&guest);
	return words;
}

const struct port_type port_type_tap = {
	.name = "tap",
	.without = "mode socket",
	.without_why = "QEMU opens it by its name",
	.check = tap_check,
	.create = tap_make,
	.keep = tap_keep,
	.accept = tap_accept,
	.follows_mtu = true,
	.no_queue = true,
	.carrier_state = "waiting",
	.carrier_why = "nobody has the tap open: its VM does not run",
	.qemu = tap_qemu,
	.libvirt = tap_libvirt,
};
