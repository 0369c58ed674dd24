// SPDX-License-Identifier: BSD-2-Clause
// Runs the golden packets: sim; with root also the BPF programs by test run, and live over taps and
// veths. `--bpf`: the BPF programs alone, as of another compiler; of these, for a slow machine,
// `--live`: live alone,
// `--test-run`: by test run alone, on veths.
#include "tests/packets/testrun.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/libbpf.h>

struct arena { // one engine with the world in it
	const char *name;
	const struct engine_ops *ops;
	struct engine *engine;
	bool live;
	bool xdp; // ports and underlay by AF_XDP
	char pin_root[64];
};

struct golden { // one case in one arena
	struct arena *arena;
	const struct packet_case *c;
};

static void expect_frame(
	const struct packet_case *c, u32 port, const u8 *bytes, u32 length, bool seen[])
{
	struct frame in = frame_build(c->in);
	for (u32 i = 0; i < OUTPUTS_MAX && c->out[i].port; i++) {
		struct frame expected = frame_build_answer(c->out[i].frame, &in);
		if (c->out[i].port != port || seen[i])
			continue;
		assert_int_equal(length, expected.length);
		assert_memory_equal(bytes, expected.bytes, length);
		seen[i] = true;
		return;
	}
	fail_msg("a frame of %u bytes left by port %u, where none should", length, port);
}

// What left for the underlay.
static void expect_tunnelled(const struct packet_case *c, const u8 *bytes, u32 length, bool seen[])
{
	struct frame inner;
	u32 vni, peer = tunnel_unwrap(bytes, length, &vni, &inner);
	assert_int_equal(vni, c->vni);
	expect_frame(c, peer, inner.bytes, inner.length, seen);
}

// From a peer, the frame comes in with outer headers, by the underlay.
static struct frame frame_in(const struct packet_case *c)
{
	struct frame in = frame_build(c->in);
	if (!is_peer(c->port))
		return in;
	return tunnel_wrap(c->port, c->vni, &in, c->outer);
}

static u32 port_in(const struct packet_case *c)
{
	return is_peer(c->port) ? 0 : c->port;
}

static u32 outputs_expected(const struct packet_case *c)
{
	u32 count = 0;
	while (count < OUTPUTS_MAX && c->out[count].port)
		count++;
	return count;
}

static void run_live(const struct packet_case *c)
{
	struct frame frames[OUTPUTS_MAX + 1], in = frame_in(c);
	u32 ports[OUTPUTS_MAX + 1], expected = outputs_expected(c);
	bool seen[OUTPUTS_MAX] = {0};
	live_send(port_in(c), &in);
	u32 count = live_receive(ports, frames, OUTPUTS_MAX + 1, expected);
	for (u32 i = 0; i < count; i++)
		if (ports[i])
			expect_frame(c, ports[i], frames[i].bytes, frames[i].length, seen);
		else
			expect_tunnelled(c, frames[i].bytes, frames[i].length, seen);
	assert_int_equal(count, expected);
}

static bool inject_lists_floods(const struct arena *arena)
{
	return arena->ops != &engine_ebpf && arena->ops != &engine_xdp;
}

bool old_kernel(void)
{
	struct utsname kernel;
	int major = 0, minor = 0;
	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &major, &minor);
	return major < 6 || (major == 6 && minor < 3);
}

// TC leaves to the carrier what it does not decapsulate itself; a test run cannot come in there.
static bool left_to_carrier(
	const struct arena *arena, const struct packet_case *c, const struct engine_result *result)
{
	if (inject_lists_floods(arena) || !is_peer(c->port) || !result->record.passed)
		return false;
	assert_true(!world_own || c->vni != YELLOW_VNI || c->action != WEFT_ACTION_forward ||
		    strstr(c->in, "tcp") || (strstr(c->in, "ip6") && old_kernel()) ||
		    strstr(c->in, "arp") || c->outer);
	return true;
}

// Frames that never become a port's packet: their outer headers say so, or ECN.
static bool is_explained(const struct packet_case *c)
{
	return c->reason != WEFT_DROP_peer_unknown && c->reason != WEFT_DROP_bad_vxlan &&
	       c->reason != WEFT_DROP_bad_ecn;
}

