// SPDX-License-Identifier: BSD-2-Clause
// bridge.c - nodes of kind bridge: a Linux bridge, perhaps with kernel VXLAN devices in it
#include "topo/lab/bridge.h"

#include <string.h>

#include "topo/lab/device.h"

static const struct field fields[] = {
	NETNS_FIELDS,
	{"vxlan", read_list, offsetof(struct node, vxlans), .fields = vxlan_fields,
		.size = sizeof(struct vxlan)},
	{NULL},
};

void vxlan_name(const struct vxlan *vxlan, char dev[16])
{
	snprintf(dev, 16, "vxlan%u", vxlan->vni);
}

bool vxlan_makes_device(const struct node *node, const char *dev)
{
	char name[16];

	for (const struct entry *one = node->vxlans; one; one = one->next) {
		vxlan_name((const struct vxlan *)one, name);
		if (!strcmp(dev, name))
			return true;
	}
	return !strcmp(dev, BRIDGE_DEV);
}

int vxlan_check(struct lab *lab, struct node *node)
{
	int family, other;

	for (struct entry *one = node->vxlans; one; one = one->next) {
		const struct vxlan *vxlan = (struct vxlan *)one;
		const struct tree *remote = tree_item(vxlan->remotes, NULL);

		for (struct entry *prior = node->vxlans; prior != one; prior = prior->next)
			if (((struct vxlan *)prior)->vni == vxlan->vni)
				return lab_wrong(lab, tree_get(one->at, "vni"),
					"VNI %u stands here twice", vxlan->vni);
		is_address(vxlan->local, &family);
		for (; remote; remote = tree_item(vxlan->remotes, remote))
			if (is_address(remote->text, &other) && other != family)
				return lab_wrong(lab, remote, "%s is not of the same family as %s",
					remote->text, vxlan->local);
	}
	return 0;
}

bool bridge_has(const struct node *node, const struct end *end)
{
	return end->node == node && !tree_get(node->addresses, end->dev);
}

static int make_vxlan(struct place *place, const struct vxlan *vxlan)
{
	char dev[16];
	int err;

	vxlan_name(vxlan, dev);
	err = device_vxlan(place, dev, vxlan);
	return err ? err : device_enslave(place, dev, BRIDGE_DEV);
}

static int make(struct lab *lab, struct node *node)
{
	struct place place;
	int err = place_open(&place, lab, node);

	if (err)
		return err;
	err = device_bridge(&place, BRIDGE_DEV);
	for (struct entry *one = node->vxlans; one && !err; one = one->next)
		err = make_vxlan(&place, (struct vxlan *)one);
	for_each_link (link, lab)
		for (size_t i = 0; i < 2; i++)
			if (!err && bridge_has(node, &link->ends[i]))
				err = device_enslave(&place, link->ends[i].dev, BRIDGE_DEV);
	place_close(&place);
	return err;
}

const struct kind kind_bridge = {
	.name = "bridge",
	.fields = fields,
	.rank = 1,
	.netns = true,
	.check = vxlan_check,
	.passes = {[PASS_DEVICES] = make},
	.makes_device = vxlan_makes_device,
};
