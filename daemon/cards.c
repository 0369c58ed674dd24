// SPDX-License-Identifier: BSD-2-Clause
// Postcards from the engine to their readers. Tracing ends by itself soon after weftd does: the
// host row says until when, and is renewed while somebody reads.
#include "daemon/cards.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include "daemon/fdb.h"
#include "daemon/latency.h"
#include "daemon/probe.h"

enum { RENEW_SECONDS = 1, FULL_MS = 5 };
#define LASTS_NS 4000000000ull

struct cards {
	struct weftd *weftd;
	struct card_reader *readers;
	struct event *readable, *renew, *go_on;
	u64 taken, lost, thrown;
	bool draining;
};

static void deliver(const struct weft_postcard *card, void *context)
{
	struct cards *cards = context;
	struct card_reader *next;
	cards->taken++;
	if (card->flags & WEFT_POSTCARD_PROBE) {
		probe_card(cards->weftd, card);
		return;
	}
	for (struct card_reader *reader = cards->readers; reader; reader = next) {
		next = reader->next; // it may end here
		if (reader->card)
			reader->card(card, reader->context);
	}
}

static void drain(struct cards *cards)
{
	struct weftd *weftd = cards->weftd;
	if (cards->draining) // who gets a card may begin to read them
		return;
	cards->draining = true;
	cards->lost = weftd->engine_ops->cards(weftd->engine, deliver, cards);
	cards->draining = false;
}

void cards_drain(struct weftd *weftd)
{
	if (weftd->cards)
		drain(weftd->cards);
}

// Those that nobody reads any more. This also asks for the last word on what was lost.
static void throw_away(struct cards *cards)
{
	u64 before, first = cards->taken;
	do {
		before = cards->taken;
		drain(cards);
	} while (cards->taken != before);
	cards->thrown += cards->taken - first;
}

// Every reader has more than it takes: then cards wait in the engine, which counts what it loses.
static bool all_full(const struct cards *cards)
{
	for (const struct card_reader *r = cards->readers; r; r = r->next)
		if (!r->full || !r->full(r->context))
			return false;
	return cards->readers != NULL; // probes are always taken
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	const struct timeval later = {.tv_usec = FULL_MS * 1000};
	struct cards *cards = context;
	(void)fd, (void)what;
	if (!all_full(cards)) {
		drain(cards);
		return;
	}
	event_del(cards->readable);
	event_add(cards->go_on, &later);
}

static void on_go_on(evutil_socket_t fd, short what, void *context)
{
	struct cards *cards = context;
	(void)fd, (void)what;
	event_add(cards->readable, NULL);
}

// The widest wish decides. Each reader sees more than it asked for, and says so by identity.
static void set_row(struct cards *cards)
{
	struct weft_host_row *row =
		cards->weftd->engine_ops->table_at(cards->weftd->engine, WEFT_TABLE_host, 0);
	u32 below = 0;
	for (const struct card_reader *r = cards->readers; r; r = r->next)
		below = r->below > below ? r->below : below;
	if (!row)
		return;
	__atomic_store_n(&row->trace_below, below, __ATOMIC_RELAXED);
	__atomic_store_n(
		&row->trace_until_ns, cards->readers ? clock_ns() + LASTS_NS : 0, __ATOMIC_RELEASE);
}

static void on_renew(evutil_socket_t fd, short what, void *context)
{
	struct cards *cards = context;
	(void)fd, (void)what;
	set_row(cards);
	if (!all_full(cards))
		drain(cards); // what came while the descriptor was silent
}

static struct cards *cards_of(struct weftd *weftd)
{
	struct cards *cards = weftd->cards;
	if (cards)
		return cards;
	int fd = weftd->engine_ops->card_fd(weftd->engine);
	cards = fd < 0 ? NULL : calloc(1, sizeof(*cards));
	if (!cards)
		return NULL;
	cards->weftd = weftd;
	cards->readable = event_new(weftd->base, fd, EV_READ | EV_PERSIST, on_readable, cards);
	cards->renew = event_new(weftd->base, -1, EV_PERSIST, on_renew, cards);
	cards->go_on = evtimer_new(weftd->base, on_go_on, cards);
	if (!cards->readable || !cards->renew || !cards->go_on)
		abort();
	event_add(cards->readable, NULL);
	return weftd->cards = cards;
}

int cards_listen(struct weftd *weftd)
{
	return cards_of(weftd) ? 0 : -ENOMEM;
}

int cards_begin(struct weftd *weftd, struct card_reader *reader, struct failure *failure)
{
	const struct timeval interval = {.tv_sec = RENEW_SECONDS};
	if (!weftd->engine_ops->cards) {
		fail(failure, -ENOTSUP, "wrong_engine", "the %s engine observes nothing",
			weftd->engine_ops->name);
		return fail_hint(failure, "start weftd with --engine ebpf or dpdk");
	}
	struct cards *cards = cards_of(weftd);
	if (!cards)
		return fail(failure, -ENOMEM, "engine_failed", "the %s engine has no postcards",
			weftd->engine_ops->name);
	if (!cards->readers) {
		throw_away(cards);
		event_add(cards->renew, &interval);
	}
	reader->next = cards->readers;
	cards->readers = reader;
	latency_follow(weftd); // who is traced is seen to arrive
	set_row(cards);
	return 0;
}

void cards_end(struct weftd *weftd, struct card_reader *reader)
{
	struct cards *cards = weftd->cards;
	struct card_reader **link = &cards->readers;
	while (*link && *link != reader)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = reader->next;
	set_row(cards);
	if (cards->readers)
		return;
	event_del(cards->renew);
	event_del(cards->go_on);
	event_add(cards->readable, NULL);
	throw_away(cards);
	latency_follow(weftd);
}

bool cards_read(const struct weftd *weftd)
{
	return weftd->cards && weftd->cards->readers;
}

u64 cards_lost(const struct weftd *weftd)
{
	return weftd->cards ? weftd->cards->lost + weftd->cards->thrown : 0;
}

void cards_close(struct weftd *weftd)
{
	struct cards *cards = weftd->cards;
	if (!cards)
		return;
	event_free(cards->readable);
	event_free(cards->renew);
	event_free(cards->go_on);
	free(cards);
	weftd->cards = NULL;
}
