// SPDX-License-Identifier: BSD-2-Clause
// The eBPF engine between two veth pairs: what the engine_*_test programs share.
//
// A program runs in a child with a network namespace of its own; the parent owns the BPF
// filesystem and takes it away whatever became of the child. Ports p1, p2; their peers g1, g2
// play the guests.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/engine.h"

#define RIG_MAYBE __attribute__((unused)) // not every program uses every part

enum { RIG_ETHERTYPE = 0x88b5, RIG_FRAME_BYTES = 60, RIG_NETWORK = 1, RIG_WAIT_MS = 2000 };

struct rig {
	bool clsact;
	bool xdp; // of the ports that are attached next
	char pins[128];
	int guest[3];   // packet sockets on g1, g2
	u32 ifindex[3]; // of p1, p2
	struct engine_config config;
	struct engine *engine;
	const char *why;
};

static char rig_bpffs[64];
static const struct engine_ops *const ops = &engine_ebpf;

RIG_MAYBE static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
RIG_MAYBE static int run(const char *format, ...)
{
	char command[512];
	va_list words;
	va_start(words, format);
	vsnprintf(command, sizeof(command), format, words);
	va_end(words);
	return system(command);
}

RIG_MAYBE static void make_device(struct rig *rig, int port)
{
	assert_int_equal(
		run("/sbin/ip link add p%d type veth peer name g%d && /sbin/ip link set g%d "
		    "address "
		    "02:00:00:00:00:0%d && /sbin/ip link set p%d up && /sbin/ip link set g%d up",
			port, port, port, port, port, port),
		0);
	// p came up without a carrier: it drops what it should send until the kernel has noticed g,
	// which is not in the time of `ip`.
	assert_int_equal(run("for i in $(seq 500); do /sbin/ip -o link show p%d | "
			     "grep -q 'state UP' && exit; sleep 0.01; done; exit 1",
				 port),
		0);
	char name[16];
	snprintf(name, sizeof(name), "p%d", port);
	rig->ifindex[port] = if_nametoindex(name);
	snprintf(name, sizeof(name), "g%d", port);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(RIG_ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int bytes = 8 << 20;
	rig->guest[port] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(rig->guest[port] >= 0);
	setsockopt(rig->guest[port], SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	assert_int_equal(bind(rig->guest[port], (void *)&address, sizeof(address)), 0);
}

RIG_MAYBE static void drop_device(struct rig *rig, int port)
{
	if (rig->guest[port] >= 0)
		close(rig->guest[port]);
	rig->guest[port] = -1;
	run("/sbin/ip link del p%d 2>/dev/null", port);
}

RIG_MAYBE static u32 tcx_count(u32 ifindex)
{
	u32 ids[64], count = 64;
	if (bpf_prog_query((int)ifindex, (enum bpf_attach_type)46, 0, NULL, ids, &count))
		return 0;
	return count;
}

RIG_MAYBE static bool has_tcx(void)
{
	u32 ids[64], count = 64;
	return bpf_prog_query(1, (enum bpf_attach_type)46, 0, NULL, ids, &count) == 0;
}

RIG_MAYBE static int rig_setup(void **state, bool clsact)
{
	static int count;
	struct rig *rig = calloc(1, sizeof(*rig));
	rig->clsact = clsact || !has_tcx(); // before Linux 6.6 there is only clsact
	rig->guest[1] = rig->guest[2] = -1;
	snprintf(rig->pins, sizeof(rig->pins), "%s/weft/%d", rig_bpffs, ++count);
	make_device(rig, 1);
	make_device(rig, 2);
	*state = rig;
	return 0;
}

RIG_MAYBE static int setup_tcx(void **state)
{
	return rig_setup(state, false);
}

RIG_MAYBE static int setup_clsact(void **state)
{
	return rig_setup(state, true);
}

RIG_MAYBE static int teardown(void **state)
{
	struct rig *rig = *state;
	if (rig->engine)
		ops->stop(rig->engine);
	drop_device(rig, 1);
	drop_device(rig, 2);
	run("rm -rf %s/weft", rig_bpffs);
	free(rig);
	return 0;
}

// --- the engine

RIG_MAYBE static int rig_try_start(struct rig *rig)
{
	rig->config.pin_dir = rig->pins;
	rig->config.force_clsact = rig->clsact;
	rig->why = "";
	return ops->start(&rig->engine, &rig->config, &rig->why);
}

// One network with two access ports.
RIG_MAYBE static void rig_start(struct rig *rig)
{
	int error = rig_try_start(rig);
	if (error)
		fail_msg("start: %d %s", error, rig->why);
	u32 network = RIG_NETWORK;
	struct weft_network_row network_row = {
		.flags = WEFT_NETWORK_PRESENT,
		.mac_limit = 1000,
		.member_epoch = 1,
		.member_count = 2,
	};
	assert_int_equal(
		ops->table_put(rig->engine, WEFT_TABLE_network, &network, &network_row), 0);
	for (u32 port = 1; port <= 2; port++) {
		struct weft_port_row row = {
			.flags = WEFT_PORT_PRESENT,
			.network = RIG_NETWORK,
			.mac_limit = 1000,
		};
		struct weft_member_key key = {RIG_NETWORK, 1, port - 1};
		struct weft_member_row member = {.port = port};
		assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_port, &port, &row), 0);
		assert_int_equal(ops->table_put(rig->engine, WEFT_TABLE_member, &key, &member), 0);
	}
}

