// SPDX-License-Identifier: BSD-2-Clause
// `weftctl path A B measure T`: after the dry half, what packets between the two took on this host
// meanwhile. Nothing is sent: who is to be measured talks.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <weft/control.h>
#include "daemon/cards.h"
#include "daemon/command_table.h"
#include "daemon/filter.h"
#include "daemon/host.h"
#include "daemon/latency.h"
#include "daemon/path.h"
#include "daemon/pending.h"
#include "daemon/place.h"
#include "daemon/port.h"
#include "daemon/trace.h"
#include "datapath/card.h"
#include "datapath/pipeline/histogram.h"

enum { THERE = PATH_THERE, BACK = PATH_BACK, WAYS = PATH_WAYS };
enum { DECIDE, HAND_OVER, QUEUE, BEYOND, HOPS };
enum { FLYING_MAX = 4096 };

struct flying { // handed to a port, not yet taken
	u64 identity, out_ns;
	u32 way;
	UT_hash_handle hh;
};

struct measure {
	struct card_reader reader;
	struct request *request;
	struct filter *filter; // NULL: `to` is a port
	u32 from, to;          // to 0: an address
	struct flying *flying;
	struct event *end;
	struct weft_guest_row question;
	u64 asked_ns; // 0: none waits
	bool peer;    // the way leads to another host
	struct weft_latency_row hops[WAYS][HOPS];
};

static const char *const hop_names[HOPS] = {"decide", "hand over", "queue", "beyond"};

static void count(struct weft_latency_row *row, u64 from_ns, u64 to_ns)
{
	histogram_count(row, histogram_between(from_ns, to_ns));
}

static void take_off(struct measure *m, const struct weft_postcard *card, u32 way)
{
	struct flying *flying = m->flying;
	if (HASH_COUNT(m->flying) == FLYING_MAX) {
		HASH_DEL(m->flying, flying);
		free(flying);
	}
	flying = calloc(1, sizeof(*flying));
	if (!flying)
		abort();
	*flying = (struct flying){.identity = card->identity, .out_ns = card->out_ns, .way = way};
	HASH_ADD(hh, m->flying, identity, sizeof(flying->identity), flying);
}

static void land(struct measure *m, const struct weft_postcard *card)
{
	struct flying *flying;
	HASH_FIND(hh, m->flying, &card->identity, sizeof(card->identity), flying);
	if (!flying)
		return;
	count(&m->hops[flying->way][QUEUE], flying->out_ns, card->out_ns);
	HASH_DEL(m->flying, flying);
	free(flying);
}

enum path_way path_way(const struct weft_postcard *card, u32 from, u32 to)
{
	if (card->from == from && (!to || card->to == to))
		return PATH_THERE;
	return card->to == from && (!to || card->from == to) ? PATH_BACK : PATH_WAYS;
}

// For an answer, to a question that is not too old to have one.
static bool waits(const struct measure *m, const struct weft_postcard *card)
{
	return m->asked_ns && (s64)(card->out_ns - m->asked_ns) < (s64)GUEST_PATIENCE_NS;
}

static void take_card(const struct weft_postcard *card, void *context)
{
	struct measure *m = context;
	struct flying *known;
	if (card->out_point == WEFT_POINT_P6) {
		land(m, card);
		return;
	}
	u32 way = path_way(card, m->from, m->to);
	if (way == WAYS || !filter_passes(m->filter, card) || card->action == WEFT_ACTION_drop)
		return;
	if (card->in_ns) // else not observed
		count(&m->hops[way][DECIDE], card->in_ns, card->decided_ns);
	count(&m->hops[way][HAND_OVER], card->decided_ns, card->out_ns);
	HASH_FIND(hh, m->flying, &card->identity, sizeof(card->identity), known);
	if (card->out_point == WEFT_POINT_P5 && !known)
		take_off(m, card, way);
	if (way == THERE && !waits(m, card) && card_asks(card, &m->question)) {
		m->asked_ns = card->out_ns;
		m->peer = card->out_point == WEFT_POINT_P2;
	} else if (way == BACK && m->asked_ns && card->in_ns && card_answers(card, &m->question)) {
		count(&m->hops[THERE][BEYOND], m->asked_ns, card->in_ns);
		m->asked_ns = 0;
	}
}

static void put_hop(struct measure *m, u32 way, u32 hop)
{
	const struct weft_latency_row *row = &m->hops[way][hop];
	const char *what = hop != BEYOND ? (way == THERE ? "there" : "back")
			   : m->peer     ? "underlay, the other host and its guest"
					 : "the guest, its queue included";
	if (!row->count)
		return;
	request_line(m->request,
		json_pack("{s:n, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:n}", "step", "host",
			host_name(m->request->weftd), "what", what, "verdict", "measured", "hop",
			hop_names[hop], "count", (json_int_t)row->count, "p50_ns",
			(json_int_t)latency_quantile(row, 0.5), "p99_ns",
			(json_int_t)latency_quantile(row, 0.99), "why"));
}

