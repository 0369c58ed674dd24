// SPDX-License-Identifier: BSD-2-Clause
// Ports and underlay devices come and go while workers run.
//
// A slot of engine->ports is a port id, behind the last id an underlay device that is no port, or
// behind those a wire: the other end of the twin by which the kernel has a pci port. A device that
// is port and underlay has the port's slot alone, and so does a twin.
#pragma once

#include "datapath/dpdk/dpdk.h"

int attach_port(struct engine *engine, const struct engine_port *config, const char **why);
int attach_detach(struct engine *engine, u32 port_id);
int attach_overlay(struct engine *engine, const struct engine_overlay *overlay, const char **why);
void attach_close(struct engine *engine, u32 slot); // nothing there: no-op
// AF_XDP ports whose device has other queues now than they have sockets are opened again.
void attach_follow_queues(struct engine *engine);
