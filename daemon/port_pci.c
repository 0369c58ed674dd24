// SPDX-License-Identifier: BSD-2-Clause
// Ports of type pci: a NIC that the engine drives itself, by its PCI address.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/port_types.h"

static int pci_check(
	struct weftd *weftd, const json_t *spec, const struct link *link, struct failure *failure)
{
	const char *dev = port_dev(spec);
	(void)weftd, (void)link;
	if (dev && (strchr(dev, ':') || strncmp(dev, "net_", 4) == 0))
		return 0;
	if (dev)
		fail(failure, -EINVAL, "bad_value", "%s is no PCI address", dev);
	else
		fail(failure, -EINVAL, "bad_value", "a port of type pci needs `dev`");
	return fail_hint(failure, "`lspci -D` lists them: say `dev 0000:01:00.0`");
}

static void pci_path(struct weftd *weftd, const json_t *spec, char path[PORT_PATH_BYTES])
{
	const char *dev = port_dev(spec);
	(void)weftd;
	snprintf(path, PORT_PATH_BYTES, "%s", dev ? dev : "");
}

static int pci_prepare(struct port *port, struct engine_port *attach, struct failure *failure)
{
	return port_twin_wanted(port->object->spec) ? port_twin_take(port, attach, failure) : 0;
}

const struct port_type port_type_pci = {
	.name = "pci",
	.kind = ENGINE_PORT_PCI,
	.engine = "dpdk",
	.without = "queues owner group mac mode socket host",
	.without_why = "the NIC is weft's alone, and no guest opens it",
	.check = pci_check,
	.path = pci_path,
	.prepare = pci_prepare,
	.carrier_state = "down",
	.carrier_why = "the NIC has no link: its other end is down",
};
