// SPDX-License-Identifier: BSD-2-Clause
// The lists of include/weft as data: tables with their ABI, drop reasons, engines.
#include "datapath/engine.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

// The ABI text of a table is its declaration: "u32 network;struct weft_mac mac;u16 reserved;".
#define TEXT(x)                      #x
#define FIELD(type, name, dimension) TEXT(type) " " TEXT(name) TEXT(dimension) ";"
#define ABI_weft_index               "u32 index;"
#define ABI_weft_port_row            WEFT_ROW_port(FIELD)
#define ABI_weft_network_row         WEFT_ROW_network(FIELD)
#define ABI_weft_tag_key             WEFT_KEY_tag(FIELD)
#define ABI_weft_tag_row             WEFT_ROW_tag(FIELD)
#define ABI_weft_member_key          WEFT_KEY_member(FIELD)
#define ABI_weft_member_row          WEFT_ROW_member(FIELD)
#define ABI_weft_fdb_key             WEFT_KEY_fdb(FIELD)
#define ABI_weft_fdb_row             WEFT_ROW_fdb(FIELD)
#define ABI_weft_neighbour_key       WEFT_KEY_neighbour(FIELD)
#define ABI_weft_neighbour_row       WEFT_ROW_neighbour(FIELD)
#define ABI_weft_host_row            WEFT_ROW_host(FIELD)
#define ABI_weft_vtep_key            WEFT_KEY_vtep(FIELD)
#define ABI_weft_vtep_row            WEFT_ROW_vtep(FIELD)
#define ABI_weft_nexthop_row         WEFT_ROW_nexthop(FIELD)
#define ABI_weft_meter_row           WEFT_ROW_meter(FIELD)
#define ABI_weft_usage_row           WEFT_ROW_usage(FIELD)
#define ABI_weft_generation_row      WEFT_ROW_generation(FIELD)
#define ABI_weft_port_count_row      WEFT_ROW_port_count(FIELD)
#define ABI_weft_drop_row            WEFT_ROW_drop(FIELD)
#define ABI_weft_guest_row           WEFT_ROW_guest(FIELD)
#define ABI_weft_latency_key         WEFT_KEY_latency(FIELD)
#define ABI_weft_latency_row         WEFT_ROW_latency(FIELD)
#define ABI_weft_service_key         WEFT_KEY_service(FIELD)
#define ABI_weft_service_row         WEFT_ROW_service(FIELD)
#define ABI_weft_ring_row            WEFT_ROW_ring(FIELD)
#define ABI_weft_backend_row         WEFT_ROW_backend(FIELD)
#define ABI_weft_station_key         WEFT_KEY_station(FIELD)
#define ABI_weft_station_row         WEFT_ROW_station(FIELD)
#define ABI_weft_port_block_row      WEFT_ROW_port_block(FIELD)
#define ABI_weft_backend_count_row   WEFT_ROW_backend_count(FIELD)
#define ABI_weft_service_usage_row   WEFT_ROW_service_usage(FIELD)
#define ABI_weft_connection_key      WEFT_KEY_connection(FIELD)
#define ABI_weft_connection_row      WEFT_ROW_connection(FIELD)
#define ABI_weft_fragment_key        WEFT_KEY_fragment(FIELD)
#define ABI_weft_fragment_row        WEFT_ROW_fragment(FIELD)

const struct table_info table_infos[WEFT_TABLE_count] = {
#define X(table, kind_of, role_of, key, row, rows) \
	[WEFT_TABLE_##table] = { \
		.name = #table, \
		.kind = WEFT_TABLE_##kind_of, \
		.role = WEFT_##role_of, \
		.key_bytes = sizeof(struct key), \
		.row_bytes = sizeof(struct row), \
		.capacity = (rows), \
		.abi_text = #kind_of "{" ABI_##key "}{" ABI_##row "}", \
	},
	WEFT_TABLES(X)
#undef X
};

u32 table_rows(enum weft_table table, u32 capacity)
{
	return capacity ? capacity : table_infos[table].capacity;
}

void table_abi(enum weft_table table, char hex[17])
{
	const char *text = table_infos[table].abi_text;
	snprintf(hex, 17, "%016llx", (unsigned long long)XXH3_64bits(text, strlen(text)));
}

static const struct {
	const char *name, *hop, *sentence;
} drops[WEFT_DROP_count] = {[WEFT_DROP_none] = {"none", "none", "not a drop"},
#define X(reason, where, text) [WEFT_DROP_##reason] = {#reason, #where, text},
	WEFT_DROPS(X)
#undef X
};

const char *action_name(u32 action)
{
	static const char *const names[WEFT_ACTION_count] = {
		[WEFT_ACTION_drop] = "drop",
		[WEFT_ACTION_forward] = "forward",
		[WEFT_ACTION_flood] = "flood",
		[WEFT_ACTION_reply] = "reply",
		[WEFT_ACTION_to_host] = "to_host",
		[WEFT_ACTION_encap] = "encap",
	};
	return action < WEFT_ACTION_count ? names[action] : NULL;
}

const char *drop_name(enum weft_drop reason)
{
	return drops[reason].name;
}

const char *drop_sentence(enum weft_drop reason)
{
	return drops[reason].sentence;
}

const char *drop_hop(enum weft_drop reason)
{
	return drops[reason].hop;
}
