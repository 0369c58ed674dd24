// SPDX-License-Identifier: BSD-2-Clause
// Probes to a service's address and port go to the backend that serves A's guest there: the frames
// that the balancer translates take the same way.
#include <errno.h>
#include <string.h>
#include <weft/probe.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/explain.h"
#include "daemon/fdb.h"
#include "daemon/path.h"
#include "daemon/probe_parts.h"
#include "daemon/service.h"

// Of the network's: one with this port before one with all.
static const struct object *find_service(
	struct weftd *weftd, const struct object *network, const struct target *target, u8 protocol)
{
	const struct object *found = NULL;
	struct object *o = object_first_of(weftd, &noun_service, "vip", target->name);
	for (; o; o = object_next_of(o, "vip")) {
		if (!o->live || service_network(weftd, o->spec) != network->id ||
			!service_is_at(o->spec, protocol, target->name, target->port))
			continue;
		if (!found || spec_number(o->spec, "port", 0))
			found = o;
	}
	return found;
}

static int no_service(struct probe_session *s, const struct object *network,
	const struct target *target, u8 protocol)
{
	struct failure *failure = &s->request->failure;
	fail(failure, -ENOENT, "not_found", "network %s has no service %s %s port %u",
		network->name, protocol == WEFT_IP_TCP ? "tcp" : "udp", target->name, target->port);
	return fail_hint(failure, "`service show` lists them; a guest goes by its address alone");
}

// A's address of the service's family: the choice hangs on it.
static int read_client(struct probe_session *s, const struct object *network, bool v6,
	struct weft_connection_key *key)
{
	struct explain_station client = {.network = network->id, .place = s->from};
	struct failure *failure = &s->request->failure;
	if (!explain_know_ip(s->request->weftd, v6, &client)) {
		fail(failure, -ENOENT, "not_found",
			"no %s address is known behind port %s, and who serves hangs on it",
			v6 ? "IPv6" : "IPv4", s->from_name);
		return fail_hint(failure, "let it send something, a ping for one, and try again");
	}
	memcpy(key->src, client.ip.byte, sizeof(key->src));
	return 0;
}

int probe_service(struct probe_session *s, const struct object *network,
	const struct target *target, struct explain_station *b)
{
	struct weftd *weftd = s->request->weftd;
	const json_t *words = s->request->arguments;
	struct service_who who = {
		.key = {.protocol = path_protocol(words),
			.src_port = (u16)spec_number(words, "from_port", WEFT_PROBE_PORT),
			.dst_port = (u16)target->port}};
	struct weft_ip vip = address_read(target->name);
	const struct object *service = find_service(weftd, network, target, who.key.protocol);
	struct weft_index index;
	struct weft_backend_row row;
	if (!service)
		return no_service(s, network, target, who.key.protocol);
	memcpy(who.key.dst, vip.byte, sizeof(who.key.dst));
	int error = read_client(s, network, !address_v4(&vip), &who.key);
	if (!error)
		error = service_who(weftd, service, &who, &s->request->failure);
	if (error)
		return error;
	index.index = who.backend;
	if (engine_get(weftd, backend, &index, &row) || !(row.flags & WEFT_BACKEND_PRESENT))
		return fail(&s->request->failure, -ENOENT, "no_backend", "nobody serves %s now",
			service->name);
	memcpy(b->ip.byte, row.address, sizeof(b->ip.byte));
	b->mac = row.mac;
	b->ip_known = b->mac_known = true;
	char address[ADDRESS_TEXT_BYTES];
	address_text(&b->ip, address);
	s->result.service = json_pack("{s:s, s:s, s:i, s:s}", "service", service->name, "backend",
		address, "backend_port", row.port ? row.port : (int)target->port, "by", who.by);
	return 0;
}
