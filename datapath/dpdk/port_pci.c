// SPDX-License-Identifier: BSD-2-Clause
// Ports of kind pci: a NIC that DPDK drives itself, or any other ethdev, by the name DPDK knows it
// by.
//
// A NIC holds a frame per descriptor, of those that are for everybody; so weft counts what NICs may
// hold, and takes no more of them than leave enough for the rest.
//
// One queue each way. Without receive interrupts a worker looks at a quiet NIC by time: after a
// sixteenth of the time that it has been quiet, about.
#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "datapath/dpdk/dpdk.h"
#include "datapath/dpdk/eal.h"

enum {
	DESCRIPTORS = 1024,
	LOOK_LEAST_NS = 50000,
	LOOK_MOST_NS = 1000000,
	LOOK_SHARE = 16,
	L2_BYTES = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN,
	LOST_POLLS = 1 << 16, // busy: what the NIC has lost is read so often,
	LOST_LOOKS = 64,      // and quiet so often: some drivers take long to tell
};

struct pci_port {
	u16 id; // DPDK's
	int timer;
	u32 frames; // that it may hold
	u64 missed; // as the NIC said it last
	u32 polls, looks;
	u32 look_ns; // until the next
	bool interrupts;
	bool prepare; // frames with offloads go through rte_eth_tx_prepare
};

static u32 takes_of(const struct rte_eth_dev_info *info, uint64_t *offloads)
{
	const u64 checksum = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	u64 can = info->tx_offload_capa;
	u32 takes = 0;
	*offloads = can & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if ((can & checksum) == checksum) {
		*offloads |= checksum | (can & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
		takes |= ENGINE_TAKES_CHECKSUM;
	}
	if (takes && can & RTE_ETH_TX_OFFLOAD_TCP_TSO && can & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) {
		*offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
		takes |= ENGINE_TAKES_TSO4 | ENGINE_TAKES_TSO6;
	}
	return takes;
}

// Frames longer than an mbuf come in several. Only where they must: drivers are slower with it.
static u64 scatter(const struct rte_eth_dev_info *info, const struct dpdk_port *port, u32 mtu)
{
	u32 room = rte_pktmbuf_data_room_size(port->pool) - RTE_PKTMBUF_HEADROOM;
	return mtu + L2_BYTES > room ? info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER : 0;
}

static u32 held; // frames that NICs may hold, all together

static void frames_return(struct pci_port *pci)
{
	held -= pci->frames;
	pci->frames = 0;
}

static int frames_take(
	const struct dpdk_port *port, struct pci_port *pci, u32 frames, const char **why)
{
	static char message[128];
	u32 wanted = held + frames + eal_least(port->engine ? port->engine->worker_count : 1);
	if (wanted <= port->pool->size) {
		held += frames;
		pci->frames = frames;
		return 0;
	}
	snprintf(message, sizeof(message),
		"the NIC would leave too few frames for the others: raise dpdk.memory_mb by %u and "
		"start weftd again",
		(wanted - port->pool->size + EAL_FRAMES_PER_MB - 1) / EAL_FRAMES_PER_MB);
	*why = message;
	return -ENOMEM;
}

static int device_start(struct dpdk_port *port, struct pci_port *pci, u32 mtu, const char **why)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {.intr_conf.rxq = 1};
	u16 rx = DESCRIPTORS, tx = DESCRIPTORS;
	int error = rte_eth_dev_info_get(pci->id, &info);
	if (error)
		return error;
	u32 takes = takes_of(&info, &conf.txmode.offloads);
	conf.intr_conf.lsc = *info.dev_flags & RTE_ETH_DEV_INTR_LSC ? 1 : 0;
	conf.rxmode.offloads = scatter(&info, port, mtu);
	pci->interrupts = !rte_eth_dev_configure(pci->id, 1, 1, &conf);
	if (!pci->interrupts) {
		conf.intr_conf.rxq = 0;
		error = rte_eth_dev_configure(pci->id, 1, 1, &conf);
	}
	if (!error)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(pci->id, &rx, &tx);
	if (!error)
		error = frames_take(port, pci, (u32)rx + tx, why);
	int socket = rte_eth_dev_socket_id(pci->id);
	if (!error)
		error = rte_eth_rx_queue_setup(pci->id, 0, rx, (unsigned)socket, NULL, port->pool);
	if (!error)
		error = rte_eth_tx_queue_setup(pci->id, 0, tx, (unsigned)socket, NULL);
	if (!error && mtu)
		rte_eth_dev_set_mtu(pci->id, (u16)RTE_MIN(mtu, (u32)UINT16_MAX)); // state says
	if (!error)
		error = rte_eth_dev_start(pci->id);
	if (error)
		return error;
	rte_eth_promiscuous_enable(pci->id);
	pci->prepare = takes;
	port->takes = takes;
	return 0;
}

