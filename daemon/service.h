// SPDX-License-Identifier: BSD-2-Clause
// Services: addresses that several machines serve. And their backends: those machines.
//
//   service.c        the noun: words, apply, remove, show
//   service_check.c  whether the words can be
//   service_users.c  and those of the networks and ports that services use
//   service_who.c    which backend serves whom
//   service_rows.c   its rows in the engine: one for each place where it is reached
//   service_ring.c   its region of the ring table, and who is in it
//   backend.c        the noun
//   backend_rows.c   its rows in the engine, and those of one that goes
//   port_block.c     who sends by which ports of the gateway addresses
//   backend_load.c   what each has to do: connections, rates
//   backend_follow.c who answers for their addresses, and whose time to drain is over
//   balancer.c       what follows a change: rings are filled again, once for many changes
#pragma once

#include "daemon/weftd.h"

extern const struct noun noun_service;
extern const struct noun noun_backend;

struct port;
struct link;
struct rings; // service_ring.c

struct service {                       // object->live
	u32 ring, size;                // its region of the ring table; size 0: none
	u32 serving;                   // backends in it
	bool changed;                  // the ring does not say what the backends are now
	struct weft_service_key *keys; // of its rows
	u32 key_count;
};

struct backend_load {
	u32 connections, counting; // as the last sweep has counted them; by the one under way
	u64 looked_ns;             // 0: not yet
	struct weft_backend_count_row count; // then
	bool rates;                          // there are two looks to tell them by
	u64 connections_per_second, packets_per_second, bytes_per_second;
};

struct backend {                     // object->live
	struct weft_backend_row row; // as the engine has it
	bool station;                // it has a row in the station table
	u32 slots;                   // of its service's ring
	struct weft_mac heard;       // who answers for its address
	u64 heard_ns;                // when it last spoke of it; 0: it is not known
	u64 asked_ns;                // when it was asked for,
	u32 asked;                   // and how often since it was heard of
	bool drained;                // its time is over, and its connections are gone
	struct check *check;         // check.h; NULL: it is not checked
	bool out;                    // its checks keep it out of the ring
	struct backend_load load;
};

// --- words

u32 service_network(struct weftd *weftd, const json_t *spec); // id; 0: there is none
u8 service_protocol(const json_t *spec);
u32 service_table_size(const json_t *spec);
bool service_mode_is(const json_t *spec, const char *mode);
bool service_is_at(const json_t *spec, u8 protocol, const char *vip, u32 port);
bool service_uses_port(const json_t *spec, const char *port); // as an uplink
bool service_is_in(const json_t *spec, const char *network);
struct weft_ip service_vip(const json_t *spec);
u32 service_idle_seconds(const json_t *spec);
bool service_resets(const json_t *spec); // TCP connections of a backend that is dead or gone
// Seconds that a drained backend keeps its connections; -1: no end.
long long backend_drain_left(const json_t *spec);
struct object *backend_service(struct weftd *weftd, const json_t *spec);
// Of a service, in no order.
struct object *backends_first(struct weftd *weftd, const struct object *service);
struct object *backends_next(const struct object *object);

// "backend ADDRESS:PORT"; of an id that is nobody's: "a backend that is gone".
enum { BACKEND_TEXT_BYTES = 80 };
const char *backend_text(struct weftd *weftd, u32 id, char text[BACKEND_TEXT_BYTES]);

// --- service_check.c
int service_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);
int backend_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);

// --- service_users.c
// May a network (spec NULL: that goes) or a port be so, for the services that use it?
int service_check_network(struct weftd *weftd, const struct object *network, const json_t *spec,
	struct failure *failure);
int service_check_port(struct weftd *weftd, const struct object *port, const json_t *spec,
	struct failure *failure);

// --- service_who.c
struct service_who {
	struct weft_connection_key key; // the client's tuple; scope: left open
	u32 backend;                    // id
	const char *by;                 // "connection", or "hash":
	u32 slot;                       // then, of the table
};
// By a connection that there is, else as the datapath would choose. -ENOENT: nobody serves.
int service_who(struct weftd *weftd, const struct object *service, struct service_who *who,
	struct failure *failure);

// --- service_rows.c
// Rows and ring <- spec and backends. After an error some are of the old spec: apply again.
int service_rows_set(struct weftd *weftd, struct object *object, struct failure *failure);
void service_rows_clear(struct weftd *weftd, struct object *object);
// Who reads rows of networks and ports asks these.
bool service_in_network(struct weftd *weftd, u32 network);
bool service_by_port(struct weftd *weftd, const char *port);

// --- service_ring.c
// A region for so many rows that is nobody's. -ENOSPC: so many are left, in pieces.
int service_ring_find(struct weftd *weftd, u32 size, u32 *first, u32 *left);
u32 service_ring_used(struct weftd *weftd);                        // rows
bool service_ring_taken(struct weftd *weftd, u32 first, u32 size); // are some somebody's?
struct rings *service_rings_new(void);
void service_rings_free(struct rings *rings);
// In place of the one that it has; size 0: of none.
void service_ring_set(struct weftd *weftd, struct service *service, u32 first, u32 size);
// Of its backends, into the rows from `first` on. Returns how many are in it.
u32 service_ring_fill(struct weftd *weftd, const struct object *service, u32 first, u32 size);

// --- backend_rows.c
int backend_rows_set(struct weftd *weftd, struct object *object, struct failure *failure);
void backend_rows_clear(struct weftd *weftd, u32 id, struct backend *backend);
// Writes its station row again: two of one machine, of which one has gone, had one.
int backend_station_set(struct weftd *weftd, struct object *object, struct failure *failure);
bool backend_serves(const struct object *object);      // is it to be in the ring?
bool backend_could_serve(const struct object *object); // if its checks say so

// --- backend_follow.c
void backend_hear(struct weftd *weftd, struct object *object); // who answers for its address?
// Is one waiting for an answer? Of very many, those that are known have their turn in one of
// several rounds.
bool backends_follow(struct weftd *weftd, u32 round);

// --- backend_load.c
struct weft_backend_count_row backend_counts(struct weftd *weftd, u32 id); // of all CPUs
// A sweep over the connections: each with its backend's id.
void backends_count_begin(struct weftd *weftd);
void backends_count(struct weftd *weftd, u32 id);
void backends_count_end(struct weftd *weftd);
// Its rates, once a second; of very many each has its turn in one of several rounds.
void backend_look(struct weftd *weftd, struct object *object, u32 round, u64 now_ns);
// What each has to do, and how it is: "served_by", an array.
void backends_show(struct weftd *weftd, const struct object *service, json_t *shown);

// --- balancer.c
int balancer_open(struct weftd *weftd);
void balancer_close(struct weftd *weftd);
void balancer_changed(struct weftd *weftd, struct object *service); // before the next answer
// A backend that goes: its rows stay until the ring without it holds. Takes `backend`.
void balancer_gone(struct weftd *weftd, u32 id, struct backend *backend);
bool balancer_is_gone(struct weftd *weftd, u32 id);
void balancer_hosts_changed(struct weftd *weftd);   // peers, or this host's address
void balancer_tenants_changed(struct weftd *weftd); // a network has its first service, or none
u32 balancer_tenants(const struct weftd *weftd);    // networks that have services, as last settled
void balancer_follow_soon(struct weftd *weftd);     // a backend is new
void balancer_settle(struct weftd *weftd);          // now
struct rings *balancer_rings(struct weftd *weftd);

// --- port_block.c
void port_blocks_set(struct weftd *weftd);
