// SPDX-License-Identifier: BSD-2-Clause
// The eBPF engine across restarts: where it pins, what it adopts and converts, death at any moment,
// no packet lost in a switch.
#include "tests/system/engine_rig.h"

#include <bpf/btf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

// --- where pins may lie

static void refused(struct rig *rig, const char *dir, int error, const char *word)
{
	snprintf(rig->pins, sizeof(rig->pins), "%s", dir);
	assert_int_equal(rig_try_start(rig), error);
	assert_non_null(strstr(rig->why, word));
}

static void test_refuses_what_is_no_bpffs(void **state)
{
	struct rig *rig = *state;
	char dotted[128];
	refused(rig, "/tmp/weft-no-such/pins", -ENOENT, "mount -t bpf");
	assert_int_equal(access("/tmp/weft-no-such", F_OK), -1);
	refused(rig, "pins", -EINVAL, "absolute");
	snprintf(dotted, sizeof(dotted), "%s/weft/a.b", rig_bpffs);
	refused(rig, dotted, -EPERM, "dots");
	assert_int_equal(ops->start(&rig->engine, &rig->config, NULL), -EPERM);
}

static void test_refuses_a_private_mount(void **state)
{
	struct rig *rig = *state;
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("bpf", rig_bpffs, "bpf", 0, NULL))
			_exit(2);
		int error = rig_try_start(rig);
		_exit(error == -ENOENT && strstr(rig->why, "nsenter") ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void test_refuses_sizes_beyond_the_kernel(void **state)
{
	struct rig *rig = *state;
	rig->config.capacity[WEFT_TABLE_fdb] = UINT32_MAX;
	int error = rig_try_start(rig);
	assert_true(error == -E2BIG || error == -ENOMEM);
	assert_non_null(strstr(rig->why, "capacit"));
	rig->config.capacity[WEFT_TABLE_fdb] = 0;
	rig_up(rig);
	assert_forwards(rig);
}

// --- adopt

static struct weft_fdb_key guest_key(int guest)
{
	return (struct weft_fdb_key){
		.network = RIG_NETWORK,
		.mac = {{2, 0, 0, 0, 0, (u8)guest}},
	};
}

static void assert_learned(struct rig *rig, int guest)
{
	struct weft_fdb_key key = guest_key(guest);
	struct weft_fdb_row row;
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(row.port, guest);
}

static void test_adopts(void **state)
{
	struct rig *rig = *state;
	struct engine_table_status status;
	struct weft_port_count_row before, after;
	struct weft_port_row port_row;
	u32 port = 1, other = 3;
	rig_up(rig);
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_false(status.adopted);
	assert_forwards(rig);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_count, &port, &before), 0);
	port_row.flags = 1;
	assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_port, &other, &port_row), 0);
	rig_stop(rig);
	assert_forwards(rig);

	rig_start(rig);
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_true(status.adopted);
	assert_learned(rig, 1);
	assert_learned(rig, 2);
	rig_attach(rig, 1);
	rig_attach(rig, 2);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_forwards(rig);
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_count, &port, &after), 0);
	assert_int_equal(after.rx_packets, before.rx_packets + 2);
	// Configuration starts empty.
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port, &other, &port_row), 0);
	assert_int_equal(port_row.flags, 0);
}

static void test_start_without_commit_changes_nothing(void **state)
{
	struct rig *rig = *state;
	rig_up(rig);
	assert_forwards(rig);
	rig_stop(rig);
	u32 tables = pins(rig, "tables", "");
	rig->config.capacity[WEFT_TABLE_fdb] = 5000;
	rig_start(rig);
	rig_stop(rig);
	assert_forwards(rig);
	assert_int_equal(pins(rig, "tables", ""), tables);
	rig->config.capacity[WEFT_TABLE_fdb] = 0;
	rig_start(rig);
	struct engine_table_status status;
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_true(status.adopted);
	assert_learned(rig, 2);
}

