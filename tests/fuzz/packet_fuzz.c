// SPDX-License-Identifier: BSD-2-Clause
// libFuzzer: any bytes into any port of the golden packets' world, bare from the underlay, and
// inside outer headers of a peer. Holds what must hold for every frame: no read outside it
// (sanitizers), no way out of its network, no way back, never from a peer to a peer, counters add
// up.
#include "datapath/packet_flat.h"
#include "datapath/table.h"
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

static bool in_list(u32 network, u32 port)
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

static bool in_network(u32 network, u32 port)
{
	return in_list(network, port) || (is_peer(port) && network >= YELLOW && in_list(0, port));
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

// The port, or 0: the underlay, or a peer: then the frame has outer headers, and one byte of them
// may be another.
static u32 from_where(const u8 *data, struct frame *frame)
{
	u32 from = data[0] % (PORTS + 2u);
	if (from < PORTS)
		return from;
	*frame = tunnel_wrap(from, data[2] & 1 ? YELLOW_VNI : VIOLET_VNI, frame, NULL);
	if (data[2] & 2)
		frame->bytes[data[3] % 50] ^= 1u << (data[2] >> 5);
	return from;
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
	if (size < 4 || size - 4 > ENGINE_FRAME_BYTES - 64)
		return 0;
	struct frame frame = {.length = (u32)size - 4};
	memcpy(frame.bytes, data + 4, frame.length);
	parse_exact(frame.bytes, frame.length);
	u32 from = from_where(data, &frame);
	struct engine_packet packet = {is_peer(from) ? 0 : from, frame.bytes, frame.length};
	u64 before = counted(from);
	require(engine_sim.inject(engine, &packet, data[1] * 10000000000ull, &result) == 0);

	const struct weft_record *record = &result.record;
	require(counted(from) <= before + 1);
	require(is_peer(from) || from == 0 || counted(from) == before + 1);
	require(!record->passed || (!from && result.outputs == 0) || is_peer(from));
	require((record->action == WEFT_ACTION_drop) == (record->reason != WEFT_DROP_none) ||
		record->passed);
	require(record->action != WEFT_ACTION_drop || result.outputs == record->answered);
	require(record->action != WEFT_ACTION_forward || result.outputs == 1);
	for (u32 i = 0; i < result.outputs; i++) {
		u32 to = result.output[i].port;
		bool answer = record->action == WEFT_ACTION_reply || record->answered;
		require(from == 0 || (to == from) == answer);
		require(!is_peer(from) || !is_peer(to) || answer);
		require(in_network(record->verdict.network, to));
	}
	return 0;
}
