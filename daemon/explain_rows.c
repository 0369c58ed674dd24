// SPDX-License-Identifier: BSD-2-Clause
// Rows -> JSON: every look into a table, by the field lists of weft/tables.h.
#include "daemon/explain.h"

#include <string.h>
#include "daemon/address.h"

struct field {
	const char *name;
	size_t at, bytes;
};

// S is the struct at hand.
#define FIELD(type, name, dimension) {#name, offsetof(S, name), sizeof(((S *)NULL)->name)},
#define ROW(table)                   static const struct field table##_row[] = {WEFT_ROW_##table(FIELD){0}}
#define KEY(table)                   static const struct field table##_key[] = {WEFT_KEY_##table(FIELD){0}}

#define S struct weft_port_row
ROW(port);
#undef S
#define S struct weft_network_row
ROW(network);
#undef S
#define S struct weft_tag_key
KEY(tag);
#undef S
#define S struct weft_tag_row
ROW(tag);
#undef S
#define S struct weft_fdb_key
KEY(fdb);
#undef S
#define S struct weft_fdb_row
ROW(fdb);
#undef S
#define S struct weft_neighbour_key
KEY(neighbour);
#undef S
#define S struct weft_neighbour_row
ROW(neighbour);
#undef S
#define S struct weft_host_row
ROW(host);
#undef S
#define S struct weft_nexthop_row
ROW(nexthop);
#undef S
#define S struct weft_generation_row
ROW(generation);
#undef S

#define S struct weft_service_key
KEY(service);
#undef S
#define S struct weft_service_row
ROW(service);
#undef S
#define S struct weft_connection_key
KEY(connection);
#undef S
#define S struct weft_connection_row
ROW(connection);
#undef S
#define S struct weft_station_key
KEY(station);
#undef S
#define S struct weft_station_row
ROW(station);
#undef S
#define S struct weft_fragment_key
KEY(fragment);
#undef S
#define S struct weft_fragment_row
ROW(fragment);
#undef S
#define S struct weft_ring_row
ROW(ring);
#undef S
#define S struct weft_backend_row
ROW(backend);
#undef S
#define S struct weft_port_block_row
ROW(port_block);
#undef S

static const struct field index_key[] = {{"index", 0, sizeof(u32)}, {0}};

// Of the tables that decide and an encapsulation read.
static const struct {
	const struct field *key, *row;
} tables[WEFT_TABLE_count] = {
	[WEFT_TABLE_port] = {index_key, port_row},
	[WEFT_TABLE_network] = {index_key, network_row},
	[WEFT_TABLE_tag] = {tag_key, tag_row},
	[WEFT_TABLE_fdb] = {fdb_key, fdb_row},
	[WEFT_TABLE_neighbour] = {neighbour_key, neighbour_row},
	[WEFT_TABLE_host] = {index_key, host_row},
	[WEFT_TABLE_nexthop] = {index_key, nexthop_row},
	[WEFT_TABLE_generation] = {index_key, generation_row},
	[WEFT_TABLE_service] = {service_key, service_row},
	[WEFT_TABLE_connection] = {connection_key, connection_row},
	[WEFT_TABLE_station] = {station_key, station_row},
	[WEFT_TABLE_fragment] = {fragment_key, fragment_row},
	[WEFT_TABLE_ring] = {index_key, ring_row},
	[WEFT_TABLE_backend] = {index_key, backend_row},
	[WEFT_TABLE_port_block] = {index_key, port_block_row},
};

// By its size: numbers, MAC and IP addresses.
static json_t *field_json(const struct field *field, const u8 *at)
{
	u64 number = 0;
	struct weft_mac mac;
	struct weft_ip ip;
	char text[ADDRESS_TEXT_BYTES];
	if (field->bytes == sizeof(mac)) {
		memcpy(&mac, at, sizeof(mac));
		mac_text(&mac, text);
		return json_string(text);
	}
	if (field->bytes == sizeof(ip)) {
		memcpy(&ip, at, sizeof(ip));
		address_text(&ip, text);
		return json_string(text);
	}
	memcpy(&number, at, field->bytes <= sizeof(number) ? field->bytes : 0);
	return json_integer((json_int_t)number);
}

// Secrets of the datapath are no part of an explanation.
static json_t *fields_json(const struct field *field, const void *row)
{
	json_t *object = json_object();
	for (; field && field->name; field++)
		if (strcmp(field->name, "reserved") != 0 && !strstr(field->name, "_key"))
			json_object_set_new(object, field->name,
				field_json(field, (const u8 *)row + field->at));
	return object;
}

json_t *explain_rows(const struct explain *e)
{
	json_t *rows = json_array();
	for (const struct explain_row *look = e->rows; look; look = look->next) {
		if (look->table == WEFT_TABLE_member) // `flood_to` has them
			continue;
		json_t *row =
			look->found ? fields_json(tables[look->table].row, look->row) : json_null();
		json_array_append_new(rows,
			json_pack("{s:s, s:s, s:o, s:o}", "stage", explain_stage_name(look->stage),
				"table", table_infos[look->table].name, "key",
				fields_json(tables[look->table].key, look->key), "row", row));
	}
	return rows;
}
