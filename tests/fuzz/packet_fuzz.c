// SPDX-License-Identifier: BSD-2-Clause
// libFuzzer: any bytes into any port of the golden packets' world. Holds what must hold for every
// frame: no read outside it (sanitizers), no way out of its network, no way back, counters add up.
#include "datapath/packet_flat.h"
#include "datapath/pipeline/parse.h"
#include "tests/packets/packets.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct engine *engine;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool in_network(u32 network, u32 port)
{
	struct weft_network_row row;
	require(engine_sim.table_get(engine, WEFT_TABLE_network, &network, &row) == 0);
	for (u32 i = 0; i < row.member_count; i++) {
		struct weft_member_key key = {network, row.member_epoch, i};
		struct weft_member_row member;
		require(engine_sim.table_get(engine, WEFT_TABLE_member, &key, &member) == 0);
		if (member.port == port)
			return true;
	}
	return false;
}

static u64 counted(u32 port)
{
	struct weft_port_count_row row;
	engine_sim.table_get(engine, WEFT_TABLE_port_count, &port, &row);
	return row.rx_packets;
}

// In memory that ends where the frame ends, so that ASan sees the byte behind it.
static void parse_exact(const u8 *bytes, u32 length)
{
	struct weft_key key;
	struct weft_layout layout;
	u8 *exact = malloc(length);
	memcpy(exact, bytes, length);
	struct packet packet = {.bytes = exact, .length = length};
	enum weft_drop drop = parse(&packet, 1, &key, &layout);
	require(drop < WEFT_DROP_count && layout.header_bytes <= length);
	free(exact);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct engine_result result;
	if (!engine) {
		struct engine_config config = {.capacity = {[WEFT_TABLE_fdb] = 32}};
		const char *why;
		require(engine_sim.start(&engine, &config, &why) == 0);
		world_configure(&engine_sim, engine);
		for (u32 id = 1; id < PORTS; id++)
			engine_sim.port_attach(engine, &(struct engine_port){.id = id}, NULL);
	}
	if (size < 2 || size - 2 > ENGINE_FRAME_BYTES)
		return 0;
	struct engine_packet packet = {1 + data[0] % (PORTS - 1), data + 2, (u32)size - 2};
	parse_exact(packet.bytes, packet.length);
	u64 before = counted(packet.port);
	require(engine_sim.inject(engine, &packet, data[1] * 10000000000ull, &result) == 0);

	const struct weft_record *record = &result.record;
	require(counted(packet.port) == before + 1);
	require((record->action == WEFT_ACTION_drop) == (record->reason != WEFT_DROP_none));
	require(record->action != WEFT_ACTION_drop || result.outputs == 0);
	require(record->action != WEFT_ACTION_forward || result.outputs == 1);
	for (u32 i = 0; i < result.outputs; i++) {
		bool back = result.output[i].port == packet.port;
		require(back == (record->action == WEFT_ACTION_reply));
		require(in_network(record->verdict.network, result.output[i].port));
	}
	return 0;
}
