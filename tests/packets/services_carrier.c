// SPDX-License-Identifier: BSD-2-Clause
// TCP of a peer, which is the kernel's VXLAN device's to take apart (ebpf/own_path.h): a test run
// of TC cannot come in there, so the frame comes live; and XDP leaves it to TC, in whose place sim
// decides, with the same rows.
#include "tests/packets/services_rig.h"

#include <string.h>
#include <unistd.h>

static u64 received(const struct port_counts *counts, u32 peer)
{
	return counts->port[peer].rx_packets;
}

static enum weft_drop counted_drop(
	const struct port_counts *before, const struct port_counts *after, u32 peer)
{
	enum weft_drop found = WEFT_DROP_none;
	for (u32 reason = 1; reason < WEFT_DROP_count; reason++) {
		u64 packets = after->drops[peer][reason] - before->drops[peer][reason];
		assert_true(packets == 0 || (packets == 1 && !found));
		if (packets)
			found = (enum weft_drop)reason;
	}
	return found;
}

// The live program leaves no record: counters say what became of the frame.
static void comes_live(u32 peer, const struct frame *outer)
{
	static struct port_counts before, after;
	static struct frame frames[2];
	u32 ports[2];
	live_receive(NULL, NULL, 0, 0); // copies of floods before
	world_counts(ops, engine, &before);
	live_send(0, outer);
	for (int i = 0; i < 1000; i++) {
		world_counts(ops, engine, &after);
		if (received(&after, peer) != received(&before, peer))
			break;
		usleep(1000);
	}
	u32 count = live_receive(ports, frames, 2, !counted_drop(&before, &after, peer));
	world_counts(ops, engine, &after);
	assert_int_equal(received(&after, peer) - received(&before, peer), 1);
	memset(&result, 0, sizeof(result));
	result.record.reason = counted_drop(&before, &after, peer);
	result.record.answered = result.record.reason && count;
	if (result.record.answered)
		result.record.verdict.action = WEFT_ACTION_reply;
	result.outputs = count;
	for (u32 i = 0; i < count; i++) {
		result.output[i].port = ports[i];
		result.output[i].length = frames[i].length;
		memcpy(result.output[i].bytes, frames[i].bytes, frames[i].length);
	}
}

// --- XDP

static struct engine *stand_in; // TC's; with TC, XDP shares its tables

// What packets write, then what tests change beside it.
static const enum weft_table tables[] = {WEFT_TABLE_fdb, WEFT_TABLE_connection, WEFT_TABLE_fragment,
	WEFT_TABLE_service_usage, WEFT_TABLE_network_usage, WEFT_TABLE_service, WEFT_TABLE_station,
	WEFT_TABLE_tag, WEFT_TABLE_backend, WEFT_TABLE_ring, WEFT_TABLE_network};
enum { WRITTEN = 5 };

struct place {
	const struct engine_ops *ops;
	struct engine *engine;
	enum weft_table table;
};

static int forget_row(const void *key, const void *row, void *context)
{
	const struct place *place = context;
	(void)row;
	return place->ops->table_del(place->engine, place->table, key, NULL);
}

static int put_row(const void *key, const void *row, void *context)
{
	const struct place *to = context;
	return to->ops->table_put(to->engine, to->table, key, row);
}

static void copy_tables(struct place from, struct place to, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		to.table = tables[i];
		if (table_infos[tables[i]].kind == WEFT_TABLE_HASH)
			to.ops->table_walk(to.engine, tables[i], forget_row, &to);
		assert_int_equal(from.ops->table_walk(from.engine, tables[i], put_row, &to), 0);
	}
}

static void stand_in_start(void)
{
	struct engine_config config = world_config();
	const char *why;
	assert_int_equal(engine_sim.start(&stand_in, &config, &why), 0);
	for (u32 id = 1; id < PORTS; id++)
		engine_sim.port_attach(stand_in, &(struct engine_port){.id = id}, NULL);
	world_configure(&engine_sim, stand_in);
}

static void tc_takes(const struct frame *outer)
{
	struct engine_packet packet = {0, outer->bytes, outer->length};
	assert_int_equal(result.outputs, 1); // XDP has left it as it came
	assert_int_equal(result.output[0].length, outer->length);
	assert_memory_equal(result.output[0].bytes, outer->bytes, outer->length);
	if (!stand_in)
		stand_in_start();
	struct place xdp = {.ops = ops, .engine = engine},
		     tc = {.ops = &engine_sim, .engine = stand_in};
	copy_tables(xdp, tc, WEFT_ARRAY_SIZE(tables));
	assert_int_equal(engine_sim.inject(stand_in, &packet, world_now_ns(), &result), 0);
	copy_tables(tc, xdp, WRITTEN);
}

void carrier_brings(u32 peer, const struct frame *inner, const struct frame *outer)
{
	bool ipv4 = inner->bytes[12] == 0x08;
	if (ipv4 || !old_kernel()) // and nothing else
		assert_int_equal(inner->bytes[ipv4 ? 23 : 20], WEFT_IP_TCP);
	if (is_xdp())
		tc_takes(outer);
	else
		comes_live(peer, outer);
}
