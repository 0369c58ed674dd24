// SPDX-License-Identifier: BSD-2-Clause
// The AF_XDP driver against veths in a namespace of its own (root): v1 is the port and has the
// host's address, v2 the wire.
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/wire.h>
#include "datapath/dpdk/claim.h"
#include "datapath/dpdk/port.h"
#include "datapath/netdev.h"

enum { WAIT_MS = 2000, QUIET_MS = 50, UDP_PORT = 5001, LONG = 3000, POOL = 4095 };

static struct rte_mempool *rig_pool;
static u32 lost[WEFT_DROP_count]; // what the driver has said, by reason

struct rig {
	struct dpdk_port port;
	struct claim *claim;
	u32 ifindex;
	int wire; // raw socket on v2
	int host; // packet socket on v1: what passes on to the host's stack
};

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

static u32 program_on(u32 ifindex)
{
	u32 id = 0;
	assert_int_equal(bpf_xdp_query_id((int)ifindex, 0, &id), 0);
	return id;
}

static bool readable(int fd, int wait_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	return poll(&wait, 1, wait_ms) == 1;
}

static int raw_open(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name)};
	int on = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

static void devices_make(void)
{
	run("/sbin/ip link add v1 address 02:00:00:00:00:01 mtu 3400 numrxqueues 2 numtxqueues 2 "
	    "type veth peer name v2 address 02:00:00:00:00:02 mtu 3400 numrxqueues 2 numtxqueues "
	    "2");
	run("/sbin/ip addr add 10.0.0.1/24 dev v1; /sbin/ip link set v1 up; /sbin/ip link set v2 "
	    "up");
}

static void count_lost(struct dpdk_port *port, enum weft_drop reason, u32 frames)
{
	(void)port;
	lost[reason] += frames;
}

static int port_open(struct dpdk_port *port, const char **why)
{
	struct engine_port config = {.id = 1, .ifindex = if_nametoindex("v1"), .name = "v1"};
	memset(lost, 0, sizeof(lost));
	*port = (struct dpdk_port){
		.id = 1, .driver = &dpdk_xdp, .pool = rig_pool, .lost = count_lost};
	for (u32 i = 0; i < DPDK_QUEUES; i++)
		port->wake_fd[i] = -1;
	return dpdk_xdp.open(port, &config, why);
}

static void rig_open(struct rig *rig)
{
	const char *why = "";
	devices_make();
	rig->ifindex = if_nametoindex("v1");
	int error = port_open(&rig->port, &why);
	if (error)
		fail_msg("%s: %s", why, strerror(-error));
	assert_int_equal(claim_open(&rig->claim, rig->ifindex, false, &why), 0);
	rig->wire = raw_open("v2");
	rig->host = raw_open("v1");
}

static void rig_close(struct rig *rig)
{
	dpdk_xdp.close(&rig->port);
	claim_close(rig->claim);
	close(rig->wire);
	close(rig->host);
	run("/sbin/ip link del v1");
}

// A datagram for the host's socket, out of the wire. Returns its length.
static u32 tell(struct rig *rig, u16 vid, u16 port, u32 payload)
{
	u8 bytes[4096] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	u8 *at = bytes + 12;
	if (vid) {
		memcpy(at, (u8[]){0x81, 0, (u8)(vid >> 8), (u8)vid}, 4);
		at += 4;
	}
	memcpy(at, (u8[]){8, 0}, 2);
	u32 total = 28 + payload, sum = 0;
	u8 ip[28] = {0x45, 0, (u8)(total >> 8), (u8)total, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, (u8)vid,
		2, 10, 0, (u8)vid, 1, 0x30, 0x39, (u8)(port >> 8), (u8)port,
		(u8)((payload + 8) >> 8), (u8)(payload + 8)};
	for (u32 i = 0; i < 20; i += 2)
		sum += (u32)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (u8)(sum >> 8);
	ip[11] = (u8)sum;
	memcpy(at + 2, ip, sizeof(ip));
	for (u32 i = 0; i < payload; i++)
		at[2 + 28 + i] = (u8)i;
	u32 length = (u32)(at - bytes) + 2 + total;
	assert_int_equal(send(rig->wire, bytes, length, 0), length);
	return length;
}

static bool host_gets(struct rig *rig)
{
	u8 bytes[4096];
	bool got = readable(rig->host, 4 * QUIET_MS);
	while (recv(rig->host, bytes, sizeof(bytes), 0) > 0)
		;
	return got;
}

