// SPDX-License-Identifier: BSD-2-Clause
// Ports of type tap: a VM's NIC through QEMU. Made by weft, or adopted as it stands.
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/port_types.h"
#include "daemon/tap.h"

// A number, or a name of the host's user (group) database.
static bool find_user(const char *text, uid_t *uid)
{
	char *end;
	*uid = (uid_t)strtoul(text, &end, 10);
	if (!*end)
		return true;
	const struct passwd *user = getpwnam(text);
	if (user)
		*uid = user->pw_uid;
	return user != NULL;
}

static bool find_group(const char *text, gid_t *gid)
{
	char *end;
	*gid = (gid_t)strtoul(text, &end, 10);
	if (!*end)
		return true;
	const struct group *group = getgrnam(text);
	if (group)
		*gid = group->gr_gid;
	return group != NULL;
}

static int refuse_user(
	const struct link *link, const char *word, const char *wanted, struct failure *failure)
{
	fail(failure, -EINVAL, "wrong_device", "the tap %s is there already and its %s is not %s",
		link->name, word, wanted);
	return fail_hint(failure, "leave out `%s`, or delete the tap first", word);
}

static int tap_check(const json_t *spec, const struct link *link, struct failure *failure)
{
	const char *owner = spec_text(spec, "owner", NULL), *group = spec_text(spec, "group", NULL);
	uid_t uid = 0;
	gid_t gid = 0;
	if (owner && !find_user(owner, &uid))
		return fail(
			failure, -ENOENT, "not_found", "owner %s: there is no such user", owner);
	if (group && !find_group(group, &gid))
		return fail(
			failure, -ENOENT, "not_found", "group %s: there is no such group", group);
	if (link && owner && uid != link->owner)
		return refuse_user(link, "owner", owner, failure);
	if (link && group && gid != link->group)
		return refuse_user(link, "group", group, failure);
	return 0;
}

static int tap_make(const struct port *port, int *fd, struct failure *failure)
{
	const json_t *spec = port->object->spec;
	const char *owner = spec_text(spec, "owner", NULL), *group = spec_text(spec, "group", NULL);
	uid_t uid;
	gid_t gid;
	struct tap_config config = {
		.name = port->watch.name,
		.multi_queue = spec_number(spec, "queues", 1) > 1,
		.owner = owner && find_user(owner, &uid) ? &uid : NULL,
		.group = group && find_group(group, &gid) ? &gid : NULL,
	};
	return tap_create(&config, fd, failure);
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

// QEMU wants a letter first.
static const char *qemu_prefix(const char *name)
{
	return name[0] >= '0' && name[0] <= '9' ? "port-" : "";
}

static char *tap_qemu(struct weftd *weftd, const struct object *object)
{
	const json_t *spec = object->spec;
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	long long queues = spec_number(spec, "queues", 1);
	u32 mtu = port_mtu(weftd, spec);
	const char *prefix = qemu_prefix(object->name);
	char mac[18], many[32] = "", vectors[48] = "", *words = NULL;
	port_guest_mac(weftd, object, mac);
	if (queues > 1) {
		snprintf(many, sizeof(many), ",queues=%lld", queues);
		snprintf(vectors, sizeof(vectors), ",mq=on,vectors=%lld", 2 * queues + 2);
	}
	if (asprintf(&words,
		    "-netdev tap,id=%s%s,ifname=%s,script=no,downscript=no%s "
		    "-device virtio-net-pci,netdev=%s%s,mac=%s%s,host_mtu=%u\n",
		    prefix, object->name, link ? link->name : port_dev(spec), many, prefix,
		    object->name, mac, vectors, mtu) < 0)
		return NULL;
	return words;
}

static char *tap_libvirt(struct weftd *weftd, const struct object *object)
{
	const json_t *spec = object->spec;
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	long long queues = spec_number(spec, "queues", 1);
	u32 mtu = port_mtu(weftd, spec);
	char mac[18], many[64] = "", *words = NULL;
	port_guest_mac(weftd, object, mac);
	if (queues > 1)
		snprintf(many, sizeof(many), "  <driver queues='%lld'/>\n", queues);
	if (asprintf(&words,
		    "<interface type='ethernet'>\n"
		    "  <mac address='%s'/>\n"
		    "  <target dev='%s' managed='no'/>\n"
		    "  <model type='virtio'/>\n"
		    "%s"
		    "  <mtu size='%u'/>\n"
		    "</interface>\n",
		    mac, link ? link->name : port_dev(spec), many, mtu) < 0)
		return NULL;
	return words;
}

const struct port_type port_type_tap = {
	.name = "tap",
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
