// SPDX-License-Identifier: BSD-2-Clause
// Meters: rows of the meter table. A port has the row of its id, networks follow behind the ports.
#include "daemon/meter.h"

#include <string.h>

u32 meter_of_port(u32 port)
{
	return port;
}

u32 meter_of_network(struct weftd *weftd, u32 network)
{
	struct engine_table_status ports;
	weftd->engine_ops->table_status(weftd->engine, WEFT_TABLE_port, &ports);
	return ports.capacity + network;
}

int meter_set(struct weftd *weftd, u32 row, u64 per_second, u32 *meter, struct failure *failure)
{
	struct weft_index index = {row};
	struct weft_meter_row is, next = {0};
	if (per_second) {
		next.cost_ns = 1000000000 / per_second;
		next.burst_ns = 1000000000;
	}
	int error = engine_get(weftd, meter, &index, &is);
	if (!error && (is.cost_ns != next.cost_ns || is.burst_ns != next.burst_ns))
		error = engine_put(weftd, meter, &index, &next);
	*meter = per_second && !error ? row : 0;
	if (!error || !per_second)
		return 0;
	fail(failure, error, "table_full", "the meter table has no row %u", row);
	return fail_hint(failure,
		"start weftd with a larger meter table: rows of the port table and "
		"of the network table together");
}