// Of all queues, as a worker: armed, woken, polled. NULL: none comes.
static struct rte_mbuf *port_gets(struct rig *rig, int wait_ms)
{
	struct rte_mbuf *frame = NULL;
	for (int i = 0; i <= wait_ms; i++) {
		for (u32 queue = 0; queue < rig->port.rx_queues; queue++) {
			dpdk_xdp.arm(&rig->port, queue, true);
			if (readable(rig->port.wake_fd[queue], 1) &&
				dpdk_xdp.rx(&rig->port, queue, &frame, 1))
				return frame;
		}
	}
	return NULL;
}

static bool weft_gets(struct rig *rig, int wait_ms)
{
	struct rte_mbuf *frame = port_gets(rig, wait_ms);
	rte_pktmbuf_free(frame);
	return frame;
}

static void claim(struct rig *rig, u32 flags, u16 vid)
{
	struct weft_claim what = {.flags = flags, .udp_port = UDP_PORT};
	what.host.word[2] = htonl(0xffff);
	what.host.word[3] = inet_addr("10.0.0.1");
	what.vid[vid / 64] |= 1ull << (vid % 64);
	assert_int_equal(claim_set(rig->claim, &what), 0);
}

static void test_steers_what_is_claimed(void **state)
{
	static const struct {
		u32 flags;
		u16 vid;
		u16 frame_vid, frame_port;
		bool weft;
	} cases[] = {
		{0, 0, 0, UDP_PORT, false}, {WEFT_CLAIM_ALL, 0, 0, UDP_PORT, true},
		{WEFT_CLAIM_ALL, 0, 7, UDP_PORT, true}, {WEFT_CLAIM_UNTAGGED, 0, 0, UDP_PORT, true},
		{WEFT_CLAIM_UNTAGGED, 0, 7, UDP_PORT, false},
		{WEFT_CLAIM_TAGGED, 7, 7, UDP_PORT, true},
		{WEFT_CLAIM_TAGGED, 8, 7, UDP_PORT, false},
		{WEFT_CLAIM_TAGGED, 7, 0, UDP_PORT, false},
		{WEFT_CLAIM_UNDERLAY, 0, 0, UDP_PORT, true},
		{WEFT_CLAIM_UNDERLAY, 0, 7, UDP_PORT, false},
		{WEFT_CLAIM_UNDERLAY, 0, 0xa000, UDP_PORT, true}, // a priority tag
	};
	struct rig rig;
	(void)state;
	rig_open(&rig);
	assert_int_equal(rig.port.rx_queues, 2);
	for (u32 i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		claim(&rig, cases[i].flags, cases[i].vid);
		while (weft_gets(&rig, 0)) // what the host says by itself
			;
		tell(&rig, cases[i].frame_vid, cases[i].frame_port, 100);
		bool weft = weft_gets(&rig, cases[i].weft ? WAIT_MS : QUIET_MS);
		if (weft != cases[i].weft || host_gets(&rig) == cases[i].weft)
			fail_msg("case %u: to weft %d", i, weft);
	}
	rig_close(&rig);
}

static void test_frames_pass_whole(void **state)
{
	struct rig rig;
	u8 bytes[4096];
	(void)state;
	rig_open(&rig);
	claim(&rig, WEFT_CLAIM_ALL, 0);
	for (u32 round = 0; round < 3000; round++) { // around every ring
		u32 length = tell(&rig, round & 1 ? 7 : 0, UDP_PORT, round % 7 ? round % 64 : LONG);
		struct rte_mbuf *frame = port_gets(&rig, WAIT_MS);
		assert_non_null(frame);
		assert_int_equal(frame->pkt_len, length);
		assert_int_equal(frame->ol_flags, 0);
		u8 last = *(const u8 *)rte_pktmbuf_read(frame, length - 1, 1, bytes);
		assert_int_equal(dpdk_xdp.tx(&rig.port, round & 1, &frame, 1), 1);
		// The stack has taken a tag out of the bytes by then.
		ssize_t wanted = length - (round & 1 ? 4 : 0), got;
		do {
			assert_true(readable(rig.wire, WAIT_MS));
			got = recv(rig.wire, bytes, sizeof(bytes), 0);
		} while (got != wanted);
		assert_int_equal(bytes[wanted - 1], last);
	}
	rig_close(&rig);
}

// Everything that the queues hold now, in one go.
static u32 drain(struct rig *rig)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u32 total = 0, count;
	for (u32 queue = 0; queue < rig->port.rx_queues; queue++) {
		while ((count = dpdk_xdp.rx(&rig->port, queue, frames, DPDK_BURST))) {
			rte_pktmbuf_free_bulk(frames, count);
			total += count;
		}
	}
	return total;
}

