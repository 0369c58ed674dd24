// SPDX-License-Identifier: BSD-2-Clause
// The verdict of one frame: as JSON, and in sentences for people.
#include "daemon/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/carrier.h"
#include "daemon/link.h"
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/service.h"

// What to do about a drop, where something can be done.
static const char *const advice[WEFT_DROP_count] = {
	[WEFT_DROP_bad_source] = "a sender needs a unicast address of its own",
	[WEFT_DROP_tag_on_access] = "send untagged, or make the port a trunk: `port set NAME trunk "
				    "NETWORK:VID`",
	[WEFT_DROP_tag_unknown] = "add the tag: `port set NAME trunk +NETWORK:VID`",
	[WEFT_DROP_untagged_on_trunk] =
		"give the trunk a native network: `port set NAME network N`",
	[WEFT_DROP_hairpin] = "what is behind one port switches among itself",
	[WEFT_DROP_no_destination] =
		"nobody else is in the network: `port add`, or a peer and a vni",
	[WEFT_DROP_not_routed] = "send to the machine's own MAC address: weft routes no traffic "
				 "between networks",
	[WEFT_DROP_too_big] = "send smaller frames, or raise the mtu of the network and its ways",
	[WEFT_DROP_no_backend] = "`backend show` says which serve, and why the others do not",
	[WEFT_DROP_backend_dead] = "the client connects again: another backend serves it",
	[WEFT_DROP_backend_unresolved] = "give the backend its mac, or see that it answers ARP",
	[WEFT_DROP_connection_limit] =
		"raise connection-limit of the service or the network, or capacity.connection",
	[WEFT_DROP_connection_rate] = "raise the service's rate-limit",
	[WEFT_DROP_port_absent] = "look at `port show` and `peer show`: the way out is not there",
	[WEFT_DROP_peer_unknown] = "`peer add NAME address A`, if it shall be one",
	[WEFT_DROP_vni_unknown] = "`network set NAME vni N`, or add the network to the peer's",
	[WEFT_DROP_tag_inner] = "`network set NAME inner-tags on`, if tags are payload there",
	[WEFT_DROP_split_horizon] = "the other peer must know the destination's host as a peer "
				    "itself",
};

static const char *const replies[] = {
	[WEFT_REPLY_arp] = "arp",
	[WEFT_REPLY_nd] = "nd",
	[WEFT_REPLY_echo] = "echo",
	[WEFT_REPLY_echo6] = "echo6",
	[WEFT_REPLY_too_big] = "too_big",
	[WEFT_REPLY_too_big6] = "too_big6",
	[WEFT_REPLY_reset] = "reset",
	[WEFT_REPLY_reset6] = "reset6",
	[WEFT_REPLY_unreachable] = "unreachable",
	[WEFT_REPLY_unreachable6] = "unreachable6",
};

// What becomes of it, and one sentence about that.
struct outcome {
	struct weftd *weftd;
	const struct explain *e;
	json_t *shown;
	enum weft_action action;
	enum weft_drop reason;
	char why[2 * EXPLAIN_SAYS_BYTES];
	char note[PLACE_WHY_BYTES + 128]; // what stands in the way behind the verdict
};

