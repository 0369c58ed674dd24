// SPDX-License-Identifier: BSD-2-Clause
// `weftctl probe A B`: test packets from A's place to B's, on the way that the guests' packets
// take.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>
#include <weft/control.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/explain.h"
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/pending.h"
#include "daemon/port.h"
#include "daemon/probe.h"
#include "daemon/probe_parts.h"
#include "daemon/value.h"

enum {
	COUNT_MAX = 100000,
	LINES_MAX = 20,       // so few probes have a line each, for people
	GRACE_MS = 1000,      // for the last answer
	ERROR_FIELD = 0x4001, // RFC 8762 section 4.2.1: not synchronized, PTP's format, 2^-32 s
};

struct probe_session {
	struct request *request;
	u32 id;
	const char *from_name; // of the request's words
	u32 from, network, to; // to: the place of B
	struct probe_way way;
	u32 bytes, count;
	u32 interval_ms;
	struct probe_one *ones;
	struct probe_result result;
	u32 highest; // question that was answered, and one more
	struct event *timer;
	struct probe_session *prev, *next;
};

struct probe_session *probe_session_find(struct weftd *weftd, u32 id)
{
	struct probe_session *session;
	DL_FOREACH(weftd->probes->sessions, session)
	if (session->id == id)
		return session;
	return NULL;
}

static void session_free(struct probe_session *session)
{
	struct probes *probes = session->request->weftd->probes;
	if (session->id)
		DL_DELETE(probes->sessions, session);
	if (session->timer)
		event_free(session->timer);
	free(session->ones);
	free(session);
}

// --- who asks whom

static int no_station(struct failure *failure, const char *whom, const char *network)
{
	fail(failure, -ENOENT, "not_found", "nobody is known to be %s in network %s", whom,
		network);
	return fail_hint(failure, "let it send something, a ping for one, and try again");
}

// A station behind the port: heard last, else its own NIC.
static void station_of(struct weftd *weftd, const struct object *port, struct explain_station *s)
{
	char text[MAC_TEXT_BYTES];
	s->place = port->id;
	if (explain_know_ip(weftd, false, s) || explain_know_ip(weftd, true, s) ||
		explain_know_mac(weftd, s))
		return;
	port_guest_mac(weftd, port, text);
	s->mac = mac_read(text);
	s->mac_known = true;
}

static int read_target(struct weftd *weftd, const char *text, const struct object *network,
	struct explain_station *s, struct failure *failure)
{
	static const struct argument address = {.word = "to", .kind = ARGUMENT_ADDRESS},
				     mac = {.word = "to", .kind = ARGUMENT_MAC};
	const struct object *port = object_find(weftd, &noun_port, text);
	json_t *value = port ? NULL : value_parse(&address, text, NULL);
	u16 tag;
	if (port) {
		station_of(weftd, port, s);
		if (!place_in(weftd, port, network->id, &tag))
			return fail(failure, -EINVAL, "bad_value", "port %s is not in network %s",
				text, network->name);
		return 0;
	}
	if (value) {
		s->ip = address_read(json_string_value(value));
		s->ip_known = true;
		json_decref(value);
		return explain_know_ip(weftd, !address_v4(&s->ip), s)
			       ? 0
			       : no_station(failure, text, network->name);
	}
	value = value_parse(&mac, text, NULL);
	if (!value) {
		fail(failure, -ENOENT, "not_found", "there is no port '%.64s' on this host", text);
		return fail_hint(
			failure, "behind a peer, a port goes by its guest's IP or MAC address");
	}
	s->mac = mac_read(json_string_value(value));
	s->mac_known = true;
	json_decref(value);
	if (!explain_know_ip(weftd, false, s))
		explain_know_ip(weftd, true, s);
	return 0;
}

// Who has no address that is known gets one that says so: RFC 7600 section 4.8, RFC 6666.
static void assume_ip(struct weft_ip *ip, bool v6)
{
	static const struct weft_ip dummy4 = {{{[10] = 0xff, 0xff, 192, 0, 0, 8}}},
				    dummy6 = {{{1, [15] = 8}}};
	*ip = v6 ? dummy6 : dummy4;
}

