// SPDX-License-Identifier: BSD-2-Clause
// `weftctl path A B request N`, and `measure` over several hosts: this host's part, the points at
// which it sees the packets between the two. The client asks, joins and measures.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/explain.h"
#include "daemon/network.h"
#include "daemon/path.h"
#include "daemon/pending.h"
#include "daemon/port.h"
#include "daemon/probe.h"
#include "daemon/service.h"
#include "daemon/trace.h"
#include "daemon/value.h"

enum { BACKENDS_MAX = 256 };

struct ends {
	const struct object *from, *to; // ports of this host; NULL: they are elsewhere
	struct target from_address;     // of a sender that is given by its address
	struct target target;
	bool known; // the target is an address
};

// The station behind a port that was heard last.
static bool find_address(struct weftd *weftd, const struct object *object, struct target *target)
{
	const struct port *port = object->live;
	for (u32 i = 0; port && i < port->place_count; i++) {
		struct explain_station s = {
			.network = port->places[i].network, .place = object->id};
		if (!explain_know_ip(weftd, false, &s) && !explain_know_ip(weftd, true, &s))
			continue;
		target->v6 = !address_v4(&s.ip);
		address_text(&s.ip, target->name);
		return true;
	}
	return false;
}

static void find_ends(struct request *request, struct ends *ends)
{
	struct weftd *weftd = request->weftd;
	const char *from = spec_text(request->arguments, "from", "");
	const char *to = spec_text(request->arguments, "to", "");
	ends->from = object_find(weftd, &noun_port, from);
	if (!ends->from && !path_target(from, &ends->from_address))
		ends->from_address = (struct target){0};
	ends->to = path_port(weftd, to, &ends->target);
	ends->known = ends->to ? find_address(weftd, ends->to, &ends->target)
			       : path_target(to, &ends->target);
}

// What is no address is perhaps a port of another host. An answer and its question are not one
// sample.
static int check_words(struct request *request, const struct ends *ends)
{
	const char *to = spec_text(request->arguments, "to", "");
	struct target target;
	if (spec_number(request->arguments, "sample", 1) != 1)
		return fail_words(&request->failure,
			"a way is joined from every packet: `sample` is for one host's hops");
	if (ends->known || (target_read(to, &target) && name_valid(target.name)))
		return 0;
	return path_no_target(to, &request->failure);
}

// Packets to a service have other addresses once it was translated: those of its backends, and
// of a client that only the joined way can tell from others. False: the target is no service.
static bool put_service(FILE *out, struct weftd *weftd, u8 protocol, const struct target *to)
{
	struct object *object = object_first(weftd, &noun_service);
	u32 backends = 0;
	bool any = false;
	for (; object; object = object->hh.next) {
		if (!service_is_at(object->spec, protocol, to->name, to->port))
			continue;
		if (!any)
			fprintf(out, "%s and ((host %s and port %u)",
				protocol == WEFT_IP_UDP ? "udp" : "tcp", to->name, to->port);
		any = true;
		struct object *backend = backends_first(weftd, object);
		for (; backend && backends < BACKENDS_MAX; backend = backends_next(backend)) {
			u32 port = (u32)spec_number(backend->spec, "port", 0);
			backends++;
			fprintf(out, " or (host %s and port %u)",
				spec_text(backend->spec, "address", ""), port ? port : to->port);
		}
	}
	fputs(any ? ")" : "", out);
	return any;
}

// Of a request only its own packets, whatever else the two say to each other.
static void put_filter(FILE *out, const struct request *request, const struct ends *ends)
{
	const struct target *to = &ends->target;
	u8 protocol = path_protocol(request->arguments);
	const char *and = "";
	if (ends->known && !ends->to && to->port && put_service(out, request->weftd, protocol, to))
		return;
	if (json_object_get(request->arguments, "request") ||
		(to->port && json_object_get(request->arguments, "proto"))) {
		fputs(!to->port ? "(icmp or icmp6)" : protocol == WEFT_IP_UDP ? "udp" : "tcp", out);
		and = " and ";
	}
	if (ends->from_address.name[0]) {
		fprintf(out, "%shost %s", and, ends->from_address.name);
		and = " and ";
	}
	if (ends->known && !ends->to) {
		fprintf(out, "%shost %s", and, to->name);
		and = " and ";
	}
	if (to->port)
		fprintf(out, "%sport %u", and, to->port);
}