// True: the case is done with.
static bool run_inject(const struct arena *arena, const struct packet_case *c, u64 now_ns)
{
	static struct engine_result result;
	struct frame in = frame_in(c);
	struct engine_packet packet = {port_in(c), in.bytes, in.length};
	bool seen[OUTPUTS_MAX] = {0};
	struct explained explained;
	struct frame inner = frame_build(c->in);
	explain_before(arena->ops, arena->engine, c->port, c->vni, &inner, now_ns, &explained);
	assert_int_equal(arena->ops->inject(arena->engine, &packet, now_ns, &result), 0);
	if (is_explained(c) && !result.record.passed)
		explain_check(arena->ops, &explained, &result);

	if (left_to_carrier(arena, c, &result))
		return false;

	// What became of it; what decide said is the same but for drops by apply.
	assert_string_equal(drop_name(result.record.reason), drop_name(c->reason));
	assert_int_equal(result.record.action, c->action);
	if (c->action == WEFT_ACTION_flood && !inject_lists_floods(arena))
		return true;
	for (u32 i = 0; i < result.outputs; i++) {
		const u8 *bytes = result.output[i].bytes;
		u32 port = result.output[i].port, length = result.output[i].length;
		if (is_peer(port) && !result.output[i].inner)
			expect_tunnelled(c, bytes, length, seen);
		else
			expect_frame(c, port, bytes, length, seen);
	}
	assert_int_equal(result.outputs, outputs_expected(c));
	return true;
}

// An engine with threads counts in its own time: until something has, and stays as it is.
static void settle(const struct arena *arena, const struct port_counts *before)
{
	struct port_counts last = *before, now;
	for (int i = 0; i < 5000; i++) {
		world_counts(arena->ops, arena->engine, &now);
		if (memcmp(&now, before, sizeof(now)) && !memcmp(&now, &last, sizeof(now)))
			return;
		last = now;
		usleep(1000);
	}
}

static void run_once(
	const struct arena *arena, const struct packet_case *c, const struct port_counts *before)
{
	run_live(c);
	if (arena->ops->cpu)
		settle(arena, before);
}

static void golden_test(void **state)
{
	const struct golden *golden = *state;
	const struct arena *arena = golden->arena;
	const struct packet_case *c = golden->c;
	struct port_counts before;
	u64 now_ns = world_now_ns();

	world_before(arena->ops, arena->engine, c, now_ns);
	world_counts(arena->ops, arena->engine, &before);
	if (arena->live)
		run_once(arena, c, &before);
	else if (!run_inject(arena, c, now_ns))
		return;
	if (c->kernel_drops && arena->ops == &engine_ebpf)
		return;
	world_check(arena->ops, arena->engine, c, &before);
	if (c->action != WEFT_ACTION_forward && c->action != WEFT_ACTION_encap)
		return;
	// Once more, thrice: first learned, then decided and kept, then out of the flow cache.
	for (int again = 0; again < 3; again++) {
		world_counts(arena->ops, arena->engine, &before);
		if (arena->live)
			run_once(arena, c, &before);
		else
			run_inject(arena, c, now_ns);
		world_check(arena->ops, arena->engine, c, &before);
	}
}

// The XDP hook does part of the actions; what it cannot do it must leave untouched.
static void xdp_test(void **state)
{
	const struct golden *golden = *state;
	const struct arena *arena = golden->arena;
	static struct engine_result result;
	struct frame in = frame_in(golden->c);
	struct engine_packet packet = {port_in(golden->c), in.bytes, in.length};
	struct port_counts before, after;

	world_before(arena->ops, arena->engine, golden->c, world_now_ns());
	world_counts(arena->ops, arena->engine, &before);
	assert_int_equal(arena->ops->inject(arena->engine, &packet, 0, &result), 0);
	world_counts(arena->ops, arena->engine, &after);
	const struct packet_case *c = golden->c;
	if (!result.record.passed) {
		golden_test(state);
		return;
	}
	bool told = c->action == WEFT_ACTION_drop && c->out[0].port;
	bool others = c->answer || c->action == WEFT_ACTION_flood ||
		      c->action == WEFT_ACTION_reply || c->action == WEFT_ACTION_to_host || told ||
		      c->reason == WEFT_DROP_too_big || c->reason == WEFT_DROP_no_destination ||
		      c->reason == WEFT_DROP_port_absent;
	assert_true(others || is_peer(c->port) || c->vni == VIOLET_VNI);
	assert_int_equal(result.outputs, 1);
	assert_int_equal(result.output[0].length, in.length);
	assert_memory_equal(result.output[0].bytes, in.bytes, in.length);
	assert_memory_equal(&before, &after, sizeof(before));
}

