// SPDX-License-Identifier: BSD-2-Clause
// `trace`: sampled real packets, one line for each point at which they were seen.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <weft/control.h>
#include "daemon/cards.h"
#include "daemon/command_table.h"
#include "daemon/fdb.h"
#include "daemon/filter.h"
#include "daemon/latency.h"
#include "daemon/network.h"
#include "daemon/path.h"
#include "daemon/pending.h"
#include "daemon/place.h"
#include "daemon/port.h"
#include "daemon/probe.h"
#include "daemon/service.h"
#include "daemon/trace.h"
#include "datapath/card.h"

enum {
	FOLLOWED_MAX = 4096, // packets whose later points are waited for
	GRACE_MS = 500,      // for the last packet's
};

// A packet that has been seen. Who is overtaken by FOLLOWED_MAX others is a new packet.
struct followed {
	u64 identity;
	u64 first_ns;
	u32 to;    // whoever takes it says no more
	u32 times; // a card of its arrival came: more than once is a copy, or another packet
	UT_hash_handle hh;
};

struct trace {
	struct card_reader reader;
	struct request *request;
	struct filter *filter;
	struct followed *followed;
	struct event *end;
	u32 from, to; // ids; 0: any
	bool text;    // with each line
	u64 lost_before, repeats, packets;
	long long left; // packets; -1: no end
};

static const char *const points[WEFT_POINT_count] = {
#define X(name, text) #name,
	WEFT_POINTS(X)
#undef X
};

static void trace_free(struct trace *trace)
{
	struct followed *followed, *next;
	HASH_ITER (hh, trace->followed, followed, next) {
		HASH_DEL(trace->followed, followed);
		free(followed);
	}
	event_free(trace->end);
	filter_free(trace->filter);
	free(trace);
}

// --- text

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text_of(const char *format, ...)
{
	char *text;
	va_list list;
	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		abort();
	va_end(list);
	return text;
}

static char *frame_text(const json_t *line, const char *src)
{
	const char *becomes = spec_text(line, "becomes_src", NULL);
	return text_of("%s > %s %s %s%s%s%s%s", src, spec_text(line, "dst", ""),
		spec_text(line, "proto", ""), spec_text(line, "flags", ""),
		becomes ? "  becomes " : "", becomes ? becomes : "", becomes ? " > " : "",
		spec_text(line, "becomes_dst", ""));
}

// Where it was, and what became of it there.
static char *point_text(const json_t *line)
{
	const char *reason = spec_text(line, "reason", NULL), *src = spec_text(line, "src", NULL);
	const char *verdict = spec_text(line, "verdict", ""), *path = spec_text(line, "path", "");
	const char *service = spec_text(line, "service", NULL);
	char *what =
		src ? frame_text(line, src)
		: spec_text(line, "eth_src", NULL)
			? text_of("%s > %s ethertype %s", spec_text(line, "eth_src", ""),
				  spec_text(line, "eth_dst", ""), spec_text(line, "ethertype", ""))
		: service && *verdict
			? text_of("%s  service %s, %s", verdict, service,
				  spec_text(line, "backend", ""))
			: text_of("%s%s%s", verdict, reason ? " " : "", reason ? reason : "");
	char *text = text_of("%-15s %s%s%s", spec_text(line, "port", spec_text(line, "peer", "-")),
		what, *path ? "  " : "", path);
	free(what);
	return text;
}

static char *sum_text(const json_t *line)
{
	return text_of("# %lld packets, %lld seen again, %lld postcards lost",
		spec_number(line, "packets", 0), spec_number(line, "seen_again", 0),
		spec_number(line, "cards_lost", 0));
}

static void put_line(struct trace *trace, json_t *line, char *(*text_fn)(const json_t *line))
{
	char *text = trace->text ? text_fn(line) : NULL;
	if (text)
		json_object_set_new(line, "text", json_string(text));
	free(text);
	request_line(trace->request, line);
}

// --- lines

static void put_place(json_t *line, struct weftd *weftd, u32 id)
{
	const struct object *place = id ? place_at(weftd, id) : NULL;
	place_show(place, line);
}

static const char *path_of(const struct weft_postcard *card)
{
	if (card->flags & WEFT_POSTCARD_OWN)
		return "own";
	return card->flags & WEFT_POSTCARD_CARRIER ? "carrier" : NULL;
}

