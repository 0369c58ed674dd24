// SPDX-License-Identifier: BSD-2-Clause
// Services: addresses that several machines serve. The noun: words, apply, remove, show.
#include "daemon/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/connection.h"
#include "daemon/maglev.h"
#include "daemon/network.h"
#include "daemon/port.h"

static const struct argument service_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "service", 0, 0, NULL, "the service"},
	{"vip", NULL, ARGUMENT_ADDRESS, ARGUMENT_REQUIRED | ARGUMENT_FIXED, NULL, NULL, 0, 0, NULL,
		"its address"},
	{"port", NULL, ARGUMENT_NUMBER, ARGUMENT_REQUIRED | ARGUMENT_FIXED, "all", NULL, 0, 65535,
		NULL, "its port; all (or 0): every one that no other service of the address has"},
	{"proto", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_FIXED, "tcp|udp", NULL, 0, 0,
		NULL, "its protocol"},
	{"network", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_FIXED, NULL, "network", 0, 0,
		NULL, "the network of its backends, in which it is reached"},
	{"mode", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED, "nat|host-dsr|dsr", NULL, 0, 0, NULL,
		"nat: this host translates both ways; host-dsr: the backend's host does; dsr: "
		"nobody, the backends own the address"},
	{"uplink", NULL, ARGUMENT_NAMES, 0, NULL, "port", 0, 0, NULL,
		"ports by which it is reached from outside, too"},
	{"table-size", "table_size", ARGUMENT_NUMBER, 0, NULL, NULL, 251, 131071, "65537",
		"slots of its lookup table: a prime of " MAGLEV_SIZES
		"; more than 100 for each backend"},
	{"seed", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 0, 0xffffffff, "0",
		"of the choice of a backend, the same on all hosts"},
	{"affinity", NULL, ARGUMENT_CHOICE, 0, "none|source", NULL, 0, 0, "none",
		"source: a client has one backend for all its connections"},
	{"connection-limit", "connection_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 1 << 24,
		"65536", "most connections"},
	{"rate-limit", "rate_limit_per_second", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 100000000, "0",
		"most new connections per second; 0: no limit"},
	{"idle", "idle_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 5, 31536000, NULL,
		"a connection that is silent for so long is forgotten; default: 1h for tcp, 1m "
		"for udp"},
	{"check", NULL, ARGUMENT_CHOICE, 0, "none|tcp|http|udp", NULL, 0, 0, "none",
		"how weftd asks backends whether they are well: a connection, an HTTP request, a "
		"datagram"},
	{"path", NULL, ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, "/", "check http: what is asked for"},
	{"host", NULL, ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, NULL,
		"check http: the Host that is asked for; default: the service's address"},
	{"status", NULL, ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, "200-399",
		"check http: a status, or a range of them, that is a success"},
	{"send", NULL, ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, NULL,
		"check udp: what is sent: text, or 0x and hexadecimal digits"},
	{"expect", NULL, ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, NULL,
		"check udp: what is in the answer; default: any answer is a success"},
	{"check-port", "check_port", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 65535, NULL,
		"the port that is checked; default: the backend's"},
	{"interval", "interval_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 1, 3600, "2s",
		"from one check of a backend to the next, a tenth more or less"},
	{"timeout", "timeout_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 1, 3600, "1s",
		"a check that takes longer has failed"},
	{"rise", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 100, "2",
		"successes in a row that bring a backend back"},
	{"fall", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 100, "3",
		"failures in a row that take a backend out"},
	{"on-empty", "on_empty", ARGUMENT_CHOICE, 0, "keep|drop|reject", NULL, 0, 0, "keep",
		"when the checks of all backends fail. keep: all serve, as if none was checked; "
		"drop: none does; reject: none does, and whenever nobody serves, clients are told: "
		"by a TCP reset, or ICMP port unreachable"},
	{"dead", NULL, ARGUMENT_CHOICE, 0, "keep|reset", NULL, 0, 0, "keep",
		"TCP connections of a backend whose checks failed, that is deleted or has no time "
		"left to drain. keep: they stay while it is there; reset: the next packet of a "
		"client is answered by a reset"},
	{0},
};

u32 service_network(struct weftd *weftd, const json_t *spec)
{
	struct object *network = object_find(weftd, &noun_network, spec_text(spec, "network", ""));
	return network ? network->id : 0;
}

bool service_is_at(const json_t *spec, u8 protocol, const char *vip, u32 port)
{
	u32 own = (u32)spec_number(spec, "port", 0);
	return service_protocol(spec) == protocol && (!own || own == port) &&
	       strcmp(spec_text(spec, "vip", ""), vip) == 0;
}

u8 service_protocol(const json_t *spec)
{
	return strcmp(spec_text(spec, "proto", ""), "udp") == 0 ? 17 : 6;
}