// The descriptor of the queue's interrupts, else a timer's.
static void device_wake(struct dpdk_port *port, struct pci_port *pci)
{
	int fd = pci->interrupts ? rte_eth_dev_rx_intr_ctl_q_get_fd(pci->id, 0) : -1;
	port->wake_fd[0] = fd >= 0 ? fd : pci->timer;
	port->timed = fd < 0;
	pci->look_ns = LOOK_LEAST_NS;
}

// From a thread of DPDK's.
static int link_changed(u16 id, enum rte_eth_event_type event, void *context, void *result)
{
	struct dpdk_port *port = context;
	(void)id, (void)event, (void)result;
	if (port->changed)
		port->changed(port);
	return 0;
}

// The device's name: a virtual one's arguments stand behind a comma.
static int device_find(const char *path, u16 *id)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, ","), path);
	return rte_eth_dev_get_port_by_name(name, id);
}

// What DPDK made for the name goes, too: else it could not be made again.
static void device_remove(u16 id)
{
	struct rte_eth_dev_info info;
	bool known = !rte_eth_dev_info_get(id, &info);
	rte_eth_dev_stop(id);
	rte_eth_dev_close(id);
	if (known && info.device)
		rte_dev_remove(info.device);
}

static const char *unmade(const char *path, int error)
{
	if (error == -EEXIST)
		return "another port has the device of that name";
	if (strncmp(path, "net_", 4) == 0)
		return "DPDK has no driver of that name, or not with these arguments; what it says "
		       "is in weftd's log";
	return "DPDK has no driver for the device, or it is bound to the kernel's: bind it to "
	       "vfio-pci (dpdk-devbind.py -b vfio-pci ADDRESS)";
}

static int device_open(struct dpdk_port *port, struct pci_port *pci,
	const struct engine_port *config, const char **why)
{
	// DPDK says of a device that is there that it was made.
	int error = device_find(config->path, &pci->id) ? 0 : -EEXIST;
	if (!error)
		error = rte_dev_probe(config->path);
	if (!error)
		error = device_find(config->path, &pci->id);
	*why = unmade(config->path, error);
	if (error)
		return error;
	*why = "the device cannot be started; what DPDK says of it is in weftd's log";
	error = device_start(port, pci, config->mtu, why);
	if (!error)
		return 0;
	device_remove(pci->id);
	frames_return(pci);
	return error;
}

static int pci_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	struct pci_port *pci = calloc(1, sizeof(*pci));
	*why = "there is no memory for the port";
	if (!pci)
		return -ENOMEM;
	pci->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int error = pci->timer < 0 ? -errno : device_open(port, pci, config, why);
	if (error) {
		if (pci->timer >= 0)
			close(pci->timer);
		free(pci);
		return error;
	}
	device_wake(port, pci);
	rte_eth_dev_callback_register(pci->id, RTE_ETH_EVENT_INTR_LSC, link_changed, port);
	port->driver_state = pci;
	port->ifindex = config->ifindex;
	port->rx_queues = port->tx_queues = 1;
	return 0;
}

static void pci_close(struct dpdk_port *port)
{
	struct pci_port *pci = port->driver_state;
	while (rte_eth_dev_callback_unregister(
		       pci->id, RTE_ETH_EVENT_INTR_LSC, link_changed, port) == -EAGAIN)
		; // it runs
	device_remove(pci->id);
	frames_return(pci);
	close(pci->timer);
	free(pci);
	port->driver_state = NULL;
	port->wake_fd[0] = -1;
}

