// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Probes (weft/probe.h) in the life of a packet: who may send them, where they may go.
//
// A probe of weftd's own enters as if a port had sent it; one from a peer was let in there. From
// anywhere else it is forged. It goes to peers as any packet does; where a port would get it,
// weftd does; it is never flooded, never answered, and teaches nothing.
//
// weftd asks guests, too: with what any guest answers by itself, ARP and ND, from the gateway. The
// question goes to the port undecided; of the answers, one is weftd's, others are dropped as ever.
#pragma once

#include <weft/probe.h>
#include <weft/tables.h>
#include <weft/verdict.h>
#include "datapath/pipeline/decide.h"
#include "datapath/pipeline/identity.h"

// May it be one? The only question that ordinary packets are asked.
weft_inline bool probe_suspect(const struct weft_key *key)
{
	return key->l4_dst == WEFT_PROBE_PORT && key->protocol == WEFT_IP_UDP &&
	       (key->flags & (WEFT_KEY_L4 | WEFT_KEY_FRAGMENT)) == WEFT_KEY_L4;
}

// Of a suspect: does its tag hold?
weft_inline bool probe_valid(
	const struct packet *p, const struct tables *tables, const struct weft_layout *layout)
{
	struct weft_index zero = {0};
	const struct weft_host_row *host = TABLE_GET(tables, host, &zero);
	u64 word, tag = 0;
	(void)tables;
	if (!host || !(host->probe_key[0] | host->probe_key[1]))
		return false;
	struct weft_sip sip = weft_sip_begin(host->probe_key);
	for (u32 i = 0; i < WEFT_PROBE_WORDS; i++) {
		if (!packet_word(p, layout->header_bytes + i * 8u, &word))
			return false;
		if (i == WEFT_PROBE_TAG)
			tag = word;
		else
			weft_sip_word(&sip, word);
	}
	return weft_sip_end(&sip, WEFT_PROBE_WORDS - 1) == tag;
}

// May it answer weftd's question to a guest? Nobody else asks guests from the gateway's MAC.
weft_inline bool probe_answer_suspect(const struct weft_key *key)
{
	bool arp = key->ethertype == WEFT_ETH_ARP && key->l4_src == WEFT_ARP_REPLY;
	return (arp || neighbour_advertises(key)) && mac_is_gateway(&key->dst);
}

// Of a suspect: has weftd asked?
weft_inline bool probe_answer(struct tables *tables, u32 port)
{
	struct weft_index index = {port};
	struct weft_guest_row *row = TABLE_ROW(tables, guest, &index);
	(void)tables;
	if (!row || !row->asked)
		return false;
	*(volatile u32 *)&row->asked = 0;
	return true;
}

// own: weftd itself has sent it.
weft_inline void probe_judge(struct weft_verdict *v, bool own)
{
	v->effects = 0;
	if (v->action == WEFT_ACTION_drop)
		return;
	if (!own && !(v->flags & WEFT_VERDICT_FROM_PEER))
		v->reason = WEFT_DROP_probe_forged;
	else if (v->action == WEFT_ACTION_forward || v->action == WEFT_ACTION_encap)
		return;
	else
		v->reason = WEFT_DROP_probe_unplaced;
	v->action = WEFT_ACTION_drop;
}
