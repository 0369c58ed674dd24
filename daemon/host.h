// SPDX-License-Identifier: BSD-2-Clause
// The host: this weftd itself.
#pragma once

#include <weft/types.h>
#include "daemon/weftd.h"

extern const struct noun noun_host;

enum { UDP_PORT_DEFAULT = 4789 };

bool host_address(struct weftd *weftd, struct weft_ip *address); // false: none is set
const char *host_name(struct weftd *weftd); // what `host set name` says, else --name
u16 host_udp_port(struct weftd *weftd);
