// SPDX-License-Identifier: BSD-2-Clause
// `weftctl probe A B`: the command; a session asks, and sums up at its end.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>
#include <weft/control.h>
#include "daemon/command_table.h"
#include "daemon/fdb.h"
#include "daemon/place.h"
#include "daemon/path.h"
#include "daemon/pending.h"
#include "daemon/probe_parts.h"

enum {
	COUNT_MAX = 100000,
	LINES_MAX = 20,       // so few probes have a line each, for people
	GRACE_MS = 1000,      // for the last answer
	ERROR_FIELD = 0x4001, // RFC 8762 section 4.2.1: not synchronized, PTP's format, 2^-32 s
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
	probe_guest_end(session->request->weftd, &session->guest);
	if (session->timer)
		event_free(session->timer);
	json_decref(session->result.service);
	free(session->result.guest_from.ns);
	free(session->result.guest_to.ns);
	free(session->ones);
	free(session);
}

// --- asking

static void finish(struct probe_session *s)
{
	struct request *request = s->request;
	struct probe_result *r = &s->result;
	u32 lost = r->sent - r->received;
	struct failure failure;
	r->guest_from.asked = s->guest.asked; // what waits until now is lost
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
	probe_watch(weftd);
	if (s->result.sent && !one[-1].answers) // else that has asked A's guest
		probe_guest_ask(weftd, &s->guest);
	one->sent_ns = clock_ns();
	probe_time_put(probe.sent, one->sent_ns);
	if (!s->result.guest_to.why)
		probe.seen |= WEFT_PROBE_GUEST;
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

void probe_session_look(struct probe_session *s)
{
	if (s->result.sent == s->count && s->result.received == s->count && !s->guest.asked_ns)
		arm(s, 0); // that was all; from the timer, for what waits in the ring
}

void probe_session_shown(struct probe_session *s, u32 number)
{
	// Now, as B's is asked when the probe has come: caches are as warm.
	probe_guest_ask(s->request->weftd, &s->guest);
	if (s->request->json || s->count <= LINES_MAX)
		request_line(s->request, probe_show_one(&s->result, number));
	probe_session_look(s);
}

static void probe_cancelled(struct request *request)
{
	struct probe_session *s = request->context;
	request_line(request, probe_show(&s->result));
	session_free(s);
}

// --- the command

static int prepare(struct probe_session *s)
{
	struct request *request = s->request;
	const json_t *words = request->arguments;
	s->from_name = spec_text(words, "from", "");
	s->count = (u32)spec_number(words, "count", 10);
	s->interval_ms = (u32)spec_number(words, "interval_ms", 100);
	int error = probe_aim(s);
	if (error)
		return error;
	u32 least = probe_frame_least(&s->way);
	s->bytes = (u32)spec_number(words, "size_bytes", least);
	if (s->bytes < least)
		return fail_words(
			&request->failure, "size: a probe there has %u bytes at least", least);
	s->ones = calloc(s->count, sizeof(*s->ones));
	s->timer = evtimer_new(request->weftd->base, on_timer, s);
	s->result.guest_from.ns = calloc(s->count, sizeof(u32));
	s->result.guest_to.ns = calloc(s->count, sizeof(u32));
	if (!s->ones || !s->timer || !s->result.guest_from.ns || !s->result.guest_to.ns ||
		getrandom(&s->id, sizeof(s->id), 0) != sizeof(s->id))
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
	error = weftd->engine_ops->send(weftd->engine, ENGINE_SEND_FROM, 0, NULL, 0);
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
		NULL,
		"a port of this host, or a guest's IP or MAC address; a service's address with a "
		"port: who serves there"},
	{"count", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, COUNT_MAX, "10", "how many probes"},
	{"interval", "interval_ms", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 60000, "100",
		"milliseconds between them"},
	{"size", "size_bytes", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 9014, NULL,
		"bytes of each frame, without a tag; as small as can be without it"},
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL,
		"in which network, if both are in several"},
	PATH_PROTO,
	{"from-port", "from_port", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 65535, "862",
		"the client's, by which a service chooses who serves, or knows the connection"},
	{"guests", NULL, ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, "on",
		"ask the guests at both ends, too (ARP, ND)"},
	{0},
};

extern const struct command probe_commands[];
const struct command probe_commands[] = {
	{.object = "probe",
		.arguments = probe_arguments,
		.help = "Measure the way from a port to another and back with test packets of "
			"weft's own, which no guest sees: loss, reordering, delays each way; and "
			"how "
			"long the guests at both ends take to answer an ARP or ND request",
		.run = run_probe,
		.cancelled = probe_cancelled,
		.line = probe_line},
	{0},
};
