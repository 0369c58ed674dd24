// SPDX-License-Identifier: BSD-2-Clause
// Who asks whom: the words of `weftctl probe A B` -> a network, two places, a way between them.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/explain.h"
#include "daemon/network.h"
#include "daemon/path.h"
#include "daemon/port.h"
#include "daemon/probe_parts.h"
#include "daemon/value.h"

static int no_station(struct failure *failure, const char *whom, const char *network)
{
	fail(failure, -ENOENT, "not_found", "nobody is known to be %s in network %s", whom,
		network);
	return fail_hint(failure, "let it send something, a ping for one, and try again");
}

// Some addresses are weft's own.
static int no_guest(struct weftd *weftd, const char *text, const struct object *network,
	const struct weft_ip *ip, struct failure *failure)
{
	struct weft_service_key key = {.scope = network->id};
	struct weft_service_row row;
	char with_port[INET6_ADDRSTRLEN + 8];
	memcpy(key.address, ip, sizeof(key.address));
	if (network_is_gateway(network->spec, ip)) {
		fail(failure, -EINVAL, "bad_value",
			"%s is the gateway of network %s: weft itself answers there", text,
			network->name);
		return fail_hint(failure, "probe a guest: `neighbour show` lists them");
	}
	if (engine_get(weftd, service, &key, &row))
		return no_station(failure, text, network->name);
	fail(failure, -EINVAL, "bad_value", "%s is the address of a service: no guest has it",
		text);
	snprintf(with_port, sizeof(with_port), address_v4(ip) ? "%s:80" : "[%s]:80", text);
	return fail_hint(failure,
		"say its port, to probe who serves there: %s, or probe one of its backends",
		with_port);
}

// A station behind the port: heard last, else its own NIC.
static void station_of(struct weftd *weftd, const struct object *port, struct explain_station *s)
{
	char text[MAC_TEXT_BYTES];
	s->place = port->id;
	if (explain_know_ip(weftd, false, s) || explain_know_ip(weftd, true, s) ||
		explain_know_mac(weftd, s))
		return;
	port_guest_mac(weftd, port, text);
	s->mac = mac_read(text);
	s->mac_known = true;
}

static int read_target(struct probe_session *session, const char *text,
	const struct object *network, struct explain_station *s)
{
	struct weftd *weftd = session->request->weftd;
	struct failure *failure = &session->request->failure;
	static const struct argument address = {.word = "to", .kind = ARGUMENT_ADDRESS},
				     mac = {.word = "to", .kind = ARGUMENT_MAC};
	const struct object *port = object_find(weftd, &noun_port, text);
	json_t *value = port ? NULL : value_parse(&address, text, NULL);
	struct target target;
	u16 tag;
	if (!port && !value && path_target(text, &target) && target.port)
		return probe_service(session, network, &target, s);
	if (port) {
		station_of(weftd, port, s);
		if (!place_in(weftd, port, network->id, &tag))
			return fail(failure, -EINVAL, "bad_value", "port %s is not in network %s",
				text, network->name);
		return 0;
	}
	if (value) {
		s->ip = address_read(json_string_value(value));
		s->ip_known = true;
		json_decref(value);
		return explain_know_ip(weftd, !address_v4(&s->ip), s)
			       ? 0
			       : no_guest(weftd, text, network, &s->ip, failure);
	}
	value = value_parse(&mac, text, NULL);
	if (!value) {
		fail(failure, -ENOENT, "not_found", "there is no port '%.64s' on this host", text);
		return fail_hint(
			failure, "behind a peer, a port goes by its guest's IP or MAC address");
	}
	s->mac = mac_read(json_string_value(value));
	s->mac_known = true;
	json_decref(value);
	if (!explain_know_ip(weftd, false, s))
		explain_know_ip(weftd, true, s);
	return 0;
}

// Who has no address that is known gets one that says so: RFC 7600 section 4.8, RFC 6666.
static void assume_ip(struct weft_ip *ip, bool v6)
{
	static const struct weft_ip dummy4 = {{{[10] = 0xff, 0xff, 192, 0, 0, 8}}},
				    dummy6 = {{{1, [15] = 8}}};
	*ip = v6 ? dummy6 : dummy4;
}

static bool find_place(struct weftd *weftd, u32 network, const struct weft_mac *mac, u32 *place)
{
	struct weft_fdb_key key = {.network = network, .mac = *mac};
	struct weft_fdb_row row;
	if (engine_get(weftd, fdb, &key, &row))
		return false;
	*place = row.port;
	return true;
}

