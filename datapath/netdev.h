// SPDX-License-Identifier: BSD-2-Clause
// What the kernel tells of a netdev's driver. Of the calling thread's network namespace.
#pragma once

#include <weft/types.h>

// Is there a device of that index? 0, -ENODEV, or -EMFILE or -ENFILE for want of a descriptor to
// ask with, of which if_indextoname says nothing.
int netdev_find(u32 ifindex);

// Does it take VLAN tags out of the bytes of what it receives? An XDP program does not see them
// then. let: from now on it may, or may not, as far as it can be told.
bool netdev_takes_tags(const char *device);
void netdev_let_take_tags(const char *device, bool on);

// Does it send what an XDP program redirects to it, now? Before Linux 6.3 the kernel does not say:
// then any driver that runs such a program is believed to, but veth, where it hangs on the other
// end.
bool netdev_sends_xdp(u32 ifindex);

// A socket that is readable when the queues of some device have changed (`ethtool -L`), or -errno.
int netdev_watch_queues(void);
bool netdev_queues_changed(int socket); // since the last call
