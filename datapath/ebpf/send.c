// SPDX-License-Identifier: BSD-2-Clause
// Frames of weftd's own: they enter by a tap that weftd holds and nobody else knows. Behind the
// frame stands the port that it comes from or goes to; the program takes that off. The tap goes
// with weftd.
#include "datapath/ebpf/ebpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

// The host says nothing of itself on it.
static void keep_quiet(const char *name)
{
	char path[64 + IFNAMSIZ];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) < 0)
		log_debug("%s: %m", path);
	if (fd >= 0)
		close(fd);
}

static int bring_up(struct ifreq *request, u32 *ifindex)
{
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	if (udp < 0)
		return -errno;
	if (ioctl(udp, SIOCGIFINDEX, request))
		error = -errno;
	*ifindex = (u32)request->ifr_ifindex;
	request->ifr_flags = IFF_UP | IFF_NOARP;
	if (!error && ioctl(udp, SIOCSIFFLAGS, request))
		error = -errno;
	close(udp);
	return error;
}

static int open_entry(struct engine *engine)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "weftprobe%d"};
	const char *why = "";
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int error = fd < 0 || ioctl(fd, TUNSETIFF, &request) ? -errno : 0;
	if (!error) {
		keep_quiet(request.ifr_name);
		error = bring_up(&request, &engine->entry_ifindex);
	}
	if (!error)
		error = ebpf_entry_set(engine, engine->entry_ifindex, &why);
	if (!error) {
		engine->entry_fd = fd;
		return 0;
	}
	log_error("probes have no way in: %s %s", strerror(-error), why);
	if (fd >= 0)
		close(fd);
	return error;
}

int ebpf_send(struct engine *engine, enum engine_send how, u32 port_id, const u8 *bytes, u32 length)
{
	u32 place = port_id | (how == ENGINE_SEND_TO ? WEFT_DEVICE_OUTWARD : 0);
	struct iovec parts[] = {{(u8 *)bytes, length}, {&place, sizeof(place)}};
	if (length + sizeof(place) > 0xffff)
		return -EMSGSIZE;
	int error = engine->entry_fd < 0 ? open_entry(engine) : 0;
	if (error || !length)
		return error;
	return writev(engine->entry_fd, parts, 2) < 0 ? -errno : 0;
}

void ebpf_send_close(struct engine *engine)
{
	if (engine->entry_fd < 0)
		return;
	ebpf_entry_unset(engine, engine->entry_ifindex);
	close(engine->entry_fd);
	engine->entry_fd = -1;
}
