// SPDX-License-Identifier: BSD-2-Clause
// Health checks: does a backend answer? What they say takes backends out of rings and brings them
// back.
//
//   check.c          when backends are checked, and what follows from it
//   check_words.c    the words: whether they can be
//   check_health.c   rise and fall, pauses, how answers are read
//   check_exchange.c one check: connect, ask, read
//   check_space.c    the network namespace whose kernel does that
//   check_port.c     how what it sends comes to backends, and the answers back
//
// A check reaches its backend as a client from outside reaches a service: weftd's own namespace is
// behind a port of the switch that is nobody's, each checked backend has an address there, and the
// rows of a service for that address. So the datapath needs to know nothing of checks.
#pragma once

#include "daemon/check_health.h"
#include "daemon/weftd.h"

struct backend; // service.h
struct check;
struct link;
struct nl_sock;

// --- check.c
// Before weftd drops what a namespace needs. Without one it goes on, and nothing is checked.
int checks_open(struct weftd *weftd);
void checks_start(struct weftd *weftd); // before the objects are loaded
void checks_close(struct weftd *weftd);
// The words or the rows of a backend have changed: makes, follows or ends its check.
void check_follow(struct weftd *weftd, struct object *backend);
void check_forget(struct backend *backend); // it goes
// Before its ring is filled: which of the service's backends its checks keep out.
void checks_settle(struct weftd *weftd, struct object *service);
bool check_dead(const struct backend *backend); // by its checks
void check_show(const struct backend *backend, json_t *shown);
enum { CHECK_WHY_BYTES = 160 };
void check_why(const struct backend *backend, char why[CHECK_WHY_BYTES]); // it is dead
// The rows that objects must leave to checks.
u32 checks_count(const struct weftd *weftd);
bool check_is_service(const struct weftd *weftd, u32 service); // is the id that of checks?
bool check_is_live(const struct weftd *weftd, u32 backend);    // is the row a check's?
// An object wants the backend row with this id: a check that has it takes another.
void check_yield(struct weftd *weftd, u32 backend);
u32 checks_ring_rows(const struct weftd *weftd); // at the end of the ring table
bool check_is_link(const struct weftd *weftd, const struct link *link); // weft's own device

// --- check_words.c
bool check_wanted(const json_t *service);
// gateway: has the service's network one of its family?
int check_words(const json_t *service, bool gateway, struct failure *failure);
int check_backend_words(const json_t *service, const json_t *backend, struct failure *failure);
u16 check_port_of(const json_t *service, const json_t *backend); // 0: none can be told
u8 check_protocol(const json_t *service);
u64 check_interval_ms(const json_t *service);
u32 check_timeout_ms(const json_t *service);
u32 check_rise(const json_t *service);
u32 check_fall(const json_t *service);
bool check_keeps_all(const json_t *service); // when all are dead

// --- check_space.c: a thread is in the namespace; it makes sockets for weftd's one.
struct check_space;
// Called in the event loop with the socket, which is the callee's, or -errno.
typedef void check_socket_fn(void *context, u32 token, int fd);
// NULL: the namespace cannot be made; *why says so, static.
struct check_space *check_space_open(
	struct event_base *base, check_socket_fn *fn, void *context, const char **why);
void check_space_close(struct check_space *space);
int check_space_fd(const struct check_space *space);                  // of the namespace
struct nl_sock *check_space_netlink(const struct check_space *space); // speaks to it
// -EAGAIN: too many at once.
int check_space_socket(struct check_space *space, u32 token, int family, int type);

// --- check_port.c
struct check_row {   // what the engine has of a check
	u32 backend; // id of its row; 0: none
	u32 network;
	struct weft_ip alias; // its backend's address in the namespace
	struct weft_service_key key;
	struct weft_backend_row row;
};
struct check_way;
struct check_way *check_way_new(struct weftd *weftd, struct check_space *space);
void check_way_free(struct check_way *way); // the device goes
// Makes the device and gives it to the engine. Repeatable.
int check_way_open(struct check_way *way, struct failure *failure);
void check_way_close(struct check_way *way);
u32 check_way_port(const struct check_way *way);
const struct link *check_way_link(const struct check_way *way);
// Rows <- backend and words. row->backend is taken by the caller and stays his.
int check_row_set(struct check_way *way, struct check_row *row, const json_t *service,
	const struct backend *backend, u16 port, struct failure *failure);
void check_row_clear(struct check_way *way, struct check_row *row);

// --- check_exchange.c
struct exchanges;
typedef void exchange_fn(struct check *check, bool success, const char *why);
struct exchanges *exchanges_new(struct weftd *weftd, exchange_fn *fn, const char **why);
void exchanges_free(struct exchanges *exchanges);
struct check_space *exchanges_space(const struct exchanges *exchanges);
// Asks alias:port as the words say; fn is told how it ended. -EAGAIN: too many are under way.
int exchange_begin(struct exchanges *exchanges, struct check *check, const json_t *service,
	const struct check_row *row);
void exchange_cancel(struct exchanges *exchanges, const struct check *check);
