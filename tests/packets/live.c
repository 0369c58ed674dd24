// SPDX-License-Identifier: BSD-2-Clause
// Real devices for the golden packets: taps held as a guest holds them, or veths with a packet
// socket on the other end. Frames carry their tag in the bytes, both ways.
#include "tests/packets/packets.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	enum live_kind kind;
	int fd[PORTS];
	u32 ifindex[PORTS];
} live;

// Programs by their whole path: a guest's busybox would run its own `ip`.
static void shell(const char *format, u32 port)
{
	char command[512];
	snprintf(command, sizeof(command), format, port, port, port, port, port);
	if (system(command))
		errx(1, "failed: %s", command);
}

static int open_tap(u32 port)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "wp%u", port);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		err(1, "tap %s", request.ifr_name);
	shell("/sbin/ip link set wp%u mtu 9100 up", port);
	return fd;
}

// What a native XDP program leaves of a page.
static void shrink_mtu(u32 port)
{
	shell("/sbin/ip link set wp%u mtu 3400 && /sbin/ip link set wq%u mtu 3400", port);
}

static int open_veth(u32 port)
{
	shell("/sbin/ip link add wp%u type veth peer name wq%u && "
	      "/sbin/ip link set wp%u mtu 9100 up && /sbin/ip link set wq%u mtu 9100 up",
		port);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	char name[16];
	snprintf(name, sizeof(name), "wq%u", port);
	address.sll_ifindex = (int)if_nametoindex(name);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "packet socket on %s", name);
	return fd;
}

// The peers answer no ARP: the kernel is told where they are.
static void open_overlay(void)
{
	shell("/sbin/ip link set wp0 address 02:00:00:00:01:01 mtu 1500 && "
	      "/sbin/ip addr add 192.0.2.1/24 dev wp0 && "
	      "/sbin/ip neigh add 192.0.2.15 lladdr 02:00:00:00:01:02 dev wp0 && "
	      "/sbin/ip neigh add 192.0.2.16 lladdr 02:00:00:00:01:02 dev wp0",
		0);
	shell("/sbin/ip link add wcarrier type vxlan external dstport 4789 "
	      "srcport 49152 65535 nolearning && /sbin/ip link set wcarrier mtu 9100 up",
		0);
}

void live_open(enum live_kind kind)
{
	live.kind = kind;
	// The host's own IPv6 chatter would be frames that nobody sent.
	if (system("for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; "
		   "done"))
		errx(1, "cannot disable IPv6 in the namespace");
	for (u32 port = 0; port < PORTS; port++) {
		char name[16];
		live.fd[port] = kind == LIVE_TAP ? open_tap(port) : open_veth(port);
		if (kind == LIVE_XDP)
			shrink_mtu(port);
		snprintf(name, sizeof(name), "wp%u", port);
		live.ifindex[port] = if_nametoindex(name);
	}
	open_overlay();
}

u32 live_carrier(void)
{
	return if_nametoindex("wcarrier");
}

u32 live_ifindex(u32 port)
{
	return live.ifindex[port];
}

void live_send(u32 port, const struct frame *frame)
{
	if (write(live.fd[port], frame->bytes, frame->length) != (ssize_t)frame->length)
		err(1, "sending %u bytes into port %u", frame->length, port);
}

// A packet socket hands the tag over beside the bytes.
static ssize_t receive_socket(int fd, u8 *bytes, size_t room)
{
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec iov = {bytes, room};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
	if (length < 0)
		return length;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		const struct tpacket_auxdata *aux = (void *)CMSG_DATA(c);
		if (c->cmsg_type != PACKET_AUXDATA || !(aux->tp_status & TP_STATUS_VLAN_VALID))
			continue;
		u16 words[2] = {htons(ETH_P_8021Q), htons(aux->tp_vlan_tci)};
		if (aux->tp_status & TP_STATUS_VLAN_TPID_VALID)
			words[0] = htons(aux->tp_vlan_tpid);
		memmove(bytes + 16, bytes + 12, (size_t)length - 12);
		memcpy(bytes + 12, words, 4);
		length += 4;
	}
	return length;
}

static bool receive_one(u32 *ports, struct frame *frames, u32 at)
{
	u8 bytes[16384];
	for (u32 port = 0; port < PORTS; port++) {
		ssize_t length = live.kind == LIVE_TAP
					 ? read(live.fd[port], bytes, sizeof(bytes))
					 : receive_socket(live.fd[port], bytes, sizeof(bytes));
		if (length < 0)
			continue;
		if (ports) {
			ports[at] = port;
			frames[at].length = (u32)length;
			memcpy(frames[at].bytes, bytes,
				(size_t)length < ENGINE_FRAME_BYTES ? (size_t)length
								    : ENGINE_FRAME_BYTES);
		}
		return true;
	}
	return false;
}

u32 live_receive(u32 *ports, struct frame *frames, u32 capacity, u32 expected)
{
	struct pollfd fds[PORTS];
	u32 count = 0;
	for (u32 port = 0; port < PORTS; port++)
		fds[port] = (struct pollfd){.fd = live.fd[port], .events = POLLIN};
	for (;;) {
		while ((!ports || count < capacity) && receive_one(ports, frames, count))
			count++;
		// All that is expected has come: what should not come has 5 ms to show itself.
		int wait_ms = count < expected ? 1000 : 5;
		if ((ports && count >= capacity) || poll(fds, PORTS, wait_ms) <= 0)
			return count;
	}
}

void live_close(void)
{
	shell("/sbin/ip link del wcarrier", 0);
	for (u32 port = 0; port < PORTS; port++) {
		close(live.fd[port]);
		if (live.kind != LIVE_TAP)
			shell("/sbin/ip link del wp%u", port);
	}
}