static void read_lost(struct dpdk_port *port, struct pci_port *pci)
{
	struct rte_eth_stats stats;
	if (rte_eth_stats_get(pci->id, &stats))
		return;
	u64 missed = stats.imissed + stats.rx_nombuf;
	if (missed > pci->missed)
		port_lost(port, WEFT_DROP_rx_overrun, (u32)(missed - pci->missed));
	pci->missed = missed;
}

// What a NIC says of a received frame is not what docs/dpdk.md means by the same fields.
static u32 pci_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 capacity)
{
	struct pci_port *pci = port->driver_state;
	u32 count = rte_eth_rx_burst(pci->id, (u16)queue, frames, (u16)capacity), good = 0;
	for (u32 i = 0; i < count; i++) {
		u32 head = RTE_MIN(frames[i]->pkt_len, (u32)WEFT_PARSE_BYTES);
		frames[i]->ol_flags = 0;
		frames[i]->tx_offload = 0;
		frames[i]->packet_type = 0;
		if (likely(frames[i]->data_len >= head && head >= sizeof(struct rte_ether_hdr)))
			frames[good++] = frames[i];
		else
			rte_pktmbuf_free(frames[i]);
	}
	port_lost(port, WEFT_DROP_rx_malformed, count - good);
	if (count)
		pci->look_ns = LOOK_LEAST_NS;
	if (unlikely(++pci->polls % LOST_POLLS == 0))
		read_lost(port, pci);
	return good;
}

static u32 pci_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count)
{
	const struct pci_port *pci = port->driver_state;
	if (pci->prepare)
		count = rte_eth_tx_prepare(pci->id, (u16)queue, frames, (u16)count);
	return rte_eth_tx_burst(pci->id, (u16)queue, frames, (u16)count);
}

// The longer it is quiet, the less often it is looked at.
static void timer_arm(struct dpdk_port *port, struct pci_port *pci, bool on)
{
	const struct itimerspec next = {.it_value.tv_nsec = on ? pci->look_ns : 0};
	timerfd_settime(pci->timer, 0, &next, NULL); // what has come is forgotten with it
	if (!on)
		return;
	if (pci->look_ns == LOOK_LEAST_NS || ++pci->looks % LOST_LOOKS == 0)
		read_lost(port, pci);
	pci->look_ns = RTE_MIN(pci->look_ns + pci->look_ns / LOOK_SHARE, (u32)LOOK_MOST_NS);
}

static bool pci_arm(struct dpdk_port *port, u32 queue, bool on)
{
	struct pci_port *pci = port->driver_state;
	if (port->timed)
		return timer_arm(port, pci, on), false;
	if (!on)
		return rte_eth_dev_rx_intr_disable(pci->id, (u16)queue), false;
	read_lost(port, pci);
	rte_eth_dev_rx_intr_enable(pci->id, (u16)queue);
	return rte_eth_rx_queue_count(pci->id, (u16)queue) > 0;
}

static void pci_state(struct dpdk_port *port, struct engine_port_state *out)
{
	const struct pci_port *pci = port->driver_state;
	struct rte_eth_link link;
	u16 mtu = 0;
	*out = (struct engine_port_state){.queues = 1, .why = "the NIC has no link"};
	if (!rte_eth_link_get_nowait(pci->id, &link) && link.link_status)
		out->carrier = true;
	if (!rte_eth_dev_get_mtu(pci->id, &mtu))
		out->mtu = mtu;
	rte_eth_macaddr_get(pci->id, (struct rte_ether_addr *)&out->mac);
	out->why = out->carrier ? NULL : out->why;
}

const struct dpdk_driver dpdk_pci = {
	.name = "pci",
	.open = pci_open,
	.close = pci_close,
	.rx = pci_rx,
	.tx = pci_tx,
	.arm = pci_arm,
	.state = pci_state,
};