static int run_arena(struct arena *arena, CMUnitTestFunction test)
{
	size_t count = 0, all = packet_case_count + services_case_count;
	struct golden *golden = calloc(all, sizeof(*golden));
	struct CMUnitTest *tests = calloc(all, sizeof(*tests));
	for (size_t i = 0; i < all; i++) {
		const struct packet_case *c = i < packet_case_count
						      ? &packet_cases[i]
						      : &services_cases[i - packet_case_count];
		bool test_run = arena->ops == &engine_ebpf && !arena->live;
		if ((c->sim_only && arena->ops != &engine_sim) || (c->no_test_run && test_run) ||
			(c->own_only && !world_own) ||
			(arena->xdp && c->action == WEFT_ACTION_to_host))
			continue; // by AF_XDP the host's frames never come to weft
		golden[count] = (struct golden){arena, c};
		tests[count] = (struct CMUnitTest){
			.name = c->name,
			.test_func = test,
			.initial_state = &golden[count],
		};
		count++;
	}
	int failed = _cmocka_run_group_tests(arena->name, tests, count, NULL, NULL);
	free(golden);
	free(tests);
	return failed;
}

static void arena_start(struct arena *arena)
{
	struct engine_config config = world_config();
	const char *why = "";
	config.pin_dir = arena->pin_root;
	if (arena->ops->start(&arena->engine, &config, &why)) {
		fprintf(stderr, "%s: the engine does not start: %s\n", arena->name, why);
		exit(1);
	}
	world_configure(arena->ops, arena->engine);
}

// Packet sockets would pass the same tests.
static void expect_program(const struct arena *arena, u32 id)
{
	u32 program = 0;
	int error = bpf_xdp_query_id((int)live_ifindex(id), 0, &program);
	if (error || (arena->xdp && !program)) {
		fprintf(stderr, "%s: port%u has no XDP program\n", arena->name, id);
		exit(1);
	}
}

static void attach_ports(struct arena *arena)
{
	char name[32];
	struct engine_overlay overlay = {.carrier = live_carrier(),
		.underlay = {live_ifindex(0)},
		.underlays = 1,
		.xdp = {arena->xdp}};
	arena->ops->overlay_set(arena->engine, &overlay, NULL);
	for (u32 id = 1; id < PORTS; id++) {
		const char *why = "";
		snprintf(name, sizeof(name), "port%u", id);
		struct engine_port port = {
			.id = id, .ifindex = live_ifindex(id), .name = name, .xdp = arena->xdp};
		if (arena->ops->port_attach(arena->engine, &port, &why)) {
			fprintf(stderr, "%s: %s\n", name, why);
			exit(1);
		}
		expect_program(arena, id);
	}
	expect_program(arena, 0);
	if (arena->ops->commit(arena->engine)) {
		fprintf(stderr, "%s: commit failed\n", arena->name);
		exit(1);
	}
}

static int run_sim(void)
{
	struct arena arena = {.name = "sim", .ops = &engine_sim};
	arena_start(&arena);
	for (u32 id = 1; id < PORTS; id++)
		engine_sim.port_attach(arena.engine, &(struct engine_port){.id = id}, NULL);
	int failed = run_arena(&arena, golden_test);
	failed += sequence_run(&(struct sequence_arena){"sim, sequences", arena.ops, arena.engine});
	failed += services_run(&(struct sequence_arena){"sim, services", arena.ops, arena.engine});
	failed += services_modes_run(
		&(struct sequence_arena){"sim, services' modes", arena.ops, arena.engine});
	failed += refusals_run(&(struct sequence_arena){"sim, refusals", arena.ops, arena.engine});
	engine_sim.stop(arena.engine);
	return failed;
}

static int run_xdp(void)
{
	struct arena arena = {.name = "xdp test run", .ops = &engine_xdp};
	arena_start(&arena);
	int failed = run_arena(&arena, xdp_test);
	failed += services_run(
		&(struct sequence_arena){"xdp test run, services", arena.ops, arena.engine});
	failed += services_modes_run(
		&(struct sequence_arena){"xdp test run, services' modes", arena.ops, arena.engine});
	engine_xdp.stop(arena.engine);
	return failed + testrun_observe() + testrun_flows();
}

static int run_ebpf_live(struct arena *arena, enum live_kind kind)
{
	world_configure(arena->ops, arena->engine);
	live_receive(NULL, NULL, 0, 0); // the copies of floods
	arena->name = kind == LIVE_TAP ? "tc live, taps" : "tc live, veths";
	arena->live = true;
	int failed = run_arena(arena, golden_test);
	world_own = false;
	world_configure(arena->ops, arena->engine);
	arena->name = kind == LIVE_TAP ? "tc live, taps, carrier" : "tc live, veths, carrier";
	failed += run_arena(arena, golden_test);
	world_own = true;
	return failed;
}