static void because(struct outcome *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void because(struct outcome *o, const char *format, ...)
{
	va_list list;
	size_t used = strlen(o->why);
	va_start(list, format);
	vsnprintf(o->why + used, sizeof(o->why) - used, format, list);
	va_end(list);
}

static void lost(struct outcome *o, enum weft_drop reason)
{
	o->action = WEFT_ACTION_drop;
	o->reason = reason;
}

static void set(struct outcome *o, const char *key, json_t *value)
{
	json_object_set_new(o->shown, key, value);
}

// Where a frame goes to may be away, and only its engine or device tells.
static void look_at_place(struct outcome *o, const struct object *place)
{
	char why[PLACE_WHY_BYTES] = "";
	const char *state = place_state(o->weftd, place, why);
	const struct port *port = place_is_peer(place) ? NULL : place->live;
	if (strcmp(state, "up") != 0)
		snprintf(o->note, sizeof(o->note), "%s %s is %s%s%s", place->noun->name,
			place->name, state, *why ? ": " : "", why);
	if (!place_is_peer(place) && (!port || !port->attached))
		lost(o, WEFT_DROP_port_absent);
}

// What of the frame leaves as something else, by the names that `frame` has.
static json_t *becomes_json(const struct weft_rewrite *r)
{
	json_t *becomes = json_object();
	char text[ADDRESS_TEXT_BYTES];
	if (r->what & WEFT_REWRITE_SRC) {
		address_text(&r->src, text);
		json_object_set_new(becomes, "ip_src", json_string(text));
		json_object_set_new(becomes, "sport", json_integer(r->src_port));
	}
	if (r->what & WEFT_REWRITE_DST) {
		address_text(&r->dst, text);
		json_object_set_new(becomes, "ip_dst", json_string(text));
		json_object_set_new(becomes, "dport", json_integer(r->dst_port));
	}
	mac_text(&r->src_mac, text);
	if (r->what & WEFT_REWRITE_SRC_MAC)
		json_object_set_new(becomes, "src", json_string(text));
	mac_text(&r->dst_mac, text);
	if (r->what & WEFT_REWRITE_DST_MAC)
		json_object_set_new(becomes, "dst", json_string(text));
	return becomes;
}

// Whose packet of a service it is, and what is changed in it.
static void show_service(struct outcome *o)
{
	const struct weft_verdict *v = &o->e->verdict;
	const struct weft_rewrite *r = &o->e->rewrite;
	const struct object *service = object_by_id(o->weftd, &noun_service, v->service);
	char text[BACKEND_TEXT_BYTES];
	set(o, "service", service ? json_string(service->name) : json_null());
	if (!service || !(v->flags & WEFT_VERDICT_REWRITE))
		return;
	backend_text(o->weftd, r->backend, text);
	set(o, "backend", json_string(text));
	json_t *becomes = becomes_json(r);
	set(o, "becomes", becomes);
	because(o, "service %s, %s %s: ", service->name,
		r->what & WEFT_REWRITE_REPLY ? "from" : "to", text);
	if (r->what & WEFT_REWRITE_SRC)
		because(o, "source becomes %s port %u, ", spec_text(becomes, "ip_src", ""),
			r->src_port);
	if (r->what & WEFT_REWRITE_DST)
		because(o, "destination becomes %s port %u, ", spec_text(becomes, "ip_dst", ""),
			r->dst_port);
}

static void show_forward(struct outcome *o)
{
	const struct weft_verdict *v = &o->e->verdict;
	const struct object *place = place_at(o->weftd, v->port);
	if (!place)
		return;
	because(o, "forward to port %s, ", place->name);
	if (v->tag)
		because(o, "tag %u", v->tag);
	else
		because(o, "untagged");
	set(o, "to_port", json_string(place->name));
	set(o, "tag", v->tag ? json_integer(v->tag) : json_null());
	look_at_place(o, place);
}

// Why the kernel's device has it. The order is that of the choice.
static const char *carrier_reason(const struct outcome *o)
{
	const struct weft_verdict *v = &o->e->verdict;
	const struct object *network = object_by_id(o->weftd, &noun_network, v->network);
	if (network && network_wants_carrier(network->spec))
		return "the network has `overlay carrier`";
	if (!(v->flags & WEFT_VERDICT_OWN))
		return "weft encapsulates nothing itself here";
	if (o->e->key.protocol == WEFT_IP_TCP)
		return "TCP keeps to the carrier";
	if (v->tag ||
		(o->e->key.ethertype != WEFT_ETH_IPV4 && o->e->key.ethertype != WEFT_ETH_IPV6))
		return "frames without IP, and tagged ones, keep to the carrier";
	return o->e->nexthop_known ? "the way is over IPv6, not looked after, or too narrow"
				   : "no next hop is known";
}

static void show_way(struct outcome *o)
{
	const struct weft_nexthop_row *way = &o->e->nexthop;
	const struct link *link = link_at(o->weftd->links, way->ifindex);
	const struct link *carrier = carrier_link(o->weftd);
	char mac[MAC_TEXT_BYTES];
	if (o->e->path == EXPLAIN_PATH_carrier) {
		because(o, ", by the carrier: %s", carrier_reason(o));
		set(o, "path", json_string("carrier"));
		set(o, "device", carrier ? json_string(carrier->name) : json_null());
		if (!carrier)
			lost(o, WEFT_DROP_port_absent);
		return;
	}
	if (o->e->path == EXPLAIN_PATH_none) {
		because(o, ", to which no way is known");
		lost(o, WEFT_DROP_port_absent);
		return;
	}
	mac_text(&way->dst, mac);
	because(o, ", by weft itself: over %s to %s", link ? link->name : "a device that is gone",
		mac);
	set(o, "path", json_string("own"));
	set(o, "device", link ? json_string(link->name) : json_null());
	set(o, "nexthop_mac", json_string(mac));
}

static void show_encap(struct outcome *o)
{
	const struct weft_verdict *v = &o->e->verdict;
	const struct object *place = place_at(o->weftd, v->port);
	if (!place)
		return;
	because(o, "encapsulate to peer %s (%s), VNI %u", place->name,
		spec_text(place->spec, "address", "?"), v->vni);
	set(o, "to_peer", json_string(place->name));
	set(o, "to_vni", json_integer(v->vni));
	show_way(o);
	look_at_place(o, place);
}

enum { FLOOD_NAMED = 8, FLOOD_LISTED = 1024 };

static void show_flood(struct outcome *o)
{
	json_t *list = json_array();
	because(o, "flood to %u: ", o->e->copy_count);
	for (u32 i = 0; i < o->e->copy_count && i < FLOOD_LISTED; i++) {
		const struct explain_copy *copy = &o->e->copies[i];
		const struct object *place = place_at(o->weftd, copy->port);
		json_t *one = json_object();
		place_show(place, one);
		json_object_set_new(one, "tag", copy->tag ? json_integer(copy->tag) : json_null());
		json_array_append_new(list, one);
		if (i < FLOOD_NAMED)
			because(o, "%s%s %s", i ? ", " : "", place ? place->noun->name : "place",
				place ? place->name : "gone");
	}
	if (o->e->copy_count > FLOOD_NAMED)
		because(o, " and %u more", o->e->copy_count - FLOOD_NAMED);
	if (o->e->verdict.meter)
		because(o, "; it counts against the sender's storm-limit");
	set(o, "flood_to", list);
	set(o, "copies", json_integer(o->e->copy_count));
}

// A packet that is lost may have an answer.
static void show_reply(struct outcome *o)
{
	const struct weft_verdict *v = &o->e->verdict;
	char mac[MAC_TEXT_BYTES];
	mac_text(&v->reply_mac, mac);
	o->reason = v->reason;
	if (v->reason)
		because(o, "lost, %s: %s; ", drop_name(v->reason), drop_sentence(v->reason));
	because(o, "answered by weft (%s) from %s", replies[v->reply], mac);
	set(o, "reply", json_string(replies[v->reply]));
	set(o, "reply_mac", json_string(mac));
}

static void show_to_host(struct outcome *o)
{
	because(o, "on to the host's own network stack: no network claims it");
}

static void show_drop(struct outcome *o)
{
	lost(o, o->e->verdict.reason);
}

static void (*const shows[WEFT_ACTION_count])(struct outcome *o) = {
	[WEFT_ACTION_drop] = show_drop,
	[WEFT_ACTION_forward] = show_forward,
	[WEFT_ACTION_flood] = show_flood,
	[WEFT_ACTION_reply] = show_reply,
	[WEFT_ACTION_to_host] = show_to_host,
	[WEFT_ACTION_encap] = show_encap,
};

static void show_too_big(struct outcome *o)
{
	const struct explain *e = o->e;
	lost(o, WEFT_DROP_too_big);
	if (e->verdict.reply) {
		set(o, "reply", json_string(replies[e->verdict.reply]));
		because(o, "; its sender is told (packet too big, MTU %u)",
			e->verdict.max_bytes - (u32)sizeof(struct eth_header));
	} else {
		because(o, "; its sender is not told");
	}
	if (e->key.protocol == WEFT_IP_TCP)
		because(o, ". A superpacket counts by its segments");
}

static json_t *effects_json(u32 effects)
{
	static const char *const names[] = {
		"learn", "refresh", "move", "bind", "suppress", "connect", "touch", "fragment"};
	json_t *list = json_array();
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(names); i++)
		if (effects & WEFT_BIT(i))
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *frame_json(const struct explain *e)
{
	const struct weft_key *key = &e->key;
	char src[MAC_TEXT_BYTES], dst[MAC_TEXT_BYTES], type[8], ip_src[ADDRESS_TEXT_BYTES],
		ip_dst[ADDRESS_TEXT_BYTES];
	bool ip = key->ethertype == WEFT_ETH_IPV4 || key->ethertype == WEFT_ETH_IPV6;
	bool addresses = ip || key->ethertype == WEFT_ETH_ARP;
	bool ports = key->flags & WEFT_KEY_L4 &&
		     (key->protocol == WEFT_IP_TCP || key->protocol == WEFT_IP_UDP);
	mac_text(&key->src, src);
	mac_text(&key->dst, dst);
	address_text(&key->ip_src, ip_src);
	address_text(&key->ip_dst, ip_dst);
	snprintf(type, sizeof(type), "0x%04x", key->ethertype);
	json_t *frame = json_pack("{s:s, s:s, s:s, s:o}", "src", src, "dst", dst, "ethertype", type,
		"vlan", key->vid ? json_integer(key->vid) : json_null());
	json_object_set_new(frame, "ip_src", addresses ? json_string(ip_src) : json_null());
	json_object_set_new(frame, "ip_dst", addresses ? json_string(ip_dst) : json_null());
	json_object_set_new(frame, "proto", ip ? json_integer(key->protocol) : json_null());
	json_object_set_new(frame, "sport", ports ? json_integer(key->l4_src) : json_null());
	json_object_set_new(frame, "dport", ports ? json_integer(key->l4_dst) : json_null());
	json_object_set_new(frame, "length_bytes", json_integer(e->bytes_counted));
	return frame;
}

static void show_absent(json_t *shown)
{
	static const char *const keys[] = {"to_port", "to_peer", "to_vni", "tag", "path", "device",
		"nexthop_mac", "flood_to", "copies", "reply", "reply_mac", "service", "backend",
		"becomes"};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(keys); i++)
		json_object_set_new(shown, keys[i], json_null());
}

