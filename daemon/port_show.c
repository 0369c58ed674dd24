// SPDX-License-Identifier: BSD-2-Clause
// What `port show` says: state, counters, offloads; and the words that a hypervisor needs.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
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

// Up, and yet not all that its networks carry gets through.
static struct port_state state_up(const struct port *port, const struct link *link)
{
	u32 mtu = port_mtu(port->weftd, port->object->spec);
	struct port_state s = state_of("up", port->why);
	if (!port->why && !port->type->follows_mtu && link->mtu < mtu)
		snprintf(s.why, sizeof(s.why),
			"its network has mtu %u, and %s only %u: ip link set dev %s mtu %u", mtu,
			link->name, link->mtu, link->name, mtu);
	return s;
}

struct port_state port_state(const struct object *object)
{
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	char why[128];
	if (!port)
		return state_of("down", object->trouble);
	if (port->why && !port->attached)
		return state_of("down", port->why);
	if (!link) {
		snprintf(why, sizeof(why), "there is no device %s", port->watch.name);
		return state_of("absent", why);
	}
	if (!port->attached)
		return state_of("down", object->trouble);
	if (!(link->flags & IFF_UP)) {
		snprintf(why, sizeof(why), "%s was set down: ip link set dev %s up", link->name,
			link->name);
		return state_of("down", why);
	}
	if (!(link->flags & IFF_LOWER_UP))
		return state_of(port->type->carrier_state, port->type->carrier_why);
	return state_up(port, link);
}

// Stable: from the uuid of this weftd and the port's name. 02 is locally administered.
void port_guest_mac(struct weftd *weftd, const struct object *object, char text[18])
{
	const char *given = spec_text(object->spec, "mac", NULL);
	char name[128];
	int length = snprintf(name, sizeof(name), "%s:%s", weftd->uuid, object->name);
	u64 hash = XXH64(name, (size_t)length, 0);
	if (given)
		snprintf(text, 18, "%s", given);
	else
		snprintf(text, 18, "02:%02x:%02x:%02x:%02x:%02x", (u8)(hash >> 32),
			(u8)(hash >> 24), (u8)(hash >> 16), (u8)(hash >> 8), (u8)hash);
}

// What the other side takes unfinished. Flags stay on a tap when its VM is gone: then nothing.
static json_t *offloads(const struct link *link)
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
	if (!link || !(link->flags & IFF_LOWER_UP))
		return json_null();
	json_t *list = json_array();
	u32 on = offload_get(link->name);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(known); i++) {
		if (on & known[i].bit)
			json_array_append_new(list, json_string(known[i].name));
	}
	return list;
}

json_t *port_show(struct weftd *weftd, const struct object *object)
{
	const struct port *port = object->live;
	const struct link *link = port ? port->watch.link : NULL;
	json_t *tags = spec_list(object->spec, "tags");
	struct port_state state = port_state(object);
	json_t *shown = json_pack("{s:s, s:s, s:O?, s:o, s:b, s:s, s:s?}", "dev",
		link ? link->name : port_dev(object->spec), "mode", tags ? "trunk" : "access",
		"tags", tags, "offloads", offloads(link), "host",
		port && port->row.flags & WEFT_PORT_HOST, "state", state.state, "why",
		state.why[0] ? state.why : NULL);
	if (!tags)
		json_object_set_new(shown, "tags", json_array());
	json_object_set_new(shown, "mtu", link ? json_integer(link->mtu) : json_null());
	json_object_set_new(
		shown, "carrier", link ? json_boolean(link->flags & IFF_LOWER_UP) : json_null());
	if (port && port->type->qemu) {
		char mac[18];
		port_guest_mac(weftd, object, mac);
		json_object_set_new(shown, "mac", json_string(mac));
	} else {
		json_object_set_new(shown, "queues", json_null());
	}
	place_show_numbers(weftd, object->id, drops_device(weftd, object->id, link), shown);
	return shown;
}

int port_run_words(struct request *request)
{
	struct weftd *weftd = request->weftd;
	const char *name = spec_text(request->arguments, "name", "");
	const char *form = spec_text(request->arguments, "form", "");
	const struct object *object = object_find(weftd, &noun_port, name);
	if (!object)
		return fail(&request->failure, -ENOENT, "not_found", "there is no port %s", name);
	const struct port_type *type = port_type_find(spec_text(object->spec, "type", ""));
	char *(*words)(struct weftd *, const struct object *) =
		strcmp(form, "qemu") == 0 ? type->qemu : type->libvirt;
	if (!words) {
		fail(&request->failure, -EINVAL, "bad_value",
			"port %s is of type %s, which %s does not open", name, type->name, form);
		return fail_hint(&request->failure, "ports of type tap are for VMs");
	}
	char *text = words(weftd, object);
	if (!text)
		return fail(&request->failure, -ENOMEM, "no_memory", "out of memory");
	if (request->json) {
		text[strlen(text) - 1] = '\0'; // its line ends there
		request->result = json_pack("[{s:s, s:s}]", "name", name, form, text);
		free(text);
	} else {
		request->text = text;
	}
	return 0;
}
