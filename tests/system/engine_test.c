// SPDX-License-Identifier: BSD-2-Clause
// The eBPF engine on devices: attach, detach, strangers, both hooks, tables, inject, purge.
#include "tests/system/engine_rig.h"

#include <linux/if_link.h>

static void test_forwards(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	rig_attach(rig, 1);
	rig_attach(rig, 2);
	assert_false(hooked(rig, 1)); // nothing is switched before commit
	assert_silent(rig, 1, 2);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_true(hooked(rig, 1));
	assert_forwards(rig);

	u32 port = 1;
	struct weft_port_count_row count;
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_count, &port, &count), 0);
	assert_int_equal(count.rx_packets, 1);
	assert_int_equal(count.tx_packets, 1);
	assert_int_equal(count.rx_bytes, RIG_FRAME_BYTES);
}

static void test_attaches_and_detaches_while_running(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	rig_attach(rig, 1);
	assert_int_equal(ops->commit(rig->engine), 0);
	rig_attach(rig, 2);
	rig_attach(rig, 2); // again: the same
	assert_forwards(rig);

	assert_int_equal(ops->port_detach(rig->engine, 2), 0);
	assert_int_equal(ops->port_detach(rig->engine, 2), 0);
	assert_false(hooked(rig, 2));
	assert_false(has_qdisc(2));
	assert_silent(rig, 1, 2);
	assert_silent(rig, 2, 1);
	rig_attach(rig, 2);
	assert_forwards(rig);
}

static void test_forgets_ports_not_attached_again(void **state)
{
	struct rig *rig = *state;
	rig_up(rig);
	rig_stop(rig);
	assert_forwards(rig);

	rig_start(rig);
	rig_attach(rig, 1);
	assert_forwards(rig); // the earlier datapath, until commit
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_true(hooked(rig, 1));
	assert_false(hooked(rig, 2));
	assert_int_equal(pins(rig, rig->clsact ? "filters" : "links", ""), rig->clsact ? 2 : 1);
}

static void test_follows_a_device_that_comes_back(void **state)
{
	struct rig *rig = *state;
	rig_up(rig);
	u32 before = rig->ifindex[2];
	drop_device(rig, 2);
	assert_int_equal(rig_try_attach(rig, 2), -ENODEV);
	assert_non_null(strstr(rig->why, "no device"));
	make_device(rig, 2);
	assert_int_not_equal(before, rig->ifindex[2]);
	rig_attach(rig, 2);
	assert_forwards(rig);

	// The same, while no weftd runs.
	rig_stop(rig);
	drop_device(rig, 1);
	make_device(rig, 1);
	rig_up(rig);
	assert_forwards(rig);
	assert_int_equal(
		pins(rig, rig->clsact ? "filters" : "links", "qdisc"), rig->clsact ? 2 : 0);
	assert_int_equal(pins(rig, rig->clsact ? "filters" : "links", ""), rig->clsact ? 4 : 2);
}

static void test_one_device_is_one_port(void **state)
{
	struct rig *rig = *state;
	rig_up(rig);
	struct engine_port second = {.id = 3, .ifindex = rig->ifindex[1], .name = "again"};
	const char *why = "";
	assert_int_equal(ops->port_attach(rig->engine, &second, &why), -EBUSY);
	assert_non_null(strstr(why, "p1"));
	assert_int_equal(ops->port_attach(rig->engine, &second, NULL), -EBUSY);
	second.id = 1u << 20;
	assert_int_equal(ops->port_attach(rig->engine, &second, &why), -ENOSPC);
	assert_forwards(rig);
}