static json_t *networks_of(struct weftd *weftd, const struct object *object)
{
	const struct port *port = object ? object->live : NULL;
	json_t *names = json_array();
	for (u32 i = 0; port && i < port->place_count; i++) {
		const struct object *network =
			object_by_id(weftd, &noun_network, port->places[i].network);
		if (network)
			json_array_append_new(names, json_string(network->name));
	}
	return names;
}

// What the client needs to tell tenants with the same addresses apart: the names of networks.
static int put_networks(struct request *request, const struct ends *ends, json_t *line)
{
	struct weftd *weftd = request->weftd;
	const struct object *network = NULL, *place;
	json_t *from = networks_of(weftd, ends->from);
	int error = 0;
	if (ends->from_address.name[0])
		error = path_station(
			weftd, ends->from_address.name, &network, &place, &request->failure);
	if (network)
		json_array_append_new(from, json_string(network->name));
	json_object_set_new(line, "from_networks", from);
	json_object_set_new(line, "to_networks", networks_of(weftd, ends->to));
	return error;
}

static json_t *begun(const struct ends *ends)
{
	const struct target *to = &ends->target;
	bool by_address = ends->from_address.name[0];
	json_t *line = json_pack("{s:b, s:s?, s:I}", "from", ends->from || by_address,
		"from_address", by_address ? ends->from_address.name : NULL, "clock",
		(json_int_t)probe_clock());
	if (ends->known && to->port)
		json_object_set_new(
			line, "to", json_sprintf(to->v6 ? "[%s]:%u" : "%s:%u", to->name, to->port));
	else
		json_object_set_new(line, "to", ends->known ? json_string(to->name) : json_null());
	return line;
}

int path_points(struct request *request)
{
	struct ends ends = {0};
	char *filter = NULL;
	size_t size;
	FILE *out = open_memstream(&filter, &size);
	if (!out)
		abort();
	find_ends(request, &ends);
	put_filter(out, request, &ends);
	fclose(out);
	const struct object *one = ends.from ? ends.from : ends.to;
	const struct trace_aim aim = {
		.filter = *filter ? filter : NULL,
		.from = one                                       ? one->id
			: ends.known || ends.from_address.name[0] ? 0
								  : TRACE_NOBODY,
		.to = ends.from && ends.to ? ends.to->id : 0,
		.seconds = spec_number(request->arguments, "measure_seconds", 0),
	};
	int error = check_words(request, &ends);
	json_t *line = error ? NULL : begun(&ends);
	if (!error)
		error = put_networks(request, &ends, line);
	if (!error)
		error = trace_begin(request, &aim, json_incref(line));
	json_decref(line);
	free(filter);
	return error;
}

static int run_request(struct request *request)
{
	if (request->points)
		return path_points(request);
	return fail(&request->failure, -ENOTSUP, "no_points",
		"it is weftctl that sends requests and joins what the hosts see of them");
}

static const struct argument arguments[] = {
	PATH_ARGUMENTS,
	{.word = "request",
		.kind = ARGUMENT_NUMBER,
		.flags = ARGUMENT_REQUIRED,
		.min = 1,
		.max = WEFT_PATH_REQUESTS_MAX,
		.help = "how many requests weftctl sends: HTTP to a port, else pings"},
	{.word = "netns",
		.kind = ARGUMENT_TEXT,
		.help = "the network namespace of weftctl's machine that sends them; else this "
			"one"},
	{.word = "with",
		.kind = ARGUMENT_TEXT,
		.help = "words that run a command where they are to be sent from: 'ssh client'"},
	PATH_PLOT,
	{0},
};

extern const struct command path_points_commands[];
const struct command path_points_commands[] = {
	{.object = "path",
		.arguments = arguments,
		.help = "Send requests, and say where their time goes, from the client's view down "
			"to every hop of the hosts that are asked",
		.joined = true,
		.run = run_request,
		.cancelled = trace_cancelled},
	{0},
};