static bool find_place(struct weftd *weftd, u32 network, const struct weft_mac *mac, u32 *place)
{
	struct weft_fdb_key key = {.network = network, .mac = *mac};
	struct weft_fdb_row row;
	if (engine_get(weftd, fdb, &key, &row))
		return false;
	*place = row.port;
	return true;
}

static int check_places(struct probe_session *s, const struct object *network)
{
	struct weftd *weftd = s->request->weftd;
	struct failure *failure = &s->request->failure;
	char text[MAC_TEXT_BYTES];
	u32 from;
	mac_text(&s->way.src, text);
	if (!find_place(weftd, s->network, &s->way.src, &from) || from != s->from)
		return no_station(failure, text, network->name);
	mac_text(&s->way.dst, text);
	if (!find_place(weftd, s->network, &s->way.dst, &s->to))
		return no_station(failure, text, network->name);
	const struct object *to = place_at(weftd, s->to);
	if (s->to == s->from) {
		fail(failure, -EINVAL, "bad_value", "%s is behind port %s itself", text,
			s->from_name);
		return fail_hint(failure, "weft sees nothing of what they say to each other");
	}
	if (!to || !place_is_peer(to) || probe_key_set(weftd))
		return 0;
	fail(failure, -ENOKEY, "no_key",
		"probes between hosts need a secret by which peer %s knows them", to->name);
	return fail_hint(failure, "say `host set probe-key SECRET`, the same on every host");
}

static const struct object *find_network(struct weftd *weftd, const struct object *from,
	const char *to, const json_t *words, u16 *tag)
{
	const char *given = spec_text(words, "network", NULL);
	const struct object *port = object_find(weftd, &noun_port, to);
	u16 ignored;
	for (struct object *n = object_first(weftd, &noun_network); n; n = n->hh.next)
		if (place_in(weftd, from, n->id, tag) && (!given || !strcmp(given, n->name)) &&
			(!port || place_in(weftd, port, n->id, &ignored)))
			return n;
	return NULL;
}

static int aim(struct probe_session *s)
{
	struct request *request = s->request;
	struct weftd *weftd = request->weftd;
	const char *to = spec_text(request->arguments, "to", "");
	const struct object *from = object_find(weftd, &noun_port, s->from_name);
	if (!from)
		return fail(&request->failure, -ENOENT, "not_found", "there is no port '%s'",
			s->from_name);
	const struct object *network =
		find_network(weftd, from, to, request->arguments, &s->way.tag);
	if (!network) {
		fail(&request->failure, -EINVAL, "bad_value",
			"port %s has no network in which it could reach %.64s", from->name, to);
		return fail_hint(&request->failure, "look at `port show`");
	}
	struct explain_station a = {.network = network->id}, b = a;
	int error = read_target(weftd, to, network, &b, &request->failure);
	if (error)
		return error;
	station_of(weftd, from, &a);
	bool v6 = b.ip_known ? !address_v4(&b.ip) : a.ip_known && !address_v4(&a.ip);
	if (!b.ip_known)
		assume_ip(&b.ip, v6);
	if (!a.ip_known || address_v4(&a.ip) == v6)
		assume_ip(&a.ip, v6);
	s->from = from->id;
	s->network = network->id;
	s->way = (struct probe_way){a.mac, b.mac, a.ip, b.ip, s->way.tag};
	return check_places(s, network);
}

// --- asking

static void finish(struct probe_session *s)
{
	struct request *request = s->request;
	struct probe_result *r = &s->result;
	u32 lost = r->sent - r->received;
	struct failure failure;
	request_line(request, probe_show(r));
	if (lost) {
		fail(&failure, -ETIMEDOUT, "lost", "%u of %u probes were not answered", lost,
			r->sent);
		if (r->refused)
			fail_hint(&failure, "this host dropped %u of them: %s", r->refused,
				drop_sentence(r->reason));
		else if (!r->received && !r->one_host)
			fail_hint(&failure,
				"is the peer up, does it know both addresses (`fdb show`), and has "
				"it the same probe-key? Its `drops show` may say more");
		failure.exit_status = WEFT_EXIT_PARTIAL;
	}
	session_free(s);
	request_done(request, lost ? &failure : NULL);
}

