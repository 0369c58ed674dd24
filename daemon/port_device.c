// SPDX-License-Identifier: BSD-2-Clause
// Ports of type device: a netdev that is there already (veth, NIC). Never made, never deleted.
#include "daemon/port_types.h"

const struct port_type port_type_device = {
	.name = "device",
	.without = "queues owner group mac mode socket",
	.without_why = "weft leaves the device as it is",
	.xdp = true,
	.promiscuous = true,
	.host_if_addressed = true,
	.carrier_state = "down",
	.carrier_why = "the device has no carrier: its other end is down",
};
