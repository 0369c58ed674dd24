// SPDX-License-Identifier: BSD-2-Clause
// Ports and underlay devices: opened, given to a worker, taken away again.
#include "datapath/dpdk/attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <weft/log.h>
#include "datapath/dpdk/claims.h"
#include "datapath/dpdk/eal.h"
#include "datapath/dpdk/steer.h"

LOG_MODULE(dpdk);

// Called by drivers, from any thread.
static void port_changed(struct dpdk_port *port)
{
	u64 one = 1;
	if (port->slot >= port->engine->port_capacity)
		return;
	__atomic_store_n(&port->engine->changed[port->slot], 1, __ATOMIC_RELEASE);
	if (write(port->engine->event_fd, &one, sizeof(one)) < 0)
		return; // it is readable already
}

static void port_has_lost(struct dpdk_port *port, enum weft_drop reason, u32 frames)
{
	shared_lost(port->engine, port->slot, reason, frames);
}

static u32 port_queues(const struct dpdk_port *port)
{
	u32 count = 1;
	while (count < DPDK_QUEUES && port->wake_fd[count] >= 0)
		count++;
	return count;
}

// The list of what a worker polls, made anew from the slots.
static int publish_list(struct engine *engine, struct dpdk_worker *worker)
{
	u32 count = 0;
	for (u32 slot = 0; slot < engine->slots; slot++)
		if (engine->ports[slot] && engine->ports[slot]->worker == worker->index)
			count += port_queues(engine->ports[slot]);
	struct dpdk_poll_list *list = malloc(sizeof(*list) + count * sizeof(list->queue[0]));
	struct dpdk_poll_list *old = worker->list;
	if (!list)
		return -ENOMEM;
	list->count = 0;
	for (u32 slot = 0; slot < engine->slots; slot++) {
		struct dpdk_port *port = engine->ports[slot];
		if (!port || port->worker != worker->index)
			continue;
		for (u32 i = 0; i < port_queues(port); i++)
			list->queue[list->count++] = &engine->queues[slot][i];
	}
	__atomic_store_n(&worker->list, list, __ATOMIC_RELEASE);
	shared_wait(engine);
	free(old);
	return 0;
}

static struct dpdk_worker *least_loaded(struct engine *engine)
{
	struct dpdk_worker *best = engine->workers[0];
	for (u32 i = 1; i < engine->worker_count; i++)
		if (engine->workers[i]->list->count < best->list->count)
			best = engine->workers[i];
	return best;
}

static int watch_queues(struct engine *engine, struct dpdk_port *port, int what)
{
	int epoll_fd = engine->workers[port->worker]->epoll_fd;
	for (u32 i = 0; i < port_queues(port); i++) {
		struct epoll_event event = {
			.events = EPOLLIN, .data.u64 = dpdk_event(port->slot, i)};
		if (port->wake_fd[i] >= 0 && epoll_ctl(epoll_fd, what, port->wake_fd[i], &event))
			return -errno;
	}
	return 0;
}

static const struct dpdk_driver *const drivers[] = {
	[ENGINE_PORT_NETDEV] = &dpdk_netdev,
	[ENGINE_PORT_VHOST_USER] = &dpdk_vhost,
	[ENGINE_PORT_PCI] = &dpdk_pci,
};

// Where the slots of underlay devices end, and those of wires begin.
static u32 underlay_end(const struct engine *engine)
{
	return engine->port_capacity + ENGINE_UNDERLAYS;
}

// A free one; 0: there is none.
static u32 wire_slot(const struct engine *engine)
{
	for (u32 slot = underlay_end(engine); slot < engine->slots; slot++)
		if (!engine->ports[slot])
			return slot;
	return 0;
}

// The other end of the pair that the port is one of.
static u32 pass_of(const struct engine *engine, u32 slot, const struct engine_port *config)
{
	if (slot >= underlay_end(engine))
		return config->id;
	return config->wire ? wire_slot(engine) : 0;
}