static void arm(struct probe_session *s, u32 ms)
{
	const struct timeval time = {
		.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(s->timer, &time);
}

static int ask(struct probe_session *s)
{
	struct weftd *weftd = s->request->weftd;
	struct probe_one *one = &s->ones[s->result.sent];
	struct weft_probe probe = {
		.sequence = weft_hton32(s->result.sent),
		.error = weft_hton16(ERROR_FIELD),
		.session = weft_hton32(s->id),
		.kind = WEFT_PROBE_ASKS,
		.clock = weft_hton32(probe_clock()),
	};
	one->sent_ns = clock_ns();
	probe_time_put(probe.sent, one->sent_ns);
	probe_watch(weftd);
	int error = probe_send(weftd, s->from, &s->way, &probe, s->bytes);
	if (!error)
		s->result.sent++;
	return error;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct probe_session *s = context;
	struct request *request = s->request;
	(void)fd, (void)what;
	if (s->result.sent == s->count) {
		finish(s);
		return;
	}
	int error = ask(s);
	if (!error) {
		arm(s, s->result.sent == s->count ? GRACE_MS : s->interval_ms);
		return;
	}
	struct failure failure;
	fail(&failure, error, "engine_failed", "the %s engine does not send: %s",
		request->weftd->engine_ops->name, strerror(-error));
	session_free(s);
	request_done(request, &failure);
}

static void probe_cancelled(struct request *request)
{
	struct probe_session *s = request->context;
	request_line(request, probe_show(&s->result));
	session_free(s);
}

// --- what comes of it

static struct probe_one *one_of(struct probe_session *s, be32 sequence)
{
	u32 number = weft_ntoh32(sequence);
	return number < s->count && s->ones[number].sent_ns ? &s->ones[number] : NULL;
}

void probe_left(
	struct probe_session *s, const struct weft_probe *probe, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, probe->sequence);
	if (!one)
		return;
	one->in_ns = card->in_ns;
	one->out_ns = card->out_ns;
	if (card->action != WEFT_ACTION_drop)
		return;
	one->reason = card->reason;
	s->result.refused++;
	s->result.reason = card->reason;
}

// What an answer says of the one before it.
static void take_last(struct probe_session *s, const struct weft_probe *answer)
{
	if (!(answer->seen & WEFT_PROBE_SEEN_LAST))
		return;
	u32 last = weft_ntoh32(answer->last);
	// Answers have numbers of their own: that of the question is known when it has come.
	for (u32 back = 0; back < s->highest; back++) {
		struct probe_one *one = &s->ones[s->highest - 1 - back];
		if (!one->back_ns || one->answers_number != last)
			continue;
		one->late = true;
		one->back_late_ns = weft_ntoh32(answer->last_late);
		one->back_out = answer->seen & WEFT_PROBE_SEEN_OUT;
		one->back_out_ns = weft_ntoh32(answer->last_out);
		return;
	}
}

static void count_order(struct probe_session *s, u32 number, const struct weft_probe *answer)
{
	struct probe_result *r = &s->result;
	if (number < s->highest) // RFC 4737: it comes behind one that was sent later
		r->reordered++;
	else
		s->highest = number + 1;
	u32 count = weft_ntoh32(answer->sequence);
	if (count >= r->last_count) {
		r->last_count = count;
		r->last_asked = number;
	}
}

void probe_answered(
	struct probe_session *s, const struct weft_probe *answer, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, answer->asked_sequence);
	u32 number = weft_ntoh32(answer->asked_sequence);
	if (!one)
		return;
	if (one->answers++) {
		s->result.duplicates++;
		return;
	}
	one->answers_number = weft_ntoh32(answer->sequence);
	one->there_ns = probe_time_get(answer->received);
	one->there_in = answer->seen & WEFT_PROBE_SEEN_IN;
	one->there_in_ns = weft_ntoh32(answer->in_ns);
	one->back_sent_ns = probe_time_get(answer->sent);
	one->back_in_ns = card->in_ns;
	one->back_ns = card->out_ns;
	s->result.received++;
	s->result.one_clock = answer->clock == weft_hton32(probe_clock());
	take_last(s, answer);
	count_order(s, number, answer);
	if (s->request->json || s->count <= LINES_MAX)
		request_line(s->request, probe_show_one(&s->result, number));
	if (s->result.sent == s->count && s->result.received == s->count)
		arm(s, 0); // that was all; from the timer, for what waits in the ring
}

