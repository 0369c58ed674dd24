// SPDX-License-Identifier: BSD-2-Clause
// List 3b: the types of ports. X(struct port_type, word), one file each: daemon/port_TYPE.c.
#pragma once

#include "daemon/port.h"

#define PORT_TYPES(X) \
	X(port_type_tap, "tap") \
	X(port_type_device, "device") \
	X(port_type_vhost_user, "vhost-user") \
	X(port_type_pci, "pci")

#define X(type, word) extern const struct port_type type;
PORT_TYPES(X)
#undef X
