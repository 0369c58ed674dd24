// SPDX-License-Identifier: BSD-2-Clause
// router.c - nodes of kind router: a namespace that forwards IPv4 and IPv6
#include "topo/lab/device.h"
#include "topo/lab/kind.h"

static const struct field fields[] = {
	NETNS_FIELDS,
	{NULL},
};

static int forward(struct lab *lab, struct node *node)
{
	struct place place;
	int err = place_open(&place, lab, node);

	if (err)
		return err;
	err = device_sysctl(&place, "net.ipv4.ip_forward", "1");
	if (!err)
		err = device_sysctl(&place, "net.ipv6.conf.all.forwarding", "1");
	place_close(&place);
	return err;
}

const struct kind kind_router = {
	.name = "router",
	.fields = fields,
	.rank = 1,
	.netns = true,
	.passes = {[PASS_DEVICES] = forward},
};