RIG_MAYBE static int rig_try_attach(struct rig *rig, u32 port)
{
	struct engine_port engine_port = {
		.id = port,
		.ifindex = rig->ifindex[port],
		.name = port == 1 ? "p1" : "p2",
		.xdp = rig->xdp,
	};
	rig->why = "";
	return ops->port_attach(rig->engine, &engine_port, &rig->why);
}

RIG_MAYBE static void rig_attach(struct rig *rig, u32 port)
{
	int error = rig_try_attach(rig, port);
	if (error)
		fail_msg("attach: %d %s", error, rig->why);
}

// A whole start as weftd does it.
RIG_MAYBE static void rig_up(struct rig *rig)
{
	rig_start(rig);
	rig_attach(rig, 1);
	rig_attach(rig, 2);
	assert_int_equal(ops->commit(rig->engine), 0);
}

RIG_MAYBE static void rig_stop(struct rig *rig)
{
	ops->stop(rig->engine);
	rig->engine = NULL;
}

// --- frames

RIG_MAYBE static void send_frame(struct rig *rig, int from, int to, u32 number)
{
	u8 frame[RIG_FRAME_BYTES] = {2, 0, 0, 0, 0, (u8)to, 2, 0, 0, 0, 0, (u8)from,
		RIG_ETHERTYPE >> 8, RIG_ETHERTYPE & 0xff};
	memcpy(frame + 14, &number, sizeof(number));
	assert_int_equal(send(rig->guest[from], frame, sizeof(frame), 0), sizeof(frame));
}

// The number of the next frame that arrives at a guest; -1: none within the time.
RIG_MAYBE static int64_t receive_frame(struct rig *rig, int at, int wait_ms)
{
	u8 frame[2048];
	u32 number;
	struct pollfd ready = {.fd = rig->guest[at], .events = POLLIN};
	ssize_t bytes = recv(rig->guest[at], frame, sizeof(frame), 0);
	if (bytes < 0 && poll(&ready, 1, wait_ms) == 1)
		bytes = recv(rig->guest[at], frame, sizeof(frame), 0);
	if (bytes < 18)
		return -1;
	memcpy(&number, frame + 14, sizeof(number));
	return number;
}

RIG_MAYBE static void assert_forwards(struct rig *rig)
{
	static u32 number = 1000000;
	send_frame(rig, 1, 2, ++number);
	assert_int_equal(receive_frame(rig, 2, RIG_WAIT_MS), number);
	send_frame(rig, 2, 1, ++number);
	assert_int_equal(receive_frame(rig, 1, RIG_WAIT_MS), number);
}

