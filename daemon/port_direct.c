// SPDX-License-Identifier: BSD-2-Clause
// `direct`: what is for the machine behind a veth goes to its other end at once.
//
// bpf_redirect_peer drops what it cannot deliver, so it is used only while the other end is known
// to take it: up, in another namespace, without an XDP program (which it would pass by). The kernel
// tells nobody of changes over there but of its carrier: then all is looked at again.
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include "daemon/port.h"

static const char *look(const struct port *port, const struct link *link, struct weft_mac *mac)
{
	struct link peer;
	if (strcmp(link->kind, "veth") != 0)
		return "it is no veth";
	if (link->peer_netns < 0)
		return "its other end is in the same network namespace";
	if (!(link->flags & IFF_LOWER_UP))
		return NULL; // its state says so
	if (link_ask_peer(port->weftd->links, link, &peer))
		return "its other end cannot be looked at";
	if (peer.xdp == XDP_ATTACHED_DRV || peer.xdp == XDP_ATTACHED_MULTI)
		return "its other end runs an XDP program";
	*mac = peer.mac;
	return NULL;
}

const char *port_direct_look(const struct port *port, struct weft_mac *mac)
{
	const struct link *link = port->watch.link;
	memset(mac, 0, sizeof(*mac));
	if (!link || !port->weftd->engine_ops->direct ||
		!spec_bool(port->object->spec, "direct", false))
		return NULL;
	return look(port, link, mac);
}

int port_check_direct(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	if (!json_object_get(spec, "direct"))
		return 0;
	if (!port_type_of(spec)->xdp)
		return fail(failure, -EINVAL, "bad_value",
			"`direct` is for ports of type device: a %s is no veth",
			port_type_of(spec)->name);
	if (!weftd->engine_ops->direct && !port_word_stays(old, spec, "direct"))
		return fail(failure, -ENOTSUP, "wrong_engine",
			"the %s engine has no such way: leave `direct` out",
			weftd->engine_ops->name);
	const struct link *link = link_find(weftd->links, port_dev(spec));
	if (spec_bool(spec, "direct", false) && link && strcmp(link->kind, "veth") != 0)
		return fail(failure, -EINVAL, "bad_value",
			"`direct` is for veths, and %s is none: leave it out", link->name);
	return 0;
}
