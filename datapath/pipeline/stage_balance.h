// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage balance: packets of services, and the answers to them. Which backend (Maglev, NSDI'16), or
// which client; the address changes, and where it goes on. docs/balancer.md.
#pragma once

#include "datapath/pipeline/balance.h"

enum { BALANCE_PORT_TRIES = 8 };

weft_inline const struct weft_service_row *balance_service(
	struct decide *d, const struct weft_key *key, u32 scope, u16 port, u8 protocol)
{
	struct weft_service_key *service = &d->balance->service;
	service->scope = scope;
	__builtin_memcpy(service->address, &key->ip_dst, sizeof(service->address));
	service->port = port;
	service->protocol = protocol;
	service->reserved = 0;
	return TABLE_GET(d->tables, service, service);
}

// --- the packet's own tuple

weft_inline void balance_tuple(struct decide *d, const struct weft_key *key, u32 scope)
{
	struct weft_connection_key *tuple = &d->balance->key;
	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->scope = scope;
	__builtin_memcpy(tuple->src, &key->ip_src, sizeof(tuple->src));
	__builtin_memcpy(tuple->dst, &key->ip_dst, sizeof(tuple->dst));
	tuple->src_port = key->l4_src;
	tuple->dst_port = key->l4_dst;
	tuple->protocol = key->protocol;
}

weft_inline void balance_fragment_key(struct decide *d, const struct weft_key *key, u32 scope)
{
	struct weft_fragment_key *fragment = &d->balance->fragment;
	fragment->scope = scope;
	__builtin_memcpy(fragment->src, &key->ip_src, sizeof(fragment->src));
	__builtin_memcpy(fragment->dst, &key->ip_dst, sizeof(fragment->dst));
	fragment->id = key->fragment_id;
	fragment->protocol = key->protocol;
}

// The ports of a fragment are those of its first. False: not known.
weft_inline bool balance_fragment(struct decide *d, const struct weft_key *key, u32 scope)
{
	balance_fragment_key(d, key, scope);
	if (!(key->flags & WEFT_KEY_LATER))
		return key->flags & WEFT_KEY_L4;
	const struct weft_fragment_row *row = TABLE_GET(d->tables, fragment, &d->balance->fragment);
	if (!row || (s64)(d->now_ns - row->seen_ns) > (s64)WEFT_FRAGMENT_NS)
		return false;
	d->balance->key.src_port = row->src_port;
	d->balance->key.dst_port = row->dst_port;
	return true;
}

// --- where the packet goes on

