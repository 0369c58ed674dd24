// SPDX-License-Identifier: BSD-2-Clause
// `weftctl path A B[:PORT]`: what happens one after another when A talks to B. The dry half: what
// this host's tables say of the question for B's address and of the packet itself; nothing is sent.
#include "daemon/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/explain.h"
#include "daemon/host.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/service.h"
#include "daemon/value.h"

struct path {
	struct weftd *weftd;
	json_t *words; // as explain takes them
	json_t *steps;
	bool v6;
	bool outside; // the sender is in no network
	u32 network;  // of the sender; 0: one of its port's
	u8 protocol;  // of what asks a port
	struct failure *failure;
};

static void add_step(struct path *p, const char *step, const char *does, const char *why)
{
	json_array_append_new(p->steps,
		json_pack("{s:i, s:s, s:s, s:s, s:s?, s:[], s:n, s:n, s:n}", "step",
			(int)json_array_size(p->steps) + 1, "host", host_name(p->weftd), "what",
			step, "verdict", does, "why", why, "assumed", "hop", "p50_ns", "p99_ns"));
}

bool path_target(const char *text, struct target *target)
{
	static const struct argument address = {.word = "to", .kind = ARGUMENT_ADDRESS};
	if (!target_read(text, target))
		return false;
	json_t *ip = value_parse(&address, target->name, NULL);
	if (!ip)
		return false;
	snprintf(target->name, sizeof(target->name), "%s", json_string_value(ip));
	json_decref(ip);
	return true;
}

// The words of explain that say where it goes.
static void go_to(struct path *p, const struct target *target)
{
	p->v6 = target->v6;
	json_object_set_new(p->words, "ip_dst", json_string(target->name));
}

static bool shares(const struct port *port, u32 network)
{
	for (u32 i = 0; port && i < port->place_count; i++)
		if (port->places[i].network == network)
			return true;
	return false;
}

int path_station(struct weftd *weftd, const char *address, const struct object **network,
	const struct object **place, struct failure *failure)
{
	struct weft_ip ip = address_read(address);
	struct object *n = object_first(weftd, &noun_network);
	*network = *place = NULL;
	for (; n; n = n->hh.next) {
		struct explain_station s = {.network = n->id, .ip_known = true, .ip = ip};
		if (!explain_know_ip(weftd, !address_v4(&ip), &s))
			continue;
		if (*network) {
			fail(failure, -EINVAL, "bad_value",
				"%s is a machine of network %s, and another one of network %s",
				address, (*network)->name, n->name);
			return fail_hint(failure, "name the port that it is behind");
		}
		*network = n;
		*place = place_at(weftd, s.place);
	}
	return 0;
}

// What comes from outside to a service comes in by its uplink.
static const struct object *uplink_to(struct path *p, const struct target *to)
{
	const struct object *service = object_first(p->weftd, &noun_service), *port;
	size_t i;
	json_t *name;
	for (; service; service = service->hh.next) {
		if (!service_is_at(service->spec, p->protocol, to->name, to->port))
			continue;
		json_array_foreach (spec_list(service->spec, "uplink"), i, name) {
			port = object_find(p->weftd, &noun_port, json_string_value(name));
			p->outside = port;
			if (port)
				return port;
		}
	}
	return NULL;
}

// Where the sender's packets come in: a port, given by its name or by who is behind it.
static int find_sender(struct path *p, const char *from, const struct target *to, bool to_address,
	const struct object **sender)
{
	const struct object *network = NULL;
	struct target address;
	*sender = object_find(p->weftd, &noun_port, from);
	if (!*sender && path_target(from, &address)) {
		int error = path_station(p->weftd, address.name, &network, sender, p->failure);
		if (error)
			return error;
		if (*sender && place_is_peer(*sender))
			*sender = NULL;
		else if (!*sender && to_address)
			*sender = uplink_to(p, to);
		p->network = network ? network->id : 0;
		json_object_set_new(p->words, "ip_src", json_string(address.name));
	}
	if (*sender) {
		json_object_set_new(p->words, "port", json_string((*sender)->name));
		return 0;
	}
	fail(p->failure, -ENOENT, "not_found",
		"'%.64s' is no port, and no address that comes in by a port", from);
	return fail_hint(
		p->failure, "`port show` lists the ports; an address is known once it has sent");
}

