// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// commit: effects -> tables. The only writer of dynamic tables in the datapath; once per decide.
#pragma once

#include "datapath/pipeline/account.h"
#include "datapath/pipeline/commit_connection.h"
#include "datapath/pipeline/decide.h"

weft_inline bool commit_take_mac(struct weft_usage_row *usage, u64 limit)
{
	return commit_take(&usage->macs, &usage->learn_refused, limit);
}

weft_inline bool commit_take_binding(struct weft_usage_row *usage, u64 limit)
{
	return commit_take(&usage->bindings, &usage->bindings_refused, limit);
}

struct commit {
	struct tables *tables;
	struct weft_fdb_key place;
	struct weft_fdb_row row;
	const struct weft_port_row *port;
	const struct weft_network_row *network;
	struct weft_usage_row *port_usage;
	struct weft_usage_row *network_usage;
};

weft_inline void commit_insert(struct commit *c)
{
	if (!commit_take_mac(c->port_usage, c->port->mac_limit))
		return;
	if (commit_take_mac(c->network_usage, c->network->mac_limit)) {
		int error = TABLE_INSERT(c->tables, fdb, &c->place, &c->row);
		if (!error)
			return;
		commit_release(&c->network_usage->macs);
		if (error != -COMMIT_EEXIST /* another CPU learned it */)
			__sync_fetch_and_add(&c->network_usage->learn_refused, 1);
	}
	commit_release(&c->port_usage->macs);
}

// The new row is in place: verdicts that were cached by the old one end here.
weft_inline void commit_moved(struct commit *c, struct weft_usage_row *old_usage)
{
	commit_release(&old_usage->macs);
	commit_forget(c->tables, c->place.network);
}

weft_inline void commit_replace(struct commit *c, u32 old_port)
{
	if (old_port == c->row.port) {
		TABLE_REPLACE(c->tables, fdb, &c->place, &c->row);
		return;
	}
	struct weft_index index = {old_port};
	struct weft_usage_row *old_usage = TABLE_ROW(c->tables, port_usage, &index);
	if (!old_usage || !commit_take_mac(c->port_usage, c->port->mac_limit))
		return;
	if (TABLE_REPLACE(c->tables, fdb, &c->place, &c->row))
		commit_release(&c->port_usage->macs);
	else
		commit_moved(c, old_usage);
}

weft_inline void commit_place(struct tables *tables, const struct weft_key *key,
	const struct weft_verdict *verdict, u64 now_ns)
{
	struct weft_index port = {key->in_port}, network = {verdict->network};
	struct commit c = {
		.tables = tables,
		.place = fdb_key(verdict->network, &key->src),
		.row =
			{
				.port = key->in_port,
				.tag = learn_tag(&key->head, verdict),
				.kind = WEFT_FDB_LEARNED,
				.seen_ns = now_ns,
			},
		.port = TABLE_GET(tables, port, &port),
		.network = TABLE_GET(tables, network, &network),
		.port_usage = TABLE_ROW(tables, port_usage, &port),
		.network_usage = TABLE_ROW(tables, network_usage, &network),
	};
	if (!c.port || !c.network || !c.port_usage || !c.network_usage)
		return;
	const struct weft_fdb_row *old = TABLE_GET(tables, fdb, &c.place);
	if (!old) {
		commit_insert(&c);
		return;
	}
	if (old->kind == WEFT_FDB_STATIC)
		return;
	u32 old_port = old->port;
	if (verdict->effects & WEFT_EFFECT_move) {
		if (!meter_spend(tables, c.network->move_meter, now_ns, 1)) {
			__sync_fetch_and_add(&c.network_usage->moves_refused, 1);
			__sync_fetch_and_add(&c.port_usage->moves_refused, 1);
			return;
		}
		__sync_fetch_and_add(&c.network_usage->moves, 1);
		__sync_fetch_and_add(&c.port_usage->moves, 1);
	}
	commit_replace(&c, old_port);
}

struct binding {
	struct tables *tables;
	struct weft_neighbour_key place;
	struct weft_neighbour_row row;
	u64 limit;
	struct weft_usage_row *port_usage;
};

weft_inline void binding_insert(
	struct binding *b, struct weft_usage_row *network_usage, u64 network_limit)
{
	if (!commit_take_binding(b->port_usage, b->limit))
		return;
	if (commit_take_binding(network_usage, network_limit)) {
		int error = TABLE_INSERT(b->tables, neighbour, &b->place, &b->row);
		if (!error)
			return;
		commit_release(&network_usage->bindings);
		if (error != -COMMIT_EEXIST /* another CPU was first */)
			__sync_fetch_and_add(&network_usage->bindings_refused, 1);
	}
	commit_release(&b->port_usage->bindings);
}

