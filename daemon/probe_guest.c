// SPDX-License-Identifier: BSD-2-Clause
// Guests, asked by their own weftd with what any guest answers by itself: ARP, ND. The time from
// handing over the question (P5) until the answer leaves the guest (P0) is the guest's share.
//
// Answers carry no number, so one question at a time goes to a port, and after one that was lost
// the next answer's time is not taken: it may be the lost one's.
#include <errno.h>
#include <string.h>
#include <utlist.h>
#include <weft/log.h>
#include "daemon/address.h"
#include "daemon/fdb.h"
#include "daemon/probe_parts.h"

LOG_MODULE(probe);

#define PATIENCE_NS 1000000000ull

// The gateway asks. A network that has none: nobody does (RFC 5227 section 2.1.1), or a station of
// the link that has the gateway's MAC.
static void choose_source(struct weftd *weftd, u32 network, struct probe_way *way)
{
	static const struct weft_ip nobody = {.byte = {[10] = 0xff, 0xff}},
				    link_local = {.byte = {0xfe, 0x80, [8] = 0, 0x57, 0x65, 0xff,
							  0xfe, 0x66, 0x74, 0x01}},
				    none;
	struct weft_index index = {network};
	struct weft_network_row row = {0};
	engine_get(weftd, network, &index, &row);
	way->src = WEFT_GATEWAY_MAC;
	if (address_v4(&way->ip_dst)) {
		way->ip_src = nobody;
		way->ip_src.word[3] = row.gateway4;
		return;
	}
	way->ip_src = link_local;
	if (memcmp(row.gateway6, &none, sizeof(none)) != 0)
		memcpy(&way->ip_src, row.gateway6, sizeof(way->ip_src));
}

void probe_guest_aim(struct weftd *weftd, struct probe_guest *guest, u32 port, u32 network,
	const struct probe_way *way)
{
	*guest = (struct probe_guest){.port = port, .way = *way, .session = guest->session};
	choose_source(weftd, network, &guest->way);
}

static void set_asked(struct weftd *weftd, u32 port, u32 asked)
{
	struct weft_guest_row *row =
		weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_guest, port);
	if (row)
		__atomic_store_n(&row->asked, asked, __ATOMIC_RELEASE);
}

static struct probe_guest *waiting_at(struct probes *probes, u32 port)
{
	struct probe_guest *guest;
	DL_FOREACH(probes->guests, guest)
	if (guest->port == port)
		return guest;
	return NULL;
}

static void wait_no_more(struct weftd *weftd, struct probe_guest *guest)
{
	DL_DELETE(weftd->probes->guests, guest);
	guest->asked_ns = 0;
	set_asked(weftd, guest->port, 0);
}

void probe_guest_end(struct weftd *weftd, struct probe_guest *guest)
{
	if (guest->asked_ns)
		wait_no_more(weftd, guest);
	guest->port = 0;
}

static void give_up(struct weftd *weftd, struct probe_guest *guest)
{
	wait_no_more(weftd, guest);
	guest->unsure = true;
}

void probe_guests_idle(struct weftd *weftd)
{
	struct probe_guest *guest, *next;
	DL_FOREACH_SAFE(weftd->probes->guests, guest, next)
	give_up(weftd, guest);
}

void probe_guest_ask(struct weftd *weftd, struct probe_guest *guest)
{
	u8 frame[PROBE_FRAME_MAX_BYTES];
	u64 now_ns = clock_ns();
	struct probe_guest *waits = waiting_at(weftd->probes, guest->port);
	if (waits && now_ns - waits->asked_ns < PATIENCE_NS)
		return;
	if (waits)
		give_up(weftd, waits);
	if (!guest->port)
		return;
	set_asked(weftd, guest->port, 1);
	u32 length = probe_question_build(&guest->way, frame);
	int error =
		weftd->engine_ops->send(weftd->engine, ENGINE_SEND_TO, guest->port, frame, length);
	if (error) {
		log_debug("no question to a guest port=%u: %s", guest->port, strerror(-error));
		set_asked(weftd, guest->port, 0);
		return;
	}
	guest->asked++;
	guest->asked_ns = now_ns;
	guest->out_ns = guest->in_ns = 0;
	DL_APPEND(weftd->probes->guests, guest);
}

u32 probe_guest_asked(const struct probe_guest *guest)
{
	return guest->asked - (guest->asked_ns ? 1 : 0);
}

// Cards may come in any order: another worker's can be first.
static void look_at_both(struct weftd *weftd, struct probe_guest *guest)
{
	if (!guest->out_ns || !guest->in_ns)
		return;
	u64 ns = guest->in_ns - guest->out_ns;
	guest->last_ns = guest->unsure || ns >> 32 ? 0 : (u32)ns;
	guest->unsure = false;
	guest->answered++;
	wait_no_more(weftd, guest);
	if (guest->session)
		probe_guest_answered(guest->session);
}

bool probe_guest_card(struct weftd *weftd, const struct weft_postcard *card)
{
	static const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	struct probe_guest *guest = waiting_at(weftd->probes, card->from);
	struct weft_ip ip;
	bool question = memcmp(card->frame + sizeof(gateway), &gateway, sizeof(gateway)) == 0;
	bool answer = memcmp(card->frame, &gateway, sizeof(gateway)) == 0;
	if (card->captured < 2 * sizeof(gateway) || (!question && !answer))
		return false;
	if (!guest || card->in_point != WEFT_POINT_P0)
		return true;
	if (question && card->reason)
		give_up(weftd, guest);
	else if (question)
		guest->out_ns = card->out_ns;
	else if (probe_answer_read(card, &ip) && address_same(&ip, &guest->way.ip_dst))
		guest->in_ns = card->in_ns;
	look_at_both(weftd, guest);
	return true;
}