static void test_refuses_a_foreign_tcx_program(void **state)
{
	struct rig *rig = *state;
	if (!has_tcx())
		skip();
	int program = foreign_program("stranger");
	int link = bpf_link_create(program, (int)rig->ifindex[1], (enum bpf_attach_type)46, NULL);
	assert_true(link >= 0);
	rig_start(rig);
	assert_int_equal(rig_try_attach(rig, 1), -EBUSY);
	assert_non_null(strstr(rig->why, "stranger"));
	assert_non_null(strstr(rig->why, "p1"));
	rig_attach(rig, 2);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_int_equal(rig_try_attach(rig, 1), -EBUSY);
	assert_int_equal(tcx_count(rig->ifindex[1]), 1); // the stranger's, untouched

	close(link);
	close(program);
	rig_attach(rig, 1);
	assert_forwards(rig);
}

static void test_refuses_a_foreign_filter(void **state)
{
	struct rig *rig = *state;
	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)rig->ifindex[1], .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = 1, .priority = 1);
	options.prog_fd = foreign_program("stranger");
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &options), 0);
	rig_start(rig);
	assert_int_equal(rig_try_attach(rig, 1), -EBUSY);
	assert_non_null(strstr(rig->why, "stranger"));
	close(options.prog_fd);

	assert_int_equal(run("/sbin/tc filter del dev p1 ingress pref 1"), 0);
	assert_int_equal(add_filter(1, "ingress"), 0);
	assert_int_equal(rig_try_attach(rig, 1), -EBUSY);
	assert_true(strstr(rig->why, "u32") || strstr(rig->why, "matchall"));
	assert_non_null(strstr(rig->why, "pref 9"));
	assert_int_equal(run("/sbin/tc filter del dev p1 ingress pref 9"), 0);
	assert_int_equal(rig_try_attach(rig, 1), 0);
	rig_attach(rig, 2);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_forwards(rig);

	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_true(has_qdisc(1)); // it was there before weft
	assert_false(has_qdisc(2));
}

static void test_leaves_a_qdisc_that_others_use(void **state)
{
	struct rig *rig = *state;
	rig_up(rig);
	assert_true(has_qdisc(1));
	assert_int_equal(add_filter(1, "egress"), 0);
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_int_equal(clsact_count(1), 0);
	assert_true(has_qdisc(1));
	assert_true(output_has("/sbin/tc filter show dev p1 egress", "pref 9"));
	assert_false(has_qdisc(2));
}

// A second weftd, with pins of its own.
static void test_two_on_a_host(void **state)
{
	struct rig *rig = *state;
	struct rig other = {.clsact = rig->clsact, .guest = {-1, -1, -1}};
	snprintf(other.pins, sizeof(other.pins), "%s/weft/other", rig_bpffs);
	rig_up(rig);
	rig_start(&other);
	other.ifindex[1] = rig->ifindex[1];
	assert_int_equal(rig_try_attach(&other, 1), -EBUSY);
	assert_non_null(strstr(other.why, "weft_tc"));
	assert_int_equal(
		run("/sbin/ip link add q1 type veth peer name q2 && /sbin/ip link set q1 up"), 0);
	other.ifindex[1] = if_nametoindex("q1");
	rig_attach(&other, 1);
	assert_int_equal(ops->commit(other.engine), 0);
	assert_forwards(rig);
	ops->purge(other.engine);
	assert_int_equal(access(other.pins, F_OK), -1);
	assert_forwards(rig);
	rig_stop(rig);
	rig_up(rig);
	assert_forwards(rig);
	run("/sbin/ip link del q1");
}

static void test_purge_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	char parent[128];
	rig_up(rig);
	rig_stop(rig);
	// What another mode left is found, too.
	rig->clsact = !rig->clsact;
	rig_start(rig);
	ops->purge(rig->engine);
	rig->engine = NULL;
	for (int port = 1; port <= 2; port++) {
		assert_int_equal(tcx_count(rig->ifindex[port]), 0);
		assert_int_equal(clsact_count(port), 0);
		assert_false(has_qdisc(port));
	}
	snprintf(parent, sizeof(parent), "%s/weft", rig_bpffs);
	assert_int_equal(access(rig->pins, F_OK), -1);
	assert_int_equal(access(parent, F_OK), -1);
	assert_silent(rig, 1, 2);
}