// Both ends are here: what the other end would say later is known now.
void probe_answer_left(
	struct probe_session *s, const struct weft_probe *answer, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, answer->asked_sequence);
	if (!one || !card->in_ns)
		return;
	one->late = true;
	one->back_late_ns = card->in_ns - probe_time_get(answer->sent);
}

// --- the command

static int prepare(struct probe_session *s)
{
	struct request *request = s->request;
	const json_t *words = request->arguments;
	s->from_name = spec_text(words, "from", "");
	s->count = (u32)spec_number(words, "count", 10);
	s->interval_ms = (u32)spec_number(words, "interval_ms", 100);
	int error = aim(s);
	if (error)
		return error;
	u32 least = probe_frame_least(&s->way);
	s->bytes = (u32)spec_number(words, "size_bytes", least);
	if (s->bytes < least)
		return fail_words(
			&request->failure, "size: a probe there has %u bytes at least", least);
	s->ones = calloc(s->count, sizeof(*s->ones));
	s->timer = evtimer_new(request->weftd->base, on_timer, s);
	if (!s->ones || !s->timer || getrandom(&s->id, sizeof(s->id), 0) != sizeof(s->id))
		return fail(&request->failure, -ENOMEM, "no_memory", "out of memory");
	s->id |= 1;
	const struct object *to = place_at(request->weftd, s->to);
	s->result.ones = s->ones;
	s->result.one_host = s->result.one_clock = !to || !place_is_peer(to);
	DL_APPEND(request->weftd->probes->sessions, s);
	return 0;
}

static int run_probe(struct request *request)
{
	struct weftd *weftd = request->weftd;
	if (!weftd->probes) {
		fail(&request->failure, -ENOTSUP, "wrong_engine", "the %s engine sends no probes",
			weftd->engine_ops->name);
		return fail_hint(&request->failure, "start weftd with --engine ebpf or dpdk");
	}
	struct probe_session *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(&request->failure, -ENOMEM, "no_memory", "out of memory");
	s->request = request;
	int error = prepare(s);
	if (error) {
		session_free(s);
		return error;
	}
	error = weftd->engine_ops->send(weftd->engine, 0, NULL, 0);
	if (error) {
		session_free(s);
		return fail(&request->failure, error, "engine_failed",
			"the %s engine has no way in for probes: %s", weftd->engine_ops->name,
			strerror(-error));
	}
	request->context = s;
	arm(s, 0);
	return request_later(request, 0);
}

static char *probe_line(const struct request *request, const json_t *line)
{
	(void)request;
	return probe_text(line);
}

static const struct argument probe_arguments[] = {
	{"from", NULL, ARGUMENT_NAME, ARGUMENT_POSITIONAL | ARGUMENT_REQUIRED, NULL, "port", 0, 0,
		NULL, "the port from whose place it is sent"},
	{"to", NULL, ARGUMENT_TEXT, ARGUMENT_POSITIONAL | ARGUMENT_REQUIRED, NULL, "port", 0, 0,
		NULL, "a port of this host, or a guest's IP or MAC address"},
	{"count", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, COUNT_MAX, "10", "how many probes"},
	{"interval", "interval_ms", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 60000, "100",
		"milliseconds between them"},
	{"size", "size_bytes", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 9014, NULL,
		"bytes of each frame, without a tag; as small as can be without it"},
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"in which network, if both are in several"},
	{0},
};

extern const struct command probe_commands[];
const struct command probe_commands[] = {
	{.object = "probe",
		.arguments = probe_arguments,
		.help = "Measure the way from a port to another and back with test packets of "
			"weft's own, which no guest sees: loss, reordering, delays each way",
		.run = run_probe,
		.cancelled = probe_cancelled,
		.line = probe_line},
	{0},
};
