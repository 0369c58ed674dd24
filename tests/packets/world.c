// SPDX-License-Identifier: BSD-2-Clause
// The configuration that every golden packet meets, and the look at it afterwards.
#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>
#include <cmocka.h>

enum { BLUE = 1, RED = 2, GREEN = 3 };

static const struct {
	u32 port, flags, network, mac_limit;
} ports[] = {
	{1, 0, BLUE, 16},
	{2, 0, BLUE, 16},
	{3, WEFT_PORT_TRUNK, 0, 16},
	{4, 0, RED, 16},
	{5, WEFT_PORT_TRUNK, RED, 16},
	{6, 0, GREEN, 16},
	{7, WEFT_PORT_TRUNK | WEFT_PORT_HOST, 0, 16},
	{8, 0, BLUE, 0},
	{WORLD_NO_DEVICE, 0, BLUE, 16},
};

static const struct {
	u32 port;
	u16 vid;
	u32 network;
} tags[] = {{3, 10, BLUE}, {3, 20, RED}, {5, 30, BLUE}, {7, 40, RED}};

static const struct {
	u32 network, port;
	u16 tag;
} members[] = {{BLUE, 1, 0}, {BLUE, 2, 0}, {BLUE, 8, 0}, {BLUE, 3, 10}, {BLUE, 5, 30}, {RED, 4, 0},
	{RED, 5, 0}, {RED, 3, 20}, {RED, 7, 40}, {GREEN, 6, 0}};

#define PUT(table, key, row) \
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_##table, (key), (row)), 0)

static void configure_network(const struct engine_ops *ops, struct engine *engine, u32 id)
{
	struct weft_network_row row = {
		.flags = WEFT_NETWORK_PRESENT,
		.mtu = id == RED ? 9000 : 1500,
		.ageing_ns = 300 * 1000000000ull,
		.mac_limit = 16,
		.member_epoch = id, // any value must do
	};
	if (id == BLUE) {
		inet_pton(AF_INET, "10.1.0.254", &row.gateway4);
		inet_pton(AF_INET6, "fd00::fe", row.gateway6);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(members); i++) {
		if (members[i].network != id)
			continue;
		struct weft_member_key key = {id, row.member_epoch, row.member_count++};
		struct weft_member_row member = {.port = members[i].port, .tag = members[i].tag};
		PUT(member, &key, &member);
	}
	PUT(network, &id, &row);
}

void world_configure(const struct engine_ops *ops, struct engine *engine)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(ports); i++) {
		struct weft_port_row row = {
			.flags = WEFT_PORT_PRESENT | ports[i].flags,
			.network = ports[i].network,
			.mac_limit = ports[i].mac_limit,
		};
		PUT(port, &ports[i].port, &row);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tags); i++) {
		struct weft_tag_key key = {.port = tags[i].port, .vid = tags[i].vid};
		struct weft_tag_row row = {.network = tags[i].network};
		PUT(tag, &key, &row);
	}
	for (u32 id = BLUE; id <= GREEN; id++)
		configure_network(ops, engine, id);
}

u64 world_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

static struct weft_fdb_key place_of(const struct fdb_expect *expect)
{
	struct weft_fdb_key key = {.network = expect->network};
	char words[] = "X>X";
	words[0] = expect->mac[0];
	words[2] = expect->mac[0];
	memcpy(&key.mac, frame_build(words).bytes, 6);
	return key;
}

static int forget_row(const void *key, const void *row, void *context)
{
	(void)row;
	void **at = context;
	const struct engine_ops *ops = at[0];
	ops->table_del(at[1], WEFT_TABLE_fdb, key, NULL);
	return 0;
}

void world_before(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	u64 now_ns)
{
	struct weft_usage_row usage = {0};
	void *context[] = {(void *)ops, engine};
	ops->table_walk(engine, WEFT_TABLE_fdb, forget_row, context);
	for (u32 id = 1; id < PORTS; id++)
		PUT(port_usage, &id, &usage);
	for (u32 id = BLUE; id <= GREEN; id++)
		PUT(network_usage, &id, &usage);
	for (const struct fdb_expect *e = c->before; e->network; e++) {
		struct weft_fdb_key key = place_of(e);
		struct weft_fdb_row row = {
			.port = e->port,
			.tag = e->tag,
			.kind = e->fixed ? WEFT_FDB_STATIC : WEFT_FDB_LEARNED,
			.seen_ns = now_ns - e->age_seconds * 1000000000ull,
		};
		PUT(fdb, &key, &row);
	}
}

void world_counts(const struct engine_ops *ops, struct engine *engine, struct port_counts *out)
{
	for (u32 port = 0; port < PORTS; port++) {
		ops->table_get(engine, WEFT_TABLE_port_count, &port, &out->port[port]);
		for (u32 reason = 0; reason < WEFT_DROP_count; reason++) {
			u32 index = port * WEFT_DROPS_PER_PORT + reason;
			ops->table_get(engine, WEFT_TABLE_drop, &index, &out->drops[port][reason]);
		}
	}
}

// Lengths are counted without a tag.
static u32 counted_bytes(const struct frame *frame)
{
	const u8 *type = frame->bytes + 12;
	bool tagged = frame->length >= 18 && (type[0] == 0x81 || type[0] == 0x88) &&
		      (type[1] == 0x00 || type[1] == 0xa8);
	return frame->length - (tagged ? 4 : 0);
}

static void check_counts(const struct packet_case *c, const struct port_counts *before,
	const struct port_counts *after)
{
	struct weft_port_count_row expected[PORTS] = {0};
	struct frame in = frame_build(c->in);
	expected[c->port].rx_packets = 1;
	expected[c->port].rx_bytes = counted_bytes(&in);
	for (u32 i = 0; i < OUTPUTS_MAX && c->out[i].port; i++) {
		struct frame out = frame_build(c->out[i].frame);
		expected[c->out[i].port].tx_packets++;
		expected[c->out[i].port].tx_bytes += counted_bytes(&out);
	}
	for (u32 p = 0; p < PORTS; p++) {
		const struct weft_port_count_row *a = &after->port[p], *b = &before->port[p];
		assert_int_equal(a->rx_packets - b->rx_packets, expected[p].rx_packets);
		assert_int_equal(a->rx_bytes - b->rx_bytes, expected[p].rx_bytes);
		assert_int_equal(a->tx_packets - b->tx_packets, expected[p].tx_packets);
		assert_int_equal(a->tx_bytes - b->tx_bytes, expected[p].tx_bytes);
		for (u32 reason = 0; reason < WEFT_DROP_count; reason++) {
			bool counted = p == c->port && reason == c->reason && reason;
			if (after->drops[p][reason] - before->drops[p][reason] != counted)
				fail_msg("port %u: drop %s counted %d times, not %d", p,
					drop_name(reason),
					(int)(after->drops[p][reason] - before->drops[p][reason]),
					counted);
		}
	}
}

void world_check(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	const struct port_counts *before)
{
	struct port_counts after;
	world_counts(ops, engine, &after);
	check_counts(c, before, &after);
	for (const struct fdb_expect *e = c->after; e->network; e++) {
		struct weft_fdb_key key = place_of(e);
		struct weft_fdb_row row;
		int error = ops->table_get(engine, WEFT_TABLE_fdb, &key, &row);
		if (e->absent) {
			assert_int_not_equal(error, 0);
			continue;
		}
		assert_int_equal(error, 0);
		assert_int_equal(row.port, e->port);
		assert_int_equal(row.tag, e->tag);
	}
}