static struct dpdk_port *port_new(
	struct engine *engine, u32 slot, const struct engine_port *config, struct dpdk_queue **out)
{
	struct dpdk_port *port = aligned_alloc(64, (sizeof(*port) + 63) & ~63ul);
	struct dpdk_queue *queues = calloc(DPDK_QUEUES, sizeof(*queues));
	if (!port || !queues) {
		free(port);
		free(queues);
		return NULL;
	}
	memset(port, 0, sizeof(*port));
	*port = (struct dpdk_port){
		.id = slot < engine->port_capacity ? slot : 0,
		.slot = slot,
		.pass = pass_of(engine, slot, config),
		.engine = engine,
		.ifindex = config->ifindex,
		.pool = eal_pool(),
		.changed = port_changed,
		.lost = port_has_lost,
		.worker = least_loaded(engine)->index,
	};
	snprintf(port->name, sizeof(port->name), "%s", config->name);
	for (u32 i = 0; i < DPDK_QUEUES; i++) {
		rte_spinlock_init(&port->tx_lock[i]);
		port->wake_fd[i] = -1;
		queues[i] = (struct dpdk_queue){.port = port, .index = i};
	}
	*out = queues;
	return port;
}

// Any step of opening a port may take the last descriptor: that is not what the step is about.
static const char *why_of(int error, const char *why)
{
	if (error == -EMFILE)
		return "weftd has as many descriptors open as it may: raise its limit "
		       "(LimitNOFILE of its unit, or ulimit -n) and start it again";
	if (error == -ENFILE)
		return "this host has as many descriptors open as it may: raise sysctl fs.file-max";
	return why;
}

// A device that AF_XDP cannot take is taken by packet sockets. So is an underlay device with
// somebody else's program, which passes on to the host what is the host's; a port's machine could
// not be told why it is not heard.
static int driver_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	port->driver = drivers[config->kind];
	port->named = port->stamped = false;
	port->xdp = config->xdp;
	port->packet_why = NULL;
	if (config->kind == ENGINE_PORT_NETDEV && config->xdp) {
		int error = dpdk_xdp.open(port, config, why);
		if (!error)
			port->driver = &dpdk_xdp;
		if (!error || (error == -EBUSY && port->id && steer_foreign(port->ifindex, why)))
			return error;
		*why = why_of(error, *why);
		port->packet_why = *why;
		log_warn("packet sockets instead of AF_XDP: %s (%s) dev=%s ifindex=%u", *why,
			strerror(-error), port->name, config->ifindex);
	}
	int error = port->driver->open(port, config, why);
	*why = why_of(error, *why);
	return error;
}

// From here on workers know the port.
static int port_reveal(struct engine *engine, struct dpdk_port *port, struct dpdk_queue *queues)
{
	__atomic_store_n(&engine->queues[port->slot], queues, __ATOMIC_RELEASE);
	__atomic_store_n(&engine->ports[port->slot], port, __ATOMIC_RELEASE);
	int error = watch_queues(engine, port, EPOLL_CTL_ADD);
	return error ? error : publish_list(engine, engine->workers[port->worker]);
}

// And here no longer.
static void port_hide(struct engine *engine, struct dpdk_port *port)
{
	watch_queues(engine, port, EPOLL_CTL_DEL);
	__atomic_store_n(&engine->ports[port->slot], NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&engine->queues[port->slot], NULL, __ATOMIC_RELEASE);
	publish_list(engine, engine->workers[port->worker]);
}

static void port_free(struct dpdk_port *port, struct dpdk_queue *queues)
{
	claims_close(port);
	free(queues);
	free(port);
}

static int slot_open(struct engine *engine, u32 slot, const struct engine_port *config,
	bool underlay, const char **why)
{
	struct dpdk_queue *queues;
	struct dpdk_port *port = port_new(engine, slot, config, &queues);
	if (!port)
		return -ENOMEM;
	port->underlay = underlay;
	int error = driver_open(port, config, why);
	if (!error) {
		error = claims_open(engine, port, why);
		*why = why_of(error, *why);
		if (error)
			port->driver->close(port);
	}
	if (error) {
		port_free(port, queues);
		return error;
	}
	error = port_reveal(engine, port, queues);
	if (error)
		attach_close(engine, slot);
	return error;
}

