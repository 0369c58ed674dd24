// SPDX-License-Identifier: BSD-2-Clause
// Questions that weftd asks in a network: who has this IP address? It asks as a station of its own,
// behind a port that is none (WEFT_PORT_WEFTD): so peers' guests hear it, too, and their answers
// find back to this host, where the datapath learns from them as from any answer.
#pragma once

#include "daemon/weftd.h"

int question_open(struct weftd *weftd); // the port's row
// Network ids beyond the tags that there are: -ERANGE. As engine_ops.send.
int question_ask(struct weftd *weftd, u32 network, const struct weft_ip *ip);
void question_forget_network(struct weftd *weftd, u32 network);
u32 question_port(struct weftd *weftd); // its id: no other port or peer has it