// tcx links are slow to make: what comes in a large batch gets filters, and both kinds stay.
static void test_a_large_batch(void **state)
{
	enum { FIRST = 11, PORTS = 60 };
	struct rig *rig = *state;
	if (!has_tcx())
		skip();
	for (int round = 0; round < 2; round++) {
		u32 links = 0, filters = 0;
		rig_start(rig);
		for (u32 id = FIRST; id < FIRST + PORTS; id++) {
			char name[16];
			snprintf(name, sizeof(name), "q%u", id);
			if (round == 0)
				run("/sbin/ip link add %s type veth peer name r%u", name, id);
			struct engine_port port = {id, if_nametoindex(name), name};
			assert_int_equal(ops->port_attach(rig->engine, &port, NULL), 0);
		}
		rig_attach(rig, 1);
		rig_attach(rig, 2);
		assert_int_equal(ops->commit(rig->engine), 0);
		for (u32 id = FIRST; id < FIRST + PORTS; id++) {
			char name[16];
			snprintf(name, sizeof(name), "q%u", id);
			u32 link = tcx_count(if_nametoindex(name));
			links += link;
			filters += !link;
		}
		assert_in_range(links, 37, 50); // p1 and p2 come first
		assert_int_equal(pins(rig, "links", "") - 2, links);
		assert_int_equal(pins(rig, "filters", "qdisc"), filters);
		assert_forwards(rig);
		if (round == 0)
			rig_stop(rig);
	}
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_false(output_has("/sbin/tc qdisc show", "clsact"));
	for (u32 id = FIRST; id < FIRST + PORTS; id++)
		run("/sbin/ip link del q%u", id);
}

// --- tables

static int stop_at_third(const void *key, const void *row, void *context)
{
	(void)key, (void)row;
	return ++*(int *)context == 3 ? 42 : 0;
}

struct delete_walk {
	struct rig *rig;
	u32 seen;
};

static int delete_each(const void *key, const void *row, void *context)
{
	struct delete_walk *walk = context;
	(void)row;
	walk->seen++;
	return ops->table_del(walk->rig->engine, WEFT_TABLE_fdb, key, NULL);
}

static void test_hash_table(void **state)
{
	struct rig *rig = *state;
	struct engine_table_status status;
	struct weft_fdb_key key = {.network = 7};
	struct weft_fdb_row row = {.kind = WEFT_FDB_STATIC}, back;
	int visits = 0;
	rig->config.capacity[WEFT_TABLE_fdb] = 20000;
	rig_start(rig);
	for (u32 i = 0; i < 20000; i++) {
		memcpy(key.mac.byte, &i, 4);
		row.port = i;
		assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	}
	key.network = 8;
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_fdb, &key, &row), -ENOSPC);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_fdb, &key, &back), -ENOENT);
	key.network = 7;
	row.port = 99;
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_fdb, &key, &back), 0);
	assert_memory_equal(&back, &row, sizeof(row));
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_int_equal(status.used, 20000);
	assert_int_equal(status.capacity, 20000);
	assert_int_equal(strlen(status.abi), 16);

	memset(&back, 0, sizeof(back));
	assert_int_equal(ops->table_del(rig->engine, WEFT_TABLE_fdb, &key, &back), 0);
	assert_memory_equal(&back, &row, sizeof(row));
	assert_int_equal(ops->table_del(rig->engine, WEFT_TABLE_fdb, &key, &back), -ENOENT);
	assert_int_equal(ops->table_del(rig->engine, WEFT_TABLE_fdb, &key, NULL), -ENOENT);

	assert_int_equal(ops->table_walk(rig->engine, WEFT_TABLE_fdb, stop_at_third, &visits), 42);
	struct delete_walk walk = {rig, 0};
	u32 cursor = 0, parts = 0;
	do {
		assert_int_equal(ops->table_walk_part(
					 rig->engine, WEFT_TABLE_fdb, &cursor, delete_each, &walk),
			0);
		parts++;
	} while (cursor);
	assert_true(parts > 1);
	assert_int_equal(walk.seen, 19999);
	walk.seen = 0;
	assert_int_equal(ops->table_walk(rig->engine, WEFT_TABLE_fdb, delete_each, &walk), 0);
	assert_int_equal(walk.seen, 0);
}

