// SPDX-License-Identifier: BSD-2-Clause
// What the files underlay*.c share: peers, their ways, the neighbours on them.
#pragma once

#include <event2/event.h>
#include <uthash.h>
#include "daemon/address.h"
#include "daemon/link.h"
#include "daemon/underlay.h"
#include "daemon/weftd.h"

struct nl_msg;

enum {
	UNDERLAY_WAYS = 16,                     // of one peer; more are not used
	UNDERLAY_ROWS = WEFT_NEXTHOPS_PER_PEER, // of one peer: ways repeated by their weight
	UNDERLAY_PROTOCOL = 87, // NDA_PROTOCOL of the neighbours that weft keeps alive: 'W'
	UNDERLAY_WHY_BYTES = 160,
};

// An entry of the kernel's ARP or ND table through which weft sends.
struct underlay_neighbour {
	struct neighbour_place {
		u32 ifindex;
		struct weft_ip ip;
	} place;
	struct weft_mac mac;
	bool valid;   // the kernel would send to this MAC now
	bool managed; // weft made the kernel keep it alive
	bool stale;   // an event named it, or it was never asked
	bool urge;    // without a MAC: the kernel shall ask for it now
	bool needed;  // some way goes through it
	UT_hash_handle hh;
};

// One next hop of the route to a peer.
struct way {
	u32 ifindex;
	u32 weight;
	u32 mtu;    // of the device and the route; 0: it is gone, or the loopback device
	bool down;  // its device is, or has no carrier
	bool plain; // up, and the frame is what an Ethernet header in front of the packet makes it
	bool on_link;
	struct weft_mac mac;                  // of the device
	struct weft_ip gateway;               // on link: the peer's own address
	struct underlay_neighbour *neighbour; // NULL: the way is not plain
};

struct underlay_peer {
	u32 id;
	struct weft_ip address;
	u32 count; // ways, by ifindex and gateway
	struct way way[UNDERLAY_WAYS];
	u32 mtu;  // smallest of the ways; stays while there is none: a flap moves no guest's MTU
	u32 rows; // written to the table
	bool short_of_rows; // it had no room for more
	u64 kept_since_ns;  // its rows are those of an earlier route; 0: they are not
	struct weft_nexthop_row row[UNDERLAY_ROWS];
	char why[UNDERLAY_WHY_BYTES]; // there is no way; empty: there is
	bool known;                   // still an object
	UT_hash_handle hh;
};

struct underlay {
	struct weftd *weftd;
	struct nl_sock *events;
	struct event *event, *timer, *beat;
	bool has_address;
	struct weft_ip address; // of this host
	u32 host_ifindex;       // the device with this address; 0: no device has it
	u32 host_mtu;           // of that device; stays while it is gone
	struct underlay_peer *peers;
	struct underlay_neighbour *neighbours;
	bool routes_stale, neighbours_stale;
	bool routes_due; // by the next timer: link.c may not have seen the event yet
	u32 told_mtus;   // what networks and carrier were told last
	u32 told[ENGINE_UNDERLAYS], told_count;
};

// underlay_ip.c
int ip_family(const struct weft_ip *ip); // AF_INET, AF_INET6
void ip_put(struct nl_msg *msg, int attribute, const struct weft_ip *ip);
// From the bytes of an attribute. false: neither IPv4 nor IPv6.
bool ip_take(struct weft_ip *ip, const void *bytes, int length);

// underlay.c
void underlay_schedule(struct underlay *underlay);                // reads what is stale, soon
void underlay_routes_stale(struct underlay *underlay);            // and schedules
struct underlay_peer *underlay_peer(struct weftd *weftd, u32 id); // up to date; or NULL

// underlay_event.c: follows the kernel. Returns 0 or -errno.
int underlay_events_open(struct underlay *underlay);

// underlay_route.c: asks the kernel; fills peer->way (no neighbours yet), count and why.
void underlay_route_read(struct underlay *underlay, struct underlay_peer *peer);
// The device that has the host's address; 0: none has it.
u32 underlay_route_host(struct underlay *underlay);

// underlay_neighbour.c
// Finds what an earlier weftd had the kernel keep alive.
int neighbours_adopt(struct underlay *underlay);
struct underlay_neighbour *neighbour_find(
	struct underlay *underlay, u32 ifindex, const struct weft_ip *ip);
// The neighbour that the way needs, made when it is new; stale.
struct underlay_neighbour *neighbour_need(struct underlay *underlay, const struct way *way);
void neighbours_read(struct underlay *underlay);  // the stale ones
void neighbours_sweep(struct underlay *underlay); // forgets those that are not needed
void neighbours_free(struct underlay *underlay, bool release);

// underlay_rows.c: brings the engine to what was read.
void underlay_rows_write(struct underlay *underlay, struct underlay_peer *peer);
void underlay_rows_delete(struct underlay *underlay, struct underlay_peer *peer);
// Rows for each of n weights, at most UNDERLAY_ROWS together, at least one each.
void underlay_shares(const u32 weight[], u32 n, u32 share[]);