static int run_ebpf_test_run(struct arena *arena, enum live_kind kind)
{
	arena->name = kind == LIVE_TAP ? "tc test run, taps" : "tc test run, veths";
	int failed = run_arena(arena, golden_test);
	failed += sequence_run(
		&(struct sequence_arena){"tc test run, sequences", arena->ops, arena->engine});
	failed += services_run(
		&(struct sequence_arena){"tc test run, services", arena->ops, arena->engine});
	failed += services_modes_run(&(struct sequence_arena){
		"tc test run, services' modes", arena->ops, arena->engine});
	return failed + refusals_run(&(struct sequence_arena){
				"tc test run, refusals", arena->ops, arena->engine});
}

static int run_ebpf(enum live_kind kind, const char *pin_root, bool test_run, bool live)
{
	struct arena arena = {.ops = &engine_ebpf};
	snprintf(arena.pin_root, sizeof(arena.pin_root), "%s/weft", pin_root);
	live_open(kind);
	world_underlay = live_ifindex(0);
	arena_start(&arena);
	attach_ports(&arena);
	int failed = test_run ? run_ebpf_test_run(&arena, kind) : 0;
	if (live)
		failed += run_ebpf_live(&arena, kind);
	engine_ebpf.purge(arena.engine);
	live_close();
	return failed;
}

static int run_dpdk(enum live_kind kind)
{
	const char *why = NULL;
	struct arena arena = {.name = "dpdk", .ops = engine_find("dpdk", &why)};
	if (!arena.ops) {
		printf("skipped: dpdk: %s\n", why);
		return 0;
	}
	live_open(kind);
	world_underlay = live_ifindex(0);
	arena_start(&arena);
	attach_ports(&arena);
	int failed = run_arena(&arena, golden_test);
	failed +=
		sequence_run(&(struct sequence_arena){"dpdk, sequences", arena.ops, arena.engine});
	failed += services_run(&(struct sequence_arena){"dpdk, services", arena.ops, arena.engine});
	failed += services_modes_run(
		&(struct sequence_arena){"dpdk, services' modes", arena.ops, arena.engine});
	failed += refusals_run(&(struct sequence_arena){"dpdk, refusals", arena.ops, arena.engine});
	world_configure(arena.ops, arena.engine);
	arena.name = kind == LIVE_TAP ? "dpdk live, taps" : "dpdk live, veths";
	arena.live = true;
	failed += run_arena(&arena, golden_test);
	arena.ops->purge(arena.engine);
	live_close();
	return failed;
}

// Frames of raw sockets have their tags in the bytes and whole checksums, as those of a wire.
static int run_dpdk_xdp(void)
{
	struct arena arena = {.name = "dpdk live, AF_XDP", .ops = engine_find("dpdk", NULL)};
	if (!arena.ops)
		return 0;
	live_open(LIVE_XDP);
	world_underlay = live_ifindex(0);
	arena.live = arena.xdp = true;
	arena_start(&arena);
	attach_ports(&arena);
	int failed = run_arena(&arena, golden_test);
	arena.ops->purge(arena.engine);
	live_close();
	return failed;
}

static char root[] = "/tmp/weft-packets.XXXXXX";

static void remove_root(void) // however the program ends
{
	umount2(root, MNT_DETACH);
	rmdir(root);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool test_run = !strcmp(what, "--test-run"), live = !strcmp(what, "--live"),
	     bpf = test_run || live || !strcmp(what, "--bpf");
	if (!strcmp(what, "--bench"))
		return testrun_bench();
	if (!strcmp(what, "--bench-services"))
		return services_bench(argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]); // names, as a shell's pattern
	int failed = bpf ? 0 : run_sim();
	if (geteuid() != 0) {
		printf("skipped: xdp, tc and live need root\n");
		return failed != 0;
	}
	// A namespace of our own; the bpffs stays visible to process 1, as weft demands of pins.
	if (unshare(CLONE_NEWNET) || !mkdtemp(root) || mount("bpf", root, "bpf", 0, NULL)) {
		perror("namespace or bpffs");
		return 1;
	}
	atexit(remove_root);
	for (int kind = LIVE_TAP; !bpf && kind <= LIVE_VETH; kind++)
		failed += run_dpdk((enum live_kind)kind);
	if (!bpf)
		failed += run_dpdk_xdp();
	if (!live)
		failed += run_xdp();
	if (!test_run)
		failed += run_ebpf(LIVE_TAP, root, !live, true);
	failed += run_ebpf(LIVE_VETH, root, !live, !test_run);
	return failed != 0;
}
