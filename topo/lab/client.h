// SPDX-License-Identifier: BSD-2-Clause
// client.h - what guests (client, vm) share, and what others ask of them
#pragma once

#include "topo/lab/kind.h"

// The host's end of a client's veth.
const char *client_port_device(const struct node *client);
// The end of a guest's port is eth0.
bool guest_makes_device(const struct node *node, const char *dev);
// Ends a VM and removes its files; no VM of that name: 0.
int vm_stop(struct lab *lab, const char *name);