static int sum_index(const void *key, const void *row, void *context)
{
	(void)row;
	*(u64 *)context += *(const u32 *)key;
	return 0;
}

static void test_array_tables(void **state)
{
	struct rig *rig = *state;
	u32 index = 5, beyond = 1u << 30;
	u64 sum = 0;
	struct weft_usage_row usage = {.macs = 3, .moves = 4}, back;
	struct weft_port_count_row count = {.rx_packets = 11, .tx_bytes = 12}, count_back;
	rig->config.capacity[WEFT_TABLE_port_usage] = 100;
	rig->config.capacity[WEFT_TABLE_port_count] = 100;
	rig_start(rig);
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_port_usage, &index, &usage), 0);
	struct weft_usage_row *live = ops->table_at(rig->engine, WEFT_TABLE_port_usage, index);
	assert_memory_equal(live, &usage, sizeof(usage));
	__atomic_fetch_add(&live->macs, 1, __ATOMIC_RELAXED);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_usage, &index, &back), 0);
	assert_int_equal(back.macs, 4);
	assert_null(ops->table_at(rig->engine, WEFT_TABLE_port_usage, 100));
	assert_null(ops->table_at(rig->engine, WEFT_TABLE_fdb, 0));
	assert_int_equal(ops->table_del(rig->engine, WEFT_TABLE_port_usage, &index, NULL), -EINVAL);
	assert_int_equal(
		ops->table_put(rig->engine, WEFT_TABLE_port_usage, &beyond, &usage), -ENOSPC);
	assert_int_equal(
		ops->table_get(rig->engine, WEFT_TABLE_port_usage, &beyond, &usage), -ENOENT);
	assert_int_equal(ops->table_walk(rig->engine, WEFT_TABLE_port_usage, sum_index, &sum), 0);
	assert_int_equal(sum, 99 * 100 / 2);

	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_port_count, &index, &count), 0);
	assert_int_equal(
		ops->table_get(rig->engine, WEFT_TABLE_port_count, &index, &count_back), 0);
	assert_memory_equal(&count_back, &count, sizeof(count));
	sum = 0;
	assert_int_equal(ops->table_walk(rig->engine, WEFT_TABLE_port_count, sum_index, &sum), 0);
	assert_int_equal(sum, 99 * 100 / 2);
}

static void test_per_cpu_rows_are_sums(void **state)
{
	struct rig *rig = *state;
	struct engine_table_status status;
	struct weft_port_count_row count, *slot;
	u32 port = 7;
	int cpus = libbpf_num_possible_cpus();
	char path[256];
	rig_up(rig);
	ops->table_status(rig->engine, WEFT_TABLE_port_count, &status);
	snprintf(path, sizeof(path), "%s/tables/port_count-%s", rig->pins, status.abi);
	int fd = bpf_obj_get(path);
	slot = calloc((size_t)cpus, sizeof(*slot));
	for (int i = 0; i < cpus; i++)
		slot[i] = (struct weft_port_count_row){.rx_packets = 1, .tx_bytes = (u64)i};
	assert_int_equal(bpf_map_update_elem(fd, &port, slot, BPF_ANY), 0);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_count, &port, &count), 0);
	assert_int_equal(count.rx_packets, cpus);
	assert_int_equal(count.tx_bytes, cpus * (cpus - 1) / 2);
	count = (struct weft_port_count_row){.rx_packets = 3};
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_port_count, &port, &count), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &port, slot), 0);
	assert_int_equal(slot[0].rx_packets, 3);
	for (int i = 1; i < cpus; i++)
		assert_int_equal(slot[i].rx_packets, 0);
	free(slot);
	close(fd);
}

