// SPDX-License-Identifier: BSD-2-Clause
// Links: the netdevs of weftd's network namespace, as the kernel has them now.
//
// An event only says which link changed; the kernel is then asked what it is. So the table never
// holds an older state than the last answer, whatever the order of events and requests.
#pragma once

#include <linux/if.h>
#include <uthash.h>
#include "daemon/failure.h"
#include "weft/types.h"

struct weftd;
struct links;
struct link_watch;
struct nl_sock;
struct rtnl_link_stats64;

enum { LINK_ALIAS_BYTES = 256, LINK_KIND_BYTES = 16 };

struct link {
	u32 ifindex;
	u32 flags; // IFF_UP, IFF_LOWER_UP, IFF_LOOPBACK, IFF_PROMISC (as users set it)
	u32 mtu;
	u32 master;   // ifindex of the bridge or bond that it is in; 0: none
	u16 hardware; // ARPHRD_ETHER, ...
	struct weft_mac mac;
	u8 xdp;           // XDP_ATTACHED_*: an XDP program is on it,
	u32 xdp_program;  // with this id; 0: none, or several
	u32 peer;         // veth: ifindex of its other end; 0: unknown
	int peer_netns;   // and how this namespace calls the one that it is in; -1: it is this one
	bool tap;         // kind tun, of Ethernet frames
	bool multi_queue; // taps only
	bool vnet_hdr;    // taps only: whoever opened it last asked for virtio_net headers
	u32 owner, group; // taps only: who may open it; ~0: root only
	char kind[LINK_KIND_BYTES]; // "veth", "tun", "bridge"; empty: hardware
	char alias[LINK_ALIAS_BYTES];
	char name[IFNAMSIZ];

	// From here on, what link.c adds to the kernel's answer.
	bool has_address;         // an IPv4 or IPv6 address that is not link-local
	bool changed;             // an event named it: it waits in the queue
	struct link_watch *watch; // who uses it
	UT_hash_handle by_index, by_name;
	struct link *prev, *next; // the queue
};

static inline bool link_is_hardware(const struct link *link)
{
	return !link->kind[0];
}

// Interest in a device: by its name while there is none, by its ifindex once it is bound.
struct link_watch {
	char name[IFNAMSIZ]; // recorded name
	struct link *link;   // bound; NULL: none. Set by link_bind, cleared when it vanishes.
	// Something of the bound link changed (its name, carrier, mtu, flags, features, addresses),
	// or an unbound link with the recorded name appeared. link NULL: the bound one has
	// vanished.
	void (*changed)(struct link_watch *watch, struct link *link);
	UT_hash_handle hh;
};

// Reads every link and follows the events in weftd->base. Sets weftd->links.
int links_open(struct weftd *weftd, struct failure *failure);
void links_close(struct weftd *weftd);
struct nl_sock *links_socket(struct links *links); // for requests

struct link *link_find(struct links *links, const char *name); // NULL: no such device
struct link *link_at(struct links *links, u32 ifindex);
struct link *link_first(struct links *links); // then link->by_index.next

// Asks the kernel now, without waiting for the event. NULL: no such device.
struct link *link_refresh(struct links *links, const char *name);

// A veth's other end, if it is in this namespace; else NULL.
struct link *link_peer(struct links *links, const struct link *link);
// If it is in another one: what the kernel answers now, as far as link_parse knows it. -ENODEV: it
// is not, -EPERM: that namespace is not ours to look into.
int link_ask_peer(struct links *links, const struct link *link, struct link *peer);

// One name, one watch: -EEXIST when another watch has the name.
int link_watch_add(struct links *links, struct link_watch *watch, const char *name);
void link_watch_del(struct links *links, struct link_watch *watch); // unbinds, too
struct link_watch *link_watch_find(struct links *links, const char *name);
void link_bind(struct link_watch *watch, struct link *link);

// What to change, in one request; zero fields stay as they are. The table follows at once.
struct link_change {
	u32 flags, flags_mask; // IFF_UP, IFF_PROMISC
	u32 mtu;
	const struct weft_mac *mac;
	const char *alias; // "" removes it
	bool quiet;        // no IPv6 link-local address: the host has nothing to say on a tap
};
// Errors carry the kernel's words.
int link_set(struct links *links, struct link *link, const struct link_change *change,
	struct failure *failure);
// A tap needs no queue in front of its own: the kernel's default one costs a lock per packet and
// holds nothing back. Without (on false: back to the default), unless the operator chose one
// himself.
int link_set_no_queue(struct links *links, const struct link *link, bool on);
int link_delete(struct links *links, struct link *link, struct failure *failure);

// The device's own counters. Zeros and -errno when it is gone.
int link_stats(struct links *links, const struct link *link, struct rtnl_link_stats64 *stats);
