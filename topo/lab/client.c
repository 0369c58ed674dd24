// SPDX-License-Identifier: BSD-2-Clause
// client.c - nodes of kind client: a namespace that sends and answers, behind a port or on a link
#include "topo/lab/client.h"

#include <string.h>

#include "topo/lab/device.h"

static const struct field fields[] = {
	NETNS_FIELDS,
	{"host", read_text, offsetof(struct node, host_name)},
	{"port", read_text, offsetof(struct node, port)},
	{"network", read_text, offsetof(struct node, network)},
	{"mtu", read_number, offsetof(struct node, mtu), .min = 68, .max = 65535},
	{NULL},
};

const char *client_port_device(const struct node *client)
{
	const char *dev = tree_text(host_object(client->host, "ports", client->port), "dev");

	return dev ? dev : client->port;
}

bool guest_makes_device(const struct node *node, const char *dev)
{
	return node->host_name && !strcmp(dev, "eth0");
}

static struct end port_end(const struct node *client)
{
	struct end end = {.node = client->host};

	snprintf(end.dev, sizeof(end.dev), "%s", client_port_device(client));
	return end;
}

static int check(struct lab *lab, struct node *node)
{
	const char *type;
	struct end end;

	if (!node->host)
		return node->mtu ? lab_wrong(lab, node->entry.at,
					   "client %s is behind no port: `mtu` belongs to its link",
					   node->name)
				 : 0;
	type = tree_text(host_object(node->host, "ports", node->port), "type");
	if (type && strcmp(type, "device") != 0)
		return lab_wrong(lab, node->entry.at,
			"client %s needs a port of type device, and port %s of %s is of type %s",
			node->name, node->port, node->host_name, type);
	if (!is_device(client_port_device(node)))
		return lab_wrong(lab, node->entry.at,
			"port %s of client %s is no device name: at most 15 letters", node->port,
			node->name);
	end = port_end(node);
	if (lab_link(lab, &end))
		return lab_wrong(lab, node->entry.at,
			"client %s needs the device %s of %s, where a link ends", node->name,
			end.dev, node->host_name);
	return 0;
}

static int attach(struct lab *lab, struct node *node)
{
	struct end inside = {.node = node, .dev = "eth0"}, port;

	if (!node->host)
		return 0;
	port = port_end(node);
	return device_veth(lab, &inside, &port, node->mtu);
}

const struct kind kind_client = {
	.name = "client",
	.fields = fields,
	.rank = 0,
	.netns = true,
	.check = check,
	.passes = {[PASS_DEVICES] = attach},
	.makes_device = guest_makes_device,
};
