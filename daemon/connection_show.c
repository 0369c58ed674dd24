// SPDX-License-Identifier: BSD-2-Clause
// The commands about connections: show and flush.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/command_table.h"
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/path.h"
#include "daemon/pending.h"
#include "daemon/place.h"
#include "daemon/service.h"
#include "datapath/pipeline/balance.h"

// More in one answer would be more memory than weftd should take for a question.
enum { SHOWN_MAX = 65536 };

#define FILTER_ARGUMENTS \
	{"service", NULL, ARGUMENT_NAME, 0, NULL, "service", 0, 0, NULL, "only of this service"}, \
	{ \
		"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL, \
			"only of services with backends in this network" \
	}
static const struct argument show_arguments[] = {
	FILTER_ARGUMENTS,
	{"limit", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, SHOWN_MAX, NULL,
		"no more than so many; default: all of them, up to 65536"},
	{0},
};
static const struct argument flush_arguments[] = {FILTER_ARGUMENTS, {0}};

static int read_filter(struct request *request, struct connection_filter *filter)
{
	const json_t *words = request->arguments;
	const char *service = spec_text(words, "service", NULL);
	const char *network = spec_text(words, "network", NULL);
	const struct object *named =
		service ? object_find(request->weftd, &noun_service, service) : NULL;
	const struct object *in =
		network ? object_find(request->weftd, &noun_network, network) : NULL;
	if ((service && !named) || (network && !in)) {
		const char *noun = service && !named ? "service" : "network";
		fail(&request->failure, -ENOENT, "not_found", "there is no %s %s", noun,
			service && !named ? service : network);
		return fail_hint(&request->failure, "`%s show` lists what there is", noun);
	}
	*filter = (struct connection_filter){named ? named->id : 0, 0, in ? in->id : 0};
	return 0;
}

struct shown {
	struct request *request;
	struct weftd *weftd;
	struct event *next; // the walk's next part
	u32 cursor;
	struct connection_filter filter;
	u64 now_ns;
	size_t limit;   // one more stops the walk
	json_t *result; // the request's
};

static json_t *ip_json(const u8 address[16])
{
	struct weft_ip ip;
	char text[ADDRESS_TEXT_BYTES];
	memcpy(ip.byte, address, sizeof(ip.byte));
	address_text(&ip, text);
	return json_string(text);
}

static const char *state_of(const struct weft_connection_row *row)
{
	if (row->flags & WEFT_CONNECTION_CLOSED)
		return "closed";
	if (row->flags & WEFT_CONNECTION_OPENING)
		return "opening";
	return row->flags & WEFT_CONNECTION_FIN ? "closing" : "open";
}

static void show_connection(struct shown *s, const struct weft_connection_key *key,
	const struct weft_connection_row *row)
{
	const struct weft_rewrite *rewrite = &row->rewrite;
	struct object *service = object_by_id(s->weftd, &noun_service, row->service);
	struct object *backend = object_by_id(s->weftd, &noun_backend, rewrite->backend);
	bool source = rewrite->what & WEFT_REWRITE_SRC;
	s64 age_ns = (s64)(s->now_ns - row->seen_ns);
	json_array_append_new(s->result,
		json_pack("{s:s?, s:s?, s:s, s:o, s:I, s:o, s:I, s:o, s:o, s:I, s:s}", "service",
			service ? service->name : NULL, "backend",
			backend ? spec_text(backend->spec, "address", "") : NULL, "proto",
			key->protocol == WEFT_IP_UDP ? "udp" : "tcp", "client", ip_json(key->src),
			"client_port", (json_int_t)key->src_port, "vip", ip_json(key->dst),
			"vip_port", (json_int_t)key->dst_port, "source",
			source ? ip_json(rewrite->src.byte) : json_null(), "source_port",
			source ? json_integer(rewrite->src_port) : json_null(), "idle_seconds",
			(json_int_t)(age_ns > 0 ? age_ns / 1000000000 : 0), "state",
			state_of(row)));
}

static int visit(const void *at, const void *data, void *context)
{
	struct shown *s = context;
	struct weft_connection_key key;
	struct weft_connection_row row;
	memcpy(&key, at, sizeof(key));
	memcpy(&row, data, sizeof(row));
	if (row.flags & WEFT_CONNECTION_REPLY || check_is_service(s->weftd, row.service) ||
		connection_over(s->weftd, &row, s->now_ns) ||
		(s->filter.service && s->filter.service != row.service) ||
		(s->filter.network && s->filter.network != row.network))
		return 0;
	if (json_array_size(s->result) >= s->limit)
		return 1;
	show_connection(s, &key, &row);
	return 0;
}

static void shown_free(struct shown *s)
{
	if (s->next)
		event_free(s->next);
	free(s);
}

static int show_all(struct shown *s)
{
	struct failure *failure = &s->request->failure;
	bool all = !json_object_get(s->request->arguments, "limit");
	if (!all || json_array_size(s->result) <= SHOWN_MAX)
		return 0;
	json_array_clear(s->result);
	fail(failure, -E2BIG, "too_many", "there are more than %d connections", SHOWN_MAX);
	return fail_hint(
		failure, "say `limit N` for some of them, or `service NAME` for those of one");
}

// For so long; what cannot be walked is at its end. True: that was all of it, or enough.
static bool show_part(struct shown *s, u64 most_us)
{
	return connections_walk_part(s->weftd, &s->cursor, most_us, visit, s) || !s->cursor;
}

static void show_on(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval at_once = {0};
	struct shown *s = context;
	struct request *request = s->request;
	(void)fd, (void)what;
	if (!show_part(s, CONNECTION_PART_US)) {
		event_add(s->next, &at_once);
		return;
	}
	int error = show_all(s);
	shown_free(s);
	request_done(request, error ? &request->failure : NULL);
}

static void show_cancelled(struct request *request)
{
	shown_free(request->context);
}

static int run_show(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct connection_filter filter;
	int error = read_filter(request, &filter);
	if (error)
		return error;
	struct shown *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	request->result = json_array();
	*s = (struct shown){.request = request,
		.weftd = weftd,
		.filter = filter,
		.now_ns = clock_ns(),
		.limit = (size_t)spec_number(request->arguments, "limit", SHOWN_MAX + 1),
		.result = request->result};
	if (show_part(s, request->pending ? CONNECTION_FIRST_US : UINT64_MAX / 1000)) {
		error = show_all(s);
		shown_free(s);
		return error;
	}
	request->context = s;
	s->next = evtimer_new(weftd->base, show_on, s);
	if (!s->next)
		abort();
	event_active(s->next, EV_TIMEOUT, 0);
	return request_later(request, 0);
}

static void flushed(void *context, u64 connections)
{
	struct request *request = context;
	request_line(request, json_pack("{s:I}", "forgotten", (json_int_t)connections));
	request_done(request, NULL);
}

static int run_flush(struct request *request)
{
	struct connection_filter filter;
	int error = read_filter(request, &filter);
	if (error)
		return error;
	request->context = connections_forget(request->weftd, &filter, flushed, request);
	return request_later(request, 0);
}

static void flush_cancelled(struct request *request)
{
	connections_keep(request->context);
}

static char *flush_text(const struct request *request, const json_t *line)
{
	(void)request, (void)line;
	return strdup("");
}

extern const struct command connection_commands[];
const struct command connection_commands[] = {
	{.object = "connection",
		.verb = "show",
		.arguments = show_arguments,
		.help = "Show the connections of services",
		.columns = "service,backend,proto,client,client_port,vip,vip_port,source,"
			   "source_port,idle_seconds,state",
		.run = run_show,
		.identity = "vip vip_port proto client client_port",
		.cancelled = show_cancelled,
		.whole = true},
	{.object = "connection",
		.verb = "flush",
		.arguments = flush_arguments,
		.help = "Forget connections: the next packet of each chooses anew",
		.run = run_flush,
		.cancelled = flush_cancelled,
		.line = flush_text},
	{0},
};