// --- inject

static void test_inject(void **state)
{
	struct rig *rig = *state;
	struct engine_result result;
	u8 frame[64] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 'x'};
	struct engine_packet packet = {.port = 1, .bytes = frame, .length = sizeof(frame)};
	struct weft_fdb_key key = {.network = RIG_NETWORK, .mac = {{2, 0, 0, 0, 0, 9}}};
	struct weft_fdb_row row = {.port = 2, .tag = 100, .kind = WEFT_FDB_STATIC};
	struct weft_tag_key tagged = {.port = 2, .tag = 100};
	struct weft_tag_row network = {.network = RIG_NETWORK};
	rig_up(rig);
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_tag, &tagged, &network), 0);
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), 0);
	assert_int_equal(result.record.verdict.action, WEFT_ACTION_forward);
	assert_int_equal(result.record.action, WEFT_ACTION_forward);
	assert_int_equal(result.outputs, 1);
	assert_int_equal(result.output[0].port, 2);
	assert_int_equal(result.output[0].length, sizeof(frame) + 4);
	static const u8 tag[] = {0x81, 0x00, 0, 100, 0x88, 0xb5, 'x'};
	assert_memory_equal(result.output[0].bytes, frame, 12);
	assert_memory_equal(result.output[0].bytes + 12, tag, sizeof(tag));
	assert_int_equal(receive_frame(rig, 2, 50), -1); // nothing is really sent

	row.tag = 0;
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), 0);
	assert_int_equal(result.output[0].length, sizeof(frame));
	assert_memory_equal(result.output[0].bytes, frame, sizeof(frame));

	key.mac.byte[5] = 1; // the first one taught it
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(row.port, 1);

	frame[6] = 3; // a multicast source
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), 0);
	assert_int_equal(result.record.action, WEFT_ACTION_drop);
	assert_int_equal(result.record.reason, WEFT_DROP_bad_source);
	assert_int_equal(result.outputs, 0);

	packet.length = 13;
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), -EINVAL);
	packet.length = sizeof(frame);
	packet.port = 77;
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), -ENOENT);
	packet.port = 2;
	drop_device(rig, 2);
	assert_int_equal(ops->inject(rig->engine, &packet, 0, &result), -ENOENT);
}

// --- XDP in front of the hook

static u32 xdp_on(const struct rig *rig, int port)
{
	u32 id = 0;
	bpf_xdp_query_id((int)rig->ifindex[port], XDP_FLAGS_DRV_MODE, &id);
	return id;
}

static const char *driver_of(const struct rig *rig, int port)
{
	const char *why = "unset", *driver = ops->driver(rig->engine, rig->ifindex[port], &why);
	assert_null(why);
	return driver;
}

static void test_xdp_in_front(void **state)
{
	struct rig *rig = *state;
	rig->xdp = true;
	rig_up(rig);
	u32 first = xdp_on(rig, 1);
	assert_true(first);
	assert_int_equal(xdp_on(rig, 2), first);
	assert_true(ops->own_xdp(rig->engine, first));
	assert_false(ops->own_xdp(rig->engine, 0));
	assert_false(ops->own_xdp(rig->engine, first + 1000));
	assert_string_equal(driver_of(rig, 1), "xdp");
	assert_forwards(rig);
	rig_stop(rig);
	assert_int_equal(xdp_on(rig, 1), first);
	assert_forwards(rig);

	// The next weftd: its own program for one, none for the other.
	rig_start(rig);
	rig_attach(rig, 1);
	rig->xdp = false;
	rig_attach(rig, 2);
	assert_int_equal(xdp_on(rig, 1), first);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_true(xdp_on(rig, 1) && xdp_on(rig, 1) != first);
	assert_true(ops->own_xdp(rig->engine, xdp_on(rig, 1)));
	assert_false(ops->own_xdp(rig->engine, first));
	assert_false(xdp_on(rig, 2));
	assert_string_equal(driver_of(rig, 2), "tc");
	assert_forwards(rig);
	rig_attach(rig, 1);
	assert_false(xdp_on(rig, 1));
	rig->xdp = true;
	rig_attach(rig, 1);
	assert_true(xdp_on(rig, 1));
	assert_int_equal(ops->port_detach(rig->engine, 1), 0);
	assert_false(xdp_on(rig, 1));
	rig_attach(rig, 1);
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_false(xdp_on(rig, 1));
}

