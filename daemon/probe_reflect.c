// SPDX-License-Identifier: BSD-2-Clause
// What comes of probes on this host: cards go to the session that asks, or are answered from the
// place where the probe has come (a stateful STAMP reflector: RFC 8762 section 4.3.1).
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weft/log.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "daemon/cards.h"
#include "daemon/fdb.h"
#include "daemon/host.h"
#include "daemon/place.h"
#include "daemon/probe.h"
#include "daemon/probe_parts.h"

LOG_MODULE(probe);

enum { IDENTITY_SEED = 1 };
enum { WATCH_SECONDS = 3 };

static struct probe_asker *asker_of(struct weftd *weftd, u32 session, u32 from)
{
	struct probes *probes = weftd->probes;
	struct probe_asker *oldest = probes->askers;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(probes->askers); i++) {
		struct probe_asker *asker = &probes->askers[i];
		if (asker->seen_ns && asker->session == session && asker->from == from)
			return asker;
		if (asker->seen_ns < oldest->seen_ns)
			oldest = asker;
	}
	probe_guest_end(weftd, &oldest->guest);
	*oldest = (struct probe_asker){.session = session, .from = from};
	return oldest;
}

static struct probe_asker *asker_known(struct probes *probes, u32 session)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(probes->askers); i++)
		if (probes->askers[i].seen_ns && probes->askers[i].session == session)
			return &probes->askers[i];
	return NULL;
}

int probe_send(struct weftd *weftd, u32 port, const struct probe_way *way,
	const struct weft_probe *probe, u32 bytes)
{
	u8 frame[PROBE_FRAME_MAX_BYTES];
	u32 length = probe_frame_build(weftd->probes->key, way, probe, bytes, frame);
	return weftd->engine_ops->send(weftd->engine, ENGINE_SEND_FROM, port, frame, length);
}

// Has the question come before? (As RFC 4303 section 3.4.3 keeps its window.) One that is overtaken
// by 64 others is taken for a first one.
static bool comes_again(struct probe_asker *asker, u32 number)
{
	u32 behind = asker->asked_next - number; // 1: the highest
	if (number >= asker->asked_next) {
		u32 ahead = number + 1 - asker->asked_next;
		asker->asked = (ahead < 64 ? asker->asked << ahead : 0) | 1;
		asker->asked_next = number + 1;
		return false;
	}
	u64 bit = behind <= 64 ? 1ull << (behind - 1) : 0;
	bool again = asker->asked & bit;
	asker->asked |= bit;
	return again;
}

static void fill_answer(struct probe_asker *asker, const struct weft_probe *asked,
	const struct weft_postcard *card, struct weft_probe *answer)
{
	*answer = (struct weft_probe){
		.sequence = weft_hton32(asker->sequence),
		.error = asked->error,
		.asked_sequence = asked->sequence,
		.asked_error = asked->error,
		.asked_ttl = 64,
		.session = asked->session,
		.kind = WEFT_PROBE_ANSWERS,
		.clock = weft_hton32(probe_clock()),
	};
	memcpy(answer->asked_sent, asked->sent, sizeof(answer->asked_sent));
	probe_time_put(answer->received, card->out_ns);
	if (card->in_ns) {
		answer->seen |= WEFT_PROBE_SEEN_IN;
		answer->in_ns = weft_hton32((u32)(card->out_ns - card->in_ns));
	}
	answer->seen |= asker->last_seen;
	answer->last = weft_hton32(asker->last);
	answer->last_late = weft_hton32(asker->last_late);
	answer->last_out = weft_hton32(asker->last_out);
}

// What its guest says, as the one asks who sends probes to it.
static void ask_guest(struct weftd *weftd, struct probe_asker *asker,
	const struct probe_way *question, u16 tag, const struct weft_postcard *card,
	struct weft_probe *answer)
{
	struct probe_guest *guest = &asker->guest;
	struct probe_way way = *question;
	way.tag = tag;
	if (guest->port != card->to) {
		probe_guest_end(weftd, guest);
		probe_guest_aim(weftd, guest, card->to, card->network, &way);
	}
	answer->seen |= WEFT_PROBE_GUEST;
	answer->guest_asked = weft_hton32(probe_guest_asked(guest));
	answer->guest_answered = weft_hton32(guest->answered);
	answer->guest_ns = weft_hton32(guest->last_ns);
	probe_guest_ask(weftd, guest);
}

