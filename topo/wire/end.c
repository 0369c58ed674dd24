// SPDX-License-Identifier: BSD-2-Clause
// end.c - one end of a wire: a tap that vanishes with the process, and its administrative state
#include "topo/wire/queue.h"
#include "topo/wire/wire.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Newer than the headers of Debian 12: kernel 6.2 and 6.17. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef TUN_F_UDP_TUNNEL_GSO
#define TUN_F_UDP_TUNNEL_GSO      0x080
#define TUN_F_UDP_TUNNEL_GSO_CSUM 0x100
#endif

/* A burst waits here while the relay waits for a core; it must not look like a loss. */
#define TX_QUEUE_FRAMES 10000

/* Returns the own namespace; `end` knows the other one again by its inode. */
static int enter(struct end *end, const char *path)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (own < 0 || fd < 0 || fstat(fd, &status) || setns(fd, CLONE_NEWNET))
		err(WIRE_FAILED, "cannot enter the network namespace %s", path);
	close(fd);
	end->netns_inode = status.st_ino;
	return own;
}

static void leave(int own)
{
	if (setns(own, CLONE_NEWNET))
		err(WIRE_FAILED, "cannot return to the own network namespace");
	close(own);
}

/* All that may pass as it is; the kernel does the rest before a packet gets here. */
static void offer_offloads(int fd, const char *name)
{
	const unsigned int tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
			   udp = tcp | TUN_F_USO4 | TUN_F_USO6,
			   tunnel = udp | TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM;
	int size = (int)VNET_BYTES;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size))
		err(WIRE_FAILED, "%s: TUNSETVNETHDRSZ", name);
	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)tunnel) &&
		ioctl(fd, TUNSETOFFLOAD, (unsigned long)udp) &&
		ioctl(fd, TUNSETOFFLOAD, (unsigned long)tcp))
		err(WIRE_FAILED, "%s: TUNSETOFFLOAD", name);
}

static int make_tap(const struct end_spec *spec)
{
	/* EXCL: never take over a tap that somebody else made. */
	struct ifreq ifr = {
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL)};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(WIRE_FAILED, "/dev/net/tun");
	memcpy(ifr.ifr_name, spec->name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		if (errno == EBUSY)
			errx(WIRE_FAILED, "%s exists already in %s: choose another name",
				spec->name, spec->netns);
		err(WIRE_FAILED, "cannot make %s in %s", spec->name, spec->netns);
	}
	offer_offloads(fd, spec->name);
	return fd;
}

/* Of a path in /proc nothing is ever reported, and nothing needs to be. */
static int watch_names(const char *path)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char *copy = strdup(path);

	if (fd < 0 || !copy)
		err(WIRE_FAILED, "inotify");
	inotify_add_watch(fd, dirname(copy), IN_DELETE);
	free(copy);
	return fd;
}

static int watch_links(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(WIRE_FAILED, "rtnetlink");
	return fd;
}

static void set(const struct end *end, unsigned long request, struct ifreq *ifr, const char *what)
{
	memcpy(ifr->ifr_name, end->spec->name, IFNAMSIZ);
	if (ioctl(end->link, request, ifr))
		err(WIRE_FAILED, "%s in %s: %s", end->spec->name, end->spec->netns, what);
}

static void configure(struct end *end, int mtu)
{
	struct ifreq ifr = {};

	set(end, SIOCGIFINDEX, &ifr, "ifindex");
	end->ifindex = ifr.ifr_ifindex;
	if (end->spec->has_mac) {
		ifr = (struct ifreq){.ifr_hwaddr.sa_family = ARPHRD_ETHER};
		memcpy(ifr.ifr_hwaddr.sa_data, end->spec->mac, ETH_ALEN);
		set(end, SIOCSIFHWADDR, &ifr, "cannot set the MAC address");
	}
	ifr = (struct ifreq){.ifr_mtu = mtu};
	set(end, SIOCSIFMTU, &ifr, "cannot set the MTU");
	ifr = (struct ifreq){.ifr_qlen = TX_QUEUE_FRAMES};
	set(end, SIOCSIFTXQLEN, &ifr, "cannot set the queue length");
	set(end, SIOCGIFFLAGS, &ifr, "flags");
	ifr.ifr_flags |= IFF_UP;
	set(end, SIOCSIFFLAGS, &ifr, "cannot set it up");
	end->up = true;
}

void end_open(struct end *end, const struct end_spec *spec, int mtu)
{
	int own;

	*end = (struct end){.spec = spec, .names = watch_names(spec->netns)};
	own = enter(end, spec->netns);
	end->link = watch_links();
	end->tap = make_tap(spec);
	configure(end, mtu);
	leave(own);
}

/* By its index, because somebody may have renamed it. False: it is gone, as the relay will see. */
static bool is_up(const struct end *end)
{
	struct ifreq ifr = {.ifr_ifindex = end->ifindex};

	return !ioctl(end->link, SIOCGIFNAME, &ifr) && !ioctl(end->link, SIOCGIFFLAGS, &ifr) &&
	       ifr.ifr_flags & IFF_UP;
}

void end_follow(struct end *end, const struct end *far)
{
	char message[4096];
	int carrier;

	/* What the messages say is old news (and some may be missing): ask for the state of now. */
	while (recv(end->link, message, sizeof(message), 0) >= 0 || errno == ENOBUFS)
		;
	if (end->up == is_up(end))
		return;
	end->up = !end->up;
	carrier = end->up;
	if (ioctl(far->tap, TUNSETCARRIER, &carrier))
		warn("%s: TUNSETCARRIER", far->spec->name);
}

bool end_is_orphan(const struct end *end)
{
	char event[4096];
	struct stat status;

	while (read(end->names, event, sizeof(event)) > 0)
		;
	return stat(end->spec->netns, &status) || status.st_ino != end->netns_inode;
}
