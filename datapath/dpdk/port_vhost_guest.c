// SPDX-License-Identifier: BSD-2-Clause
// Guests of vhost-user ports: who is at the socket, and whose driver runs.
#include "datapath/dpdk/port_vhost.h"
#include "datapath/dpdk/vnet.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(dpdk);

static u32 usable_pairs(const struct vhost_port *vhost)
{
	const struct vhost_guest *guest = vhost->guest;
	u32 pairs = 0;
	u32 most = guest && guest->features & VHOST_BIT(VIRTIO_NET_F_MQ) ? vhost->queues : 1;
	while (guest && pairs < most && vhost_ring_ready(guest, 2 * pairs) &&
		vhost_ring_ready(guest, 2 * pairs + 1))
		pairs++;
	return pairs;
}

// Tells workers and weftd.
static void publish(struct vhost_port *vhost)
{
	u32 pairs = usable_pairs(vhost);
	__atomic_store_n(&vhost->port->rx_queues, pairs, __ATOMIC_RELEASE);
	__atomic_store_n(&vhost->port->tx_queues, pairs, __ATOMIC_RELEASE);
	for (u32 i = 0; i < vhost->queues; i++)
		vhost_wake_up(&vhost->wake[i]);
	if (!__atomic_load_n(&vhost->quiet, __ATOMIC_ACQUIRE) && vhost->port->changed)
		vhost->port->changed(vhost->port);
}

static u32 takes(u64 features)
{
	static const struct {
		u64 guest; // all of them
		u32 takes;
	} super[] = {
		{VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4), ENGINE_TAKES_TSO4},
		{VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6), ENGINE_TAKES_TSO6},
		{VHOST_BIT(VIRTIO_NET_F_GUEST_USO4) | VHOST_BIT(VIRTIO_NET_F_GUEST_USO6),
			ENGINE_TAKES_USO},
	};
	if (!(features & VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	u32 result = ENGINE_TAKES_CHECKSUM;
	for (u32 i = 0; i < WEFT_ARRAY_SIZE(super); i++)
		if ((features & super[i].guest) == super[i].guest)
			result |= super[i].takes;
	return result;
}

// --- whose driver runs

// Again, when a message may have changed them.
static void follow(struct vhost_port *vhost)
{
	struct vhost_guest *guest = vhost->guest;
	for (u32 i = 0; i < vhost->queues; i++) {
		u16 ring = vhost_ring_from_guest(i);
		vhost_wake_set_kick(&vhost->wake[i],
			vhost_ring_ready(guest, ring) ? guest->rings[ring].kick : -1);
	}
	vhost->mtu = guest->mtu;
	__atomic_store_n(&vhost->port->takes, takes(guest->features), __ATOMIC_RELEASE);
	vhost_rings_open(vhost);
	publish(vhost);
}

static void serve(struct vhost_port *vhost, struct vhost_guest *guest)
{
	if (vhost->waiting == guest)
		vhost->waiting = NULL;
	__atomic_store_n(&vhost->guest, guest, __ATOMIC_SEQ_CST);
	for (u16 i = 0; i < 2 * vhost->queues; i++)
		vhost_ring_forgive(vhost, i);
	__atomic_store_n(&vhost->refused, NULL, __ATOMIC_RELEASE);
	follow(vhost);
	log_info("the guest's driver runs port=%s features=%llx pairs=%u", vhost->port->name,
		guest->features, vhost->port->rx_queues);
}

static void start_driver(struct vhost_guest *guest)
{
	struct vhost_port *vhost = guest->port;
	guest->runs = true;
	if (!vhost->guest)
		serve(vhost, guest);
	else
		vhost->waiting = guest;
}

void vhost_guest_stop(struct vhost_guest *guest)
{
	struct vhost_port *vhost = guest->port;
	guest->runs = false;
	if (vhost->waiting == guest)
		vhost->waiting = NULL;
	if (vhost->guest != guest)
		return;
	__atomic_store_n(&vhost->guest, NULL, __ATOMIC_SEQ_CST);
	publish(vhost); // before workers are waited for
	vhost_rings_close(vhost, guest);
	for (u32 i = 0; i < vhost->queues; i++)
		vhost_wake_set_kick(&vhost->wake[i], -1);
	log_info("the guest's driver has gone port=%s", vhost->port->name);
	if (vhost->waiting)
		serve(vhost, vhost->waiting);
}

// Its first pair is there. A driver that runs may disable it for a while.
static bool has_begun(const struct vhost_guest *guest)
{
	const struct vhost_told *rings = guest->rings;
	bool ok = guest->status & VIRTIO_CONFIG_S_DRIVER_OK ||
		  !(guest->protocol & VHOST_BIT(VHOST_PROTOCOL_STATUS));
	return ok && guest->shared && rings[0].placed && rings[0].started && rings[1].placed &&
	       rings[1].started;
}

void vhost_guest_changed(struct vhost_guest *guest)
{
	if (guest->runs && !has_begun(guest))
		vhost_guest_stop(guest);
	else if (!guest->runs && has_begun(guest) && vhost_ring_ready(guest, 0) &&
		 vhost_ring_ready(guest, 1))
		start_driver(guest);
	else if (guest->port->guest == guest)
		follow(guest->port);
}

// --- connections

struct vhost_guest *vhost_guest_new(struct vhost_port *vhost, u32 number, int socket)
{
	struct vhost_guest *guest = calloc(1, sizeof(*guest));
	if (!guest)
		return NULL;
	guest->port = vhost;
	guest->number = number;
	guest->socket = socket;
	for (u32 i = 0; i < VHOST_RINGS; i++)
		guest->rings[i].kick = guest->rings[i].call = -1;
	if (vhost->guest)
		log_info("another guest is at the socket: it waits until the first has gone "
			 "port=%s",
			vhost->port->name);
	__atomic_add_fetch(&vhost->connections, 1, __ATOMIC_SEQ_CST);
	publish(vhost);
	return guest;
}

void vhost_guest_free(struct vhost_guest *guest)
{
	struct vhost_port *vhost = guest->port;
	vhost_guest_stop(guest);
	vhost_guest_reset(guest);
	vhost_memory_unlog(guest);
	vhost_drop_descriptors(guest);
	__atomic_sub_fetch(&vhost->connections, 1, __ATOMIC_SEQ_CST);
	publish(vhost);
	free(guest);
}

void vhost_guest_state(struct vhost_port *vhost, struct engine_port_state *out)
{
	memset(out, 0, sizeof(*out));
	out->queues = __atomic_load_n(&vhost->port->rx_queues, __ATOMIC_ACQUIRE);
	out->carrier = out->queues > 0;
	const char *refused = __atomic_load_n(&vhost->refused, __ATOMIC_ACQUIRE);
	if (out->carrier)
		out->mtu = vhost->mtu;
	else if (refused)
		out->why = refused;
	else if (!__atomic_load_n(&vhost->connections, __ATOMIC_ACQUIRE))
		out->why = vhost->client ? "no hypervisor listens on the socket"
					 : "no guest is connected to the socket";
	else if (!__atomic_load_n(&vhost->guest, __ATOMIC_ACQUIRE))
		out->why = "the guest's driver has not started";
	else
		out->why = "the guest's driver has disabled its queues";
	const char *broken = vhost_rings_why(vhost);
	if (out->carrier && broken) {
		out->carrier = false;
		out->why = broken;
	}
}
