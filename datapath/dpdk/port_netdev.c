// SPDX-License-Identifier: BSD-2-Clause
// The driver of Linux netdevs: packet sockets with virtio headers.
//
// Received frames come through a ring of slots that the kernel fills in the sender's time; what is
// longer than a slot (superpackets) waits whole in the socket's queue, and its slot says so. So
// small frames cost no system call, and large ones no memory while there are none.
//
// A device that goes down and comes up again is the same to its sockets. After it is deleted there
// is nothing to receive, and sending takes no frame.
#include "datapath/dpdk/port.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <weft/wire.h>
#include "datapath/dpdk/claim.h"
#include "datapath/dpdk/port_netdev.h"
#include "datapath/dpdk/taken.h"
#include "datapath/dpdk/vnet.h"

enum {
	SLOT_BYTES = 2048, // a frame of 1500 bytes and what the kernel writes before it
	SLOTS = 1024,      // a worker may have to wait for its core
	BLOCK_BYTES = 65536,
	RING_BYTES = SLOTS * SLOT_BYTES,
	SOCKET_BYTES = 8 << 20,
	TAG_BYTES = 4,
	MOST_BYTES = 65536 + 256, // of a superpacket
	SEGMENTS = MOST_BYTES / SLOT_BYTES + 2,
	TAKES = ENGINE_TAKES_CHECKSUM | ENGINE_TAKES_TSO4 | ENGINE_TAKES_TSO6,
};

struct netdev {
	int rx, tx;
	u8 *ring;
	u32 slot; // the next to read
	u32 spares;
	struct rte_mbuf *spare[SEGMENTS]; // for a superpacket, while rx runs
};

static struct tpacket2_hdr *slot_at(const struct netdev *device, u32 ahead)
{
	return (void *)(device->ring + (device->slot + ahead) % SLOTS * SLOT_BYTES);
}

static u32 slot_status(const struct netdev *device, u32 ahead)
{
	return __atomic_load_n(&slot_at(device, ahead)->tp_status, __ATOMIC_ACQUIRE);
}

// Into a fresh mbuf; a tag has room in front.
static void make_room(struct rte_mbuf *frame)
{
	frame->data_off += TAG_BYTES;
}

// The kernel takes the outer tag out of the bytes.
static u32 put_tag_back(struct rte_mbuf *frame, u32 status, u16 tpid, u16 tci)
{
	if (!(status & TP_STATUS_VLAN_VALID))
		return 0;
	u8 *bytes = (u8 *)rte_pktmbuf_prepend(frame, TAG_BYTES);
	be16 *tag = (be16 *)(bytes + 2 * sizeof(struct weft_mac));
	memmove(bytes, bytes + TAG_BYTES, 2 * sizeof(struct weft_mac));
	tag[0] = weft_hton16(status & TP_STATUS_VLAN_TPID_VALID ? tpid : WEFT_ETH_8021Q);
	tag[1] = weft_hton16(tci);
	return TAG_BYTES;
}

// Returns why there is no frame.
static enum weft_drop read_slot(
	const struct tpacket2_hdr *slot, u32 status, bool underlay, struct rte_mbuf *frame)
{
	struct virtio_net_hdr vnet;
	const u8 *bytes = (const u8 *)slot + slot->tp_mac;
	if (slot->tp_snaplen != slot->tp_len || slot->tp_len < sizeof(struct eth_header))
		return WEFT_DROP_rx_overrun; // the socket's queue had no room for the whole
	memcpy(&vnet, bytes - sizeof(vnet), sizeof(vnet));
	make_room(frame);
	rte_memcpy(rte_pktmbuf_append(frame, (u16)slot->tp_len), bytes, slot->tp_len);
	u32 inserted = put_tag_back(frame, status, slot->tp_vlan_tpid, slot->tp_vlan_tci);
	return vnet_read(&vnet, inserted, underlay, frame) ? WEFT_DROP_none
							   : WEFT_DROP_rx_malformed;
}

// Mbufs for the rest of the longest frame: how long the next one is nobody says.
static bool fill_spares(struct netdev *device, struct rte_mempool *pool)
{
	u32 missing = SEGMENTS - device->spares;
	if (missing && rte_pktmbuf_alloc_bulk(pool, device->spare + device->spares, missing))
		return false;
	device->spares = SEGMENTS;
	return true;
}

static ssize_t receive(int socket, struct msghdr *message)
{
	ssize_t bytes = recvmsg(socket, message, MSG_DONTWAIT);
	// That the device went down is said once, before what came earlier.
	if (bytes < 0 && errno == ENETDOWN)
		bytes = recvmsg(socket, message, MSG_DONTWAIT);
	return message->msg_flags & MSG_TRUNC ? -1 : bytes;
}

// Hangs as many spares behind the head as `bytes` fill.
static void chain(struct netdev *device, struct rte_mbuf *head, u32 bytes)
{
	struct rte_mbuf *last = head;
	u32 room = rte_pktmbuf_tailroom(head);
	head->pkt_len = bytes;
	head->data_len = (u16)RTE_MIN(bytes, room);
	for (bytes -= head->data_len; bytes; bytes -= last->data_len) {
		last->next = device->spare[--device->spares];
		last = last->next;
		last->data_len = (u16)RTE_MIN(bytes, rte_pktmbuf_tailroom(last));
		head->nb_segs++;
	}
}

