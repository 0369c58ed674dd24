// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// commit for the balancer: connections opened, seen and closed, ports of fragments.
#pragma once

#include "datapath/pipeline/account.h"
#include "datapath/pipeline/balance.h"
#include "datapath/pipeline/parse.h"

// A row that is left over from an earlier connection gives way. A port of the gateway address that
// another CPU took meanwhile (shared) does not, but for the same two ends.
weft_inline enum weft_drop connection_put(struct tables *tables,
	const struct weft_connection_key *key, const struct weft_connection_row *row, bool shared,
	const struct weft_connection_key *ends, u64 now_ns)
{
	int error = TABLE_INSERT(tables, connection, key, row);
	if (!error)
		return WEFT_DROP_none;
	if (error != -COMMIT_EEXIST)
		return WEFT_DROP_connection_limit;
	const struct weft_connection_row *old = TABLE_GET(tables, connection, key);
	if (old && shared && connection_live(old, now_ns) && !connection_same_ends(old, ends))
		return WEFT_DROP_ports_exhausted;
	return TABLE_REPLACE(tables, connection, key, row) ? WEFT_DROP_connection_limit
							   : WEFT_DROP_none;
}

weft_inline bool connection_take(const struct balance *b, struct weft_service_usage_row *service,
	struct weft_usage_row *network, u64 network_limit)
{
	if (!commit_has_room(&service->connections, b->connection_limit))
		return false;
	if (commit_has_room(&network->connections, network_limit))
		return true;
	if (b->counts)
		__sync_fetch_and_add(&network->connections_refused, 1);
	commit_release(&service->connections);
	return false;
}

// by: 1, or -1.
weft_inline void connection_count(
	struct tables *tables, const struct weft_connection_row *row, s64 by)
{
	struct weft_index service = {row->service}, network = {row->network};
	struct weft_service_usage_row *s = TABLE_ROW(tables, service_usage, &service);
	struct weft_usage_row *n = TABLE_ROW(tables, network_usage, &network);
	if (s)
		__sync_fetch_and_add(&s->connections, (u64)by);
	if (n)
		__sync_fetch_and_add(&n->connections, (u64)by);
}

