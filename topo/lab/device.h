// SPDX-License-Identifier: BSD-2-Clause
// device.h - network devices, addresses and routes of a node, by netlink
#pragma once

#include "topo/lab/lab.h"

struct nl_sock;

// A node's namespace, entered, and a netlink socket there.
struct place {
	struct lab *lab;
	const struct node *node;
	struct nl_sock *sock;
	int home;
};

int place_open(struct place *place, struct lab *lab, const struct node *node);
void place_close(struct place *place);

// All give 0 or -errno and fill the lab's `why`.

// A veth pair between two nodes, both ends up. mtu 0: 1500.
int device_veth(struct lab *lab, const struct end *end, const struct end *other, unsigned mtu);

// The rest works in an open place.
int device_bridge(struct place *place, const char *dev);
int device_vxlan(struct place *place, const char *dev, const struct vxlan *vxlan);
int device_enslave(struct place *place, const char *dev, const char *bridge);
int device_up(struct place *place, const char *dev);
int device_rename(struct place *place, const char *dev, const char *name);
// Frames leave with their checksums complete: for who reads them from a packet socket.
int device_no_offload(struct place *place, const char *dev);
// IPv6 comes on with the first IPv6 address; it is off elsewhere, so that labs are quiet.
int device_address(struct place *place, const char *dev, const char *address);
int device_route(struct place *place, const struct route *route);
// Writes /proc/sys/NAME, dots for slashes, in this namespace.
int device_sysctl(struct place *place, const char *name, const char *value);
