// SPDX-License-Identifier: BSD-2-Clause
// Ports: which device is which port, and the hook that gives its frames to the program.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

static u32 roles_of(const struct engine_overlay *overlay, u32 ifindex)
{
	u32 roles = overlay->carrier == ifindex ? WEFT_DEVICE_CARRIER : 0;
	for (u32 i = 0; i < overlay->underlays; i++)
		if (overlay->underlay[i] == ifindex)
			roles |= overlay->watch ? WEFT_DEVICE_WATCHED : WEFT_DEVICE_UNDERLAY;
	return roles;
}

// What the device is, port id and roles; 0: nothing of ours.
static u32 device_read(struct engine *engine, u32 ifindex)
{
	u32 device;
	return bpf_map_lookup_elem(engine->device_fd, &ifindex, &device) ? 0 : device;
}

// The hash is the truth; the slot array in front of it holds the latest of those that share a slot.
static int device_write(struct engine *engine, u32 ifindex, u32 device)
{
	u32 index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot slot = {ifindex, device}, was;
	if (!device) {
		slot.ifindex = 0;
		if (!bpf_map_lookup_elem(engine->device_slots_fd, &index, &was) &&
			was.ifindex == ifindex)
			bpf_map_update_elem(engine->device_slots_fd, &index, &slot, BPF_ANY);
		bpf_map_delete_elem(engine->device_fd, &ifindex);
		return 0;
	}
	int error = bpf_map_update_elem(engine->device_fd, &ifindex, &device, BPF_ANY);
	return error ? error : bpf_map_update_elem(engine->device_slots_fd, &index, &slot, BPF_ANY);
}

// Of a port's or an underlay device, why XDP is not on it; NULL: it is to have none.
static const char **xdp_why(struct engine *engine, u32 ifindex)
{
	struct ebpf_port *port = &engine->ports[device_read(engine, ifindex) & WEFT_DEVICE_PORT];
	if (port->ifindex == ifindex)
		return port->xdp ? &port->xdp_why : NULL;
	for (u32 i = 0; i < engine->overlay.underlays; i++)
		if (engine->overlay.underlay[i] == ifindex && engine->overlay.xdp[i])
			return &engine->underlay_xdp_why[i];
	return NULL;
}

static bool xdp_wanted(struct engine *engine, u32 ifindex)
{
	return xdp_why(engine, ifindex) != NULL;
}

// After the hook, which takes all that XDP does not.
static void follow_xdp(struct engine *engine, u32 ifindex, const char *name)
{
	const char **why = xdp_why(engine, ifindex);
	bool sends = false;
	if (!why && !ebpf_xdp_is_on(engine, ifindex))
		return;
	if (why && ebpf_xdp_attach(engine, ifindex, &sends, why))
		log_warn("%s: no XDP: %s", name, *why);
	u32 was = device_read(engine, ifindex);
	u32 is = sends ? was | WEFT_DEVICE_XDP : was & ~(u32)WEFT_DEVICE_XDP;
	if (is != was)
		device_write(engine, ifindex, is);
	if (!why)
		ebpf_xdp_detach(engine, ifindex);
}

const char *ebpf_driver(struct engine *engine, u32 ifindex, const char **why)
{
	*why = NULL;
	if (!ifindex || !device_read(engine, ifindex))
		return NULL;
	const char **wanted = xdp_why(engine, ifindex);
	*why = wanted ? *wanted : NULL;
	return wanted && !*wanted ? "xdp" : "tc";
}

// direct: as in engine_port; NULL: no.
static int write_port(struct engine *engine, u32 id, u32 ifindex, const struct weft_mac *direct)
{
	struct weft_port_device_row row = {.ifindex = ifindex};
	if (direct && weft_mac_known(direct)) {
		row.direct = 1;
		row.peer = *direct;
	}
	return bpf_map_update_elem(engine->port_device_fd, &id, &row, BPF_ANY);
}

static int bind_device(struct engine *engine, const struct engine_port *port)
{
	u32 roles = device_read(engine, port->ifindex) & ~WEFT_DEVICE_PORT;
	int error = device_write(engine, port->ifindex, port->id | roles);
	return error ? error : write_port(engine, port->id, port->ifindex, &port->direct);
}

static void unbind_device(struct engine *engine, u32 id, u32 ifindex)
{
	write_port(engine, id, 0, NULL);
	device_write(engine, ifindex, device_read(engine, ifindex) & ~WEFT_DEVICE_PORT);
}