// The network that both are in, or whose subnet has the address; else the sender's first one. Its
// tag is the sender's.
static u32 choose_network(struct path *p, const struct object *from, const struct object *to)
{
	const struct port *sender = from->live;
	const char *ip = spec_text(p->words, "ip_dst", NULL);
	struct weft_ip address = ip ? address_read(ip) : (struct weft_ip){0};
	u32 chosen = 0;
	for (u32 i = 0; sender && i < sender->place_count; i++) {
		const struct port_place *place = &sender->places[i];
		struct object *network = object_by_id(p->weftd, &noun_network, place->network);
		const char *subnet = network ? spec_text(network->spec, "subnet", NULL) : NULL;
		bool fits = p->network ? place->network == p->network
			    : to       ? shares(to->live, place->network)
				       : ip && subnet && address_within(&address, subnet);
		if (chosen && !fits)
			continue;
		chosen = place->network;
		if (place->tag)
			json_object_set_new(p->words, "vlan", json_integer(place->tag));
		else
			json_object_del(p->words, "vlan");
		if (fits)
			break;
	}
	return chosen;
}

// The other end is a port: whoever was heard last behind it, else its own NIC.
static void aim_at_port(struct path *p, const struct object *to, u32 network)
{
	struct explain_station s = {.network = network, .place = to->id};
	char text[ADDRESS_TEXT_BYTES];
	if (explain_know_ip(p->weftd, false, &s) || explain_know_ip(p->weftd, true, &s)) {
		struct target there = {.v6 = !address_v4(&s.ip)};
		address_text(&s.ip, there.name);
		go_to(p, &there);
		return;
	}
	if (explain_know_mac(p->weftd, &s))
		mac_text(&s.mac, text);
	else
		port_guest_mac(p->weftd, to, text);
	json_object_set_new(p->words, "dst", json_string(text));
}

// The step says what of the frame is a guess.
static void add_assumed(struct path *p, const json_t *assumed)
{
	json_t *step = json_array_get(p->steps, json_array_size(p->steps) - 1), *word;
	char text[EXPLAIN_SAYS_BYTES];
	size_t i, used;
	json_object_set(step, "assumed", (json_t *)assumed);
	if (!json_array_size(assumed))
		return;
	used = (size_t)snprintf(text, sizeof(text), "%.400s", spec_text(step, "why", ""));
	json_array_foreach (assumed, i, word)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
			i ? ", " : " (assumed: ", json_string_value(word));
	snprintf(text + used, sizeof(text) - used, ")");
	json_object_set_new(step, "why", json_string(text));
}

// One frame, and a step for it.
static int ask(struct path *p, const char *what, json_t **shown)
{
	struct explain_frame frame = {0};
	struct explain e;
	int error = explain_frame_make(p->weftd, p->words, &frame, p->failure);
	if (!error) {
		explain_ask(p->weftd, &frame, &e);
		*shown = explain_show(p->weftd, &e);
		explain_free(&e);
		add_step(p, what, spec_text(*shown, "verdict", ""),
			spec_text(*shown, "note", spec_text(*shown, "why", "")));
		add_assumed(p, frame.assumed);
	}
	explain_frame_free(&frame);
	return error;
}

// Nobody asks for a group's address, nor for what is behind an uplink.
static bool is_asked_for(const struct path *p)
{
	const char *ip = spec_text(p->words, "ip_dst", NULL);
	struct weft_ip address = ip ? address_read(ip) : (struct weft_ip){0};
	return ip && !p->outside && !address_group(&address);
}

static int ask_question(struct path *p)
{
	json_t *shown = NULL, *words = p->words;
	p->words = json_copy(words);
	json_object_del(p->words, "dport");
	json_object_set_new(p->words, "proto", json_string(p->v6 ? "nd" : "arp"));
	int error = ask(p, p->v6 ? "ND: who has it?" : "ARP: who has it?", &shown);
	json_decref(p->words);
	p->words = words;
	json_decref(shown);
	return error;
}

static void put_words(json_t *list, const char *word, json_t *value)
{
	json_array_append_new(list, json_string(word));
	if (json_is_integer(value))
		json_array_append_new(
			list, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
	else
		json_array_append(list, value);
}

// Of explain, for the packet as it comes there.
static json_t *words_there(const json_t *shown)
{
	json_t *frame = json_copy(json_object_get(shown, "frame")), *list = json_array();
	static const char *const keys[][2] = {{"src", "src"}, {"dst", "dst"}, {"ip-src", "ip_src"},
		{"ip-dst", "ip_dst"}, {"proto", "proto"}, {"sport", "sport"}, {"dport", "dport"}};
	const char *proto = spec_number(frame, "proto", 0) == WEFT_IP_UDP ? "udp" : "tcp";
	bool ports = json_is_integer(json_object_get(frame, "dport"));
	json_object_set_new(frame, "proto", ports ? json_string(proto) : json_null());
	json_object_update(frame, json_object_get(shown, "becomes"));
	put_words(list, "vni", json_object_get(shown, "to_vni"));
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(frame, keys[i][1]);
		if (value && !json_is_null(value))
			put_words(list, keys[i][0], value);
	}
	json_decref(frame);
	return list;
}