static bool saw_any(const struct measure *m)
{
	return m->hops[THERE][HAND_OVER].count || m->hops[BACK][HAND_OVER].count;
}

static void put_all(struct measure *m)
{
	static const u32 order[][2] = {{THERE, DECIDE}, {THERE, HAND_OVER}, {THERE, QUEUE},
		{THERE, BEYOND}, {BACK, DECIDE}, {BACK, HAND_OVER}, {BACK, QUEUE}};
	if (!saw_any(m)) {
		request_line(m->request,
			json_pack("{s:n, s:s, s:s, s:s, s:n, s:i, s:n, s:n, s:s}", "step", "host",
				host_name(m->request->weftd), "what", "measured", "verdict",
				"nothing was seen", "hop", "count", 0, "p50_ns", "p99_ns", "why",
				"no packet between the two came by meanwhile: have one talk to the "
				"other, as with ping"));
		return;
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(order); i++)
		put_hop(m, order[i][0], order[i][1]);
}

static void measure_free(struct measure *m)
{
	struct flying *flying, *next;
	HASH_ITER (hh, m->flying, flying, next) {
		HASH_DEL(m->flying, flying);
		free(flying);
	}
	filter_free(m->filter);
	if (m->end)
		event_free(m->end);
	free(m);
}

static void cancelled(struct request *request)
{
	if (request->points) {
		trace_cancelled(request);
		return;
	}
	struct measure *m = request->context;
	cards_drain(request->weftd);
	cards_end(request->weftd, &m->reader);
	put_all(m);
	measure_free(m);
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
	struct request *request = ((struct measure *)context)->request;
	bool any = saw_any(context);
	struct failure failure;
	(void)fd, (void)what;
	cancelled(request);
	fail(&failure, -ETIMEDOUT, "not_seen", "nothing was seen to measure");
	failure.exit_status = WEFT_EXIT_PARTIAL;
	request_done(request, any ? NULL : &failure);
}

// "10.1.0.2:80" -> "host 10.1.0.2 and port 80"
static int aim(struct measure *m, const char *from, const char *to, struct failure *failure)
{
	struct target target, sender;
	const struct object *port = path_port(m->request->weftd, to, &target);
	char text[192] = "";
	int used = 0;
	if (!object_find(m->request->weftd, &noun_port, from) && path_target(from, &sender))
		used = snprintf(text, sizeof(text), "host %s", sender.name);
	if (port)
		m->to = port->id;
	else if (path_target(to, &target)) // the dry half has read it, too
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%shost %s",
			used ? " and " : "", target.name);
	if (target.port)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%s%sport %u",
			used ? " and " : "",
			spec_text(m->request->arguments, "proto", ""), // none: of any
			json_object_get(m->request->arguments, "proto") ? " " : "", target.port);
	return used ? filter_new(text, &m->filter, failure) : 0;
}

static int put_dry(struct request *request, const struct object **sender)
{
	json_t *steps = json_array(), *step;
	size_t i;
	int error = path_dry(request->weftd, request->arguments, steps, sender, &request->failure);
	if (!error)
		json_array_foreach (steps, i, step)
			request_line(request, json_incref(step));
	json_decref(steps);
	return error;
}

static int run_measure(struct request *request)
{
	struct weftd *weftd = request->weftd;
	const struct object *sender;
	if (request->points)
		return path_points(request);
	const struct timeval time = {
		.tv_sec = spec_number(request->arguments, "measure_seconds", 1)};
	int error = put_dry(request, &sender);
	if (error)
		return error;
	struct measure *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->request = request;
	m->from = sender->id;
	m->reader = (struct card_reader){.card = take_card,
		.context = m,
		.below = weft_sample_below((u32)spec_number(request->arguments, "sample", 1))};
	error = aim(m, spec_text(request->arguments, "from", ""),
		spec_text(request->arguments, "to", ""), &request->failure);
	if (!error)
		error = cards_begin(weftd, &m->reader, &request->failure);
	if (error) {
		measure_free(m);
		return error;
	}
	request->context = m;
	m->end = evtimer_new(weftd->base, on_end, m);
	if (!m->end || event_add(m->end, &time))
		abort();
	return request_later(request, 0);
}

static const struct argument arguments[] = {
	PATH_ARGUMENTS,
	PATH_PROTO,
	{"measure", "measure_seconds", ARGUMENT_DURATION, ARGUMENT_REQUIRED, NULL, NULL, 1, 3600,
		NULL, "for how long"},
	{"sample", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 1000000000, "1",
		"look at one of so many packets, the hops of one host"},
	PATH_PLOT,
	{0},
};

extern const struct command path_measure_commands[];
const struct command path_measure_commands[] = {
	{.object = "path",
		.arguments = arguments,
		.help = "Say what would happen when a port talks to an address, then measure the "
			"hops of the packets between the two; of several hosts, or to be drawn, as "
			"one way",
		.columns = "step,host,what,verdict,hop,count,p50_ns,p99_ns,why",
		.joined = true,
		.run = run_measure,
		.cancelled = cancelled},
	{0},
};
