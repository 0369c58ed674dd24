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
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/value.h"

struct path {
	struct weftd *weftd;
	json_t *words; // as explain takes them
	json_t *steps;
	bool v6;
	struct failure *failure;
};

static void add_step(struct path *p, const char *step, const char *does, const char *why)
{
	json_array_append_new(p->steps,
		json_pack("{s:i, s:s, s:s, s:s, s:s?, s:n, s:n, s:n}", "step",
			(int)json_array_size(p->steps) + 1, "host", p->weftd->settings.name, "what",
			step, "verdict", does, "why", why, "hop", "p50_ns", "p99_ns"));
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
		bool fits = to ? shares(to->live, place->network)
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
	}
	explain_frame_free(&frame);
	return error;
}

static int ask_question(struct path *p)
{
	json_t *shown = NULL, *port = json_incref(json_object_get(p->words, "dport"));
	json_object_del(p->words, "dport");
	json_object_set_new(p->words, "proto", json_string(p->v6 ? "nd" : "arp"));
	int error = ask(p, p->v6 ? "ND: who has it?" : "ARP: who has it?", &shown);
	json_object_del(p->words, "proto");
	if (port)
		json_object_set_new(p->words, "dport", port);
	json_decref(shown);
	return error;
}

// What is behind a peer only that host knows: the words that ask it.
static void ask_there(struct path *p, const json_t *shown)
{
	json_t *frame = json_copy(json_object_get(shown, "frame"));
	long long proto = spec_number(frame, "proto", 0);
	char words[EXPLAIN_SAYS_BYTES];
	json_object_update(frame, json_object_get(shown, "becomes")); // as it comes there
	int used = snprintf(words, sizeof(words),
		"there: `weftctl explain peer %s vni %lld src %s dst %s", p->weftd->settings.name,
		spec_number(shown, "to_vni", 0), spec_text(frame, "src", ""),
		spec_text(frame, "dst", ""));
	if (spec_text(frame, "ip_dst", NULL))
		used += snprintf(words + used, sizeof(words) - (size_t)used, " ip-src %s ip-dst %s",
			spec_text(frame, "ip_src", ""), spec_text(frame, "ip_dst", ""));
	if (json_is_integer(json_object_get(frame, "dport")))
		used += snprintf(words + used, sizeof(words) - (size_t)used,
			" proto %s sport %lld dport %lld", proto == WEFT_IP_UDP ? "udp" : "tcp",
			spec_number(frame, "sport", 0), spec_number(frame, "dport", 0));
	snprintf(words + used, sizeof(words) - (size_t)used,
		"`, by the name that this host has there");
	add_step(p, "the other host", "ask", words);
	json_object_set(json_array_get(p->steps, json_array_size(p->steps) - 1), "host",
		json_object_get(shown, "to_peer"));
	json_decref(frame);
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
	fail(failure, -ENOENT, "not_found", "%.64s is no port, and no address or address:port", to);
	return fail_hint(failure, "`port show` lists the ports");
}

int path_dry(struct weftd *weftd, const char *from, const char *to, json_t *steps,
	struct failure *failure)
{
	struct path p = {weftd, json_pack("{s:s}", "port", from), steps, false, failure};
	const struct object *sender = place_named(weftd, p.words, failure);
	struct target there;
	const struct object *target = path_port(weftd, to, &there);
	int error = sender ? 0 : -ENOENT;
	if (!error && !target && !path_target(to, &there))
		error = path_no_target(to, failure);
	if (!error) {
		if (!target)
			go_to(&p, &there);
		u32 network = choose_network(&p, sender, target);
		if (target)
			aim_at_port(&p, target, network);
		if (there.port && json_object_get(p.words, "ip_dst"))
			json_object_set_new(p.words, "dport", json_integer(there.port));
		if (json_object_get(p.words, "ip_dst"))
			error = ask_question(&p);
	}
	if (!error)
		error = walk_packet(&p);
	json_decref(p.words);
	return error;
}

static int run_path(struct request *request)
{
	request->result = json_array();
	return path_dry(request->weftd, spec_text(request->arguments, "from", ""),
		spec_text(request->arguments, "to", ""), request->result, &request->failure);
}

static const struct argument arguments[] = {
	PATH_ARGUMENTS,
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