// What is behind a peer only that host knows: the words that ask it, for people, and for a client
// that can: "ask": whom, as whom, and with which words.
static void ask_there(struct path *p, const json_t *shown)
{
	const char *name = spec_text(shown, "to_peer", "");
	const struct object *peer = object_find(p->weftd, &noun_peer, name);
	json_t *words = words_there(shown), *word, *step;
	char text[EXPLAIN_SAYS_BYTES], self[ADDRESS_TEXT_BYTES] = "";
	struct weft_ip address;
	size_t i;
	int used = snprintf(
		text, sizeof(text), "there: `weftctl explain peer %s", host_name(p->weftd));
	if (host_address(p->weftd, &address))
		address_text(&address, self);
	json_array_foreach (words, i, word)
		used += snprintf(
			text + used, sizeof(text) - (size_t)used, " %s", json_string_value(word));
	snprintf(text + used, sizeof(text) - (size_t)used,
		"`, by the name that this host has there");
	add_step(p, "the other host", "ask", text);
	step = json_array_get(p->steps, json_array_size(p->steps) - 1);
	json_object_set_new(step, "host", json_string(name));
	json_object_set_new(step, "ask",
		json_pack("{s:s, s:s, s:o}", "address", spec_text(peer->spec, "address", ""),
			"as_address", self, "words", words));
}

static int walk_packet(struct path *p)
{
	json_t *shown = NULL;
	int error = ask(p, "the packet", &shown);
	if (error == -ENOENT && json_object_get(p->words, "ip_dst")) {
		add_step(p, "the packet", "wait", p->failure->message); // for an answer
		*p->failure = (struct failure){0};
		return 0;
	}
	if (!error && strcmp(spec_text(shown, "verdict", ""), "encap") == 0)
		ask_there(p, shown);
	json_decref(shown);
	return error;
}

const struct object *path_port(struct weftd *weftd, const char *text, struct target *target)
{
	return target_read(text, target) ? object_find(weftd, &noun_port, target->name) : NULL;
}

int path_no_target(const char *to, struct failure *failure)
{
	fail(failure, -ENOENT, "not_found", "'%.64s' is no port, and no address or address:port",
		to);
	return fail_hint(failure, "`port show` lists the ports");
}

u8 path_protocol(const json_t *arguments)
{
	return strcmp(spec_text(arguments, "proto", "tcp"), "udp") == 0 ? WEFT_IP_UDP : WEFT_IP_TCP;
}

int path_dry(struct weftd *weftd, const json_t *arguments, json_t *steps,
	const struct object **sender, struct failure *failure)
{
	const char *from = spec_text(arguments, "from", ""), *to = spec_text(arguments, "to", "");
	struct path p = {.weftd = weftd,
		.words = json_object(),
		.steps = steps,
		.protocol = path_protocol(arguments),
		.failure = failure};
	struct target there;
	const struct object *target = path_port(weftd, to, &there);
	bool address = !target && path_target(to, &there);
	int error = find_sender(&p, from, &there, address, sender);
	if (!error && !target && !address)
		error = path_no_target(to, failure);
	if (!error) {
		if (!target)
			go_to(&p, &there);
		u32 network = choose_network(&p, *sender, target);
		if (target)
			aim_at_port(&p, target, network);
		if (there.port && json_object_get(p.words, "ip_dst")) {
			json_object_set_new(p.words, "dport", json_integer(there.port));
			json_object_set_new(p.words, "proto",
				json_string(p.protocol == WEFT_IP_UDP ? "udp" : "tcp"));
		}
		if (is_asked_for(&p))
			error = ask_question(&p);
	}
	if (!error)
		error = walk_packet(&p);
	json_decref(p.words);
	return error;
}

static int run_path(struct request *request)
{
	const struct object *sender;
	request->result = json_array();
	return path_dry(
		request->weftd, request->arguments, request->result, &sender, &request->failure);
}

static const struct argument arguments[] = {
	PATH_ARGUMENTS,
	PATH_PROTO,
	{0},
};

extern const struct command path_commands[];
const struct command path_commands[] = {
	{.object = "path",
		.arguments = arguments,
		.help = "Say what would happen, one after another, when a port talks to an address",
		.columns = "step,host,what,verdict,hop,p50_ns,p99_ns,why",
		.run = run_path},
	{0},
};
