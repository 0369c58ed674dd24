// SPDX-License-Identifier: BSD-2-Clause
// Which backend serves a client, or would: `service who`, and probes to a service.
#include <errno.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/path.h"
#include "daemon/service.h"
#include "datapath/pipeline/balance.h"

// Not to a UDP client whose backend is dead, as stage balance has it; TCP's connection is a new one
// once the last is closed.
static bool serves(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row)
{
	struct weft_index index = {row->rewrite.backend};
	struct weft_backend_row backend;
	bool tcp = key->protocol == WEFT_IP_TCP;
	return index.index && !engine_get(weftd, backend, &index, &backend) &&
	       backend.service == row->service && backend.flags & WEFT_BACKEND_PRESENT &&
	       (tcp ? !(row->flags & WEFT_CONNECTION_CLOSED)
		    : !(backend.flags & WEFT_BACKEND_DEAD));
}

// In one of the places where the service is reached.
static bool by_connection(struct weftd *weftd, const struct service *service, struct service_who *w)
{
	for (u32 i = 0; i < service->key_count; i++) {
		struct weft_connection_row row;
		w->key.scope = service->keys[i].scope;
		if (engine_get(weftd, connection, &w->key, &row) ||
			connection_over(weftd, &row, clock_ns()) ||
			row.flags & WEFT_CONNECTION_REPLY || !serves(weftd, &w->key, &row))
			continue;
		w->by = "connection";
		w->backend = row.rewrite.backend;
		return true;
	}
	return false;
}

// As stage balance does.
static int by_hash(struct weftd *weftd, const struct object *object, struct service_who *w,
	struct failure *failure)
{
	const struct service *service = object->live;
	struct weft_service_row row;
	struct weft_ring_row slot;
	if (engine_get(weftd, service, &service->keys[0], &row) || !row.ring_size) {
		fail(failure, -ENOENT, "no_backend", "nobody serves %s now", object->name);
		return fail_hint(failure, "`backend show %s` says why", object->name);
	}
	u64 hash = balance_hash(&w->key, row.seed, row.flags & WEFT_SERVICE_AFFINITY);
	w->slot = (u32)(hash >> 32) % row.ring_size;
	struct weft_index index = {row.ring + w->slot};
	if (engine_get(weftd, ring, &index, &slot))
		return fail(failure, -ENOENT, "no_backend", "the ring has no slot %u", w->slot);
	w->by = "hash";
	w->backend = slot.backend;
	return 0;
}

int service_who(struct weftd *weftd, const struct object *service, struct service_who *who,
	struct failure *failure)
{
	balancer_settle(weftd);
	return by_connection(weftd, service->live, who) ? 0 : by_hash(weftd, service, who, failure);
}

// --- the command

// Of the same address, which has a service of its own for that port.
static const struct object *service_of_port(
	struct weftd *weftd, const struct object *service, const struct weft_connection_key *key)
{
	const char *vip = spec_text(service->spec, "vip", "");
	const char *network = spec_text(service->spec, "network", "");
	struct object *other = object_first_of(weftd, &noun_service, "vip", vip);
	for (; other; other = object_next_of(other, "vip"))
		if (other != service && service_is_in(other->spec, network) &&
			service_protocol(other->spec) == key->protocol &&
			spec_number(other->spec, "port", 0) == key->dst_port)
			return other;
	return NULL;
}

static int read_tuple(
	struct request *request, const struct object *service, struct weft_connection_key *key)
{
	const json_t *words = request->arguments, *spec = service->spec;
	const char *from = spec_text(words, "from", "");
	struct weft_ip vip = address_read(spec_text(spec, "vip", "")), client;
	struct target target;
	bool good = path_target(from, &target) && target.port;
	if (good) {
		client = address_read(target.name);
		key->src_port = (u16)target.port;
	}
	if (!good || address_v4(&client) != address_v4(&vip))
		return fail_words(&request->failure, "from: '%s' is not %s", from,
			address_v4(&vip) ? "ADDRESS:PORT, such as 198.51.100.7:4242"
					 : "[ADDRESS]:PORT, such as [2001:db8::7]:4242");
	memcpy(key->src, client.byte, sizeof(key->src));
	memcpy(key->dst, vip.byte, sizeof(key->dst));
	key->dst_port = (u16)spec_number(words, "to_port", spec_number(spec, "port", 0));
	key->protocol = service_protocol(spec);
	if (spec_number(spec, "port", 0) && key->dst_port != spec_number(spec, "port", 0))
		return fail_words(&request->failure, "service %s has port %lld alone",
			service->name, spec_number(spec, "port", 0));
	if (!key->dst_port)
		return fail_words(&request->failure, "service %s has all ports: say `to-port P`",
			service->name);
	const struct object *other = service_of_port(request->weftd, service, key);
	return other ? fail_words(&request->failure, "port %u is service %s's", key->dst_port,
			       other->name)
		     : 0;
}

static json_t *answer(
	const struct request *request, const struct object *service, const struct service_who *w)
{
	struct object *backend = object_by_id(request->weftd, &noun_backend, w->backend);
	bool hash = strcmp(w->by, "hash") == 0;
	json_int_t port = backend ? spec_number(backend->spec, "port", 0) : 0;
	return json_pack("[{s:s, s:s, s:s?, s:o, s:s, s:o}]", "service", service->name, "from",
		spec_text(request->arguments, "from", ""), "backend",
		backend ? spec_text(backend->spec, "address", "") : NULL, "port",
		backend ? json_integer(port ? port : w->key.dst_port) : json_null(), "by", w->by,
		"slot", hash ? json_integer(w->slot) : json_null());
}

static int run_who(struct request *request)
{
	const char *name = spec_text(request->arguments, "name", "");
	const struct object *service = object_find(request->weftd, &noun_service, name);
	struct service_who who = {0};
	if (!service || !service->live) {
		fail(&request->failure, -ENOENT, "not_found", "there is no service %s", name);
		return fail_hint(&request->failure, "`service show` lists what there is");
	}
	int error = read_tuple(request, service, &who.key);
	if (!error)
		error = service_who(request->weftd, service, &who, &request->failure);
	if (!error)
		request->result = answer(request, service, &who);
	return error;
}

static const struct argument who_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "service", 0,
		0, NULL, "the service"},
	{"from", NULL, ARGUMENT_TEXT, ARGUMENT_REQUIRED, NULL, NULL, 0, 0, NULL,
		"the client: ADDRESS:PORT"},
	{"to-port", "to_port", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 65535, NULL,
		"the port that it asks for; default: the service's"},
	{0},
};

extern const struct command who_commands[];
const struct command who_commands[] = {
	{"service", "who", who_arguments,
		"Say which backend serves a client, or would: nothing is sent",
		"service,from,backend,port,by,slot", run_who, NULL},
	{0},
};