// A device keeps the hook it has, unless clsact is forced.
static void test_clsact_takes_over(void **state)
{
	struct rig *rig = *state;
	if (!has_tcx())
		skip();
	rig_up(rig);
	rig->clsact = true;
	for (int i = 0; i < 2; i++) {
		rig_stop(rig);
		rig_up(rig);
		assert_forwards(rig);
		assert_true(hooked(rig, 1) && hooked(rig, 2));
		assert_int_equal(tcx_count(rig->ifindex[1]), 0);
	}
	rig_stop(rig);
	rig->clsact = false;
	rig_up(rig);
	assert_forwards(rig);
	assert_int_equal(clsact_count(1), 1);
	assert_int_equal(ops->port_detach(rig->engine, 1), 0);
	assert_false(has_qdisc(1));
	rig_attach(rig, 1);
	assert_forwards(rig);
	assert_int_equal(tcx_count(rig->ifindex[1]), 1);
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_int_equal(tcx_count(rig->ifindex[1]) + clsact_count(2), 0);
}

// A restart in another network namespace where the same index is another device.
static void test_a_link_of_another_namespace(void **state)
{
	struct rig *rig = *state;
	if (!has_tcx())
		skip();
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	rig_up(rig);
	rig_stop(rig);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int error = run(
		"/sbin/ip link add p1 index %u type veth peer name g1 && /sbin/ip link set p1 up",
		rig->ifindex[1]);
	rig_start(rig);
	int attached = rig_try_attach(rig, 1);
	int committed = ops->commit(rig->engine);
	u32 count = tcx_count(rig->ifindex[1]);
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	assert_int_equal(error | attached | committed, 0);
	assert_int_equal(count, 1);
	assert_int_equal(tcx_count(rig->ifindex[1]), 0);
}

// --- convert

static void test_converts_another_capacity(void **state)
{
	struct rig *rig = *state;
	struct engine_table_status status;
	rig_up(rig);
	assert_forwards(rig);
	rig_stop(rig);
	rig->config.capacity[WEFT_TABLE_fdb] = 5000;
	rig->config.capacity[WEFT_TABLE_port_count] = 100;
	u32 tables = pins(rig, "tables", "");
	rig_up(rig);
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_false(status.adopted);
	assert_int_equal(status.capacity, 5000);
	assert_int_equal(status.used, 2);
	assert_learned(rig, 1);
	u32 port = 1;
	struct weft_port_count_row count;
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_port_count, &port, &count), 0);
	assert_int_equal(count.rx_packets, 1);
	assert_int_equal(pins(rig, "tables", ""), tables);
	rig_stop(rig);
	rig_up(rig); // the new one is what is pinned
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_true(status.adopted);
	assert_forwards(rig);
}

// Another build's idea of the forwarding table. Its fields: `port` narrower, `seen_ns` narrower
// and elsewhere, `gone` unknown to us; `tag` is missing.
struct other_row {
	u64 gone;
	u32 seen_ns;
	u16 port;
	u16 kind;
};

static int pin_other(struct rig *rig, const char *name, bool described)
{
	char path[256];
	struct btf *btf = btf__new_empty();
	int u8_id = btf__add_int(btf, "u8", 1, 0), u16_id = btf__add_int(btf, "u16", 2, 0);
	int u32_id = btf__add_int(btf, "u32", 4, 0), u64_id = btf__add_int(btf, "u64", 8, 0);
	int mac_id = btf__add_array(btf, u32_id, u8_id, 6);
	int key = btf__add_struct(btf, "key", sizeof(struct weft_fdb_key));
	btf__add_field(btf, "network", u32_id, 0, 0);
	int inner = btf__type_cnt(btf);
	btf__add_field(btf, "mac", inner, 32, 0);
	btf__add_field(btf, "reserved", u16_id, 80, 0);
	assert_int_equal(btf__add_struct(btf, "mac", 6), inner);
	btf__add_field(btf, "byte", mac_id, 0, 0);
	int row = btf__add_struct(btf, "row", sizeof(struct other_row));
	btf__add_field(btf, "gone", u64_id, 0, 0);
	btf__add_field(btf, "seen_ns", u32_id, 64, 0);
	btf__add_field(btf, "port", u16_id, 96, 0);
	btf__add_field(btf, "kind", u16_id, 112, 0);
	assert_int_equal(btf__load_into_kernel(btf), 0);
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, options);
	if (described) {
		options.btf_fd = (u32)btf__fd(btf);
		options.btf_key_type_id = (u32)key;
		options.btf_value_type_id = (u32)row;
	}
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "other", sizeof(struct weft_fdb_key),
		sizeof(struct other_row), 1000, &options);
	assert_true(fd >= 0);
	btf__free(btf);
	assert_int_equal(run("mkdir -p %s/tables", rig->pins), 0);
	snprintf(path, sizeof(path), "%s/tables/%s", rig->pins, name);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	return fd;
}

