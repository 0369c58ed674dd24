// SPDX-License-Identifier: BSD-2-Clause
// Taps: making one that QEMU can open by name.
#include "daemon/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int tap_own(int fd, const struct tap_config *config)
{
	if (config->owner && ioctl(fd, TUNSETOWNER, (unsigned long)*config->owner))
		return -errno;
	if (config->group && ioctl(fd, TUNSETGROUP, (unsigned long)*config->group))
		return -errno;
	return 0;
}

int tap_create(const struct tap_config *config, int *fd, struct failure *failure)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
	int error = 0;
	if (config->multi_queue)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", config->name);
	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (*fd < 0) {
		error = fail(
			failure, -errno, "device", "cannot open /dev/net/tun: %s", strerror(errno));
		fail_hint(failure, "load the module: modprobe tun");
		return error;
	}
	if (ioctl(*fd, TUNSETIFF, &request))
		error = errno == EBUSY ? -EEXIST : -errno;
	else
		error = tap_own(*fd, config);
	if (!error)
		return 0;
	close(*fd);
	*fd = -1;
	return fail(failure, error, "device", "cannot create the tap %s: %s", config->name,
		strerror(-error));
}

int tap_keep(int fd, struct failure *failure)
{
	int error = ioctl(fd, TUNSETPERSIST, 1) ? -errno : 0;
	close(fd);
	if (error)
		return fail(failure, error, "device", "cannot keep the tap: %s", strerror(-error));
	return 0;
}
