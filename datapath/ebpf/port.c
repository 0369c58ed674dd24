// SPDX-License-Identifier: BSD-2-Clause
// Ports: which device is which port, and the hook that gives its frames to the program.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>

#include "weft_tc.skel.h"

LOG_MODULE(ebpf);

static const struct ebpf_hook *const hooks[] = {&ebpf_tcx, &ebpf_clsact};

static void hook_path(char path[EBPF_PATH_BYTES], struct engine *engine,
	const struct ebpf_hook *hook, u32 ifindex)
{
	ebpf_pin_path(path, engine, hook->dir, "%u", ifindex);
}

static void unhook(struct engine *engine, const struct ebpf_hook *hook, u32 ifindex)
{
	char path[EBPF_PATH_BYTES];
	hook_path(path, engine, hook, ifindex);
	hook->detach(path, ifindex);
}

static int check(struct engine *engine, u32 ifindex, const char **why)
{
	char path[EBPF_PATH_BYTES], name[IF_NAMESIZE];
	if (!if_indextoname(ifindex, name)) {
		*why = ebpf_why(
			"there is no device with index %u in weftd's network namespace", ifindex);
		return -ENODEV;
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(hooks); i++) {
		hook_path(path, engine, hooks[i], ifindex);
		int error = hooks[i]->check(path, ifindex, why);
		if (error)
			return error;
	}
	return 0;
}

static int hook_attach(struct engine *engine, const struct ebpf_port *port, const char **why)
{
	char path[EBPF_PATH_BYTES];
	int error = check(engine, port->ifindex, why);
	if (error)
		return error;
	hook_path(path, engine, engine->hook, port->ifindex);
	error = engine->hook->attach(
		path, port->ifindex, bpf_program__fd(engine->program->progs.weft_tc));
	if (error)
		*why = ebpf_why("the kernel refused weft's TC program on %s: %s", port->name,
			strerror(-error));
	return error;
}

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
		error = check(engine, port->ifindex, why);
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
		error = hook_attach(engine, mine, why);
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
		unhook(engine, engine->hook, port->ifindex);
	unbind_device(engine, id, port->ifindex);
	port->ifindex = 0;
	return 0;
}

struct pruning {
	const struct ebpf_hook *hook;
	bool all;
};

// Names are "7", "7-new", "7-qdisc".
static void prune(struct engine *engine, const char *name, void *context)
{
	struct pruning *pruning = context;
	u32 ifindex = (u32)strtoul(name, NULL, 10), id;
	bool used = pruning->hook == engine->hook &&
		    bpf_map_lookup_elem(engine->device_fd, &ifindex, &id) == 0;
	if (!used || pruning->all)
		unhook(engine, pruning->hook, ifindex);
}

static void prune_hooks(struct engine *engine, bool all)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(hooks); i++) {
		struct pruning pruning = {hooks[i], all};
		ebpf_pin_each(engine, hooks[i]->dir, prune, &pruning);
	}
}

void ebpf_port_switch(struct engine *engine)
{
	for (u32 id = 1; id < engine->port_capacity; id++) {
		const char *why;
		if (!engine->ports[id].ifindex)
			continue;
		int error = hook_attach(engine, &engine->ports[id], &why);
		if (error) // its device may just have gone; weftd attaches again when it comes back
			log_error("port %s: %s", engine->ports[id].name, why);
	}
	prune_hooks(engine, false);
}

void ebpf_port_purge(struct engine *engine)
{
	prune_hooks(engine, true);
}
