// SPDX-License-Identifier: BSD-2-Clause
// The rig of the packets of services: the engine at hand, packets one at a time, the rows of a
// service. Who is where: services.c.
#pragma once

#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <weft/wire.h>

#define VIP SERVICES_VIP

enum { UPLINK = SERVICES_UPLINK };

extern const struct engine_ops *ops;
extern struct engine *engine;
extern u64 now_ns;
extern struct engine_result result; // of the packet that entered last

void knows(const char *letter, u32 port);
void start(void **state);
bool is_xdp(void);
// TCP of a peer comes in as it does in that engine: carrier_brings (services_carrier.c).
void enter(u32 port, const char *in);
void carrier_brings(u32 peer, const struct frame *inner, const struct frame *outer);
// The one frame that left.
struct frame left(u32 port);
u16 source_port(void); // of the one that left for port 13
void goes(u32 port, const char *in, u32 to, const char *out);
// It is lost, and its sender told.
void refuses(u32 port, const char *in, enum weft_drop reason, const char *out);
void drops(u32 port, const char *in, enum weft_drop reason);
u64 connections(u32 service);
void put_backend(u32 id, u32 flags);
// To the service's address of the family.
struct weft_connection_key connection_key(const char *src, u16 sport, u16 dport, u8 protocol);
struct weft_connection_row connection(const char *src, u16 sport, u16 dport, u8 protocol);
void nobody_serves(u32 service);
