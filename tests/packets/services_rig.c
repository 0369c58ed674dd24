// SPDX-License-Identifier: BSD-2-Clause
// The rig of the packets of services.
#include "tests/packets/services_rig.h"

#include <stdio.h>
#include <string.h>

const struct engine_ops *ops;
struct engine *engine;
u64 now_ns;
struct engine_result result;

void knows(const char *letter, u32 port)
{
	struct weft_fdb_key key = {.network = WHITE, .mac = services_mac(letter)};
	struct weft_fdb_row row = {.port = port, .seen_ns = now_ns};
	PUT(fdb, &key, &row);
}

void start(void **state)
{
	const struct sequence_arena *arena = *state;
	ops = arena->ops;
	engine = arena->engine;
	now_ns = world_begin(ops, engine);
	knows("A", 12);
	knows("B", 13);
	knows("C", P1);
}

bool is_xdp(void)
{
	return ops == &engine_xdp;
}

void enter(u32 port, const char *in)
{
	struct frame inner = frame_build(in), frame = inner;
	struct explained explained;
	bool peer = is_peer(port);
	if (peer)
		frame = tunnel_wrap(port, WHITE_VNI, &inner, NULL);
	struct engine_packet packet = {peer ? 0 : port, frame.bytes, frame.length};
	explain_before(ops, engine, port, peer ? WHITE_VNI : 0, &inner,
		ops == &engine_sim ? now_ns : world_now_ns(), &explained);
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	if (!result.record.passed)
		explain_check(ops, &explained, &result);
	else if (peer)
		carrier_brings(port, &inner, &frame);
}

static void show(const char *what, const struct frame *frame)
{
	fprintf(stderr, "%s:", what);
	for (u32 i = 0; i < frame->length; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n", frame->bytes[i]);
	fprintf(stderr, "\n");
}

struct frame left(u32 port)
{
	struct frame frame = {.length = result.output[0].length};
	u32 vni = WHITE_VNI;
	assert_false(result.record.passed);
	assert_string_equal(drop_name(result.record.reason), "none");
	assert_int_equal(result.outputs, 1);
	memcpy(frame.bytes, result.output[0].bytes, frame.length);
	if (is_peer(port) && !result.output[0].inner) {
		struct frame outer = frame;
		assert_int_equal(tunnel_unwrap(outer.bytes, outer.length, &vni, &frame), port);
	} else {
		assert_int_equal(result.output[0].port, port);
	}
	assert_int_equal(vni, WHITE_VNI);
	return frame;
}

u16 source_port(void)
{
	struct frame frame = left(13);
	const u8 *l4 = frame.bytes + 14 + (frame.bytes[12] == 0x08 ? 20 : 40);
	return (u16)(l4[0] << 8 | l4[1]);
}

static void expect_left(u32 port, const char *in, const char *out)
{
	struct frame expected = frame_build(out), got = left(port);
	if (got.length == expected.length && !memcmp(got.bytes, expected.bytes, got.length))
		return;
	show("got", &got);
	show("expected", &expected);
	fail_msg("%s", in);
}

void goes(u32 port, const char *in, u32 to, const char *out)
{
	enter(port, in);
	expect_left(to, in, out);
}

void refuses(u32 port, const char *in, enum weft_drop reason, const char *out)
{
	enter(port, in);
	assert_string_equal(drop_name(result.record.reason), drop_name(reason));
	assert_true(result.record.answered);
	assert_int_equal(result.record.verdict.action, WEFT_ACTION_reply);
	result.record.reason = WEFT_DROP_none;
	expect_left(port, in, out);
}

void drops(u32 port, const char *in, enum weft_drop reason)
{
	enter(port, in);
	assert_string_equal(drop_name(result.record.reason), drop_name(reason));
	assert_int_equal(result.outputs, 0);
}

u64 connections(u32 service)
{
	struct weft_service_usage_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service_usage, &service, &row), 0);
	return row.connections;
}

void put_backend(u32 id, u32 flags)
{
	struct weft_backend_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_backend, &id, &row), 0);
	row.flags = flags;
	PUT(backend, &id, &row);
}

struct weft_connection_key connection_key(const char *src, u16 sport, u16 dport, u8 protocol)
{
	struct weft_connection_key key = {
		.scope = WHITE, .src_port = sport, .dst_port = dport, .protocol = protocol};
	services_address(src, key.src);
	services_address(strchr(src, ':') ? SERVICES_VIP6 : VIP, key.dst);
	return key;
}

struct weft_connection_row connection(const char *src, u16 sport, u16 dport, u8 protocol)
{
	struct weft_connection_key key = connection_key(src, sport, dport, protocol);
	struct weft_connection_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_connection, &key, &row), 0);
	return row;
}

void nobody_serves(u32 service)
{
	struct weft_ring_row ring = {SERVICE_NAT}; // nobody of this service
	put_backend(service, WEFT_BACKEND_PRESENT | WEFT_BACKEND_DEAD);
	PUT(ring, &service, &ring);
}
