// SPDX-License-Identifier: BSD-2-Clause
// link.h - links between nodes: veth pairs, and wires (weft-wire) where something is impaired
#pragma once

#include <sys/types.h>

#include "topo/lab/lab.h"

bool link_is_wire(const struct link *link);
// "delay 10ms loss 1% mtu 1500", as weft-wire takes it; "" for a plain veth pair.
void link_words(const struct link *link, char *words, size_t size);
// A wire's process, 0 when it does not run.
pid_t link_pid(const struct lab *lab, const struct link *link);

int link_make(struct lab *lab, struct link *link);
// Until a wire carries frames.
int link_wait(struct lab *lab, struct link *link);