// The other driver takes the same device. What is claimed of it stays claimed: meanwhile the host's
// stack does not hear a port's machines.
static int slot_reopen(
	struct engine *engine, u32 slot, const struct engine_port *config, const char **why)
{
	struct dpdk_port *port = engine->ports[slot];
	struct dpdk_queue *queues = engine->queues[slot];
	if (config->xdp && port->id && steer_foreign(port->ifindex, why))
		return -EBUSY;
	port_hide(engine, port);
	port->driver->close(port);
	for (u32 i = 0; i < DPDK_QUEUES; i++) {
		queues[i].armed = false;
		queues[i].empty_since_ns = 0;
	}
	int error = driver_open(port, config, why);
	if (error) {
		port_free(port, queues);
		return error == -EBUSY ? -ENODEV : error;
	}
	error = port_reveal(engine, port, queues);
	if (error)
		attach_close(engine, slot);
	return error;
}

static void follow_queues(struct engine *engine, struct dpdk_port *port)
{
	struct engine_port_state now;
	struct engine_port config = {
		.id = port->id, .ifindex = port->ifindex, .name = port->name, .xdp = true};
	char name[sizeof(port->name)];
	const char *why = NULL;
	port->driver->state(port, &now);
	if (now.queues == port->rx_queues)
		return;
	log_info("its queues have changed: opened again dev=%s ifindex=%u queues=%u", port->name,
		port->ifindex, now.queues);
	memcpy(name, port->name, sizeof(name));
	int error = slot_reopen(engine, port->slot, &config, &why);
	if (error)
		log_warn("%s (%s) dev=%s ifindex=%u", why ? why : "it could not be",
			strerror(-error), name, config.ifindex);
}

// A frame on a queue without a socket goes to the host's stack, where the claim drops it.
void attach_follow_queues(struct engine *engine)
{
	for (u32 slot = 1; slot < engine->slots; slot++)
		if (engine->ports[slot] && engine->ports[slot]->driver == &dpdk_xdp)
			follow_queues(engine, engine->ports[slot]);
}

void attach_close(struct engine *engine, u32 slot)
{
	struct dpdk_port *port = engine->ports[slot];
	if (!port)
		return;
	struct dpdk_queue *queues = engine->queues[slot];
	if (port->id && port->pass)
		attach_close(engine, port->pass);
	port_hide(engine, port);
	port->driver->close(port);
	port_free(port, queues);
}

static u32 port_slot_of(const struct engine *engine, u32 ifindex)
{
	for (u32 slot = 1; slot < engine->port_capacity; slot++)
		if (engine->ports[slot] && engine->ports[slot]->ifindex == ifindex)
			return slot;
	return 0;
}

static bool is_underlay(const struct engine *engine, u32 ifindex)
{
	for (u32 i = 0; ifindex && i < engine->overlay.underlays; i++)
		if (engine->overlay.underlay[i] == ifindex)
			return true;
	return false;
}

// The slot where an underlay device that is no port stands; one that is free when there is none.
static u32 underlay_slot_for(struct engine *engine, u32 ifindex, bool *open)
{
	u32 room = 0;
	for (u32 slot = engine->port_capacity; slot < underlay_end(engine); slot++) {
		*open = engine->ports[slot] && engine->ports[slot]->ifindex == ifindex;
		if (*open)
			return slot;
		if (!engine->ports[slot] && !room)
			room = slot;
	}
	return room;
}

static int underlay_open(struct engine *engine, u32 index, u32 *slot, const char **why)
{
	u32 ifindex = engine->overlay.underlay[index];
	struct engine_port config = {
		.ifindex = ifindex, .name = "underlay", .xdp = engine->overlay.xdp[index]};
	bool open;
	*slot = port_slot_of(engine, ifindex);
	if (*slot)
		return 0;
	*slot = underlay_slot_for(engine, ifindex, &open);
	if (!open)
		return slot_open(engine, *slot, &config, true, why);
	return engine->ports[*slot]->xdp == config.xdp ? 0
						       : slot_reopen(engine, *slot, &config, why);
}

