// SPDX-License-Identifier: BSD-2-Clause
// Port types that only a userspace engine can have: known, so that the refusal can say so.
#include "daemon/port_types.h"

const struct port_type port_type_vhost_user = {.name = "vhost-user", .engine = "dpdk"};
const struct port_type port_type_pci = {.name = "pci", .engine = "dpdk"};