static void put_other(int fd, int guest, struct other_row row)
{
	struct weft_fdb_key key = guest_key(guest);
	assert_int_equal(bpf_map_update_elem(fd, &key, &row, BPF_ANY), 0);
}

static void test_converts_another_layout(void **state)
{
	struct rig *rig = *state;
	int older = pin_other(rig, "fdb-00000000000000aa", true);
	int newer = pin_other(rig, "fdb-0000000000000000", true);
	pin_other(rig, "fdb-0000000000000001-new", true); // left by one that died
	put_other(older, 1, (struct other_row){.port = 9});
	for (u32 i = 1; i <= 900; i++) {
		struct weft_fdb_key key = {.network = i + 1};
		struct other_row row = {.gone = UINT64_MAX, .port = 5};
		assert_int_equal(bpf_map_update_elem(newer, &key, &row, BPF_ANY), 0);
	}
	put_other(newer, 2, (struct other_row){UINT64_MAX, 0xfffffff0, 0xfff1, WEFT_FDB_STATIC});
	rig_start(rig);
	struct weft_fdb_key key = guest_key(2);
	struct weft_fdb_row row;
	assert_int_equal(ops->table_get(rig->engine, WEFT_TABLE_fdb, &key, &row), 0);
	assert_int_equal(row.port, 0xfff1);
	assert_int_equal(row.seen_ns, 0xfffffff0);
	assert_int_equal(row.kind, WEFT_FDB_STATIC);
	assert_int_equal(row.tag, 0);
	struct engine_table_status status;
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_int_equal(status.used, 901);
	assert_false(status.adopted);
	assert_int_equal(pins(rig, "tables", "fdb"), 3);
	assert_int_equal(ops->commit(rig->engine), 0);
	assert_int_equal(pins(rig, "tables", "fdb"), 1);
	assert_int_equal(pins(rig, "tables", status.abi), 1);
	close(older);
	close(newer);
}

static void test_drops_what_cannot_be_converted(void **state)
{
	struct rig *rig = *state;
	int fd = pin_other(rig, "fdb-0000000000000000", false);
	put_other(fd, 1, (struct other_row){.port = 9});
	close(fd);
	fd = pin_other(rig, "unknown-0000000000000000", true);
	close(fd);
	rig_up(rig);
	struct engine_table_status status;
	ops->table_status(rig->engine, WEFT_TABLE_fdb, &status);
	assert_int_equal(status.used, 0);
	assert_int_equal(pins(rig, "tables", "0000000000000000"), 0);
	assert_forwards(rig);
}

// --- death at any moment

// Calls that change something others can see.
static bool leaves_a_trace(u64 call)
{
	switch (call) {
#ifdef SYS_unlink // newer architectures have only the other spelling
	case SYS_unlink:
	case SYS_rename:
	case SYS_mkdir:
	case SYS_rmdir:
#endif
	case SYS_unlinkat:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_mkdirat:
	case SYS_bpf:
	case SYS_sendmsg:
	case SYS_sendto:
		return true;
	}
	return false;
}

// A weftd that dies with its nth such call of commit. False: commit was over before.
static bool die_in_commit(struct rig *rig, u32 nth)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		rig_start(rig);
		rig_attach(rig, 1);
		rig_attach(rig, 2);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(ops->commit(rig->engine) ? 1 : 0);
	}
	u32 calls = 0;
	u64 call = 0;
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info info = {0};
		if (WSTOPSIG(status) == SIGSTOP)
			ptrace(PTRACE_SETOPTIONS, child, NULL,
				(void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
		else
			ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			call = info.entry.nr;
		if (info.op == PTRACE_SYSCALL_INFO_EXIT && leaves_a_trace(call) && ++calls == nth) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return true;
		}
		ptrace(PTRACE_SYSCALL, child, NULL, NULL);
	}
	assert_int_equal(status, 0);
	return false;
}