static enum weft_drop read_queue(
	struct netdev *device, struct rte_mempool *pool, bool underlay, struct rte_mbuf *head)
{
	struct virtio_net_hdr vnet;
	struct tpacket_auxdata aux = {0};
	union {
		struct cmsghdr header;
		u8 bytes[CMSG_SPACE(sizeof(aux))];
	} control;
	struct iovec vector[SEGMENTS + 2] = {{&vnet, sizeof(vnet)}};
	struct msghdr message = {.msg_iov = vector,
		.msg_iovlen = SEGMENTS + 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	bool room = fill_spares(device, pool);
	make_room(head);
	vector[1] = (struct iovec){rte_pktmbuf_mtod(head, void *), rte_pktmbuf_tailroom(head)};
	for (u32 i = 0; room && i < SEGMENTS; i++) {
		struct rte_mbuf *spare = device->spare[SEGMENTS - 1 - i];
		vector[2 + i] = (struct iovec){
			rte_pktmbuf_mtod(spare, void *), rte_pktmbuf_tailroom(spare)};
	}
	message.msg_iovlen = room ? SEGMENTS + 2 : 1; // it must leave the queue
	ssize_t bytes = receive(device->rx, &message);
	if (bytes < (ssize_t)(sizeof(vnet) + sizeof(struct eth_header)))
		return WEFT_DROP_rx_overrun;
	chain(device, head, (u32)bytes - sizeof(vnet));
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_PACKET && header->cmsg_type == PACKET_AUXDATA)
		memcpy(&aux, CMSG_DATA(header), sizeof(aux));
	u32 inserted = put_tag_back(head, aux.tp_status, aux.tp_vlan_tpid, aux.tp_vlan_tci);
	return vnet_read(&vnet, inserted, underlay, head) ? WEFT_DROP_none : WEFT_DROP_rx_malformed;
}

// The kernel says in the next slot that frames were lost, and forgets what it has told.
static void read_lost(struct dpdk_port *port, const struct netdev *device)
{
	struct tpacket_stats stats = {0};
	socklen_t bytes = sizeof(stats);
	if (!getsockopt(device->rx, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes))
		port_lost(port, WEFT_DROP_rx_overrun, stats.tp_drops);
}

static u32 netdev_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 capacity)
{
	struct netdev *device = port->driver_state;
	struct rte_mbuf *fresh[DPDK_BURST];
	u32 ready = 0, count = 0, losing = 0;
	(void)queue;
	while (ready < RTE_MIN(capacity, (u32)DPDK_BURST) &&
		slot_status(device, ready) & TP_STATUS_USER)
		ready++;
	if (!ready || rte_pktmbuf_alloc_bulk(port->pool, fresh, ready))
		return 0;
	for (u32 i = 0; i < ready; i++) {
		struct tpacket2_hdr *slot = slot_at(device, 0);
		u32 status = slot->tp_status;
		*taken_stamp(fresh[i]) = slot->tp_sec * 1000000000ull + slot->tp_nsec;
		enum weft_drop drop =
			status & TP_STATUS_COPY
				? read_queue(device, port->pool, port->underlay, fresh[i])
				: read_slot(slot, status, port->underlay, fresh[i]);
		losing |= status & TP_STATUS_LOSING;
		__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		device->slot = (device->slot + 1) % SLOTS;
		if (!drop) {
			frames[count++] = fresh[i];
			continue;
		}
		port_lost(port, drop, 1);
		rte_pktmbuf_free(fresh[i]);
	}
	if (unlikely(losing))
		read_lost(port, device);
	if (device->spares)
		rte_pktmbuf_free_bulk(device->spare, device->spares);
	device->spares = 0;
	return count;
}

static u32 netdev_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count)
{
	const struct netdev *device = port->driver_state;
	(void)queue;
	return netdev_send(port, device->tx, frames, count);
}

// The kernel tells of a device that goes down by an error that makes the descriptor readable until
// it is asked for.
static bool netdev_arm(struct dpdk_port *port, u32 queue, bool on)
{
	struct netdev *device = port->driver_state;
	int error;
	socklen_t bytes = sizeof(error);
	(void)queue;
	if (!on)
		return false;
	getsockopt(device->rx, SOL_SOCKET, SO_ERROR, &error, &bytes);
	read_lost(port, device);
	return slot_status(device, 0) & TP_STATUS_USER;
}

void dpdk_netdev_state(int socket, u32 ifindex, struct engine_port_state *out)
{
	struct ifreq request = {.ifr_ifindex = (int)ifindex};
	*out = (struct engine_port_state){.queues = 1, .why = "the device is gone"};
	if (ioctl(socket, SIOCGIFNAME, &request))
		return;
	out->why = "the device has no carrier, or is down";
	if (!ioctl(socket, SIOCGIFFLAGS, &request))
		out->carrier = request.ifr_flags & IFF_UP && request.ifr_flags & IFF_RUNNING;
	if (!ioctl(socket, SIOCGIFMTU, &request))
		out->mtu = (u32)request.ifr_mtu;
	out->why = out->carrier ? NULL : out->why;
}

