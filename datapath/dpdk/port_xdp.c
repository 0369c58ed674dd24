// SPDX-License-Identifier: BSD-2-Clause
// The driver of NICs that stay the kernel's: AF_XDP, a socket per queue, each on a frame's own
// queue only. steer.h gives them what weft claims; the host's stack has the rest.
//
// Nothing is offloaded: checksums and segments are completed before tx, and received ones are what
// came by the wire. A driver that takes tags out of the bytes is told not to: there is no other
// place to say them.
#include "datapath/dpdk/port.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/wire.h>
#include "datapath/dpdk/steer.h"
#include "datapath/dpdk/xsk.h"
#include "datapath/netdev.h"

struct xdp_port {
	int control; // any socket, for ioctl
	bool untag;  // tags were taken out of the bytes: so again when it is given back
	u32 rx, tx;  // queues
	struct steer *steer;
	struct xsk *xsk[DPDK_QUEUES];
};

// Its name of now: it may be renamed at any time. Returns 0, -ENODEV or another -errno.
static int ask_name(const struct xdp_port *xdp, u32 ifindex, struct ifreq *request)
{
	*request = (struct ifreq){.ifr_ifindex = (int)ifindex};
	return ioctl(xdp->control, SIOCGIFNAME, request) ? -errno : 0;
}

// A device that does not say has one queue each way.
static void count_queues(const struct xdp_port *xdp, struct ifreq *device, u32 *rx, u32 *tx)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	*rx = *tx = 1;
	device->ifr_data = (void *)&channels;
	if (ioctl(xdp->control, SIOCETHTOOL, device))
		return;
	*rx = RTE_MAX(channels.rx_count + channels.combined_count, 1u);
	*tx = RTE_MAX(channels.tx_count + channels.combined_count, 1u);
	*tx = RTE_MIN(*tx, *rx);
}

static int check_device(struct xdp_port *xdp, u32 ifindex, const char **why)
{
	struct engine_port_state state;
	struct ifreq device;
	*why = "the device is not in weftd's network namespace";
	xdp->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = xdp->control < 0 ? -errno : ask_name(xdp, ifindex, &device);
	if (error)
		return error;
	dpdk_netdev_state(xdp->control, ifindex, &state);
	*why = "its MTU is too large for AF_XDP";
	if (state.mtu + sizeof(struct eth_header) + 2 * sizeof(struct vlan_header) > XSK_FRAME)
		return -EMSGSIZE;
	count_queues(xdp, &device, &xdp->rx, &xdp->tx);
	*why = "it has more than 16 queues: ethtool -L DEVICE combined 16";
	if (xdp->rx > DPDK_QUEUES)
		return -ENOTSUP;
	xdp->untag = netdev_takes_tags(device.ifr_name);
	if (xdp->untag)
		netdev_let_take_tags(device.ifr_name, false);
	*why = "its driver takes VLAN tags out of the frames, and cannot be told not to";
	return xdp->untag && netdev_takes_tags(device.ifr_name) ? -ENOTSUP : 0;
}

static int open_queues(struct dpdk_port *port, struct xdp_port *xdp, const char **why)
{
	int error = steer_open(&xdp->steer, port->ifindex, why);
	for (u32 i = 0; !error && i < xdp->rx; i++) {
		*why = "the kernel refused an AF_XDP socket on the device: weftd needs "
		       "CAP_NET_RAW and CAP_IPC_LOCK, and nobody else's on its queues";
		error = xsk_open(&xdp->xsk[i], port, i, i < xdp->tx);
		error = error ? error : steer_socket(xdp->steer, i, xsk_fd(xdp->xsk[i]));
	}
	return error;
}

static void xdp_close(struct dpdk_port *port)
{
	struct xdp_port *xdp = port->driver_state;
	struct ifreq device;
	steer_close(xdp->steer);
	for (u32 i = 0; i < DPDK_QUEUES; i++) {
		xsk_close(xdp->xsk[i]);
		port->wake_fd[i] = -1;
	}
	if (xdp->untag && !ask_name(xdp, port->ifindex, &device))
		netdev_let_take_tags(device.ifr_name, true);
	if (xdp->control >= 0)
		close(xdp->control);
	free(xdp);
	port->driver_state = NULL;
}

static int xdp_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	struct xdp_port *xdp = calloc(1, sizeof(*xdp));
	*why = "there is no memory for the port";
	if (!xdp)
		return -ENOMEM;
	port->ifindex = config->ifindex;
	port->driver_state = xdp;
	int error = check_device(xdp, port->ifindex, why);
	error = error ? error : open_queues(port, xdp, why);
	if (error) {
		xdp_close(port);
		return error;
	}
	for (u32 i = 0; i < xdp->rx; i++)
		port->wake_fd[i] = xsk_fd(xdp->xsk[i]);
	port->takes = 0;
	port->rx_queues = xdp->rx;
	port->tx_queues = xdp->tx;
	return 0;
}

static u32 xdp_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 capacity)
{
	const struct xdp_port *xdp = port->driver_state;
	return xsk_rx(xdp->xsk[queue], frames, capacity);
}

static u32 xdp_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count)
{
	const struct xdp_port *xdp = port->driver_state;
	return xsk_tx(xdp->xsk[queue], frames, count);
}

static bool xdp_arm(struct dpdk_port *port, u32 queue, bool on)
{
	const struct xdp_port *xdp = port->driver_state;
	if (!on)
		return false;
	xsk_read_lost(xdp->xsk[queue]);
	return xsk_ready(xdp->xsk[queue]);
}

static void xdp_state(struct dpdk_port *port, struct engine_port_state *out)
{
	const struct xdp_port *xdp = port->driver_state;
	struct ifreq device;
	u32 tx;
	dpdk_netdev_state(xdp->control, port->ifindex, out);
	out->queues = xdp->rx;
	if (!ask_name(xdp, port->ifindex, &device)) // as the device has them now
		count_queues(xdp, &device, &out->queues, &tx);
}

const struct dpdk_driver dpdk_xdp = {
	.name = "xdp",
	.open = xdp_open,
	.close = xdp_close,
	.rx = xdp_rx,
	.tx = xdp_tx,
	.arm = xdp_arm,
	.state = xdp_state,
};