// Frames go through the device in order: when the second path has delivered, the first would have.
RIG_MAYBE static void assert_silent(struct rig *rig, int from, int to)
{
	send_frame(rig, from, to, 7);
	assert_int_equal(receive_frame(rig, to, 100), -1);
}

// --- what the kernel holds

RIG_MAYBE static bool output_has(const char *command, const char *word)
{
	char line[1024];
	bool found = false;
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe))
		found = found || strstr(line, word);
	pclose(pipe);
	return found;
}

RIG_MAYBE static bool has_qdisc(int port)
{
	char command[64];
	snprintf(command, sizeof(command), "/sbin/tc qdisc show dev p%d", port);
	return output_has(command, "clsact");
}

RIG_MAYBE static u32 clsact_count(int port)
{
	char command[64], line[1024];
	u32 count = 0;
	snprintf(command, sizeof(command), "/sbin/tc filter show dev p%d ingress", port);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe))
		count += strstr(line, "handle 0x1") != NULL;
	pclose(pipe);
	return count;
}

RIG_MAYBE static bool hooked(struct rig *rig, int port)
{
	return rig->clsact ? clsact_count(port) == 1 : tcx_count(rig->ifindex[port]) == 1;
}

// A filter of somebody else's, of whichever kind this kernel has.
RIG_MAYBE static int add_filter(int port, const char *direction)
{
	return run("for kind in 'u32 match u32 0 0' matchall; do /sbin/tc filter add dev p%d %s "
		   "pref 9 protocol all $kind flowid 1:1 2>/dev/null && exit 0; done; exit 1",
		port, direction);
}

// How many pins have this in their name.
RIG_MAYBE static u32 pins(struct rig *rig, const char *dir, const char *word)
{
	char command[256], line[256];
	u32 count = 0;
	snprintf(command, sizeof(command), "ls %s/%s 2>/dev/null", rig->pins, dir);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe))
		count += strstr(line, word) != NULL;
	pclose(pipe);
	return count;
}

// A program of somebody else's.
RIG_MAYBE static int foreign_program(const char *name)
{
	struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "GPL", code, 2, NULL);
	assert_true(fd >= 0);
	return fd;
}

RIG_MAYBE static u64 rig_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

// --- the program

static int rig_main(int (*tests)(void))
{
	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	snprintf(rig_bpffs, sizeof(rig_bpffs), "/tmp/weft-engine-XXXXXX");
	if (!mkdtemp(rig_bpffs) || mount("bpf", rig_bpffs, "bpf", 0, NULL)) {
		perror("a BPF filesystem of our own");
		return 1;
	}
	int status = 1;
	signal(SIGINT, SIG_IGN); // the child dies of them, and this process still cleans up
	signal(SIGTERM, SIG_IGN);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) ||
			run("/sbin/ip link set lo up; for f in all default; do echo 1 > "
			    "/proc/sys/net/ipv6/conf/$f/disable_ipv6; done"))
			_exit(1);
		exit(tests() ? 1 : 0);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	umount2(rig_bpffs, MNT_DETACH);
	rmdir(rig_bpffs);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// A test of the list: on either hook, or on the one that weft takes here.
#define ON_ANY(test) \
	{ \
#test, test, setup_tcx, teardown, NULL \
	}
#define ON_TCX(test) \
	{ \
#test " (tcx)", test, setup_tcx, teardown, NULL \
	}
#define ON_CLSACT(test) \
	{ \
#test " (clsact)", test, setup_clsact, teardown, NULL \
	}

// A kernel without tcx has one hook: once is enough.
static int rig_run(const struct CMUnitTest *tests, size_t count)
{
	struct CMUnitTest list[64];
	size_t kept = 0;
	for (size_t i = 0; i < count && kept < WEFT_ARRAY_SIZE(list); i++)
		if (has_tcx() || !strstr(tests[i].name, " (tcx)"))
			list[kept++] = tests[i];
	return _cmocka_run_group_tests("engine", list, kept, NULL, NULL);
}
