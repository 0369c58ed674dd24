// SPDX-License-Identifier: BSD-2-Clause
// bridge.h - what the two kinds of foreign switch (bridge, ovs) share
#pragma once

#include "topo/lab/kind.h"

#define BRIDGE_DEV "br0"

// Devices of the node that belong to its switch: ends of links without addresses.
bool bridge_has(const struct node *node, const struct end *end);
// vxlanVNI
void vxlan_name(const struct vxlan *vxlan, char dev[16]);
bool vxlan_makes_device(const struct node *node, const char *dev);
// No VNI twice; remotes of the family of local.
int vxlan_check(struct lab *lab, struct node *node);
