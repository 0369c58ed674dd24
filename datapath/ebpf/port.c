// SPDX-License-Identifier: BSD-2-Clause
// Ports: which device is which port, and the hook that gives its frames to the program.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

// The hash is the truth; the slot array in front of it holds the latest of those that share a slot.
static int bind_device(struct engine *engine, u32 id, u32 ifindex)
{
	u32 index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot slot = {ifindex, id};
	int error = bpf_map_update_elem(engine->device_fd, &ifindex, &id, BPF_ANY);
	if (!error)
		error = bpf_map_update_elem(engine->device_slots_fd, &index, &slot, BPF_ANY);
	return error ? error : bpf_map_update_elem(engine->port_device_fd, &id, &ifindex, BPF_ANY);
}

static void unbind_device(struct engine *engine, u32 id, u32 ifindex)
{
	u32 none = 0, index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot slot, empty = {0};
	bpf_map_update_elem(engine->port_device_fd, &id, &none, BPF_ANY);
	if (!bpf_map_lookup_elem(engine->device_slots_fd, &index, &slot) && slot.ifindex == ifindex)
		bpf_map_update_elem(engine->device_slots_fd, &index, &empty, BPF_ANY);
	bpf_map_delete_elem(engine->device_fd, &ifindex);
}

// Two ports cannot be one device.
static int refuse_taken(struct engine *engine, const struct engine_port *port, const char **why)
{
	u32 owner;
	if (bpf_map_lookup_elem(engine->device_fd, &port->ifindex, &owner) || owner == port->id)
		return 0;
	*why = ebpf_why("the device of port %s is that of port %s already: give it another, or "
			"delete the other port",
		port->name, engine->ports[owner].name);
	return -EBUSY;
}

static int attach(struct engine *engine, const struct engine_port *port, const char **why)
{
	if (port->id == 0 || port->id >= engine->port_capacity) {
		*why = "the port table is full: raise its capacity in the daemon's configuration";
		return -ENOSPC;
	}
	struct ebpf_port *mine = &engine->ports[port->id];
	int error = refuse_taken(engine, port, why);
	if (!error)
		error = ebpf_hook_check(engine, port->ifindex, why);
	if (error)
		return error;
	if (mine->ifindex && mine->ifindex != port->ifindex)
		ebpf_port_detach(engine, port->id);
	bool known = mine->ifindex != 0;
	mine->ifindex = port->ifindex;
	snprintf(mine->name, sizeof(mine->name), "%s", port->name);
	error = bind_device(engine, port->id, port->ifindex);
	if (error)
		*why = ebpf_why(
			"cannot bind port %s to its device: %s", port->name, strerror(-error));
	if (!error && engine->committed)
		error = ebpf_hook_attach(engine, mine->ifindex, why);
	if (error && !known) {
		unbind_device(engine, port->id, port->ifindex);
		mine->ifindex = 0;
	}
	return error;
}

int ebpf_port_attach(struct engine *engine, const struct engine_port *port, const char **why)
{
	const char *unread;
	return attach(engine, port, why ? why : &unread);
}

int ebpf_port_detach(struct engine *engine, u32 id)
{
	if (id == 0 || id >= engine->port_capacity)
		return -EINVAL;
	struct ebpf_port *port = &engine->ports[id];
	if (!port->ifindex)
		return 0;
	if (engine->committed)
		ebpf_hook_detach(engine, port->ifindex);
	unbind_device(engine, id, port->ifindex);
	port->ifindex = 0;
	return 0;
}

static bool is_port(struct engine *engine, u32 ifindex)
{
	u32 id;
	return bpf_map_lookup_elem(engine->device_fd, &ifindex, &id) == 0;
}

void ebpf_port_switch(struct engine *engine)
{
	for (u32 id = 1; id < engine->port_capacity; id++) {
		const char *why;
		if (!engine->ports[id].ifindex)
			continue;
		int error = ebpf_hook_attach(engine, engine->ports[id].ifindex, &why);
		if (error) // its device may just have gone; weftd attaches again when it comes back
			log_error("port %s: %s", engine->ports[id].name, why);
	}
	ebpf_hook_prune(engine, is_port);
}
