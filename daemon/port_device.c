// SPDX-License-Identifier: BSD-2-Clause
// Ports of type device: a netdev that is there already (veth, NIC). Never made, never deleted.
#include "daemon/port_types.h"

#include <errno.h>

static int device_check(const json_t *spec, const struct link *link, struct failure *failure)
{
	static const char *const of_taps[] = {"queues", "owner", "group", "mac"};
	(void)link;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(of_taps); i++) {
		if (json_object_get(spec, of_taps[i]))
			return fail(failure, -EINVAL, "bad_value",
				"type device has no `%s`: weft leaves the device as it is",
				of_taps[i]);
	}
	return 0;
}

const struct port_type port_type_device = {
	.name = "device",
	.check = device_check,
	.promiscuous = true,
	.host_if_addressed = true,
	.carrier_state = "down",
	.carrier_why = "the device has no carrier: its other end is down",
};
