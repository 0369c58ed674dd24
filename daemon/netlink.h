// SPDX-License-Identifier: BSD-2-Clause
// One request to the kernel and its answers, with the kernel's own words when it refuses.
#pragma once

#include <netlink/msg.h>
#include <netlink/socket.h>
#include <weft/types.h>

enum { NETLINK_WHY_BYTES = 160 };

// Called for every answer. The message is valid during the call only.
typedef void netlink_answer_fn(struct nlmsghdr *answer, void *context);

// A socket for requests, or (groups, terminated by 0) a non-blocking one for events. NULL and
// *error = -errno when the kernel refuses.
struct nl_sock *netlink_open(const int *groups, int *error);

// Sends the message, which it frees, and waits for the end of the answers. fn may be NULL. After
// an error why (may be NULL) holds the kernel's sentence, or that of errno.
int netlink_talk(struct nl_sock *sock, struct nl_msg *msg, netlink_answer_fn *fn, void *context,
	char why[NETLINK_WHY_BYTES]);

// The request for a veth, as netlink_talk sends it; NULL: no memory.
struct netlink_peer { // its other end
	const char *name;
	int netns; // descriptor of the namespace that it goes into; 0: this one
	u32 mtu;   // 0: the kernel's choice; so without an address
	const struct weft_mac *mac;
};
struct nl_msg *netlink_veth(const char *name, const struct netlink_peer *peer);
