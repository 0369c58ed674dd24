// SPDX-License-Identifier: BSD-2-Clause
// Words -> a frame. What they leave open is filled in from what weft knows, else assumed, and said.
#include "daemon/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"

enum { ETHERTYPE_PLAIN = 0x88b5 /* IEEE 802: for local experiments */ };

static void assume(struct explain_frame *f, const char *key)
{
	json_array_append_new(f->assumed, json_string(key));
}

// A number, or in hex behind 0x.
static int read_number(
	const char *word, const char *text, u32 max, u32 *out, struct failure *failure)
{
	char *end;
	unsigned long number = strtoul(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	if (*text >= '0' && *text <= '9' && !*end && number <= max) {
		*out = (u32)number;
		return 0;
	}
	return fail_words(failure, "%s: '%.64s' is no name that it knows and no number up to %u",
		word, text, max);
}

static int read_protocol(struct explain_frame *f, const char *text, struct failure *failure)
{
	u32 number = 0;
	f->resolves = strcmp(text, "arp") == 0 || strcmp(text, "nd") == 0;
	if (strcmp(text, "tcp") == 0)
		number = WEFT_IP_TCP;
	else if (strcmp(text, "udp") == 0)
		number = WEFT_IP_UDP;
	else if (strcmp(text, "icmp") == 0 || f->resolves)
		number = address_v4(&f->ip_dst) ? WEFT_IP_ICMP : WEFT_IP_ICMPV6;
	else if (read_number("proto", text, 255, &number, failure))
		return -EINVAL;
	f->protocol = (u8)number;
	if (!f->ip)
		return fail_words(failure, "proto %.16s needs 'ip-dst ADDRESS'", text);
	if (f->resolves && (strcmp(text, "nd") == 0) == address_v4(&f->ip_dst))
		return fail_words(failure,
			"proto %s does not ask for such an address: ARP is for IPv4, "
			"ND for IPv6",
			text);
	return 0;
}

static int read_tcp_flags(struct explain_frame *f, const json_t *list, struct failure *failure)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg"};
	size_t i;
	json_t *name;
	json_array_foreach (list, i, name) {
		size_t bit = 0;
		while (bit < WEFT_ARRAY_SIZE(names) &&
			strcmp(names[bit], json_string_value(name)) != 0)
			bit++;
		if (bit == WEFT_ARRAY_SIZE(names))
			return fail_words(failure,
				"tcp-flags: '%.64s' is none of fin, syn, rst, psh, ack, urg",
				json_string_value(name));
		f->tcp_flags |= (u8)WEFT_BIT(bit);
	}
	return 0;
}

static int read_ip(struct explain_frame *f, const json_t *words, struct failure *failure)
{
	const char *src = spec_text(words, "ip_src", NULL), *dst = spec_text(words, "ip_dst", NULL);
	bool ports = json_object_get(words, "sport") || json_object_get(words, "dport");
	json_t *flags = spec_list(words, "tcp_flags");
	if (dst)
		f->ip_dst = address_read(dst);
	if (src)
		f->ip_src = address_read(src);
	f->ip = dst;
	if (!dst && (src || ports || flags))
		return fail_words(failure, "these words need 'ip-dst ADDRESS'");
	if (src && address_v4(&f->ip_src) != address_v4(&f->ip_dst))
		return fail_words(failure, "ip-src and ip-dst are of two families");
	if (!dst && !json_object_get(words, "proto"))
		return 0;
	if (read_protocol(f, spec_text(words, "proto", ports || flags ? "tcp" : "icmp"), failure) ||
		read_tcp_flags(f, flags, failure))
		return -EINVAL;
	if (flags && f->protocol != WEFT_IP_TCP)
		return fail_words(failure, "tcp-flags are of TCP");
	if (ports && f->protocol != WEFT_IP_TCP && f->protocol != WEFT_IP_UDP)
		return fail_words(failure, "sport and dport are of TCP and UDP");
	if (!flags)
		f->tcp_flags = WEFT_BIT(1); // the first of a connection
	f->sport = (u16)spec_number(words, "sport", 49152);
	f->dport = (u16)spec_number(words, "dport", 80);
	return 0;
}

static const struct object *network_by_vni(struct weftd *weftd, u32 vni)
{
	struct object *network = object_first(weftd, &noun_network);
	while (network && network_vni(network->spec) != vni)
		network = network->hh.next;
	return network;
}