// A worker that does not come for more than a ring of frames.
static void test_counts_an_overrun(void **state)
{
	enum { FRAMES = 1500, RING = 1024 };
	struct rig rig;
	(void)state;
	rig_open(&rig);
	claim(&rig, WEFT_CLAIM_ALL, 0);
	while (weft_gets(&rig, QUIET_MS)) // what the host says by itself
		;
	for (u32 round = 1; round <= 2; round++) {
		for (u32 i = 0; i < FRAMES; i++)
			tell(&rig, 0, UDP_PORT, 100);
		assert_int_equal(drain(&rig), RING);
		assert_int_equal(lost[WEFT_DROP_rx_overrun], round * (FRAMES - RING));
		for (u32 queue = 0; queue < rig.port.rx_queues; queue++)
			dpdk_xdp.arm(&rig.port, queue, true); // and it is not told again
		assert_int_equal(lost[WEFT_DROP_rx_overrun], round * (FRAMES - RING));
	}
	rig_close(&rig);
}

static void test_counts_a_lack_of_mbufs(void **state)
{
	struct rig rig;
	struct rte_mbuf *taken[POOL];
	(void)state;
	rig_open(&rig);
	claim(&rig, WEFT_CLAIM_ALL, 0);
	while (weft_gets(&rig, QUIET_MS))
		;
	tell(&rig, 0, UDP_PORT, LONG); // of two mbufs, and there is one
	u32 left = rte_mempool_avail_count(rig_pool) - 1;
	assert_int_equal(rte_pktmbuf_alloc_bulk(rig_pool, taken, left), 0);
	assert_int_equal(drain(&rig), 0);
	assert_int_equal(lost[WEFT_DROP_rx_overrun], 1);
	rte_pktmbuf_free_bulk(taken, left);
	rig_close(&rig);
}

static void test_counts_a_frame_too_long(void **state)
{
	struct rig rig;
	(void)state;
	rig_open(&rig);
	struct rte_mbuf *frame = rte_pktmbuf_alloc(rig_pool);
	for (u32 i = 0; i < 3; i++) {
		struct rte_mbuf *next = i ? rte_pktmbuf_alloc(rig_pool) : frame;
		assert_non_null(rte_pktmbuf_append(next, 2000));
		assert_true(!i || !rte_pktmbuf_chain(frame, next));
	}
	assert_int_equal(dpdk_xdp.tx(&rig.port, 0, &frame, 1), 1);
	assert_int_equal(lost[WEFT_DROP_device_dropped], 1);
	rig_close(&rig);
}

static void test_refuses(void **state)
{
	struct dpdk_port port;
	const char *why = "";
	(void)state;
	devices_make();
	run("/sbin/ip link set v2 mtu 9000; /sbin/ip link set v1 mtu 9000");
	assert_int_equal(port_open(&port, &why), -EMSGSIZE);
	run("/sbin/ip link set v1 mtu 1500"); // the driver minds its peer's
	assert_int_equal(port_open(&port, &why), -ERANGE);
	assert_non_null(strstr(why, "MTU"));
	run("/sbin/ip link set v2 mtu 1500");
	run("/sbin/ip link set v1 xdp obj ${BUILD:-build}/bpf/weft_steer.bpf.o sec xdp");
	assert_int_equal(port_open(&port, &why), -EBUSY);
	assert_non_null(strstr(why, "somebody else"));
	run("/sbin/ip link set v1 xdp off");
	assert_int_equal(port_open(&port, &why), 0);
	assert_int_not_equal(system("/sbin/ip link set v2 mtu 9000 2>/dev/null"), 0);
	dpdk_xdp.close(&port);
	run("/sbin/ip link set v2 mtu 9000; /sbin/ip link del v1");
}

static void test_gives_a_renamed_device_back(void **state)
{
	struct dpdk_port port;
	const char *why = "";
	(void)state;
	devices_make();
	assert_true(netdev_takes_tags("v1"));
	assert_int_equal(port_open(&port, &why), 0);
	assert_false(netdev_takes_tags("v1"));
	run("/sbin/ip link set v1 down; /sbin/ip link set v1 name w1");
	dpdk_xdp.close(&port);
	assert_true(netdev_takes_tags("w1"));
	run("/sbin/ip link del w1");
}