u32 service_table_size(const json_t *spec)
{
	return (u32)spec_number(spec, "table_size", MAGLEV_SIZE_DEFAULT);
}

bool service_mode_is(const json_t *spec, const char *mode)
{
	return strcmp(spec_text(spec, "mode", ""), mode) == 0;
}

bool service_is_in(const json_t *spec, const char *network)
{
	return strcmp(spec_text(spec, "network", ""), network) == 0;
}

struct weft_ip service_vip(const json_t *spec)
{
	return address_read(spec_text(spec, "vip", ""));
}

bool service_uses_port(const json_t *spec, const char *port)
{
	json_t *name;
	size_t i;
	json_array_foreach (spec_list(spec, "uplink"), i, name) {
		if (strcmp(json_string_value(name), port) == 0)
			return true;
	}
	return false;
}

// Those of the spec have rows that say whether services use them.
static void users_follow(struct weftd *weftd, const json_t *spec)
{
	json_t *name;
	size_t i;
	network_services_changed(weftd, service_network(weftd, spec));
	json_array_foreach (spec_list(spec, "uplink"), i, name) {
		struct object *port = object_find(weftd, &noun_port, json_string_value(name));
		if (port)
			port_refresh(weftd, port->id);
	}
}

static int backends_follow_words(
	struct weftd *weftd, const struct object *service, struct failure *failure)
{
	struct object *object = backends_first(weftd, service);
	int error = 0;
	for (; object && !error; object = backends_next(object)) {
		if (!object->live)
			continue;
		error = backend_station_set(weftd, object, failure);
		check_follow(weftd, object);
	}
	return error;
}

static int service_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	if (!object->live)
		object->live = calloc(1, sizeof(struct service));
	if (!object->live)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	int error = service_rows_set(weftd, object, failure);
	if (!error && old)
		error = backends_follow_words(weftd, object, failure);
	users_follow(weftd, object->spec);
	if (old)
		users_follow(weftd, old);
	return error;
}

static void service_forget(struct object *object)
{
	struct service *service = object->live;
	free(service->keys);
	free(service);
	object->live = NULL;
}

static int service_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	(void)failure;
	if (!object->live)
		return 0;
	service_rows_clear(weftd, object);
	service_forget(object);
	connections_hold_id(weftd, object);
	users_follow(weftd, object->spec);
	connections_forget_strays(weftd);
	return 0;
}

static const char *state_of(const struct object *object, u32 backends, const char **why)
{
	const struct service *service = object->live;
	*why = object->trouble;
	if (!service || object->trouble)
		return "down";
	if (service->serving)
		return "up";
	*why = backends ? "none of its backends serves: `backend show` says why"
			: "it has no backends: `backend add` gives it some";
	return "waiting";
}

static json_t *service_show(struct weftd *weftd, const struct object *object)
{
	const struct service *service = object->live;
	struct weft_index index = {object->id};
	struct weft_service_usage_row usage = {0};
	struct weft_backend_count_row sum = {0};
	struct object *backend = backends_first(weftd, object);
	u32 backends = 0;
	const char *why, *state;
	balancer_settle(weftd);
	engine_get(weftd, service_usage, &index, &usage);
	for (; backend; backend = backends_next(backend)) {
		struct weft_backend_count_row count = backend_counts(weftd, backend->id);
		backends++;
		sum.packets += count.packets;
		sum.bytes += count.bytes;
		sum.reply_packets += count.reply_packets;
		sum.reply_bytes += count.reply_bytes;
		sum.connections += count.connections;
	}
	state = state_of(object, backends, &why);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}",
		"id", (json_int_t)object->id, "idle_seconds",
		(json_int_t)service_idle_seconds(object->spec), "backends", (json_int_t)backends,
		"serving", (json_int_t)(service ? service->serving : 0), "connections",
		(json_int_t)usage.connections, "connections_begun", (json_int_t)sum.connections,
		"connections_refused", (json_int_t)usage.connections_refused,
		"connections_bypassed", (json_int_t)usage.connections_bypassed, "packets",
		(json_int_t)sum.packets, "bytes", (json_int_t)sum.bytes, "reply_packets",
		(json_int_t)sum.reply_packets, "reply_bytes", (json_int_t)sum.reply_bytes, "state",
		state, "why", why);
}

const struct noun noun_service = {
	.name = "service",
	.plural = "services",
	.help = "addresses that several machines serve",
	.arguments = service_arguments,
	.identity = "name",
	.groups = {"vip"},
	.columns = "name,vip,port,proto,network,mode,backends,serving,connections,packets,bytes,"
		   "state,why",
	.check = service_check,
	.apply = service_apply,
	.remove = service_remove,
	.forget = service_forget,
	.show = service_show,
	.show_one = backends_show,
};