weft_inline void binding_replace(struct binding *b, u32 old_port)
{
	struct weft_index index = {old_port};
	struct weft_usage_row *old_usage = TABLE_ROW(b->tables, port_usage, &index);
	if (old_port == b->row.port) {
		TABLE_REPLACE(b->tables, neighbour, &b->place, &b->row);
		return;
	}
	if (!old_usage || !commit_take_binding(b->port_usage, b->limit))
		return;
	if (TABLE_REPLACE(b->tables, neighbour, &b->place, &b->row))
		commit_release(&b->port_usage->bindings);
	else
		commit_release(&old_usage->bindings);
}

weft_inline bool binding_owner_lives(const struct binding *b, const struct weft_neighbour_row *old,
	const struct weft_network_row *network)
{
	struct weft_fdb_key place = fdb_key(b->place.network, &old->mac);
	const struct weft_fdb_row *row = TABLE_GET(b->tables, fdb, &place);
	return row && row->port == old->port && fdb_live(row, network, b->row.seen_ns);
}

// An address that a living station has is not taken from it by a claim: it is contested, and
// questions are flooded, until nobody has contradicted the last claim for neighbour_ns. True: the
// old row stays.
weft_inline bool binding_stands(struct binding *b, const struct weft_neighbour_row *old,
	const struct weft_network_row *network)
{
	bool contested = old->flags & WEFT_NEIGHBOUR_CONTESTED &&
			 (s64)(b->row.seen_ns - old->seen_ns) <= (s64)network->neighbour_ns;
	if (parse_same_mac(&old->mac, &b->row.mac))
		return contested;
	if (contested || binding_owner_lives(b, old, network))
		b->row.flags |= WEFT_NEIGHBOUR_CONTESTED;
	return false;
}

weft_inline void commit_binding(struct tables *tables, const struct weft_key *key,
	const struct weft_verdict *verdict, u64 now_ns)
{
	struct weft_index port = {key->in_port}, network = {verdict->network};
	const struct weft_port_row *port_row = TABLE_GET(tables, port, &port);
	const struct weft_network_row *network_row = TABLE_GET(tables, network, &network);
	struct weft_usage_row *network_usage = TABLE_ROW(tables, network_usage, &network);
	struct binding b = {
		.tables = tables,
		.place = neighbour_key(verdict->network, neighbour_of(key)),
		.row = {.mac = key->src, .port = key->in_port, .seen_ns = now_ns},
		.port_usage = TABLE_ROW(tables, port_usage, &port),
	};
	if (!port_row || !network_row || !network_usage || !b.port_usage)
		return;
	b.limit = port_row->mac_limit * (u64)WEFT_BINDINGS_PER_MAC;
	const struct weft_neighbour_row *old = TABLE_GET(tables, neighbour, &b.place);
	b.row.flags =
		neighbour_flags(key, old && parse_same_mac(&old->mac, &key->src) ? old->flags : 0);
	if (old && binding_stands(&b, old, network_row))
		return;
	if (old)
		binding_replace(&b, old->port);
	else
		binding_insert(&b, network_usage, network_row->binding_limit);
}

weft_inline void commit_suppress(struct tables *tables, u32 network)
{
	struct weft_index index = {network};
	struct weft_usage_row *usage = TABLE_ROW(tables, network_usage, &index);
	if (usage)
		__sync_fetch_and_add(&usage->suppressed, 1);
}

// May turn the verdict into a drop: of what may not go without its connection.
weft_inline void commit(struct tables *tables, const struct weft_key *key,
	struct weft_verdict *verdict, struct balance *balance, u64 now_ns)
{
	if (verdict->effects & WEFT_EFFECT_refresh) {
		struct weft_fdb_key place = fdb_key(verdict->network, &key->src);
		struct weft_fdb_row *row = TABLE_ROW(tables, fdb, &place);
		if (row)
			row->seen_ns = now_ns;
	}
	if (verdict->effects & WEFT_EFFECT_place)
		commit_place(tables, key, verdict, now_ns);
	if (verdict->effects & WEFT_EFFECT_bind)
		commit_binding(tables, key, verdict, now_ns);
	if (verdict->effects & WEFT_EFFECT_suppress)
		commit_suppress(tables, verdict->network);
	if (verdict->effects & WEFT_EFFECT_balance)
		commit_balance(tables, key, verdict, balance, now_ns);
}