// A peer's frame is in a VNI: the words say which, or there is only one that it can be.
static int find_vni(struct weftd *weftd, struct explain_frame *f, struct failure *failure)
{
	struct object *network = f->vni ? NULL : object_first(weftd, &noun_network);
	for (; network; network = network->hh.next) {
		u32 vni = network_vni(network->spec);
		if (!vni || !peer_in(weftd, f->place, network->id))
			continue;
		if (f->vni)
			return fail_words(failure,
				"peer %s is in several networks: say 'vni NUMBER'", f->place->name);
		f->vni = vni;
	}
	if (!f->vni)
		return fail_words(
			failure, "peer %s is in no network: say 'vni NUMBER'", f->place->name);
	f->network = network_by_vni(weftd, f->vni);
	return 0;
}

// By its tag; an access port's are payload, or none of its.
static void find_network(struct weftd *weftd, struct explain_frame *f)
{
	const struct port *port = f->place->live;
	u32 id = 0;
	for (u32 i = 0; port && i < port->place_count; i++)
		if (port->places[i].tag == f->vid || (!port->places[i].tag && !id))
			id = port->places[i].network;
	f->network = id ? object_by_id(weftd, &noun_network, id) : NULL;
}

int explain_frame_place(
	struct weftd *weftd, const json_t *words, struct explain_frame *f, struct failure *failure)
{
	f->assumed = json_array();
	f->vid = (u16)spec_number(words, "vlan", 0);
	f->tagged = json_object_get(words, "vlan");
	f->vni = (u32)spec_number(words, "vni", 0);
	if (!json_object_get(words, "port") && !json_object_get(words, "peer"))
		return fail_words(failure,
			"explain needs 'port NAME' or 'peer NAME': where the frame comes in");
	f->place = place_named(weftd, words, failure);
	if (!f->place)
		return -ENOENT;
	if (place_is_peer(f->place))
		return find_vni(weftd, f, failure);
	if (f->vni)
		return fail_words(failure,
			"vni is of frames from a peer: a port's network is known by its tag");
	find_network(weftd, f);
	return 0;
}

static bool is_gateway(const struct explain_frame *f, const struct weft_ip *ip)
{
	return f->network && network_is_gateway(f->network->spec, ip);
}

// Near the destination, and nobody's: with that of another the walk would be another.
static struct weft_ip free_address(struct weftd *weftd, const struct explain_frame *f)
{
	struct weft_neighbour_key key = {.network = f->network ? f->network->id : 0};
	struct weft_neighbour_row row;
	struct weft_ip ip = f->ip_dst;
	for (u32 bits = 1; bits < 256; bits++) {
		ip.byte[15] = f->ip_dst.byte[15] ^ (u8)bits;
		memcpy(key.ip, &ip, sizeof(key.ip));
		bool host = !address_v4(&ip) || (u8)(ip.byte[15] + 1) > 1; // not .0, .255
		if (host && !is_gateway(f, &ip) && engine_get(weftd, neighbour, &key, &row))
			break;
	}
	return ip;
}

// Who sends: as given, else who was heard last behind the place, else the port's own NIC.
static void find_sender(struct weftd *weftd, const json_t *words, struct explain_frame *f)
{
	const char *given = spec_text(words, "src", NULL);
	bool ip_given = json_object_get(words, "ip_src"), v6 = f->ip && !address_v4(&f->ip_dst);
	struct explain_station s = {.network = f->network ? f->network->id : 0,
		.place = f->place->id,
		.mac_known = given,
		.ip_known = ip_given,
		.ip = f->ip_src,
		.talks_to = f->ip ? &f->ip_dst : NULL};
	char text[MAC_TEXT_BYTES];
	if (given)
		s.mac = mac_read(given);
	if ((!given || (f->ip && !ip_given)) && !explain_know_ip(weftd, v6, &s) && !s.mac_known &&
		!explain_know_mac(weftd, &s)) {
		port_guest_mac(weftd, f->place, text);
		s.mac = mac_read(text);
		assume(f, "src");
	}
	if (f->ip && !s.ip_known) {
		s.ip = free_address(weftd, f);
		assume(f, "ip_src");
	}
	f->src = s.mac;
	f->ip_src = s.ip;
}

