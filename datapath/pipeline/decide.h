// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// decide: key -> verdict. The whole policy: a pure function over const tables, a list of stages.
//
// The including file has defined TABLE_GET(tables, name, key): a const row or NULL.
#pragma once

#include <weft/stages.h>
#include <weft/tables.h>
#include <weft/verdict.h>
#include "datapath/pipeline/balance.h"
#include "datapath/pipeline/parse.h"
#include "datapath/pipeline/reply.h"

// What the stages share while one packet is decided.
struct decide {
	const struct weft_key_head *key; // all of it: decide_whole
	const struct tables *tables;
	u64 now_ns;
	struct weft_verdict *verdict;
	const struct weft_port_row *port;
	const struct weft_network_row *network;
	struct balance *balance;
	struct weft_mac dst; // where in the network it goes: the frame's, or as a service says
	u32 outside; // enum weft_drop: no network claims it, for this reason; perhaps a service
		     // does
};

// The whole key, addresses and ports too. Who asks for it makes the verdict one of this flow alone;
// else it holds for all frames with the same head, and caches take it for them (flow.h). Ask only
// where the answer hangs on it: most networks should never come here.
weft_inline const struct weft_key *decide_whole(const struct decide *d)
{
	d->verdict->flags |= WEFT_VERDICT_DEEP;
	return (const struct weft_key *)d->key;
}

// A stage returns true when the verdict stands and the later stages are not asked.
weft_inline bool decide_drop(struct decide *d, enum weft_drop reason)
{
	d->verdict->action = WEFT_ACTION_drop;
	d->verdict->reason = reason;
	return true;
}

// mac: whose address the answer gives.
weft_inline bool decide_reply(struct decide *d, enum weft_reply reply, const struct weft_mac *mac)
{
	d->verdict->reply_mac = *mac;
	d->verdict->reply = reply;
	d->verdict->action = WEFT_ACTION_reply;
	return true;
}

// The packet is lost, for this reason, and its sender is told: from the address that it was sent
// to. False: nothing may be said.
weft_inline bool decide_refuse(struct decide *d, const struct weft_key *key, enum weft_drop reason)
{
	enum weft_reply reply = refuse_kind(key);
	if (!reply)
		return false;
	d->verdict->reason = reason;
	return decide_reply(d, reply, &key->dst);
}

weft_inline bool mac_is_group(const struct weft_mac *mac)
{
	return mac->byte[0] & 1;
}

weft_inline bool mac_is_gateway(const struct weft_mac *mac)
{
	const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	return parse_same_mac(mac, &gateway);
}

weft_inline struct weft_fdb_key fdb_key(u32 network, const struct weft_mac *mac)
{
	return (struct weft_fdb_key){.network = network, .mac = *mac};
}

// An aged row is no row, whether or not weftd has reclaimed it yet.
weft_inline bool fdb_live(
	const struct weft_fdb_row *row, const struct weft_network_row *network, u64 now_ns)
{
	return row->kind == WEFT_FDB_STATIC || network->ageing_ns == 0 ||
	       (s64)(now_ns - row->seen_ns) <= (s64)network->ageing_ns;
}

weft_inline bool ip_is_zero(const struct weft_ip *ip)
{
	return !(ip->word[0] | ip->word[1] | ip->word[2] | ip->word[3]);
}

weft_inline bool ip_is_gateway(const struct weft_network_row *network, const struct weft_ip *ip)
{
	const be32 *a = (const be32 *)network->gateway6, *b = ip->word;
	if (!(b[0] | b[1]) && b[2] == weft_hton32(0xffff))
		return network->gateway4 && b[3] == network->gateway4;
	return (a[0] | a[1] | a[2] | a[3]) && a[0] == b[0] && a[1] == b[1] && a[2] == b[2] &&
	       a[3] == b[3];
}

// The IP address that a frame with WEFT_KEY_BINDING tells of its source.
weft_inline struct weft_neighbour_key neighbour_key(u32 network, const struct weft_ip *ip)
{
	struct weft_neighbour_key key = {.network = network};
	__builtin_memcpy(key.ip, ip, sizeof(key.ip));
	return key;
}

weft_inline bool neighbour_advertises(const struct weft_key *key)
{
	return key->flags & WEFT_KEY_ND && key->l4_src == WEFT_ND_ADVERT;
}

weft_inline const struct weft_ip *neighbour_of(const struct weft_key *key)
{
	return neighbour_advertises(key) ? &key->ip_dst : &key->ip_src;
}

// What the frame says of its station. Only an advertisement says whether it routes, and without
// that an answer could take a router from its hosts (RFC 4861 section 7.2.5).
weft_inline u16 neighbour_flags(const struct weft_key *key, u16 known)
{
	if (!neighbour_advertises(key))
		return known & (WEFT_NEIGHBOUR_ADVERTISED | WEFT_NEIGHBOUR_ROUTER);
	return WEFT_NEIGHBOUR_ADVERTISED |
	       (key->flags & WEFT_KEY_ROUTER ? WEFT_NEIGHBOUR_ROUTER : 0);
}

#define X(name) weft_inline bool stage_##name(struct decide *d);
WEFT_STAGES(X)
#undef X

#include "datapath/pipeline/stage_admit.h"
#include "datapath/pipeline/stage_forward.h"
#include "datapath/pipeline/stage_balance.h"
#include "datapath/pipeline/stage_learn.h"
#include "datapath/pipeline/stage_resolve.h"

// Whoever wants to know which stage looks into a table defines this before (datapath/explain.c).
#ifndef DECIDE_ENTER
#define DECIDE_ENTER(d, stage)
#endif

// *verdict comes in zeroed. *balance holds afterwards what the verdict's flags and effects say.
weft_inline void decide(const struct weft_key *key, const struct tables *tables, u64 now_ns,
	struct weft_verdict *verdict, struct balance *balance)
{
	struct decide d = {
		.key = &key->head,
		.tables = tables,
		.now_ns = now_ns,
		.verdict = verdict,
		.balance = balance,
		.dst = key->dst,
	};
#define X(name) \
	DECIDE_ENTER(&d, name); \
	if (stage_##name(&d)) \
		return;
	WEFT_STAGES(X)
#undef X
}
