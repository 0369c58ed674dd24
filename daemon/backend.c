// SPDX-License-Identifier: BSD-2-Clause
// Backends: the machines that serve. They have no name: service, address and port tell them apart.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/connection.h"
#include "daemon/maglev.h"
#include "daemon/service.h"

static const struct argument backend_arguments[] = {
	{"service", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "service", 0, 0, NULL, "the service"},
	{"address", NULL, ARGUMENT_ADDRESS, ARGUMENT_REQUIRED | ARGUMENT_FIXED, NULL, NULL, 0, 0,
		NULL, "its address in the service's network"},
	{"port", NULL, ARGUMENT_NUMBER, ARGUMENT_REQUIRED | ARGUMENT_FIXED, "all", NULL, 0, 65535,
		NULL, "its port; all (or 0): the one that the client has asked for"},
	{"weight", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 0, MAGLEV_WEIGHT_MAX, "1",
		"its share of new connections; 0: it gets none, and keeps those it has"},
	{"drain", "drain_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 1, 31536000, NULL,
		"with weight 0: how long it keeps them; default: until they end"},
	{"mac", NULL, ARGUMENT_MAC, 0, NULL, NULL, 0, 0, NULL,
		"its MAC address; default: the one that answers for its address"},
	{0},
};

struct object *backend_service(struct weftd *weftd, const json_t *spec)
{
	return object_find(weftd, &noun_service, spec_text(spec, "service", ""));
}

struct object *backends_first(struct weftd *weftd, const struct object *service)
{
	return object_first_of(weftd, &noun_backend, "service", service->name);
}

struct object *backends_next(const struct object *object)
{
	return object_next_of(object, "service");
}

static bool drains(const json_t *spec)
{
	return spec_number(spec, "weight", 1) == 0 && spec_number(spec, "drain_seconds", 0);
}

// A deadline outlives weftd: it stands in the store, as a date.
static void backend_complete(struct weftd *weftd, const struct object *old, json_t *spec)
{
	long long seconds = spec_number(spec, "drain_seconds", 0);
	bool goes_on =
		old && drains(old->spec) && spec_number(old->spec, "drain_seconds", 0) == seconds;
	(void)weftd;
	json_object_del(spec, "drain_until");
	if (!drains(spec))
		return;
	json_t *until = goes_on ? json_object_get(old->spec, "drain_until") : NULL;
	json_object_set_new(spec, "drain_until",
		until ? json_incref(until) : json_integer(time(NULL) + seconds));
}

long long backend_drain_left(const json_t *spec)
{
	long long left = spec_number(spec, "drain_until", 0) - time(NULL);
	if (!drains(spec))
		return -1;
	return left > 0 ? left : 0;
}

static int backend_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	struct object *service = backend_service(weftd, object->spec);
	(void)old;
	if (!service || !service->live)
		return fail(failure, -ENOENT, "not_up", "service %s is not up",
			spec_text(object->spec, "service", ""));
	if (balancer_is_gone(weftd, object->id)) // its rows are still another's
		balancer_settle(weftd);
	check_yield(weftd, object->id);
	if (!object->live)
		object->live = calloc(1, sizeof(struct backend));
	if (!object->live)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	int error = backend_rows_set(weftd, object, failure);
	if (!error && !json_object_get(object->spec, "mac"))
		backend_hear(weftd, object);
	balancer_changed(weftd, service);
	balancer_follow_soon(weftd);
	return error;
}

static void backend_forget(struct object *object)
{
	if (object->live)
		check_forget(object->live);
	free(object->live);
	object->live = NULL;
}

static int backend_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct backend *backend = object->live;
	struct object *service =
		backend ? object_by_id(weftd, &noun_service, backend->row.service) : NULL;
	(void)failure;
	if (!backend)
		return 0;
	object->live = NULL;
	check_forget(backend);
	connections_hold_id(weftd, object);
	balancer_gone(weftd, object->id, backend);
	if (service && service->live)
		balancer_changed(weftd, service);
	return 0;
}

static const char *state_of(const struct object *object, char why[160])
{
	const struct backend *backend = object->live;
	long long left = backend_drain_left(object->spec);
	why[0] = '\0';
	if (!backend || object->trouble) {
		snprintf(why, 160, "%s", object->trouble ? object->trouble : "");
		return "down";
	}
	if (!spec_number(object->spec, "weight", 1)) {
		if (left > 0)
			snprintf(why, 160, "weight 0: it keeps its connections for %lld s", left);
		else
			snprintf(why, 160,
				left ? "weight 0: it keeps its connections until they end"
				     : "weight 0: its time to drain is over");
		return "down";
	}
	if (backend_serves(object))
		return "up";
	if (backend->out) {
		check_why(backend, why);
		return "down";
	}
	snprintf(why, 160, "nobody answers for %s in the network: its MAC address is asked for",
		spec_text(object->spec, "address", ""));
	return "waiting";
}

static json_t *backend_show(struct weftd *weftd, const struct object *object)
{
	const struct object *service = backend_service(weftd, object->spec);
	struct weft_backend_count_row count = backend_counts(weftd, object->id);
	char why[160], mac[MAC_TEXT_BYTES];
	balancer_settle(weftd);
	const struct backend *backend = object->live;
	const char *state = state_of(object, why);
	u32 size = service ? service_table_size(service->spec) : 0;
	bool known = backend && weft_mac_known(&backend->row.mac);
	if (known)
		mac_text(&backend->row.mac, mac);
	json_t *shown = json_pack("{s:I, s:s?, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "id",
		(json_int_t)object->id, "mac", known ? mac : NULL, "share_percent",
		backend && size ? 100.0 * backend->slots / size : 0.0, "connections",
		(json_int_t)(backend ? backend->load.connections : 0), "connections_begun",
		(json_int_t)count.connections, "packets", (json_int_t)count.packets, "bytes",
		(json_int_t)count.bytes, "reply_packets", (json_int_t)count.reply_packets,
		"reply_bytes", (json_int_t)count.reply_bytes, "state", state, "why",
		why[0] ? why : NULL);
	check_show(backend, shown);
	return shown;
}

const char *backend_text(struct weftd *weftd, u32 id, char text[BACKEND_TEXT_BYTES])
{
	const struct object *backend = object_by_id(weftd, &noun_backend, id);
	char port[8] = "";
	if (!backend) {
		snprintf(text, BACKEND_TEXT_BYTES, "a backend that is gone");
		return text;
	}
	const char *address = spec_text(backend->spec, "address", "");
	if (spec_number(backend->spec, "port", 0))
		snprintf(port, sizeof(port), ":%u", (u16)spec_number(backend->spec, "port", 0));
	snprintf(text, BACKEND_TEXT_BYTES, strchr(address, ':') ? "backend [%s]%s" : "backend %s%s",
		address, port);
	return text;
}

const struct noun noun_backend = {
	.name = "backend",
	.plural = "backends",
	.help = "the machines that serve",
	.arguments = backend_arguments,
	.identity = "service address port",
	.groups = {"service", "address"},
	.columns = "service,address,port,weight,share_percent,mac,connections,packets,bytes,"
		   "health,state,why",
	.check = backend_check,
	.complete = backend_complete,
	.apply = backend_apply,
	.remove = backend_remove,
	.forget = backend_forget,
	.show = backend_show,
};