weft_inline bool rewrite_same(const struct weft_rewrite *a, const struct weft_rewrite *b)
{
	const u32 *x = (const u32 *)a, *y = (const u32 *)b;
	u32 differ = 0;
	for (u32 i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

// A client takes a port again for a new connection while verdicts of the last one may still be
// cached. True: they no longer hold. Else its packets may be decided no more, and it has shown
// before that it answers.
weft_inline bool connection_again(struct balance *b, const struct weft_connection_row *old)
{
	if (old->port != b->row.port || !rewrite_same(&old->rewrite, &b->row.rewrite))
		return true;
	if (!(old->flags & WEFT_CONNECTION_OPENING)) {
		b->row.flags &= ~(u32)WEFT_CONNECTION_OPENING;
		b->partner.flags &= ~(u32)WEFT_CONNECTION_OPENING;
	}
	return false;
}

// What there was under the key has been taken off the counts. A partner left alone ends by itself.
weft_inline enum weft_drop connection_write(struct tables *tables, struct balance *b,
	struct weft_service_usage_row *service, struct weft_usage_row *network, u64 network_limit,
	u64 now_ns)
{
	if (!connection_take(b, service, network, network_limit))
		return WEFT_DROP_connection_limit;
	bool shared = b->row.rewrite.what & WEFT_REWRITE_SRC;
	enum weft_drop drop = WEFT_DROP_none;
	if (!b->partner_key.scope)
		b->row.flags |= WEFT_CONNECTION_ALONE;
	else
		drop = connection_put(
			tables, &b->partner_key, &b->partner, shared, &b->key, now_ns);
	if (!drop)
		drop = connection_put(tables, &b->key, &b->row, false, &b->key, now_ns);
	if (drop)
		connection_count(tables, &b->row, -1);
	return drop;
}

weft_inline enum weft_drop connection_insert(struct tables *tables, struct balance *b, u64 now_ns)
{
	struct weft_index service = {b->row.service}, network = {b->row.network};
	struct weft_service_usage_row *s = TABLE_ROW(tables, service_usage, &service);
	struct weft_usage_row *n = TABLE_ROW(tables, network_usage, &network);
	const struct weft_network_row *limits = TABLE_GET(tables, network, &network);
	if (!s || !n || !limits)
		return WEFT_DROP_no_backend;
	if (!meter_spend(tables, b->rate_meter, now_ns, 1))
		return WEFT_DROP_connection_rate;
	const struct weft_connection_row *old = TABLE_GET(tables, connection, &b->key);
	bool stale = old && connection_again(b, old);
	if (old)
		connection_count(tables, old, -1);
	u64 limit = b->connection_limit == WEFT_CONNECTIONS_OF_CHECKS ? ~0ull
								      : limits->connection_limit;
	enum weft_drop drop = connection_write(tables, b, s, n, limit, now_ns);
	if (drop && old) // it is still there
		connection_count(tables, old, 1);
	else if (stale)
		commit_forget(tables, network.index);
	return drop;
}

// What must have its rows is dropped without; for the rest the hash alone has chosen, with every
// packet: of TCP the SYN is counted, of UDP each.
weft_inline void commit_connect(struct tables *tables, const struct weft_key *key,
	struct weft_verdict *verdict, struct balance *b, u64 now_ns)
{
	b->counts = key->protocol != WEFT_IP_TCP || key_starts(key);
	struct weft_index service = {b->row.service}, backend = {b->row.rewrite.backend};
	enum weft_drop drop = connection_insert(tables, b, now_ns);
	struct weft_service_usage_row *usage = TABLE_ROW(tables, service_usage, &service);
	if (drop && b->counts && usage)
		__sync_fetch_and_add(
			b->whole ? &usage->connections_refused : &usage->connections_bypassed, 1);
	if (drop && b->whole) {
		verdict->action = WEFT_ACTION_drop;
		verdict->reason = drop;
		return;
	}
	if (drop && !b->counts)
		return;
	struct weft_backend_count_row *count = TABLE_ROW(tables, backend_count, &backend);
	if (count)
		count->connections++;
}

// RFC 9293: RST ends it at once, else a FIN from both sides. Nobody checks a RST's sequence number
// here: when either end goes on, the other did not believe it. Without a partner, the row is its
// own.
weft_inline void connection_see(struct weft_connection_row *row,
	struct weft_connection_row *partner, u16 tcp_flags, u64 now_ns)
{
	u32 opened = row->flags & WEFT_CONNECTION_REPLY ? 0 : WEFT_CONNECTION_OPENING;
	row->seen_ns = now_ns;
	row->flags &= ~opened;
	partner->seen_ns = now_ns;
	partner->flags &= ~opened;
	if (tcp_flags & WEFT_TCP_FIN)
		row->flags |= WEFT_CONNECTION_FIN;
	bool both = partner != row && row->flags & partner->flags & WEFT_CONNECTION_FIN;
	u32 closed = tcp_flags & WEFT_TCP_RST || both ? WEFT_CONNECTION_CLOSED : 0;
	u32 open = closed || tcp_flags & WEFT_TCP_FIN ? 0 : WEFT_CONNECTION_CLOSED;
	row->flags = (row->flags & ~open) | closed;
	partner->flags = (partner->flags & ~open) | closed;
}

weft_inline void commit_touch(struct tables *tables, const struct weft_key *key,
	const struct weft_verdict *verdict, struct balance *b, u64 now_ns)
{
	u16 tcp_flags = key_tcp_flags(key);
	if (verdict->action == WEFT_ACTION_reply) // a reset
		tcp_flags |= WEFT_TCP_RST;
	struct weft_connection_row *row = TABLE_ROW(tables, connection, &b->key);
	if (!row)
		return;
	struct weft_connection_row *partner = NULL;
	if (row->partner_scope) {
		connection_partner(&b->key, row, &b->partner_key);
		partner = TABLE_ROW(tables, connection, &b->partner_key);
	}
	connection_see(row, partner ? partner : row, tcp_flags, now_ns);
}

weft_inline void commit_fragment(struct tables *tables, const struct balance *b, u64 now_ns)
{
	struct weft_index network = {b->row.network};
	struct weft_usage_row *usage = TABLE_ROW(tables, network_usage, &network);
	const struct weft_network_row *limits = TABLE_GET(tables, network, &network);
	struct weft_fragment_row row = {
		.seen_ns = now_ns,
		.src_port = b->key.src_port,
		.dst_port = b->key.dst_port,
		.network = b->row.network,
	};
	if (!usage || !limits)
		return;
	int error = -COMMIT_EEXIST;
	if (usage->fragments < limits->fragment_limit)
		error = TABLE_INSERT(tables, fragment, &b->fragment, &row);
	if (!error)
		__sync_fetch_and_add(&usage->fragments, 1);
	else if (error != -COMMIT_EEXIST || TABLE_REPLACE(tables, fragment, &b->fragment, &row))
		__sync_fetch_and_add(&usage->fragments_refused, 1);
}

weft_inline void commit_balance(struct tables *tables, const struct weft_key *key,
	struct weft_verdict *verdict, struct balance *b, u64 now_ns)
{
	if (verdict->effects & WEFT_EFFECT_connect)
		commit_connect(tables, key, verdict, b, now_ns);
	if (verdict->effects & WEFT_EFFECT_touch)
		commit_touch(tables, key, verdict, b, now_ns);
	if (verdict->effects & WEFT_EFFECT_fragment)
		commit_fragment(tables, b, now_ns);
}