// Group addresses of Ethernet follow from those of IP (RFC 1112, RFC 2464, RFC 4291).
static bool group_mac(const struct explain_frame *f, struct weft_mac *mac)
{
	const u8 *ip = f->ip_dst.byte;
	static const struct weft_mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	bool v4 = address_v4(&f->ip_dst);
	*mac = everybody;
	if (v4 && (f->resolves || (ip[12] & ip[13] & ip[14] & ip[15]) == 0xff))
		return true;
	if (v4 && ip[12] >= 224)
		*mac = (struct weft_mac){{0x01, 0x00, 0x5e, ip[13] & 0x7f, ip[14], ip[15]}};
	else if (!v4 && f->resolves)
		*mac = (struct weft_mac){{0x33, 0x33, 0xff, ip[13], ip[14], ip[15]}};
	else if (!v4 && ip[0] == 0xff)
		*mac = (struct weft_mac){{0x33, 0x33, ip[12], ip[13], ip[14], ip[15]}};
	else
		return false;
	return true;
}

// The network's gateway answers for the addresses of its services; a port that they are reached by
// has a MAC of its own.
static bool is_service(struct weftd *weftd, struct explain_frame *f)
{
	struct weft_index port = {f->place->id};
	struct weft_port_row row;
	struct weft_service_row found;
	struct weft_service_key key = {
		.scope = f->network ? f->network->id : f->place->id | WEFT_SCOPE_PORT};
	memcpy(key.address, &f->ip_dst, sizeof(key.address));
	if (engine_get(weftd, service, &key, &found))
		return false;
	f->dst = WEFT_GATEWAY_MAC;
	if (!f->network && !engine_get(weftd, port, &port, &row))
		memcpy(&f->dst, row.address, sizeof(f->dst));
	return true;
}

static int find_destination(
	struct weftd *weftd, const json_t *words, struct explain_frame *f, struct failure *failure)
{
	const char *given = spec_text(words, "dst", NULL);
	struct explain_station s = {
		.network = f->network ? f->network->id : 0, .ip_known = true, .ip = f->ip_dst};
	if (given) {
		f->dst = mac_read(given);
		return 0;
	}
	if (!f->ip)
		return fail_words(failure, "where to? Say 'dst MAC' or 'ip-dst ADDRESS'");
	if (group_mac(f, &f->dst))
		return 0;
	if (is_service(weftd, f))
		return 0;
	if (!f->network) { // nobody asks for it
		f->dst = (struct weft_mac){{2, 0, 0, 0, 0, 1}};
		assume(f, "dst");
		return 0;
	}
	if (is_gateway(f, &f->ip_dst)) {
		f->dst = WEFT_GATEWAY_MAC;
		return 0;
	}
	if (explain_know_ip(weftd, !address_v4(&f->ip_dst), &s)) {
		f->dst = s.mac;
		return 0;
	}
	fail(failure, -ENOENT, "not_found",
		"nobody is known to have %s in network %s, so its MAC address is not",
		spec_text(words, "ip_dst", ""), f->network->name);
	return fail_hint(failure,
		"a sender would ask first: `explain %s %s proto %s ip-dst %s`; or say 'dst MAC'",
		f->place->noun->name, f->place->name, address_v4(&f->ip_dst) ? "arp" : "nd",
		spec_text(words, "ip_dst", ""));
}

static int read_ethertype(struct explain_frame *f, const char *given, struct failure *failure)
{
	u32 number = !f->ip                    ? ETHERTYPE_PLAIN
		     : !address_v4(&f->ip_dst) ? WEFT_ETH_IPV6
		     : f->resolves             ? WEFT_ETH_ARP
					       : WEFT_ETH_IPV4;
	if (given && f->ip)
		return fail_words(failure, "ethertype follows from the other words: leave it out");
	if (given && read_number("ethertype", given, 0xffff, &number, failure))
		return -EINVAL;
	f->ethertype = (u16)number;
	return 0;
}

int explain_frame_make(
	struct weftd *weftd, const json_t *words, struct explain_frame *f, struct failure *failure)
{
	int error = explain_frame_place(weftd, words, f, failure);
	if (!error)
		error = read_ip(f, words, failure);
	if (!error)
		error = read_ethertype(f, spec_text(words, "ethertype", NULL), failure);
	if (!error)
		error = find_destination(weftd, words, f, failure);
	if (error)
		return error;
	find_sender(weftd, words, f);
	return explain_frame_build(f, spec_number(words, "length_bytes", 0), failure);
}

void explain_frame_free(struct explain_frame *f)
{
	json_decref(f->assumed);
}