static void netdev_state(struct dpdk_port *port, struct engine_port_state *out)
{
	const struct netdev *device = port->driver_state;
	dpdk_netdev_state(device->tx, port->ifindex, out);
}

static int set(int socket, int option, int value)
{
	return setsockopt(socket, SOL_PACKET, option, &value, sizeof(value)) ? -errno : 0;
}

static int bind_to(int socket, u32 ifindex, u16 protocol)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = weft_hton16(protocol),
		.sll_ifindex = (int)ifindex};
	return bind(socket, (void *)&address, sizeof(address)) ? -errno : 0;
}

// Of protocol 0 it receives nothing, and is told of no device that went down.
static int open_tx(struct netdev *device, u32 ifindex)
{
	int bytes = SOCKET_BYTES;
	device->tx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (device->tx < 0)
		return -errno;
	setsockopt(device->tx, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	int error = set(device->tx, PACKET_VNET_HDR, 1);
	return error ? error : bind_to(device->tx, ifindex, 0);
}

// A tap's reader is seen to take frames. Of others nobody asks: on their way the stamp may mean
// something.
static bool is_tap(const struct netdev *device, u32 ifindex)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct sock_txtime time = {.clockid = CLOCK_MONOTONIC};
	struct ifreq request = {.ifr_ifindex = (int)ifindex};
	if (ioctl(device->tx, SIOCGIFNAME, &request))
		return false;
	request.ifr_data = (void *)&driver;
	return !ioctl(device->tx, SIOCETHTOOL, &request) && strcmp(driver.driver, "tun") == 0 &&
	       !setsockopt(device->tx, SOL_SOCKET, SO_TXTIME, &time, sizeof(time));
}

static int open_ring(struct netdev *device)
{
	struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = RING_BYTES / BLOCK_BYTES,
		.tp_frame_size = SLOT_BYTES,
		.tp_frame_nr = SLOTS};
	if (setsockopt(device->rx, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		return -errno;
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, device->rx, 0);
	if (ring == MAP_FAILED)
		return -errno;
	device->ring = ring;
	return 0;
}

static int filter(int socket, bool underlay)
{
	int program = claim_filter(underlay);
	if (program < 0)
		return program;
	return setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) ? -errno
											: 0;
}

static int open_rx(struct netdev *device, const struct dpdk_port *port)
{
	static const struct {
		int option, value;
	} options[] = {{PACKET_VERSION, TPACKET_V2}, {PACKET_VNET_HDR, 1}, {PACKET_AUXDATA, 1},
		{PACKET_IGNORE_OUTGOING, 1}, {PACKET_COPY_THRESH, 1}};
	int error = 0, bytes = SOCKET_BYTES;
	device->rx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (device->rx < 0)
		return -errno;
	setsockopt(device->rx, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	for (size_t i = 0; !error && i < WEFT_ARRAY_SIZE(options); i++)
		error = set(device->rx, options[i].option, options[i].value);
	error = error ? error : filter(device->rx, port->id == 0 && !port->pass);
	error = error ? error : open_ring(device);
	return error ? error : bind_to(device->rx, port->ifindex, ETH_P_ALL);
}

static void netdev_close(struct dpdk_port *port)
{
	struct netdev *device = port->driver_state;
	if (device->ring)
		munmap(device->ring, RING_BYTES);
	if (device->rx >= 0)
		close(device->rx);
	if (device->tx >= 0)
		close(device->tx);
	free(device);
	port->driver_state = NULL;
	port->wake_fd[0] = -1;
}

static int netdev_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	struct netdev *device = calloc(1, sizeof(*device));
	*why = "there is no memory for the port";
	if (!device)
		return -ENOMEM;
	device->rx = device->tx = -1;
	port->ifindex = config->ifindex;
	port->driver_state = device;
	*why = "mbufs must hold 2048 bytes beside their headroom";
	int error = rte_pktmbuf_data_room_size(port->pool) < SLOT_BYTES + RTE_PKTMBUF_HEADROOM
			    ? -EINVAL
			    : 0;
	if (!error) {
		*why = "the kernel refused a packet socket on the device: weftd needs CAP_NET_RAW "
		       "and CAP_BPF, and the device in its network namespace";
		error = open_tx(device, port->ifindex);
		error = error ? error : open_rx(device, port);
	}
	if (error) {
		netdev_close(port);
		return error;
	}
	port->takes = TAKES | (vnet_has_uso() ? ENGINE_TAKES_USO : 0);
	port->rx_queues = port->tx_queues = 1;
	port->wake_fd[0] = device->rx;
	port->named = is_tap(device, port->ifindex);
	port->stamped = true;
	return 0;
}

const struct dpdk_driver dpdk_netdev = {
	.name = "netdev",
	.open = netdev_open,
	.close = netdev_close,
	.rx = netdev_rx,
	.tx = netdev_tx,
	.arm = netdev_arm,
	.state = netdev_state,
};
