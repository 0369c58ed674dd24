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

bool world_own = true;
u32 world_underlay = 1000;

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
	{9, 0, YELLOW, 16},
	{10, WEFT_PORT_TRUNK, 0, 16},
	{11, 0, VIOLET, 16},
	{12, 0, WHITE, 16},
	{13, 0, WHITE, 16},
	{14, WEFT_PORT_TRUNK | WEFT_PORT_HOST | WEFT_PORT_VIPS, 0, 16},
	{P1, WEFT_PORT_PEER, 0, 16},
	{P2, WEFT_PORT_PEER | WEFT_PORT_LIMITED, 0, 16},
	{WORLD_NO_DEVICE, 0, BLUE, 16},
};

static const struct {
	u32 port;
	u32 tag;
	u32 network;
} tags[] = {{3, 10, BLUE}, {3, 20, RED}, {5, 30, BLUE}, {7, 40, RED}, {10, 50, YELLOW},
	{10, 60, VIOLET}, {0, YELLOW_VNI, YELLOW}, {0, VIOLET_VNI, VIOLET}, {0, WHITE_VNI, WHITE},
	{P2, VIOLET_VNI, VIOLET}};

static const struct {
	u32 network, port;
	u16 tag;
} members[] = {{BLUE, 1, 0}, {BLUE, 2, 0}, {BLUE, 8, 0}, {BLUE, 3, 10}, {BLUE, 5, 30}, {RED, 4, 0},
	{RED, 5, 0}, {RED, 3, 20}, {RED, 7, 40}, {GREEN, 6, 0}, {YELLOW, 9, 0}, {YELLOW, 10, 50},
	{WHITE, 12, 0}, {WHITE, 13, 0}, {VIOLET, 11, 0}, {VIOLET, 10, 60},
	{VIOLET, P2, WEFT_MEMBER_PEER}, {0, P1, WEFT_MEMBER_PEER}};