static int check_places(struct probe_session *s, const struct object *network)
{
	struct weftd *weftd = s->request->weftd;
	struct failure *failure = &s->request->failure;
	char text[MAC_TEXT_BYTES];
	u32 from;
	if (!find_place(weftd, s->network, &s->way.src, &from) || from != s->from) {
		char whom[80];
		snprintf(whom, sizeof(whom), "behind port %s", s->from_name);
		return no_station(failure, whom, network->name);
	}
	mac_text(&s->way.dst, text);
	if (!find_place(weftd, s->network, &s->way.dst, &s->to))
		return no_station(failure, text, network->name);
	const struct object *to = place_at(weftd, s->to);
	if (s->to == s->from) {
		fail(failure, -EINVAL, "bad_value", "%s is behind port %s itself", text,
			s->from_name);
		return fail_hint(failure, "weft sees nothing of what they say to each other");
	}
	if (!to || !place_is_peer(to) || probe_key_set(weftd))
		return 0;
	fail(failure, -ENOKEY, "no_key",
		"probes between hosts need a secret by which peer %s knows them", to->name);
	return fail_hint(failure, "say `host set probe-key SECRET`, the same on every host");
}

// Those that the words leave: *second is NULL if that is one.
static const struct object *find_network(
	const struct probe_session *s, const struct object *from, const struct object **second)
{
	struct weftd *weftd = s->request->weftd;
	const json_t *words = s->request->arguments;
	const char *given = spec_text(words, "network", NULL);
	const struct object *to = object_find(weftd, &noun_port, spec_text(words, "to", ""));
	const struct object *found = NULL;
	u16 tag;
	*second = NULL;
	for (struct object *n = object_first(weftd, &noun_network); n; n = n->hh.next) {
		if ((given && strcmp(given, n->name) != 0) || !place_in(weftd, from, n->id, &tag) ||
			(to && !place_in(weftd, to, n->id, &tag)))
			continue;
		if (found)
			*second = n;
		else
			found = n;
	}
	return found;
}

static int choose_network(
	struct probe_session *s, const struct object *from, const struct object **network)
{
	struct failure *failure = &s->request->failure;
	const char *to = spec_text(s->request->arguments, "to", "");
	const struct object *second;
	*network = find_network(s, from, &second);
	if (!*network) {
		fail(failure, -EINVAL, "bad_value",
			"port %s has no network in which it could reach %.64s", from->name, to);
		return fail_hint(failure, "look at `port show`");
	}
	if (second) {
		fail(failure, -EINVAL, "bad_value", "port %s is in %s and in %s", from->name,
			(*network)->name, second->name);
		return fail_hint(failure, "say in which by the word `network`");
	}
	place_in(s->request->weftd, from, (*network)->id, &s->way.tag);
	return 0;
}

// A's from here, B's by the weftd that has it.
static void aim_guests(
	struct probe_session *s, const struct explain_station *a, const struct explain_station *b)
{
	struct request *request = s->request;
	struct probe_way way = {.dst = a->mac, .ip_dst = a->ip, .tag = s->way.tag};
	const char *off =
		json_is_false(json_object_get(request->arguments, "guests")) ? "not asked" : NULL;
	static const char unknown[] = "its IP address is not known";
	s->result.guest_from.why = off ? off : a->ip_known ? NULL : unknown;
	s->result.guest_to.why = off ? off : b->ip_known ? NULL : unknown;
	s->guest.session = s;
	if (!s->result.guest_from.why)
		probe_guest_aim(request->weftd, &s->guest, a->place, a->network, &way);
}

int probe_aim(struct probe_session *s)
{
	struct request *request = s->request;
	struct weftd *weftd = request->weftd;
	const char *to = spec_text(request->arguments, "to", "");
	const struct object *from = object_find(weftd, &noun_port, s->from_name);
	if (!from)
		return fail(&request->failure, -ENOENT, "not_found", "there is no port '%s'",
			s->from_name);
	const struct object *network;
	s->from = from->id;
	int error = choose_network(s, from, &network);
	if (error)
		return error;
	struct explain_station a = {.network = network->id}, b = a;
	error = read_target(s, to, network, &b);
	if (error)
		return error;
	station_of(weftd, from, &a);
	aim_guests(s, &a, &b);
	bool v6 = b.ip_known ? !address_v4(&b.ip) : a.ip_known && !address_v4(&a.ip);
	if (!b.ip_known)
		assume_ip(&b.ip, v6);
	if (!a.ip_known || address_v4(&a.ip) == v6)
		assume_ip(&a.ip, v6);
	s->network = network->id;
	s->way = (struct probe_way){a.mac, b.mac, a.ip, b.ip, s->way.tag};
	return check_places(s, network);
}