static void show_reason(struct outcome *o)
{
	char before[EXPLAIN_SAYS_BYTES];
	if (o->action != WEFT_ACTION_drop)
		return;
	snprintf(before, sizeof(before), "%.*s", EXPLAIN_SAYS_BYTES - 1, o->why);
	snprintf(o->why, sizeof(o->why), "drop, %s: %s%s%s", drop_name(o->reason),
		drop_sentence(o->reason), *before && *before != ';' ? "; it was to " : "", before);
}

json_t *explain_show(struct weftd *weftd, const struct explain *e)
{
	struct outcome o = {.weftd = weftd, .e = e, .action = e->verdict.action};
	const struct object *network = object_by_id(weftd, &noun_network, e->verdict.network);
	o.shown = json_object();
	place_show(place_at(weftd, e->port), o.shown);
	set(&o, "vni", e->vni ? json_integer(e->vni) : json_null());
	set(&o, "frame", frame_json(e));
	set(&o, "network", network ? json_string(network->name) : json_null());
	set(&o, "walk", explain_walk(weftd, e));
	set(&o, "verdict", json_null());
	show_absent(o.shown);
	show_service(&o);
	if (e->too_big)
		show_too_big(&o);
	else
		shows[e->verdict.action](&o);
	show_reason(&o);
	const char *hint = o.reason ? advice[o.reason] : NULL;
	set(&o, "verdict", json_string(action_name(o.action)));
	set(&o, "stage",
		json_string(explain_stage_name(
			o.reason && !e->verdict.reason ? EXPLAIN_apply : e->decided)));
	set(&o, "reason", o.reason ? json_string(drop_name(o.reason)) : json_null());
	set(&o, "why", json_string(o.why));
	set(&o, "note", *o.note ? json_string(o.note) : json_null());
	set(&o, "hint", hint ? json_string(hint) : json_null());
	set(&o, "max_bytes",
		e->verdict.max_bytes ? json_integer(e->verdict.max_bytes) : json_null());
	set(&o, "too_big", json_boolean(e->too_big));
	set(&o, "effects", effects_json(e->verdict.effects));
	set(&o, "rows", explain_rows(e));
	return o.shown;
}