static void configure_network(const struct engine_ops *ops, struct engine *engine, u32 id)
{
	struct weft_network_row row = {
		.flags = id ? WEFT_NETWORK_PRESENT : 0,
		.mtu = id == RED      ? 9000
		       : id >= YELLOW ? 1450
				      : 1500,
		.ageing_ns = 300 * 1000000000ull,
		.mac_limit = 16,
		.binding_limit = 16 * WEFT_BINDINGS_PER_MAC,
		.member_epoch = id, // any value must do
	};
	if (id == YELLOW) {
		row.vni = YELLOW_VNI;
		row.neighbour_ns = 30 * 1000000000ull;
		row.flags |= world_own ? WEFT_NETWORK_OWN : 0;
	} else if (id == VIOLET) {
		row.vni = VIOLET_VNI;
		row.flags |= WEFT_NETWORK_INNER_TAGS;
	} else if (id == WHITE) {
		row.vni = WHITE_VNI;
		row.flags |= WEFT_NETWORK_SERVICES | (world_own ? WEFT_NETWORK_OWN : 0);
		row.connection_limit = 16;
		row.fragment_limit = 64;
	}
	if (id == BLUE || id == YELLOW || id == WHITE) {
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

static struct weft_ip vtep_address(u32 last_byte)
{
	return (struct weft_ip){.byte = {[10] = 0xff, 0xff, 192, 0, 2, (u8)last_byte}};
}

// One way to each peer, over the underlay's device.
static void configure_peer(
	const struct engine_ops *ops, struct engine *engine, u32 id, struct weft_port_row *row)
{
	struct weft_ip address = vtep_address(id);
	struct weft_index key = {id * WEFT_NEXTHOPS_PER_PEER};
	struct weft_nexthop_row nexthop = {
		.ifindex = world_underlay,
		.mtu = 1500,
		.dst = {{2, 0, 0, 0, 1, 2}},
		.src = {{2, 0, 0, 0, 1, 1}},
	};
	struct weft_vtep_row vtep = {.peer = id};
	memcpy(row->address, &address, sizeof(row->address));
	row->nexthops = 1;
	PUT(nexthop, &key, &nexthop);
	PUT(vtep, &address, &vtep);
}

const u64 world_probe_key[2] = {0x0123456789abcdefull, 0xfedcba9876543210ull};

static void configure_host(const struct engine_ops *ops, struct engine *engine)
{
	u32 zero = 0;
	struct weft_ip address = vtep_address(1);
	struct weft_host_row row = {.udp_port = 4789, .blocks = 1};
	memcpy(row.probe_key, world_probe_key, sizeof(row.probe_key));
	memcpy(row.address, &address, sizeof(row.address));
	PUT(host, &zero, &row);
}

// Every row is looked at, for every packet, and every bucket.
struct engine_config world_config(void)
{
	return (struct engine_config){.capacity = {[WEFT_TABLE_fdb] = 1024,
					      [WEFT_TABLE_neighbour] = 1024,
					      [WEFT_TABLE_connection] = 1024,
					      [WEFT_TABLE_fragment] = 1024,
					      [WEFT_TABLE_ring] = 64,
					      [WEFT_TABLE_backend] = 64,
					      [WEFT_TABLE_backend_count] = 64,
					      [WEFT_TABLE_service_usage] = 64,
					      [WEFT_TABLE_meter] = 64,
					      [WEFT_TABLE_network] = 64,
					      [WEFT_TABLE_network_usage] = 64,
					      [WEFT_TABLE_generation] = 64,
					      [WEFT_TABLE_nexthop] = 64 * WEFT_NEXTHOPS_PER_PEER,
					      [WEFT_TABLE_drop] = 128 * WEFT_DROPS_PER_PORT}};
}

void world_configure(const struct engine_ops *ops, struct engine *engine)
{
	configure_host(ops, engine);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(ports); i++) {
		struct weft_port_row row = {
			.flags = WEFT_PORT_PRESENT | ports[i].flags,
			.network = ports[i].network,
			.mac_limit = ports[i].mac_limit,
		};
		if (row.flags & WEFT_PORT_VIPS)
			memcpy(row.address, frame_build("U>U").bytes, 6);
		if (row.flags & WEFT_PORT_PEER)
			configure_peer(ops, engine, ports[i].port, &row);
		PUT(port, &ports[i].port, &row);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tags); i++) {
		struct weft_tag_key key = {.port = tags[i].port, .tag = tags[i].tag};
		struct weft_tag_row row = {.network = tags[i].network};
		PUT(tag, &key, &row);
	}
	for (u32 id = 0; id < NETWORKS; id++)
		configure_network(ops, engine, id);
	world_services(ops, engine);
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

static struct weft_neighbour_key binding_of(const struct binding_expect *expect)
{
	struct weft_neighbour_key key = {.network = expect->network};
	bool v6 = strchr(expect->ip, ':');
	if (!v6)
		key.ip[10] = key.ip[11] = 0xff;
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, expect->ip, key.ip + (v6 ? 0 : 12)), 1);
	return key;
}

struct forget {
	const struct engine_ops *ops;
	struct engine *engine;
	enum weft_table table;
};

static int forget_row(const void *key, const void *row, void *context)
{
	struct forget *forget = context;
	(void)row;
	forget->ops->table_del(forget->engine, forget->table, key, NULL);
	return 0;
}