// Two ports cannot be one device.
static int refuse_taken(struct engine *engine, const struct engine_port *port, const char **why)
{
	u32 owner = device_read(engine, port->ifindex) & WEFT_DEVICE_PORT;
	if (!owner || owner == port->id)
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
	mine->xdp = port->xdp;
	snprintf(mine->name, sizeof(mine->name), "%s", port->name);
	error = bind_device(engine, port);
	if (error)
		*why = ebpf_why(
			"cannot bind port %s to its device: %s", port->name, strerror(-error));
	if (!error && engine->committed)
		error = ebpf_hook_attach(engine, mine->ifindex, why);
	if (error && !known) {
		unbind_device(engine, port->id, port->ifindex);
		mine->ifindex = 0;
	}
	if (!error && engine->committed)
		follow_xdp(engine, mine->ifindex, mine->name);
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
	u32 ifindex = port->ifindex;
	unbind_device(engine, id, ifindex);
	port->ifindex = 0;
	if (engine->committed)
		follow_xdp(engine, ifindex, port->name); // the underlay's, if it is in that
	if (engine->committed && !device_read(engine, ifindex))
		ebpf_hook_detach(engine, ifindex);
	return 0;
}

// Roles go as they came: the device's port stays what it is.
static int set_roles(struct engine *engine, u32 ifindex, const char **why)
{
	u32 was = device_read(engine, ifindex), port = was & WEFT_DEVICE_PORT;
	u32 roles = roles_of(&engine->overlay, ifindex);
	u32 is = port | roles | (was & WEFT_DEVICE_XDP);
	if (is == was)
		return 0;
	int error = device_write(engine, ifindex, is);
	if (error)
		*why = ebpf_why("cannot bind the device with index %u to the overlay: %s", ifindex,
			strerror(-error));
	if (error || !engine->committed || port)
		return error;
	if (roles)
		return ebpf_hook_attach(engine, ifindex, why);
	ebpf_hook_detach(engine, ifindex);
	return 0;
}

static int set_overlay(
	struct engine *engine, const struct engine_overlay *overlay, const char **why)
{
	struct engine_overlay was = engine->overlay;
	if (overlay->underlays > ENGINE_UNDERLAYS)
		return -EINVAL;
	engine->overlay = *overlay;
	int error = overlay->carrier ? set_roles(engine, overlay->carrier, why) : 0;
	for (u32 i = 0; i < overlay->underlays; i++) {
		int failed = set_roles(engine, overlay->underlay[i], why);
		error = error ? error : failed;
	}
	write_port(engine, 0, overlay->carrier, NULL);
	if (was.carrier)
		set_roles(engine, was.carrier, why);
	for (u32 i = 0; i < was.underlays; i++)
		set_roles(engine, was.underlay[i], why);
	for (u32 i = 0; engine->committed && i < was.underlays; i++)
		if (!roles_of(overlay, was.underlay[i]))
			follow_xdp(engine, was.underlay[i], "underlay");
	for (u32 i = 0; engine->committed && i < overlay->underlays; i++)
		follow_xdp(engine, overlay->underlay[i], "underlay");
	return error;
}

int ebpf_overlay_set(struct engine *engine, const struct engine_overlay *overlay, const char **why)
{
	const char *unread;
	return set_overlay(engine, overlay, why ? why : &unread);
}

int ebpf_entry_set(struct engine *engine, u32 ifindex, const char **why)
{
	int error = device_write(engine, ifindex, WEFT_DEVICE_ENTRY);
	if (!error)
		return ebpf_hook_attach(engine, ifindex, why);
	*why = ebpf_why("cannot bind the device with index %u: %s", ifindex, strerror(-error));
	return error;
}

void ebpf_entry_unset(struct engine *engine, u32 ifindex)
{
	device_write(engine, ifindex, 0);
	ebpf_hook_detach(engine, ifindex);
}

static bool is_used(struct engine *engine, u32 ifindex)
{
	return device_read(engine, ifindex) != 0;
}

static void switch_device(struct engine *engine, u32 ifindex, const char *name)
{
	const char *why;
	if (!ifindex)
		return;
	if (ebpf_hook_attach(engine, ifindex, &why))
		// it may just have gone; weftd attaches again when it comes back
		log_error("%s: %s", name, why);
	else
		follow_xdp(engine, ifindex, name);
}

void ebpf_port_switch(struct engine *engine)
{
	for (u32 id = 1; id < engine->port_capacity; id++)
		switch_device(engine, engine->ports[id].ifindex, engine->ports[id].name);
	switch_device(engine, engine->overlay.carrier, "carrier");
	for (u32 i = 0; i < engine->overlay.underlays; i++)
		switch_device(engine, engine->overlay.underlay[i], "underlay");
	ebpf_xdp_prune(engine, xdp_wanted);
	ebpf_hook_prune(engine, is_used);
}