static u32 descriptors(void)
{
	u32 count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void test_comes_and_goes(void **state)
{
	struct dpdk_port port;
	const char *why = "";
	u32 before = 0, mbufs = 0;
	(void)state;
	devices_make();
	for (u32 i = 0; i < 100; i++) {
		int error = port_open(&port, &why);
		if (error)
			fail_msg("%u: %s: %s", i, why, strerror(-error));
		assert_int_not_equal(program_on(if_nametoindex("v1")), 0);
		dpdk_xdp.close(&port);
		assert_int_equal(program_on(if_nametoindex("v1")), 0);
		if (!i) {
			before = descriptors();
			mbufs = rte_mempool_avail_count(rig_pool);
		}
	}
	assert_int_equal(descriptors(), before);
	assert_int_equal(rte_mempool_avail_count(rig_pool), mbufs);
	run("/sbin/ip link del v1");
}

// Opens the port and waits to be killed.
static int hold(void)
{
	struct dpdk_port port;
	const char *why = "";
	if (port_open(&port, &why) || write(STDOUT_FILENO, "!", 1) != 1)
		return 1;
	for (;;)
		pause();
}

// A process of its own: DPDK's does not fork.
static pid_t hold_start(void)
{
	int pipes[2];
	char byte;
	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipes[1], STDOUT_FILENO);
		execl("/proc/self/exe", "xdp_test", "--hold", (char *)NULL);
		_exit(1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	return child;
}

static void test_nothing_stays_after_death(void **state)
{
	struct dpdk_port port;
	const char *why = "";
	(void)state;
	devices_make();
	pid_t child = hold_start();
	assert_int_not_equal(program_on(if_nametoindex("v1")), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (u32 i = 0; i < WAIT_MS && program_on(if_nametoindex("v1")); i++)
		usleep(1000);
	assert_int_equal(program_on(if_nametoindex("v1")), 0);
	assert_int_equal(port_open(&port, &why), 0); // and its queues are free
	dpdk_xdp.close(&port);
	run("/sbin/ip link del v1");
}

static void test_device_deleted(void **state)
{
	struct dpdk_port port;
	struct engine_port_state now;
	struct rte_mbuf *frame;
	const char *why = "";
	(void)state;
	devices_make();
	assert_int_equal(port_open(&port, &why), 0);
	dpdk_xdp.state(&port, &now);
	for (u32 i = 0; i < WAIT_MS && !now.carrier; i++) { // the kernel tells a little later
		usleep(1000);
		dpdk_xdp.state(&port, &now);
	}
	assert_true(now.carrier);
	assert_int_equal(now.mtu, 3400);
	run("/sbin/ip link del v1");
	assert_false(dpdk_xdp.arm(&port, 0, true));
	assert_false(readable(port.wake_fd[0], 0));
	assert_int_equal(dpdk_xdp.rx(&port, 0, &frame, 1), 0);
	dpdk_xdp.state(&port, &now);
	assert_false(now.carrier);
	dpdk_xdp.close(&port);
}

static int rig_start(char *program)
{
	char prefix[32];
	snprintf(prefix, sizeof(prefix), "xdp-test-%d", getpid());
	char *words[] = {program, "--no-huge", "-m", "64", "--no-pci", "--no-shconf",
		"--no-telemetry", "--lcores", "0@(0-1)", "--log-level", "error", "--file-prefix",
		prefix};
	if (rte_eal_init(WEFT_ARRAY_SIZE(words), words) < 0)
		return printf("EAL: %s\n", rte_strerror(rte_errno));
	rig_pool = rte_pktmbuf_pool_create(
		"rig", POOL, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return rig_pool ? 0 : printf("pool: %s\n", rte_strerror(rte_errno));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steers_what_is_claimed),
		cmocka_unit_test(test_frames_pass_whole),
		cmocka_unit_test(test_counts_an_overrun),
		cmocka_unit_test(test_counts_a_lack_of_mbufs),
		cmocka_unit_test(test_counts_a_frame_too_long),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_gives_a_renamed_device_back),
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_nothing_stays_after_death),
		cmocka_unit_test(test_device_deleted),
	};
	if (geteuid()) {
		printf("xdp_test: needs root\n");
		return 77;
	}
	if (argc > 1 && !strcmp(argv[1], "--hold"))
		return rig_start(argv[0]) ? 1 : hold();
	if (unshare(CLONE_NEWNET) || rig_start(argv[0]))
		return 1;
	run("cd /proc/sys/net/ipv6/conf && echo 1 >all/disable_ipv6 && echo 1 "
	    ">default/disable_ipv6");
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
