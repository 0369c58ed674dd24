// SPDX-License-Identifier: BSD-2-Clause
// Postcards from the engine to their readers. Tracing ends by itself soon after weftd does: the
// host row says until when, and is renewed while somebody reads.
#include "daemon/cards.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include "daemon/fdb.h"
#include "daemon/latency.h"

enum { RENEW_SECONDS = 1 };
#define LASTS_NS 4000000000ull

struct cards {
	struct weftd *weftd;
	struct card_reader *readers;
	struct event *readable, *renew;
	u64 lost;
};

static void deliver(const struct weft_postcard *card, void *context)
{
	struct cards *cards = context;
	struct card_reader *next;
	for (struct card_reader *reader = cards->readers; reader; reader = next) {
		next = reader->next; // it may end here
		reader->card(card, reader->context);
	}
}

static void drain(struct cards *cards)
{
	struct weftd *weftd = cards->weftd;
	cards->lost = weftd->engine_ops->cards(weftd->engine, deliver, cards);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	drain(context);
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
	(void)fd, (void)what;
	set_row(context);
	drain(context); // what came while the descriptor was silent
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
	if (!cards->readable || !cards->renew)
		abort();
	return weftd->cards = cards;
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
		drain(cards); // of an earlier trace
		event_add(cards->readable, NULL);
		event_add(cards->renew, &interval);
	}
	reader->next = cards->readers;
	cards->readers = reader;
	set_row(cards);
	latency_follow(weftd);
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
	event_del(cards->readable);
	event_del(cards->renew);
	latency_follow(weftd);
}

u64 cards_lost(const struct weftd *weftd)
{
	return weftd->cards ? weftd->cards->lost : 0;
}

void cards_close(struct weftd *weftd)
{
	struct cards *cards = weftd->cards;
	if (!cards)
		return;
	event_free(cards->readable);
	event_free(cards->renew);
	free(cards);
	weftd->cards = NULL;
}
