// SPDX-License-Identifier: BSD-2-Clause
// Connections of services: the datapath's rows. weftd takes out those that are over, of their own
// or with a service or a backend, and shows them.
#pragma once

#include "daemon/weftd.h"

// A row that is no connection any more: unseen for too long, or of who is not there.
bool connection_over(struct weftd *weftd, const struct weft_connection_row *row, u64 now_ns);
// It goes, and its quotas get it back; unless the datapath has seen it meanwhile.
bool connection_forget(struct weftd *weftd, const struct weft_connection_key *key,
	const struct weft_connection_row *row);

// What the datapath changes in this packet of a service, by its connection as it is now. False:
// there is none.
bool connection_translates(struct weftd *weftd, const struct weft_postcard *card,
	const struct weft_key *key, struct weft_rewrite *rewrite);

// All that are of these; 0: of any. Returns how many connections that were. Those of a backend, and
// strays, stay as far as their clients are to be told (service_resets): without a backend.
struct connection_filter {
	u32 service, backend, network;
};
u64 connections_forget(struct weftd *weftd, const struct connection_filter *filter);
// Of services and backends that there are no more.
void connections_forget_strays(struct weftd *weftd);

// Takes out strays at once, and from then on all that are over.
int connections_open(struct weftd *weftd, struct failure *failure);
void connections_close(struct weftd *weftd);