static void put_point(struct trace *trace, const struct followed *followed,
	const struct weft_postcard *card, u32 point, u64 ns, const char *verdict)
{
	struct weftd *weftd = trace->request->weftd;
	bool drop = verdict && card->reason; // answered or not
	const struct object *network = object_by_id(weftd, &noun_network, card->network);
	char packet[17];
	snprintf(packet, sizeof(packet), "%016llx", (unsigned long long)followed->identity);
	json_t *line = json_pack("{s:s, s:s, s:o, s:I}", "packet", packet, "point", points[point],
		"since_ns", ns ? json_integer((json_int_t)(ns - followed->first_ns)) : json_null(),
		"time_ns", (json_int_t)ns);
	bool inward = point == WEFT_POINT_P0 || point == WEFT_POINT_P3;
	const struct object *backend = object_by_id(weftd, &noun_backend, card->backend);
	char text[BACKEND_TEXT_BYTES];
	put_place(line, weftd, inward || drop ? card->from : card->to);
	json_t *more = json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:b}", "network",
		network ? network->name : NULL, "service",
		backend ? spec_text(backend->spec, "service", NULL) : NULL, "backend",
		backend ? backend_text(weftd, card->backend, text) : NULL, "verdict", verdict,
		"reason", drop ? drop_name(card->reason) : NULL, "path", path_of(card), "bytes",
		(json_int_t)card->bytes, "superpacket", !!(card->flags & WEFT_POSTCARD_SUPER));
	json_object_update(line, more);
	json_decref(more);
	if (inward && trace->request->points) // of who ends it before the last line
		json_object_set_new(line, "cards_lost",
			json_integer((json_int_t)(cards_lost(weftd) - trace->lost_before)));
	if (inward)
		trace_frame(weftd, card, line);
	put_line(trace, line, point_text);
}

// Can the one who takes the port's frames be seen?
static bool shows_reader(struct weftd *weftd, u32 id)
{
	const struct object *object = object_by_id(weftd, &noun_port, id);
	const struct port *port = object ? object->live : NULL;
	return port &&
	       (port->row.flags & WEFT_PORT_TAP || port->type->kind == ENGINE_PORT_VHOST_USER);
}

// On the peer's side the points have numbers of their own.
static void put_card(
	struct trace *trace, const struct followed *followed, const struct weft_postcard *card)
{
	bool drop = card->action == WEFT_ACTION_drop;
	bool answered = card->flags & WEFT_POSTCARD_ANSWERED;
	const char *verdict = action_name(drop && answered ? WEFT_ACTION_reply : card->action);
	if (card->out_point == WEFT_POINT_P6) {
		put_point(trace, followed, card, WEFT_POINT_P6, card->out_ns, NULL);
		return;
	}
	put_point(trace, followed, card, card->in_point, card->in_ns, NULL);
	if (card->out_point == card->in_point + 1) { // decided, that was all
		put_point(trace, followed, card, card->out_point, card->decided_ns, verdict);
		return;
	}
	put_point(trace, followed, card, card->in_point + 1u, card->decided_ns,
		drop ? NULL : verdict);
	put_point(trace, followed, card, card->out_point, card->out_ns, drop ? verdict : NULL);
	if (card->out_point == WEFT_POINT_P5 && !drop && card->to &&
		!shows_reader(trace->request->weftd, card->to))
		put_point(trace, followed, card, WEFT_POINT_P6, 0, NULL); // not observed
}

// --- packets

static bool is_meant(const struct trace *trace, const struct weft_postcard *card)
{
	return (!trace->from || path_way(card, trace->from, trace->to) != PATH_WAYS) &&
	       filter_passes(trace->filter, card);
}

static struct followed *find(const struct trace *trace, u64 identity)
{
	struct followed *followed;
	HASH_FIND(hh, trace->followed, &identity, sizeof(identity), followed);
	return followed;
}

// A ping of IPv6 and its answer have no bytes that tell them apart but their type, which is not in
// their identity.
static u64 known_as(const struct trace *trace, const struct weft_postcard *card)
{
	struct card_echo echo;
	const struct followed *answer;
	if (card->out_point != WEFT_POINT_P6)
		return card_echo(card, &echo) && echo.answer ? ~card->identity : card->identity;
	answer = find(trace, ~card->identity);
	return answer && answer->to == card->to ? ~card->identity : card->identity;
}

static struct followed *follow(struct trace *trace, u64 identity, const struct weft_postcard *card)
{
	struct followed *followed = trace->followed;
	if (HASH_COUNT(trace->followed) == FOLLOWED_MAX) { // the oldest is the first
		HASH_DEL(trace->followed, followed);
		free(followed);
	}
	followed = calloc(1, sizeof(*followed));
	if (!followed)
		abort();
	followed->identity = identity;
	followed->first_ns = card->in_ns ? card->in_ns : card->decided_ns;
	HASH_ADD(hh, trace->followed, identity, sizeof(followed->identity), followed);
	return followed;
}

static void take_card(const struct weft_postcard *card, void *context)
{
	static const struct timeval grace = {.tv_usec = GRACE_MS * 1000};
	struct trace *trace = context;
	if ((u32)card->identity > trace->reader.below)
		return; // of a reader who wants more of them
	u64 identity = known_as(trace, card);
	struct followed *followed = find(trace, identity);
	bool arrival = card->out_point != WEFT_POINT_P6;
	if (!followed) {
		if (!arrival || !trace->left || !is_meant(trace, card))
			return;
		followed = follow(trace, identity, card);
		trace->packets++;
		if (trace->left > 0 && --trace->left == 0)
			event_add(trace->end, &grace);
	}
	if (arrival)
		followed->to = card->to;
	if (arrival && followed->times++) {
		trace->repeats++;
		followed->first_ns = card->in_ns ? card->in_ns : card->decided_ns;
	}
	put_card(trace, followed, card);
}