// Closes what is no underlay device any more, or a port by now.
static void underlay_sweep(struct engine *engine)
{
	for (u32 slot = engine->port_capacity; slot < underlay_end(engine); slot++) {
		const struct dpdk_port *port = engine->ports[slot];
		if (port && (!is_underlay(engine, port->ifindex) ||
				    port_slot_of(engine, port->ifindex)))
			attach_close(engine, slot);
	}
}

// A device has one claim, one XDP program and one socket per queue: the underlay's go before a
// port's come.
static void leave_underlay(struct engine *engine, u32 ifindex)
{
	bool open;
	u32 slot = underlay_slot_for(engine, ifindex, &open);
	if (slot && open)
		attach_close(engine, slot);
}

static int underlay_follow(struct engine *engine, const char **why)
{
	int error = 0;
	u32 count = 0, slots[ENGINE_UNDERLAYS] = {0};
	underlay_sweep(engine);
	for (u32 i = 0; i < engine->overlay.underlays; i++) {
		u32 slot = 0;
		int failed = underlay_open(engine, i, &slot, why);
		error = error ? error : failed;
		if (!failed)
			slots[count++] = slot;
	}
	for (u32 i = 0; i < ENGINE_UNDERLAYS; i++)
		__atomic_store_n(&engine->underlay[i], slots[i], __ATOMIC_RELEASE);
	return error;
}

int attach_overlay(struct engine *engine, const struct engine_overlay *overlay, const char **why)
{
	const char *unheard;
	engine->overlay = *overlay;
	for (u32 slot = 1; slot < engine->port_capacity; slot++) {
		struct dpdk_port *port = engine->ports[slot];
		if (port && port->underlay != is_underlay(engine, port->ifindex))
			port->underlay = !port->underlay;
		claims_follow(engine, port);
	}
	return underlay_follow(engine, why ? why : &unheard);
}

// The port and, behind a twin, its wire. Until that is there, what goes to it is dropped.
static int port_open(
	struct engine *engine, const struct engine_port *config, bool underlay, const char **why)
{
	const struct engine_port wire = {
		.id = config->id, .ifindex = config->wire, .name = config->name};
	if (config->wire && !wire_slot(engine)) {
		*why = "weft drives no more NICs that have a twin: 16 at most";
		return -ENOSPC;
	}
	int error = slot_open(engine, config->id, config, underlay, why);
	if (error || !config->wire)
		return error;
	error = slot_open(engine, engine->ports[config->id]->pass, &wire, false, why);
	if (error)
		attach_close(engine, config->id);
	return error;
}

int attach_port(struct engine *engine, const struct engine_port *config, const char **why)
{
	const char *unheard;
	const struct dpdk_port *old =
		config->id < engine->port_capacity ? engine->ports[config->id] : NULL;
	why = why ? why : &unheard;
	if (config->id >= engine->port_capacity) {
		*why = "the port table is full; raise capacity.port in the daemon's configuration";
		return -ENOSPC;
	}
	if (config->kind >= WEFT_ARRAY_SIZE(drivers) || !drivers[config->kind]) {
		*why = "this build of the dpdk engine has no such ports";
		return -ENOTSUP;
	}
	if (config->kind == ENGINE_PORT_PCI && !eal_has_pci()) {
		*why = "this weftd was started without NICs: set `dpdk: {pci: true}` in its "
		       "configuration and start it again";
		return -ENOTSUP;
	}
	if (old && config->ifindex && old->ifindex == config->ifindex)
		return old->xdp == config->xdp ? 0 : slot_reopen(engine, config->id, config, why);
	attach_close(engine, config->id);
	bool underlay = is_underlay(engine, config->ifindex);
	if (underlay)
		leave_underlay(engine, config->ifindex);
	int error = port_open(engine, config, underlay, why);
	if (underlay) {
		const char **followed = error ? &unheard : why;
		int failed = underlay_follow(engine, followed);
		error = error ? error : failed;
	}
	return error;
}

int attach_detach(struct engine *engine, u32 port_id)
{
	const char *unheard;
	if (port_id >= engine->port_capacity || !engine->ports[port_id])
		return 0;
	bool underlay = engine->ports[port_id]->underlay;
	attach_close(engine, port_id);
	return underlay ? underlay_follow(engine, &unheard) : 0;
}