// Straight to a port, or to a peer. The verdict stands.
weft_inline bool balance_to_port(struct decide *d, u32 port)
{
	struct balance *b = d->balance;
	b->index.index = port;
	b->tag = (struct weft_tag_key){.port = port, .tag = d->verdict->vni};
	const struct weft_port_row *row = TABLE_GET(d->tables, port, &b->index);
	if (!row || !(row->flags & WEFT_PORT_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);
	bool peer = row->flags & WEFT_PORT_PEER;
	if (peer && (!b->tag.tag || (row->flags & WEFT_PORT_LIMITED &&
					    !TABLE_GET(d->tables, tag, &b->tag))))
		return decide_drop(d, WEFT_DROP_no_connection);
	d->verdict->action = peer ? WEFT_ACTION_encap : WEFT_ACTION_forward;
	d->verdict->port = port;
	if (!peer)
		d->verdict->max_bytes = 0; // it leaves the network
	return true;
}

// True: the verdict stands; else stage forward finds the station in the network.
weft_inline bool balance_deliver(struct decide *d, u32 scope)
{
	const struct weft_rewrite *rewrite = &d->balance->rewrite;
	d->verdict->flags |= WEFT_VERDICT_REWRITE;
	if (scope & WEFT_SCOPE_PORT)
		return balance_to_port(d, scope & ~WEFT_SCOPE_PORT);
	if (rewrite->what & WEFT_REWRITE_DST_MAC)
		d->dst = rewrite->dst_mac;
	if (!scope || scope == d->verdict->network)
		return false;
	struct weft_index *index = &d->balance->index;
	index->index = scope;
	d->network = TABLE_GET(d->tables, network, index);
	if (!d->network || !(d->network->flags & WEFT_NETWORK_PRESENT))
		return decide_drop(d, WEFT_DROP_port_removed);
	d->verdict->flags &= ~WEFT_VERDICT_OWN;
	admit_fill(d, index);
	return false;
}

// --- where a backend is

enum balance_place { BALANCE_NOWHERE, BALANCE_HERE, BALANCE_ELSEWHERE };

weft_inline enum balance_place balance_place(
	const struct decide *d, u32 network, const struct weft_mac *mac)
{
	struct balance *b = d->balance;
	b->place = fdb_key(network, mac);
	const struct weft_fdb_row *row = TABLE_GET(d->tables, fdb, &b->place);
	b->index.index = row ? row->port : 0;
	const struct weft_port_row *port = row ? TABLE_GET(d->tables, port, &b->index) : NULL;
	return !port                          ? BALANCE_NOWHERE
	       : port->flags & WEFT_PORT_PEER ? BALANCE_ELSEWHERE
					      : BALANCE_HERE;
}

// What the backend's host is to translate: WEFT_KEY_BALANCED.
weft_inline void balance_mark(struct weft_rewrite *rewrite, const struct weft_key *key)
{
	if (!(rewrite->what & WEFT_REWRITE_SRC_MAC))
		rewrite->src_mac = key->src;
	rewrite->what |= WEFT_REWRITE_SRC_MAC;
	rewrite->src_mac.byte[0] |= 1;
}

weft_inline bool balance_is_marked(const struct weft_rewrite *rewrite)
{
	return rewrite->src_mac.byte[0] & 1;
}

// --- a connection that is known

enum balance_course {
	BALANCE_OPENS,   // its packet opens a new one
	BALANCE_FOLLOWS, // it goes on as it did
	BALANCE_DEAD,    // so it does, unless the service resets those whose backend is dead
	BALANCE_GONE,    // without a backend it opens a new one, unless the service does
};

weft_inline enum balance_course balance_course(const struct weft_key *key,
	const struct weft_connection_row *row, const struct weft_backend_row *backend)
{
	bool stays = key->protocol == WEFT_IP_TCP && !key_starts(key);
	if (row->flags & WEFT_CONNECTION_REPLY)
		return BALANCE_FOLLOWS;
	if (!backend || !(backend->flags & WEFT_BACKEND_PRESENT) ||
		backend->service != row->service)
		return stays ? BALANCE_GONE : BALANCE_OPENS;
	// Another balancer has it now; errors come by any.
	if (row->port && row->port != key->in_port && !key_is_error(key))
		return BALANCE_OPENS;
	if (backend->flags & WEFT_BACKEND_DEAD)
		return stays ? BALANCE_DEAD : BALANCE_OPENS;
	bool ends = row->flags & WEFT_CONNECTION_CLOSED || connection_half_closed(row);
	return key_starts(key) && ends ? BALANCE_OPENS : BALANCE_FOLLOWS;
}

weft_inline void balance_touch(
	struct decide *d, const struct weft_key *key, const struct weft_connection_row *row)
{
	bool stale = (s64)(d->now_ns - row->seen_ns) > (s64)WEFT_REFRESH_NS;
	if (row->flags & WEFT_CONNECTION_OPENING) // what the backend repeats keeps no flood alive
		stale = !(row->flags & WEFT_CONNECTION_REPLY) && !key_starts(key);
	bool ends = key_tcp_flags(key) & (WEFT_TCP_FIN | WEFT_TCP_RST);
	if (!key_is_error(key) && (stale || ends))
		d->verdict->effects |= WEFT_EFFECT_touch;
}

weft_inline enum balance_course balance_follow(
	struct decide *d, const struct weft_key *key, const struct weft_connection_row *row)
{
	struct balance *b = d->balance;
	b->index.index = row->rewrite.backend;
	const struct weft_backend_row *backend = TABLE_GET(d->tables, backend, &b->index);
	enum balance_course course = balance_course(key, row, backend);
	if (course == BALANCE_FOLLOWS && backend && balance_is_marked(&row->rewrite) &&
		balance_place(d, row->network, &backend->mac) == BALANCE_HERE)
		return BALANCE_OPENS; // the backend has come to this host
	if (course == BALANCE_OPENS || course == BALANCE_GONE)
		return course;
	b->rewrite = row->rewrite;
	b->row.partner_scope = row->partner_scope;
	b->row.network = row->network;
	if (row->port && row->flags & WEFT_CONNECTION_REPLY)
		b->row.partner_scope = row->port | WEFT_SCOPE_PORT;
	if (backend && !(row->flags & WEFT_CONNECTION_REPLY))
		b->rewrite.dst_mac = backend->mac; // it may have moved to another machine
	balance_touch(d, key, row);
	d->verdict->service = row->service;
	return course;
}

// The client of a connection whose backend is dead or gone is told, and commit closes it. False: it
// is not.
weft_inline bool balance_reset(struct decide *d, const struct weft_key *key,
	const struct weft_service_row *service, enum balance_course course)
{
	if ((course != BALANCE_DEAD && course != BALANCE_GONE) ||
		!(service->flags & WEFT_SERVICE_RESET) ||
		!decide_refuse(d, key, WEFT_DROP_backend_dead))
		return false;
	d->verdict->service = service->id;
	d->verdict->effects |= WEFT_EFFECT_touch;
	return true;
}

// --- a new connection

// A port of the network's gateway address that is this host's and is free towards the backend:
// fills in the source. False: none.
weft_inline bool balance_source(struct decide *d, const struct weft_service_row *service)
{
	struct balance *b = d->balance;
	struct weft_rewrite *rewrite = &b->row.rewrite;
	b->index.index = service->network;
	const struct weft_network_row *network = TABLE_GET(d->tables, network, &b->index);
	b->index.index = 0;
	const struct weft_host_row *host = TABLE_GET(d->tables, host, &b->index);
	if (!network || !host || !host->blocks)
		return false;
	if (d->key->ethertype == WEFT_ETH_IPV4)
		parse_ip4(&rewrite->src, network->gateway4);
	else
		__builtin_memcpy(&rewrite->src, network->gateway6, sizeof(rewrite->src));
	rewrite->what |= WEFT_REWRITE_SRC | WEFT_REWRITE_SRC_MAC;
	if (!ip_is_gateway(network, &rewrite->src)) // it has none of this family
		return false;
	u64 hash = balance_hash(&b->key, 0, false);
	// Who asks again later tries others.
	for (u32 i = 0; i < BALANCE_PORT_TRIES;
		i++, hash = balance_mix(hash, (d->now_ns >> 28) + i)) {
		b->index.index = (u32)(hash >> 40) % host->blocks;
		const struct weft_port_block_row *block =
			TABLE_GET(d->tables, port_block, &b->index);
		if (!block)
			return false;
		rewrite->src_port =
			(u16)(block->own * WEFT_BLOCK_PORTS + (u32)(hash >> 32) % WEFT_BLOCK_PORTS);
		connection_partner(&b->key, &b->row, &b->partner_key);
		const struct weft_connection_row *taken =
			TABLE_GET(d->tables, connection, &b->partner_key);
		if (!taken || !connection_live(taken, d->now_ns) ||
			connection_same_ends(taken, &b->key))
			return true;
	}
	return false;
}

// The other direction undoes what this one does.
weft_inline void balance_partner(struct decide *d, const struct weft_key *key, bool to_sender)
{
	struct balance *b = d->balance;
	struct weft_rewrite *undo = &b->partner.rewrite;
	u8 what = b->row.rewrite.what;
	b->partner = b->row;
	connection_partner(&b->key, &b->row, &b->partner_key);
	b->partner.flags = WEFT_CONNECTION_REPLY;
	b->partner.partner_scope = b->key.scope;
	undo->what = WEFT_REWRITE_REPLY | WEFT_REWRITE_SRC_MAC;
	undo->src_mac = key->dst;
	if (what & WEFT_REWRITE_DST)
		undo->what |= WEFT_REWRITE_SRC;
	if (what & WEFT_REWRITE_SRC)
		undo->what |= WEFT_REWRITE_DST;
	if (to_sender)
		undo->what |= WEFT_REWRITE_DST_MAC;
	undo->dst_mac = key->src;
	__builtin_memcpy(&undo->src, b->key.dst, sizeof(undo->src));
	__builtin_memcpy(&undo->dst, b->key.src, sizeof(undo->dst));
	undo->src_port = b->key.dst_port;
	undo->dst_port = b->key.src_port;
}

weft_inline void balance_row(struct decide *d, const struct weft_service_row *service, u32 id)
{
	struct balance *b = d->balance;
	__builtin_memset(&b->row, 0, sizeof(b->row));
	b->row.seen_ns = d->now_ns;
	b->row.idle_ns = service->idle_ns;
	b->row.service = service->id;
	b->row.network = service->network;
	b->row.partner_scope = service->network;
	b->row.rewrite.backend = id;
	b->rate_meter = service->rate_meter;
	b->connection_limit = service->connection_limit;
	b->partner_key.scope = 0;
	d->verdict->service = service->id;
}

weft_inline void balance_translate(struct decide *d, const struct weft_backend_row *backend)
{
	struct weft_rewrite *rewrite = &d->balance->row.rewrite;
	rewrite->what |= WEFT_REWRITE_DST;
	__builtin_memcpy(&rewrite->dst, backend->address, sizeof(rewrite->dst));
	rewrite->dst_port = backend->port ? backend->port : d->balance->key.dst_port;
}

// Wherever its packets come in, its answers are in the backend's network.
weft_inline bool balance_known(const struct decide *d)
{
	const struct balance *b = d->balance;
	const struct weft_connection_row *answer =
		TABLE_GET(d->tables, connection, &b->partner_key);
	return answer && connection_live(answer, d->now_ns) &&
	       answer->rewrite.backend == b->row.rewrite.backend;
}

// The rows are ready. An ICMP error opens nothing. Where nothing is translated the hash alone says
// whom it is for, and the backend's host whether there is such a connection.
weft_inline bool balance_open(struct decide *d, const struct weft_key *key)
{
	struct balance *b = d->balance;
	bool error = key_is_error(key);
	bool lost = error ? b->row.rewrite.what & WEFT_REWRITE_DST && !balance_known(d)
			  : key_tcp_flags(key) & WEFT_TCP_RST;
	if (b->whole && lost)
		return decide_drop(d, WEFT_DROP_no_connection);
	if (!error)
		d->verdict->effects |= WEFT_EFFECT_connect;
	if (key->protocol == WEFT_IP_TCP) {
		b->row.flags |= WEFT_CONNECTION_OPENING;
		b->partner.flags |= WEFT_CONNECTION_OPENING;
	}
	b->rewrite = b->row.rewrite;
	return balance_deliver(d, b->row.network);
}

// By the hash; 0: nobody.
weft_inline u32 balance_chosen(struct decide *d, const struct weft_service_row *service)
{
	if (!service->ring_size)
		return 0;
	u64 hash = balance_hash(
		&d->balance->key, service->seed, service->flags & WEFT_SERVICE_AFFINITY);
	struct weft_index *index = &d->balance->index;
	index->index = service->ring + (u32)(hash >> 32) % service->ring_size;
	const struct weft_ring_row *ring = TABLE_GET(d->tables, ring, index);
	return ring ? ring->backend : 0;
}

// Whom a balancer elsewhere has chosen, in b->index: of several backends with one MAC the hash
// tells which, for the tables are alike; where it chooses somebody else by now, the MAC alone.
weft_inline const struct weft_backend_row *balance_arrived(
	struct decide *d, const struct weft_key *key, const struct weft_service_row *service)
{
	struct balance *b = d->balance;
	b->index.index = balance_chosen(d, service);
	const struct weft_backend_row *backend = TABLE_GET(d->tables, backend, &b->index);
	if (backend && parse_same_mac(&backend->mac, &key->dst))
		return backend;
	b->station = (struct weft_station_key){.service = service->id, .mac = key->dst};
	const struct weft_station_row *station = TABLE_GET(d->tables, station, &b->station);
	b->index.index = station ? station->backend : 0;
	return station ? TABLE_GET(d->tables, backend, &b->index) : NULL;
}

// On the backend's host: a balancer elsewhere has chosen, and says whom by the MAC. True: the
// verdict stands.
weft_inline bool balance_arrive(
	struct decide *d, const struct weft_key *key, const struct weft_service_row *service)
{
	struct balance *b = d->balance;
	const struct weft_backend_row *backend = balance_arrived(d, key, service);
	if (!backend || backend->service != service->id)
		return false;
	balance_row(d, service, b->index.index);
	balance_translate(d, backend);
	b->row.rewrite.what |= WEFT_REWRITE_SRC_MAC;
	b->row.rewrite.src_mac = key->src;       // the mark is off
	bool routed = mac_is_gateway(&key->src); // there: the answer goes back the same way
	if (routed)
		b->row.port = key->in_port;
	balance_partner(d, key, false);
	if (routed)
		b->partner.rewrite.what &= ~WEFT_REWRITE_SRC_MAC;
	b->whole = true;
	return balance_open(d, key);
}

weft_inline bool balance_choose(struct decide *d, const struct weft_key *key,
	const struct weft_service_row *service, const struct weft_backend_row *backend, u32 id)
{
	struct balance *b = d->balance;
	bool away = d->outside || d->verdict->network != service->network;
	bool nat = service->flags & WEFT_SERVICE_NAT;
	bool self = parse_same_ip(&key->ip_src, (const struct weft_ip *)backend->address);
	balance_row(d, service, id);
	b->row.rewrite.what = WEFT_REWRITE_DST_MAC;
	b->row.rewrite.dst_mac = backend->mac;
	b->row.rewrite.src_mac = (struct weft_mac)WEFT_GATEWAY_MAC;
	if (away)
		b->row.rewrite.what |= WEFT_REWRITE_SRC_MAC;
	enum balance_place place = service->flags & WEFT_SERVICE_HOST_DSR
					   ? balance_place(d, service->network, &backend->mac)
					   : BALANCE_ELSEWHERE;
	if (place == BALANCE_NOWHERE) // who translates hangs on it
		return decide_drop(d, WEFT_DROP_backend_unresolved);
	if (service->flags & WEFT_SERVICE_HOST_DSR && place == BALANCE_ELSEWHERE)
		balance_mark(&b->row.rewrite, key);
	bool translate = nat || place == BALANCE_HERE;
	if (translate)
		balance_translate(d, backend);
	bool source = (nat && away) || (translate && self); // nobody takes his own packets back
	if (source && !balance_source(d, service))
		return decide_drop(d, WEFT_DROP_ports_exhausted);
	b->whole = translate || away;
	if (b->whole)
		balance_partner(d, key, away || source);
	return balance_open(d, key);
}

weft_inline bool balance_nobody(
	struct decide *d, const struct weft_key *key, const struct weft_service_row *service)
{
	if (service->flags & WEFT_SERVICE_REJECT && decide_refuse(d, key, WEFT_DROP_no_backend))
		return true;
	return decide_drop(d, WEFT_DROP_no_backend);
}

// True: the verdict stands.
weft_inline bool balance_new(
	struct decide *d, const struct weft_key *key, const struct weft_service_row *service)
{
	if (!d->outside && !mac_is_gateway(&key->dst))
		return service->flags & WEFT_SERVICE_HOST_DSR && key->vni & WEFT_KEY_BALANCED &&
		       balance_arrive(d, key, service);
	d->verdict->service = service->id;
	struct weft_index *index = &d->balance->index;
	u32 id = balance_chosen(d, service);
	index->index = id;
	const struct weft_backend_row *backend = TABLE_GET(d->tables, backend, index);
	if (!backend || !(backend->flags & WEFT_BACKEND_PRESENT) || backend->service != service->id)
		return balance_nobody(d, key, service);
	const be16 *mac = (const be16 *)&backend->mac;
	if (!(mac[0] | mac[1] | mac[2]))
		return decide_drop(d, WEFT_DROP_backend_unresolved);
	return balance_choose(d, key, service, backend, id);
}

// --- what is no service's packet

// An answer to the gateway's address, for the host whose port it is.
weft_inline bool balance_to_owner(struct decide *d)
{
	struct weft_index *index = &d->balance->index;
	index->index = d->balance->key.dst_port / WEFT_BLOCK_PORTS;
	const struct weft_port_block_row *block = TABLE_GET(d->tables, port_block, index);
	if (!block || !block->owner || block->owner == WEFT_BLOCK_NONE ||
		d->verdict->flags & WEFT_VERDICT_FROM_PEER)
		return decide_drop(d, WEFT_DROP_no_connection);
	return balance_to_port(d, block->owner);
}

// ARP, ND and echo for a service's address.
weft_inline bool balance_address(struct decide *d, const struct weft_key *key, u32 scope)
{
	bool to_us = d->outside || mac_is_gateway(&key->dst);
	enum weft_reply reply = forward_reply(key, to_us && !mac_is_group(&key->dst));
	const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	if (!reply || !(to_us || mac_is_group(&key->dst)) || !balance_service(d, key, scope, 0, 0))
		return false;
	d->verdict->flags |= WEFT_VERDICT_ROUTER;
	return decide_reply(
		d, reply, d->outside ? (const struct weft_mac *)d->port->address : &gateway);
}

// Frames for other stations pass by; from outside, only what is sent to the port's own MAC (or asks
// all for an address) is looked at.
weft_inline bool balance_for_us(const struct decide *d)
{
	return !d->outside || mac_is_group(&d->key->dst) ||
	       parse_same_mac(&d->key->dst, (const struct weft_mac *)d->port->address);
}

weft_inline bool balance(struct decide *d, u32 scope)
{
	const struct weft_key *key = decide_whole(d);
	if (key->protocol != WEFT_IP_TCP && key->protocol != WEFT_IP_UDP)
		return balance_address(d, key, scope);
	if (mac_is_group(&key->dst))
		return false;
	balance_tuple(d, key, scope);
	if (key->flags & WEFT_KEY_FRAGMENT ? !balance_fragment(d, key, scope)
					   : !(key->flags & WEFT_KEY_L4))
		return false;
	const struct weft_connection_row *row = TABLE_GET(d->tables, connection, &d->balance->key);
	enum balance_course course = BALANCE_OPENS;
	if (row && connection_live(row, d->now_ns))
		course = balance_follow(d, key, row);
	const struct weft_service_row *service = NULL;
	if (course != BALANCE_FOLLOWS) {
		service = balance_service(d, key, scope, d->balance->key.dst_port, key->protocol);
		if (!service)
			service = balance_service(d, key, scope, 0, key->protocol);
	}
	if (service && balance_reset(d, key, service, course))
		return true;
	bool ours = course == BALANCE_FOLLOWS || course == BALANCE_DEAD;
	if ((ours || service) &&
		(key->flags & (WEFT_KEY_FRAGMENT | WEFT_KEY_LATER)) == WEFT_KEY_FRAGMENT)
		d->verdict->effects |= WEFT_EFFECT_fragment;
	if (ours)
		return balance_deliver(d, d->balance->row.partner_scope);
	if (service)
		return balance_new(d, key, service);
	if (!d->outside && mac_is_gateway(&key->dst) && ip_is_gateway(d->network, &key->ip_dst))
		return balance_to_owner(d);
	return false;
}

weft_inline bool stage_balance(struct decide *d)
{
	u32 scope = d->verdict->network;
	if (d->outside)
		scope = d->key->in_port | WEFT_SCOPE_PORT;
	else if (!(d->network->flags & WEFT_NETWORK_SERVICES) ||
		 d->verdict->flags & WEFT_VERDICT_KEEP_TAG)
		return false;
	bool stands = balance_for_us(d) && balance(d, scope);
	if (stands || !d->outside || d->verdict->flags & WEFT_VERDICT_REWRITE)
		return stands;
	return admit_unclaimed(d, d->outside);
}
