// SPDX-License-Identifier: BSD-2-Clause
// What the files of the netdev driver share.
#pragma once

#include "datapath/dpdk/port.h"

// Sends by a packet socket with virtio headers, as a driver's tx.
u32 netdev_send(struct dpdk_port *port, int socket, struct rte_mbuf **frames, u32 count);