static void test_dies_at_every_moment_of_commit(void **state)
{
	struct rig *rig = *state;
	u32 nth = 1;
	rig_up(rig);
	assert_forwards(rig);
	rig_stop(rig);
	u32 tables = pins(rig, "tables", "");
	// The capacity alternates so that every commit exchanges pins.
	for (bool died = true; died; nth++) {
		rig->config.capacity[WEFT_TABLE_fdb] = 1000 + nth % 2;
		rig->config.capacity[WEFT_TABLE_port_count] = 4000 + nth % 2;
		died = die_in_commit(rig, nth);
		assert_forwards(rig);
	}
	assert_true(nth > 20);
	printf("died at %u moments\n", nth - 2);
	rig_up(rig);
	assert_forwards(rig);
	assert_learned(rig, 1);
	assert_int_equal(pins(rig, "tables", ""), tables);
	assert_int_equal(pins(rig, "", "-new"), 0);
	assert_true(hooked(rig, 1) && hooked(rig, 2));
	ops->purge(rig->engine);
	rig->engine = NULL;
	assert_int_equal(tcx_count(rig->ifindex[1]) + clsact_count(1), 0);
	assert_false(has_qdisc(1) || has_qdisc(2));
}

// --- traffic

enum { WINDOW = 100, SWITCHES = 10 };

struct traffic {
	struct rig *rig;
	atomic_bool stop;
	u32 sent;
	u32 received;
	u32 doubled;
};

// From g1 to g2 with a bounded number under way, so that no queue of the test's own overflows.
static void *send_traffic(void *context)
{
	struct traffic *traffic = context;
	u32 expected = 0;
	u64 deadline = rig_now_ns() + 60000000000;
	while (rig_now_ns() < deadline) {
		bool last = traffic->stop && traffic->sent >= 10000;
		while (!last && traffic->sent - traffic->received < WINDOW)
			send_frame(traffic->rig, 1, 2, traffic->sent++);
		int64_t number = receive_frame(traffic->rig, 2, 500);
		if (number < 0 && last)
			break;
		if (number < 0)
			continue;
		traffic->received++;
		traffic->doubled += (u32)number < expected;
		expected = (u32)number + 1;
		if (last && traffic->received == traffic->sent)
			break;
	}
	return NULL;
}

static void test_switches_without_loss(void **state)
{
	struct rig *rig = *state;
	struct traffic traffic = {.rig = rig};
	pthread_t thread;
	rig_up(rig);
	assert_forwards(rig);
	assert_int_equal(pthread_create(&thread, NULL, send_traffic, &traffic), 0);
	for (int i = 0; i < SWITCHES; i++) {
		rig_stop(rig);
		rig->config.capacity[WEFT_TABLE_fdb] = 1000 + i % 2;
		rig_up(rig);
	}
	traffic.stop = true;
	pthread_join(thread, NULL);
	printf("%u frames in %d switches, %u lost, %u doubled\n", traffic.sent, SWITCHES,
		traffic.sent - traffic.received, traffic.doubled);
	assert_int_equal(traffic.received, traffic.sent);
	assert_int_equal(traffic.doubled, 0);
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
		ON_ANY(test_refuses_what_is_no_bpffs),
		ON_ANY(test_refuses_a_private_mount),
		ON_ANY(test_refuses_sizes_beyond_the_kernel),
		ON_TCX(test_adopts),
		ON_CLSACT(test_adopts),
		ON_ANY(test_start_without_commit_changes_nothing),
		ON_TCX(test_clsact_takes_over),
		ON_ANY(test_a_link_of_another_namespace),
		ON_ANY(test_converts_another_capacity),
		ON_ANY(test_converts_another_layout),
		ON_ANY(test_drops_what_cannot_be_converted),
		ON_TCX(test_dies_at_every_moment_of_commit),
		ON_CLSACT(test_dies_at_every_moment_of_commit),
		ON_TCX(test_switches_without_loss),
		ON_CLSACT(test_switches_without_loss),
	};
	return rig_run(list, WEFT_ARRAY_SIZE(list));
}

int main(void)
{
	return rig_main(tests);
}