static void test_refuses_a_foreign_xdp_program(void **state)
{
	struct rig *rig = *state;
	struct bpf_insn pass[] = {
		{.code = 0xb7, .imm = XDP_PASS}, // r0 = XDP_PASS
		{.code = 0x95},                  // exit
	};
	int program =
		bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, WEFT_ARRAY_SIZE(pass), NULL);
	assert_true(program >= 0);
	assert_int_equal(
		bpf_xdp_attach((int)rig->ifindex[1], program, XDP_FLAGS_DRV_MODE, NULL), 0);
	u32 other = xdp_on(rig, 1);
	rig->xdp = true;
	rig_up(rig);
	const char *why = NULL;
	assert_string_equal(ops->driver(rig->engine, rig->ifindex[1], &why), "tc");
	assert_non_null(strstr(why, "somebody else"));
	assert_int_equal(xdp_on(rig, 1), other);
	assert_false(ops->own_xdp(rig->engine, other));
	assert_forwards(rig);
	bpf_xdp_detach((int)rig->ifindex[1], XDP_FLAGS_DRV_MODE, NULL);
	close(program);
}

static bool few;
enum { FEW = 5 };

static int tests(void)
{
	const struct CMUnitTest list[] = {
		ON_TCX(test_refuses_a_foreign_filter),
		ON_CLSACT(test_refuses_a_foreign_filter),
		ON_CLSACT(test_leaves_a_qdisc_that_others_use),
		ON_ANY(test_hash_table),
		ON_ANY(test_xdp_in_front),
		// FEW end here
		ON_TCX(test_forwards),
		ON_CLSACT(test_forwards),
		ON_TCX(test_attaches_and_detaches_while_running),
		ON_CLSACT(test_attaches_and_detaches_while_running),
		ON_TCX(test_purge_leaves_nothing),
		ON_CLSACT(test_purge_leaves_nothing),
		ON_TCX(test_forgets_ports_not_attached_again),
		ON_CLSACT(test_forgets_ports_not_attached_again),
		ON_TCX(test_follows_a_device_that_comes_back),
		ON_CLSACT(test_follows_a_device_that_comes_back),
		ON_ANY(test_one_device_is_one_port),
		ON_TCX(test_refuses_a_foreign_tcx_program),
		ON_CLSACT(test_refuses_a_foreign_tcx_program),
		ON_TCX(test_two_on_a_host),
		ON_CLSACT(test_two_on_a_host),
		ON_ANY(test_a_large_batch),
		ON_ANY(test_array_tables),
		ON_ANY(test_per_cpu_rows_are_sums),
		ON_ANY(test_inject),
		ON_ANY(test_refuses_a_foreign_xdp_program),
	};
	return rig_run(list, few ? FEW : WEFT_ARRAY_SIZE(list));
}

// --few: what each kernel must be seen to do, on a slow machine, and weftd itself is not seen to
// do there (tests/vm/kernel61_weftd_test.sh).
int main(int argc, char **argv)
{
	few = argc > 1 && !strcmp(argv[1], "--few");
	return rig_main(tests);
}
