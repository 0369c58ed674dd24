// SPDX-License-Identifier: BSD-2-Clause
// client.h - what guests (client, vm) share, and what hosts know of clients
#pragma once

#include "topo/lab/kind.h"

// The host's end of a client's veth.
const char *client_port_device(const struct node *client);
// The end of a guest's port is eth0.
bool guest_makes_device(const struct node *node, const char *dev);
