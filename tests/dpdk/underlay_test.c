// SPDX-License-Identifier: BSD-2-Clause
// Frames between hosts as they come: what of them is taken, what is counted, and what is the host's
// own (root: the device has a MAC address).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>
#include "tests/dpdk/service_rig.h"

enum { INNER = 400, FIRST = 300, REST = 70, MOST = 2048, NOW = 1000000000 };
enum fate { TAKEN, BAD, NOT_OURS };
enum sum { NONE, RIGHT, WRONG };

struct shape {
	const char *name;
	enum fate fate;
	bool ip6;
	enum sum sum;
	u32 options; // words of 4 bytes
	u32 trailer;
	u32 missing; // bytes that the IP length has, and the frame has not
	u16 fragment;
	u16 tci; // 0: no tag
	bool known, extension;
	u8 mac; // of the address: what is off in its first byte
};

static const char DEVICE[] =
	"/sbin/ip link add d0 address 02:00:00:00:09:08 type veth peer name d1";
static const u8 US[6] = {2, 0, 0, 0, 9, 8};
static const u8 US6[16] = {0xfd, [15] = 1};
static u8 inner[INNER];

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static u32 add(const u8 *at, u32 bytes, u32 sum)
{
	for (u32 i = 0; i < bytes; i++)
		sum += i & 1 ? at[i] : (u32)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static u32 ip4_make(const struct shape *shape, u8 *ip)
{
	const u8 head[20] = {(u8)(0x45 + shape->options), 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0,
		2, 1, 192, 0, 2, 1};
	u32 bytes = 20 + 4 * shape->options;
	memset(ip, 1, bytes);
	memcpy(ip, head, sizeof(head));
	put16(ip + 2, bytes + 16 + INNER + shape->missing);
	put16(ip + 6, shape->fragment);
	put16(ip + 10, (u16)~add(ip, bytes, 0));
	return bytes;
}

static u32 ip6_make(const struct shape *shape, u8 *ip)
{
	u32 extension = shape->extension ? 8 : 0;
	memset(ip, 0, 48);
	ip[0] = 0x60;
	put16(ip + 4, extension + 16 + INNER + shape->missing);
	ip[6] = extension ? 0 : 17;
	ip[7] = 64;
	memcpy(ip + 8, US6, 16);
	memcpy(ip + 24, US6, 16);
	memcpy(ip + 40, (u8[]){17, 0, 1, 4}, extension / 2);
	return 40 + extension;
}

static u32 outer_make(const struct shape *shape, u8 *bytes)
{
	u32 l3 = shape->tci ? 18 : 14;
	memset(bytes, 0, MOST);
	memcpy(bytes, US, 6);
	bytes[0] ^= shape->mac;
	bytes[6] = 2;
	if (shape->tci) {
		put16(bytes + 12, 0x8100);
		put16(bytes + 14, shape->tci);
	}
	put16(bytes + l3 - 2, shape->ip6 ? 0x86dd : 0x0800);
	u8 *ip = bytes + l3;
	u8 *udp = ip + (shape->ip6 ? ip6_make(shape, ip) : ip4_make(shape, ip));
	put16(udp, 0xc000);
	put16(udp + 2, 4789);
	put16(udp + 4, 16 + INNER + shape->missing);
	udp[8] = 8;
	udp[14] = 100;
	memcpy(udp + 16, inner, INNER);
	if (shape->sum) {
		u32 sum = add(ip + (shape->ip6 ? 8 : 12), shape->ip6 ? 32 : 8, 17 + 16 + INNER);
		put16(udp + 6, (u16)~add(udp, 16 + INNER, sum) ^ (shape->sum == WRONG));
	}
	memset(udp + 16 + INNER, 0x55, shape->trailer);
	return (u32)(udp - bytes) + 16 + INNER + shape->trailer;
}

static struct rte_mbuf *chain(const u8 *bytes, u32 length)
{
	struct rte_mbuf *frame = rig_mbuf(bytes, FIRST);
	for (u32 done = FIRST; done < length; done += REST)
		assert_int_equal(rte_pktmbuf_chain(frame,
					 rig_mbuf(bytes + done, RTE_MIN(length - done, (u32)REST))),
			0);
	return frame;
}

static void begin(bool ip6)
{
	struct weft_index zero = {0};
	struct weft_vtep_key vtep;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .flow_slots = 4096}});
	rig_overlay();
	rig_put_place(2, RIG_TO);
	if (ip6) {
		struct weft_host_row host = {.udp_port = 4789};
		memcpy(host.address, US6, 16);
		memcpy(vtep.address, US6, 16);
		rig_put(WEFT_TABLE_host, &zero, &host);
		rig_put(WEFT_TABLE_vtep, &vtep, &(struct weft_vtep_row){RIG_PEER});
	}
	struct dpdk_port *from = rig.engine->ports[RIG_FROM];
	from->underlay = true;
	from->id = 0; // a device that is no port
	from->ifindex = if_nametoindex("d0");
	assert_true(from->ifindex);
	dpdk_injector(rig.engine)->now_ns = NOW;
}

