// SPDX-License-Identifier: BSD-2-Clause
// Meters: rows of the meter table.
#include "daemon/meter.h"

#include <string.h>

u32 meter_of_port(u32 port)
{
	return port;
}

u32 meter_of_network(struct weftd *weftd, u32 network)
{
	return engine_capacity(weftd, WEFT_TABLE_port) + network;
}

u32 meter_of_errors(struct weftd *weftd, u32 port)
{
	return engine_capacity(weftd, WEFT_TABLE_port) +
	       engine_capacity(weftd, WEFT_TABLE_network) + port;
}

u32 meter_of_service(struct weftd *weftd, u32 service)
{
	return meter_of_errors(weftd, engine_capacity(weftd, WEFT_TABLE_port)) + service;
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
		"start weftd with a larger meter table: twice the rows of the port table, and "
		"those of the tables network and service_usage, together");
}