// From where it came to whence it came.
static void reflect(struct weftd *weftd, const struct weft_probe *asked, const struct probe_way *to,
	const struct weft_postcard *card)
{
	struct probe_asker *asker = asker_of(weftd, weft_ntoh32(asked->session), card->from);
	struct probe_way way = {to->dst, to->src, to->ip_dst, to->ip_src, 0};
	const struct object *port = place_at(weftd, card->to);
	struct weft_probe answer;
	if (!port || !place_in(weftd, port, card->network, &way.tag) ||
		weftd->engine_ops->send(weftd->engine, ENGINE_SEND_FROM, 0, NULL, 0))
		return;
	bool again = comes_again(asker, weft_ntoh32(asked->sequence));
	fill_answer(asker, asked, card, &answer);
	if (again && asker->sequence) // a twin is answered, and not counted
		answer.sequence = weft_hton32(asker->sequence - 1);
	if (asked->seen & WEFT_PROBE_GUEST)
		ask_guest(weftd, asker, to, way.tag, card, &answer);
	asker->seen_ns = clock_ns();
	asker->sent_ns = asker->seen_ns;
	probe_time_put(answer.sent, asker->sent_ns);
	// As large as the question: the way back is measured as the way there.
	u32 bytes = card->bytes, least = probe_frame_least(&way);
	if (card->frame[12] == 0x81 && card->frame[13] == 0)
		bytes -= (u32)sizeof(u32);
	bytes = bytes < least ? least : bytes;
	int error = bytes + 4 > PROBE_FRAME_MAX_BYTES
			    ? -EMSGSIZE
			    : probe_send(weftd, card->to, &way, &answer, bytes);
	if (error)
		log_debug("no answer to a probe port=%s: %s", port->name, strerror(-error));
	else if (!again)
		asker->sequence++;
}

// An answer of this host has left: the next one tells the asker when.
static void answer_left(
	struct probes *probes, const struct weft_probe *answer, const struct weft_postcard *card)
{
	struct probe_asker *asker = asker_known(probes, weft_ntoh32(answer->session));
	if (!asker || !card->in_ns)
		return;
	u64 late_ns = card->in_ns - probe_time_get(answer->sent);
	asker->last = weft_ntoh32(answer->sequence);
	asker->last_late = (u32)late_ns;
	asker->last_out = (u32)(card->out_ns - card->in_ns);
	asker->last_seen = late_ns >> 32 ? 0 : WEFT_PROBE_SEEN_LAST | WEFT_PROBE_SEEN_OUT;
}

void probe_card(struct weftd *weftd, const struct weft_postcard *card)
{
	struct weft_probe probe;
	struct probe_way way;
	if (!weftd->probes || probe_guest_card(weftd, card) ||
		!probe_frame_read(card, &probe, &way))
		return;
	struct probe_session *session = probe_session_find(weftd, weft_ntoh32(probe.session));
	bool entered = card->in_point == WEFT_POINT_P0; // here, else it comes from a peer
	bool arrived = card->action == WEFT_ACTION_forward;
	if (probe.kind == WEFT_PROBE_ASKS) {
		if (entered && session)
			probe_left(session, &probe, card);
		if (arrived) {
			probe_watch(weftd);
			reflect(weftd, &probe, &way, card);
		}
		return;
	}
	if (entered)
		answer_left(weftd->probes, &probe, card);
	if (entered && session)
		probe_answer_left(session, &probe, card);
	if (arrived && session)
		probe_answered(session, &probe, card);
}

// --- stamps while there are probes

static void on_idle(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	weftd->probes->watching = false;
	probe_guests_idle(weftd);
	cards_end(weftd, &weftd->probes->reader);
}

void probe_watch(struct weftd *weftd)
{
	const struct timeval idle = {.tv_sec = WATCH_SECONDS};
	struct probes *probes = weftd->probes;
	struct failure ignored;
	event_add(probes->idle, &idle); // begins anew
	if (!probes->watching)
		probes->watching = !cards_begin(weftd, &probes->reader, &ignored);
}

// --- the key

static const char *key_text(struct weftd *weftd)
{
	const struct object *host = object_first(weftd, &noun_host);
	return host ? spec_text(host->spec, "probe_key", NULL) : NULL;
}

bool probe_key_set(struct weftd *weftd)
{
	return key_text(weftd) != NULL;
}

void probe_key_follow(struct weftd *weftd)
{
	struct probes *probes = weftd->probes;
	struct weft_host_row *row = weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_host, 0);
	const char *text = key_text(weftd);
	if (!probes || !row)
		return;
	memcpy(probes->key, probes->random, sizeof(probes->key));
	if (text) {
		XXH128_hash_t hash = XXH3_128bits(text, strlen(text));
		probes->key[0] = hash.low64;
		probes->key[1] = hash.high64 | 1; // both zero: none
	}
	// Who does not know the secret cannot tell which of its packets are traced.
	__atomic_store_n(&row->identity_key,
		text ? XXH3_64bits_withSeed(text, strlen(text), IDENTITY_SEED) : 0,
		__ATOMIC_RELAXED);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(probes->key); i++)
		__atomic_store_n(&row->probe_key[i], probes->key[i], __ATOMIC_RELAXED);
}

int probe_open(struct weftd *weftd)
{
	if (!weftd->engine_ops->send || !weftd->engine_ops->cards)
		return 0;
	struct probes *probes = calloc(1, sizeof(*probes));
	if (!probes)
		abort();
	if (getrandom(probes->random, sizeof(probes->random), 0) != sizeof(probes->random)) {
		free(probes);
		return -EIO;
	}
	probes->idle = evtimer_new(weftd->base, on_idle, weftd);
	if (!probes->idle)
		abort();
	weftd->probes = probes;
	probe_key_follow(weftd);
	return cards_listen(weftd);
}

void probe_close(struct weftd *weftd)
{
	struct probes *probes = weftd->probes;
	if (!probes)
		return;
	if (probes->watching)
		cards_end(weftd, &probes->reader);
	event_free(probes->idle);
	free(probes);
	weftd->probes = NULL;
}