static u64 dropped(void)
{
	u64 sum = 0;
	for (u32 reason = 1; reason < WEFT_DROP_count; reason++) {
		struct weft_index index = {reason};
		struct weft_drop_row row;
		assert_int_equal(
			engine_dpdk->table_get(rig.engine, WEFT_TABLE_drop, &index, &row), 0);
		assert_true(!row.packets || reason == WEFT_DROP_bad_vxlan);
		sum += row.packets;
	}
	return sum;
}

static void receive(struct rte_mbuf *frame, enum fate fate)
{
	u64 sent = rig.sent[RIG_TO], lost = dropped();
	rig.kept_bytes = 0;
	worker_burst(dpdk_injector(rig.engine), rig.engine->ports[RIG_FROM], &frame, 1);
	assert_int_equal(rig.sent[RIG_TO] - sent, fate == TAKEN);
	assert_int_equal(dropped() - lost, fate == BAD);
	if (fate != TAKEN)
		return;
	assert_int_equal(rig.kept_bytes, INNER);
	assert_memory_equal(rig.kept, inner, INNER);
}

// Each in one piece and in several; nothing of it stays behind.
static void comes(void **state)
{
	const struct shape *shape = *state;
	u8 bytes[MOST];
	u32 length = outer_make(shape, bytes);
	begin(shape->ip6);
	u32 in_use = rte_mempool_in_use_count(eal_pool());
	for (u32 i = 0; i < 4; i++) {
		struct rte_mbuf *frame = i & 1 ? chain(bytes, length) : rig_mbuf(bytes, length);
		frame->packet_type = shape->known ? DPDK_SUM_KNOWN : 0;
		receive(frame, shape->fate);
		assert_int_equal(rte_mempool_in_use_count(eal_pool()), in_use);
	}
	rig_stop();
}

static void receive_for(const u8 mac[6], enum fate fate)
{
	u8 bytes[MOST];
	u32 length = outer_make(&(struct shape){0}, bytes);
	memcpy(bytes, mac, 6);
	receive(rig_mbuf(bytes, length), fate);
}

static void follows_the_devices_mac(void **state)
{
	static const u8 next[6] = {2, 0, 0, 0, 9, 10};
	(void)state;
	begin(false);
	receive_for(US, TAKEN);
	assert_int_equal(system("/sbin/ip link set d0 address 02:00:00:00:09:0a"), 0);
	receive_for(next, NOT_OURS); // asked in this millisecond
	dpdk_injector(rig.engine)->now_ns += 1000000;
	receive_for(next, TAKEN);
	receive_for(US, NOT_OURS);
	rig.engine->ports[RIG_FROM]->ifindex = 0; // nobody can be asked
	receive_for(US, TAKEN);
	receive_for((u8[6]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, NOT_OURS);
	assert_int_equal(system("/sbin/ip link set d0 address 02:00:00:00:09:08"), 0);
	rig_stop();
}

int main(void)
{
	static const struct shape shapes[] = {
		{"plain", TAKEN},
		{"a trailer", TAKEN, .trailer = 20},
		{"a trailer of several pieces", TAKEN, .trailer = 300},
		{"an option", TAKEN, .options = 1},
		{"40 bytes of options", TAKEN, .options = 10, .trailer = 4},
		{"a priority tag", TAKEN, .tci = 0xa000},
		{"a VLAN tag", NOT_OURS, .tci = 0xa001},
		{"a checksum", TAKEN, .sum = RIGHT},
		{"a checksum, a trailer", TAKEN, .sum = RIGHT, .options = 3, .trailer = 77},
		{"a wrong checksum", BAD, .sum = WRONG},
		{"a checksum that is known", TAKEN, .sum = WRONG, .known = true},
		{"a first fragment", BAD, .fragment = 0x2000},
		{"a later fragment", NOT_OURS, .fragment = 0x0010},
		{"cut short", BAD, .missing = 1},
		{"another host's MAC", NOT_OURS, .mac = 4},
		{"a group's MAC", NOT_OURS, .mac = 1},
		{"IPv6", TAKEN, true, RIGHT},
		{"IPv6, a trailer", TAKEN, true, RIGHT, .trailer = 150},
		{"IPv6, a priority tag", TAKEN, true, RIGHT, .tci = 0x2000},
		{"IPv6, a wrong checksum", BAD, true, WRONG},
		{"IPv6, no checksum", BAD, true, NONE},
		{"IPv6, cut short", BAD, true, RIGHT, .missing = 1},
		{"IPv6, an extension header", NOT_OURS, true, RIGHT, .extension = true},
	};
	struct CMUnitTest tests[WEFT_ARRAY_SIZE(shapes) + 1];
	if (geteuid()) {
		printf("underlay_test: needs root\n");
		return 77;
	}
	if (unshare(CLONE_NEWNET) || system(DEVICE))
		return 1;
	rig_frame(inner, INNER, 2, 7);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shapes); i++)
		tests[i] = (struct CMUnitTest){.name = shapes[i].name,
			.test_func = comes,
			.initial_state = (void *)&shapes[i]};
	tests[WEFT_ARRAY_SIZE(shapes)] =
		(struct CMUnitTest)cmocka_unit_test(follows_the_devices_mac);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
