// SPDX-License-Identifier: BSD-2-Clause
// tap.h - open a tap the way QEMU does: by name, non-blocking, with a 12-byte virtio_net_hdr
#pragma once

#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tool.h"

/* Newer than the headers of Debian 12 (kernel 6.2). */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define TAP_FRAME_MAX      (65536 + 64)
#define TAP_UP_DEADLINE_NS (5 * NS_PER_SEC)

/* What one read() or write() of a tap carries. */
struct tap_frame {
	struct virtio_net_hdr_mrg_rxbuf vnet;
	uint8_t data[TAP_FRAME_MAX];
};
#define TAP_HDR_LEN offsetof(struct tap_frame, data)
_Static_assert(TAP_HDR_LEN == 12, "QEMU sets TUNSETVNETHDRSZ 12");

/* "csum,tso4,tso6,uso", "none": the set that a guest's driver would negotiate. */
static inline unsigned int parse_offloads(const char *text)
{
	static const struct {
		const char *name;
		unsigned int bits;
	} table[] = {
		{"none", 0},
		{"csum", TUN_F_CSUM},
		{"tso4", TUN_F_TSO4},
		{"tso6", TUN_F_TSO6},
		{"uso", TUN_F_USO4 | TUN_F_USO6},
	};
	char *copy = strdup(text), *rest = copy, *word;
	unsigned int bits = 0;
	size_t i;

	while ((word = strsep(&rest, ","))) {
		for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (!strcmp(word, table[i].name))
				break;
		if (i == sizeof(table) / sizeof(table[0]))
			errx(EXIT_BROKEN, "offload '%s': use csum, tso4, tso6, uso or none", word);
		bits |= table[i].bits;
	}
	free(copy);
	return bits;
}

/* A frame sent before the kernel has told everyone about the carrier may be lost: wait for it. */
static inline void tap_wait_running(const char *name)
{
	uint64_t deadline = now_ns() + TAP_UP_DEADLINE_NS;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	for (;;) {
		if (ioctl(sock, SIOCGIFFLAGS, &ifr))
			err(EXIT_BROKEN, "tap %s", name);
		if (ifr.ifr_flags & IFF_RUNNING)
			break;
		if (now_ns() > deadline)
			errx(EXIT_BROKEN, "tap %s does not come up", name);
		usleep(1000);
	}
	close(sock);
}

/* Attach to the tap NAME, making it (not persistent) if there is none. */
static inline int tap_open_new(const char *name, unsigned int offloads)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int hdr_len = TAP_HDR_LEN;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(EXIT_BROKEN, "/dev/net/tun");
	if (snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name) >= IFNAMSIZ)
		errx(EXIT_BROKEN, "tap name '%s' is too long", name);
	if (ioctl(fd, TUNSETIFF, &ifr))
		err(EXIT_BROKEN, "tap %s: TUNSETIFF", name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len))
		err(EXIT_BROKEN, "tap %s: TUNSETVNETHDRSZ", name);
	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads))
		err(EXIT_BROKEN, "tap %s: TUNSETOFFLOAD 0x%x", name, offloads);
	return fd;
}

/* Attach to an existing tap that is up, as QEMU does with ifname=NAME,script=no. */
static inline int tap_open(const char *name, unsigned int offloads)
{
	int fd;

	if (!if_nametoindex(name))
		err(EXIT_BROKEN, "tap %s", name);
	fd = tap_open_new(name, offloads);
	tap_wait_running(name);
	return fd;
}

/* TAP[@NETNS] */
static inline int tap_open_at(const char *text, unsigned int offloads)
{
	char name[IFNAMSIZ];
	const char *at = strchr(text, '@');
	int old = netns_enter(at ? at + 1 : NULL), fd;

	snprintf(name, sizeof(name), "%.*s", (int)(at ? at - text : IFNAMSIZ - 1), text);
	fd = tap_open(name, offloads);
	netns_leave(old);
	return fd;
}