// Text of a guest's frame is numbers only; names are weft's own.
static void print_frame(FILE *out, const json_t *shown)
{
	const json_t *frame = json_object_get(shown, "frame");
	size_t i;
	json_t *word;
	const char *ip_src = spec_text(frame, "ip_src", NULL);
	fprintf(out, "%s: %s > %s %s", spec_text(shown, "port", spec_text(shown, "peer", "-")),
		spec_text(frame, "src", ""), spec_text(frame, "dst", ""),
		spec_text(frame, "ethertype", ""));
	if (ip_src)
		fprintf(out, ", %s > %s", ip_src, spec_text(frame, "ip_dst", ""));
	if (spec_number(frame, "proto", 0))
		fprintf(out, ", protocol %lld", spec_number(frame, "proto", 0));
	if (spec_number(frame, "dport", 0))
		fprintf(out, ", port %lld > %lld", spec_number(frame, "sport", 0),
			spec_number(frame, "dport", 0));
	fprintf(out, ", %lld bytes", spec_number(frame, "length_bytes", 0));
	json_array_foreach (json_object_get(shown, "assumed"), i, word)
		fprintf(out, "%s%s", i ? ", " : " (assumed: ", json_string_value(word));
	fputs(i ? ")\n" : "\n", out);
}

void explain_print(FILE *out, const json_t *shown)
{
	size_t i;
	json_t *line;
	print_frame(out, shown);
	json_array_foreach (json_object_get(shown, "walk"), i, line)
		fprintf(out, "  %-8s %s\n", spec_text(line, "stage", ""),
			spec_text(line, "says", ""));
	fprintf(out, "  %-8s %s\n", "verdict", spec_text(shown, "why", ""));
	if (spec_text(shown, "note", NULL))
		fprintf(out, "  %-8s %s\n", "", spec_text(shown, "note", ""));
	if (spec_text(shown, "hint", NULL))
		fprintf(out, "  %-8s %s\n", "do", spec_text(shown, "hint", ""));
}