static bool is_full(void *context)
{
	return request_is_full(((struct trace *)context)->request);
}

static void put_end(struct trace *trace)
{
	struct weftd *weftd = trace->request->weftd;
	put_line(trace,
		json_pack("{s:n, s:I, s:I, s:I}", "packet", "packets", (json_int_t)trace->packets,
			"seen_again", (json_int_t)trace->repeats, "cards_lost",
			(json_int_t)(cards_lost(weftd) - trace->lost_before)),
		sum_text);
}

void trace_cancelled(struct request *request)
{
	struct trace *trace = request->context;
	cards_end(request->weftd, &trace->reader);
	put_end(trace);
	trace_free(trace);
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
	struct request *request = ((struct trace *)context)->request;
	(void)fd, (void)what;
	trace_cancelled(request);
	request_done(request, NULL);
}

// A time without a count is its end; with one, it is cut short.
static int run_until(struct trace *trace, long long seconds)
{
	const struct timeval time = {.tv_sec = (time_t)seconds};
	if (trace->left >= 0)
		return request_later(trace->request, 1000ull * (unsigned long long)seconds);
	if (seconds)
		event_add(trace->end, &time);
	return request_later(trace->request, 0);
}

int trace_begin(struct request *request, const struct trace_aim *aim, json_t *begun)
{
	struct weftd *weftd = request->weftd;
	struct trace *trace = calloc(1, sizeof(*trace));
	if (!trace)
		abort();
	trace->end = evtimer_new(weftd->base, on_end, trace);
	trace->request = request;
	trace->left = spec_number(request->arguments, "count", -1);
	trace->from = aim->from;
	trace->to = aim->to;
	trace->text = aim->text;
	trace->reader = (struct card_reader){.card = take_card,
		.full = is_full,
		.context = trace,
		.below = weft_sample_below((u32)spec_number(request->arguments, "sample", 1))};
	int error = filter_new(aim->filter, &trace->filter, &request->failure);
	if (!error)
		error = cards_begin(weftd, &trace->reader, &request->failure);
	if (error) {
		trace_free(trace);
		json_decref(begun);
		return error;
	}
	trace->lost_before = cards_lost(weftd);
	request->context = trace;
	json_object_set_new(begun, "packet", json_null());
	json_object_set_new(begun, "state", json_string("tracing"));
	json_object_set_new(begun, "began_ns", json_integer((json_int_t)clock_ns()));
	request_line(request, begun);
	return run_until(trace, aim->seconds);
}

static int run_trace(struct request *request)
{
	const struct trace_aim aim = {.filter = spec_text(request->arguments, "filter", NULL),
		.seconds = spec_number(request->arguments, "for_seconds", 0),
		.text = request->points};
	return trace_begin(request, &aim, json_pack("{s:I}", "clock", (json_int_t)probe_clock()));
}

static char *trace_line(const struct request *request, const json_t *line)
{
	const char *packet = spec_text(line, "packet", NULL);
	const json_t *since = json_object_get(line, "since_ns");
	char time[32] = "not observed";
	(void)request;
	if (spec_text(line, "state", NULL)) // it has begun: for programs
		return text_of("%s", "");
	if (json_is_integer(since))
		snprintf(time, sizeof(time), "%+lld ns", json_integer_value(since));
	char *what = packet ? point_text(line) : sum_text(line);
	char *text = packet ? text_of("%s  %s  %14s  %s\n", packet, spec_text(line, "point", ""),
				      time, what)
			    : text_of("%s\n", what);
	free(what);
	return text;
}

static const struct argument trace_arguments[] = {
	{"filter", NULL, ARGUMENT_TEXT, ARGUMENT_POSITIONAL | ARGUMENT_REST, NULL, NULL, 0, 0, NULL,
		"which packets, in the words of pcap-filter(7)"},
	{"count", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, WEFT_TRACE_COUNT_MAX, NULL,
		"end after so many packets"},
	{"for", "for_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 1, 86400, NULL,
		"end after this time"},
	{"sample", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 1000000000, "1",
		"look at one of so many packets, the same on every host"},
	{0},
};

extern const struct command trace_commands[];
const struct command trace_commands[] = {
	{.object = "trace",
		.arguments = trace_arguments,
		.help = "Follow packets from point to point: P0 left the VM, P1 decided, P2 handed "
			"to the underlay, P3 received from it, P4 decided, P5 handed to the port, "
			"P6 taken by the VM",
		.run = run_trace,
		.joined = true,
		.cancelled = trace_cancelled,
		.line = trace_line},
	{0},
};
