// SPDX-License-Identifier: BSD-2-Clause
// Networks: L2 broadcast domains.
//
//   network.c        the noun: words, apply, remove, show
//   network_check.c  whether the words can be
//   network_rows.c   rows in the engine: the network's own, its VNI's, its flood list; its MTU
#pragma once

#include "daemon/member.h"
#include "daemon/weftd.h"

extern const struct noun noun_network;

// What is live of a network (object->live); NULL while it could not be applied. weftd->common is
// one, too: row 0, with the flood list of the peers that all networks with a VNI have in common.
struct network {
	struct member_list members;
	u32 vni; // as the engine has them
	u32 mtu;
};

int network_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);

u32 network_vni(const json_t *spec);                 // 0: not between hosts
u64 network_ageing_ns(const struct object *network); // 0: never
u32 network_suppress_seconds(const json_t *spec);    // 0: never
// The MTU that holds: the words', or what the underlay carries (largest), the smaller.
struct weft_usage_row *network_usage(struct weftd *weftd, u32 id); // as place_usage
bool network_inner_tags(const json_t *spec);                       // tags are payload
const char *network_gateway(const json_t *spec, bool v4); // NULL: it has none of the family
bool network_is_gateway(const json_t *spec, const struct weft_ip *ip);
u32 network_mtu(struct weftd *weftd, const json_t *spec);
u32 network_mtu_settled(
	struct weftd *weftd, const json_t *spec); // 0: hangs on an underlay not known
u32 network_mtu_largest(struct weftd *weftd, const json_t *spec); // 0: nothing known to limit it
u32 network_overhead(struct weftd *weftd, const json_t *spec);    // bytes of the encapsulation

bool network_wants_carrier(const json_t *spec); // an engine with an own overlay has none
// Does the model have one with a VNI; and (own) whose encapsulation weft does itself?
bool network_any_vni(struct weftd *weftd, bool own);
// The underlay carries more or less now, or over other devices: MTUs and carrier follow.
void network_underlay_changed(struct weftd *weftd);

// Rows <- spec. After an error apply the former spec again.
int network_rows_set(struct weftd *weftd, struct object *object, struct failure *failure);
void network_rows_clear(struct weftd *weftd, struct object *object);

// It has services now that had none, or the other way round.
void network_services_changed(struct weftd *weftd, u32 id);
u32 network_connection_limit(struct weftd *weftd, const json_t *spec);
u32 network_tenants(struct weftd *weftd);         // networks that have services
void network_shares_changed(struct weftd *weftd); // balancer_tenants(): rows follow

// Those that may be added to its floods (network 0: to those of every network with a VNI). Errors
// as member_add; -ENOENT: the network is not up.
int network_join(struct weftd *weftd, u32 network, u32 port, u16 tag, struct failure *failure);
void network_leave(struct weftd *weftd, u32 network, u32 port, u16 tag);
// The tag with which the port is in the network; false: it is not.
bool network_tag(struct weftd *weftd, u32 network, u32 port, u16 *tag);
void network_forget_common(struct weftd *weftd); // frees weftd->common