void world_before(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	u64 now_ns)
{
	static const enum weft_table forgotten[] = {
		WEFT_TABLE_fdb, WEFT_TABLE_neighbour, WEFT_TABLE_connection, WEFT_TABLE_fragment};
	struct weft_usage_row usage = {0};
	struct weft_service_usage_row service_usage = {0};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(forgotten); i++)
		ops->table_walk(engine, forgotten[i], forget_row,
			&(struct forget){ops, engine, forgotten[i]});
	for (u32 id = 1; id < SERVICES; id++)
		PUT(service_usage, &id, &service_usage);
	for (u32 id = 1; id < PLACES; id++)
		PUT(port_usage, &id, &usage);
	for (u32 id = 1; id < PLACES; id++) {
		struct weft_guest_row guest = {.asked = c->asked && id == c->port};
		PUT(guest, &id, &guest);
	}
	for (u32 id = BLUE; id < NETWORKS; id++)
		PUT(network_usage, &id, &usage);
	for (const struct binding_expect *e = c->bound; e->network; e++) {
		struct weft_neighbour_key key = binding_of(e);
		struct weft_fdb_key place = place_of(&(struct fdb_expect){e->network, e->mac});
		struct weft_neighbour_row row = {
			.mac = place.mac,
			.port = e->port,
			.flags = e->flags,
			.seen_ns = now_ns - e->age_seconds * 1000000000ull,
		};
		PUT(neighbour, &key, &row);
	}
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

u64 world_begin(const struct engine_ops *ops, struct engine *engine)
{
	static const struct packet_case nothing;
	u64 now_ns = world_now_ns();
	world_configure(ops, engine);
	world_before(ops, engine, &nothing, now_ns);
	return now_ns;
}

void world_counts(const struct engine_ops *ops, struct engine *engine, struct port_counts *out)
{
	for (u32 port = 0; port < PLACES; port++) {
		ops->table_get(engine, WEFT_TABLE_port_count, &port, &out->port[port]);
		for (u32 reason = 0; reason < WEFT_DROP_count; reason++) {
			u32 index = port * WEFT_DROPS_PER_PORT + reason;
			const struct weft_drop_row *row =
				ops->table_at(engine, WEFT_TABLE_drop, index);
			out->drops[port][reason] = row->packets;
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
	struct weft_port_count_row expected[PLACES] = {0};
	struct frame in = frame_build(c->in);
	bool nobody = c->reason == WEFT_DROP_peer_unknown || c->reason == WEFT_DROP_bad_vxlan;
	u32 in_port = nobody ? 0 : c->port;
	expected[in_port].rx_packets = !nobody && c->reason != WEFT_DROP_bad_ecn;
	expected[in_port].rx_bytes = expected[in_port].rx_packets * counted_bytes(&in);
	for (u32 i = 0; i < OUTPUTS_MAX && c->out[i].port; i++) {
		struct frame out = frame_build_answer(c->out[i].frame, &in);
		expected[c->out[i].port].tx_packets++;
		expected[c->out[i].port].tx_bytes += counted_bytes(&out);
	}
	for (u32 p = 0; p < PLACES; p++) {
		const struct weft_port_count_row *a = &after->port[p], *b = &before->port[p];
		assert_int_equal(a->rx_packets - b->rx_packets, expected[p].rx_packets);
		assert_int_equal(a->rx_bytes - b->rx_bytes, expected[p].rx_bytes);
		assert_int_equal(a->tx_packets - b->tx_packets, expected[p].tx_packets);
		assert_int_equal(a->tx_bytes - b->tx_bytes, expected[p].tx_bytes);
		for (u32 reason = 0; reason < WEFT_DROP_count; reason++) {
			bool counted = p == in_port && reason == c->reason && reason;
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
	for (const struct binding_expect *e = c->binds; e->network; e++) {
		struct weft_neighbour_key key = binding_of(e);
		struct weft_fdb_key place = place_of(&(struct fdb_expect){e->network, e->mac});
		struct weft_neighbour_row row;
		int error = ops->table_get(engine, WEFT_TABLE_neighbour, &key, &row);
		assert_int_equal(error != 0, e->absent);
		if (error)
			continue;
		assert_int_equal(row.port, e->port);
		assert_int_equal(row.flags, e->flags);
		assert_memory_equal(&row.mac, &place.mac, sizeof(row.mac));
	}
}
