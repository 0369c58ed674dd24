// SPDX-License-Identifier: BSD-2-Clause
// What weft claims of a netdev's frames, as the tables say: kept up while tables and ports change.
#pragma once

#include "datapath/dpdk/dpdk.h"

int claims_open(struct engine *engine, struct dpdk_port *port, const char **why);
void claims_close(struct dpdk_port *port);
// The port, or whether it is underlay, has changed.
void claims_follow(struct engine *engine, struct dpdk_port *port);
// A row of a table has changed.
void claims_table(struct engine *engine, enum weft_table table, const void *key);
