// SPDX-License-Identifier: BSD-2-Clause
// The driver of ethdevs, on a ring of memory in place of a NIC (net_ring: what is sent is
// received).
#include <errno.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <cmocka.h>
#include "datapath/dpdk/port.h"
#include "tests/dpdk/frontend.h"

static struct rte_mempool *pool;

static struct rte_mbuf *frame_make(u8 mark, u32 bytes)
{
	struct rte_mbuf *frame = rte_pktmbuf_alloc(pool);
	assert_non_null(frame);
	memset(rte_pktmbuf_append(frame, (u16)bytes), mark, bytes);
	return frame;
}

static u32 changes; // of links, as the driver said

static void count_change(struct dpdk_port *port)
{
	(void)port;
	__atomic_fetch_add(&changes, 1, __ATOMIC_RELAXED); // a thread of DPDK's
}

static int try_device(struct dpdk_port *port, const char *path, u32 mtu, const char **why)
{
	const struct engine_port config = {
		.kind = ENGINE_PORT_PCI, .name = "x", .path = path, .mtu = mtu};
	*port = (struct dpdk_port){
		.pool = pool, .driver = &dpdk_pci, .wake_fd = {-1}, .changed = count_change};
	return dpdk_pci.open(port, &config, why);
}

static void open_device(struct dpdk_port *port, const char *path, u32 mtu)
{
	const char *why = NULL;
	assert_int_equal(try_device(port, path, mtu, &why), 0);
}

static void is_refused(const char *path, const char *says)
{
	struct dpdk_port port;
	const char *why = "";
	assert_int_not_equal(try_device(&port, path, 0, &why), 0);
	assert_non_null(strstr(why, says));
}

static void open_ring(struct dpdk_port *port, const char *name)
{
	open_device(port, name, 0);
}

static void frames_go_out_and_come_in(void **state)
{
	struct dpdk_port port;
	struct rte_mbuf *out[DPDK_BURST], *in[DPDK_BURST];
	u32 held = rte_mempool_in_use_count(pool);
	(void)state;
	open_ring(&port, "net_ring_a");
	assert_int_equal(port.rx_queues, 1);
	assert_int_equal(port.tx_queues, 1);
	assert_int_equal(dpdk_pci.rx(&port, 0, in, DPDK_BURST), 0);
	for (u32 i = 0; i < DPDK_BURST; i++)
		out[i] = frame_make((u8)i, 60 + i);
	assert_int_equal(dpdk_pci.tx(&port, 0, out, DPDK_BURST), DPDK_BURST);
	assert_int_equal(dpdk_pci.rx(&port, 0, in, DPDK_BURST), DPDK_BURST);
	for (u32 i = 0; i < DPDK_BURST; i++) {
		assert_int_equal(in[i]->pkt_len, 60 + i);
		assert_int_equal(*rte_pktmbuf_mtod(in[i], u8 *), i);
	}
	rte_pktmbuf_free_bulk(in, DPDK_BURST);
	dpdk_pci.close(&port);
	assert_int_equal(rte_mempool_in_use_count(pool), held);
}

// What the contract forbids does not come through: flags of the NIC, frames without a header.
static void frames_are_as_the_contract_says(void **state)
{
	struct dpdk_port port;
	struct rte_mbuf *out[2], *in[DPDK_BURST];
	(void)state;
	open_ring(&port, "net_ring_b");
	out[0] = frame_make(1, 9);
	out[1] = frame_make(2, 60);
	out[1]->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH;
	out[1]->tso_segsz = 1000;
	assert_int_equal(dpdk_pci.tx(&port, 0, out, 2), 2);
	assert_int_equal(dpdk_pci.rx(&port, 0, in, DPDK_BURST), 1);
	assert_int_equal(in[0]->pkt_len, 60);
	assert_int_equal(in[0]->ol_flags, 0);
	assert_int_equal(in[0]->tx_offload, 0);
	rte_pktmbuf_free(in[0]);
	dpdk_pci.close(&port);
}

static void a_quiet_device_wakes_by_time(void **state)
{
	struct dpdk_port port;
	(void)state;
	open_ring(&port, "net_ring_c");
	struct pollfd wake = {port.wake_fd[0], POLLIN, 0};
	assert_int_equal(poll(&wake, 1, 0), 0);
	assert_false(dpdk_pci.arm(&port, 0, true));
	assert_int_equal(poll(&wake, 1, 5000), 1);
	dpdk_pci.arm(&port, 0, false);
	assert_int_equal(poll(&wake, 1, 0), 0);
	// Also when it was yet to come.
	dpdk_pci.arm(&port, 0, true);
	dpdk_pci.arm(&port, 0, false);
	assert_int_equal(poll(&wake, 1, 20), 0);
	dpdk_pci.close(&port);
}

static long armed_ns(struct dpdk_port *port) // until it wakes, at most
{
	struct itimerspec left;
	dpdk_pci.arm(port, 0, true);
	assert_int_equal(timerfd_gettime(port->wake_fd[0], &left), 0);
	assert_int_equal(left.it_value.tv_sec, 0);
	return left.it_value.tv_nsec;
}

static void what_is_quiet_for_longer_is_looked_at_less_often(void **state)
{
	struct dpdk_port port;
	struct rte_mbuf *in[DPDK_BURST];
	long longest = 0;
	(void)state;
	open_ring(&port, "net_ring_q");
	assert_true(port.timed);
	assert_in_range(armed_ns(&port), 0, 50000);
	for (int i = 0; i < 1000 && longest <= 900000; i++) {
		assert_int_equal(dpdk_pci.rx(&port, 0, in, DPDK_BURST), 0);
		longest = armed_ns(&port);
		assert_in_range(longest, 0, 1000000);
	}
	assert_true(longest > 900000);
	in[0] = frame_make(1, 60);
	assert_int_equal(dpdk_pci.tx(&port, 0, in, 1), 1);
	assert_int_equal(dpdk_pci.rx(&port, 0, in, DPDK_BURST), 1);
	rte_pktmbuf_free(in[0]);
	assert_in_range(armed_ns(&port), 0, 50000);
	dpdk_pci.close(&port);
}

static void what_is_no_device_is_refused(void **state)
{
	(void)state;
	is_refused("net_nothing_x", "driver of that name");
	is_refused("0000:ff:1f.6", "vfio-pci");
}

// Its port keeps it.
static void a_device_of_another_port_is_refused(void **state)
{
	struct dpdk_port port;
	struct rte_mbuf *frame = frame_make(1, 60);
	(void)state;
	open_ring(&port, "net_ring_e");
	is_refused("net_ring_e", "another port");
	assert_int_equal(dpdk_pci.tx(&port, 0, &frame, 1), 1);
	assert_int_equal(dpdk_pci.rx(&port, 0, &frame, 1), 1);
	rte_pktmbuf_free(frame);
	dpdk_pci.close(&port);
}

// A client of memif must find its server. What comes when it does, tests/system/port_retry_test.sh
// says: with both ends in one process DPDK's thread of interrupts does not survive a disconnect.
static void what_could_not_be_started_can_be_tried_again(void **state)
{
	char dev[128];
	(void)state;
	snprintf(dev, sizeof(dev),
		"net_memif0,role=client,socket-abstract=no,socket=/tmp/weft-pci-test-%d", getpid());
	for (int i = 0; i < 5; i++)
		is_refused(dev, "cannot be started");
}

// The pool has room for three beside the rest.
static void frames_are_left_to_others(void **state)
{
	struct dpdk_port port[3];
	(void)state;
	open_ring(&port[0], "net_ring_f0");
	open_ring(&port[1], "net_ring_f1");
	for (int i = 0; i < 3; i++) {
		open_ring(&port[2], "net_ring_f2");
		is_refused("net_ring_f3", "raise dpdk.memory_mb by 16");
		dpdk_pci.close(&port[2]);
	}
	dpdk_pci.close(&port[1]);
	dpdk_pci.close(&port[0]);
}

static void a_device_can_be_opened_again(void **state)
{
	struct dpdk_port port;
	(void)state;
	for (int i = 0; i < 20; i++) {
		open_ring(&port, "net_ring_d");
		dpdk_pci.close(&port);
	}
}

// Arguments of a virtual device stand behind its name. What the twin shows comes from here.
static void the_state_is_the_devices(void **state)
{
	struct dpdk_port port;
	struct engine_port_state now;
	u16 id;
	(void)state;
	open_device(&port, "net_null0,no-rx=1,size=60", 0);
	dpdk_pci.state(&port, &now);
	assert_int_equal(now.mtu, 1500);
	assert_true(now.carrier);
	struct rte_ether_addr mac;
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null0", &id), 0);
	assert_int_equal(rte_eth_macaddr_get(id, &mac), 0);
	assert_memory_equal(&now.mac, &mac, sizeof(mac));
	dpdk_pci.close(&port);
	open_device(&port, "net_null0,no-rx=1,size=60", 9000);
	dpdk_pci.state(&port, &now);
	assert_int_equal(now.mtu, 9000);
	dpdk_pci.close(&port);
	open_device(&port, "net_ring_m", 9000); // it cannot
	dpdk_pci.state(&port, &now);
	assert_int_equal(now.mtu, 1500);
	dpdk_pci.close(&port);
}

static void wait_for_change(u32 before)
{
	for (int i = 0; i < 5000 && __atomic_load_n(&changes, __ATOMIC_RELAXED) == before; i++)
		poll(NULL, 0, 1);
	assert_int_not_equal(__atomic_load_n(&changes, __ATOMIC_RELAXED), before);
}

// net_vhost: the link is up while somebody is at the socket.
static void the_link_is_told(void **state)
{
	struct dpdk_port port;
	struct engine_port_state now;
	struct frontend guest;
	char path[64], device[128];
	(void)state;
	snprintf(path, sizeof(path), "/tmp/weft-pci-test-%d", getpid());
	snprintf(device, sizeof(device), "net_vhost0,iface=%s", path);
	open_device(&port, device, 0);
	dpdk_pci.state(&port, &now);
	assert_false(now.carrier);
	assert_non_null(strstr(now.why, "link"));
	u32 before = __atomic_load_n(&changes, __ATOMIC_RELAXED);
	frontend_init(&guest);
	frontend_connect(&guest, path);
	frontend_start(&guest, FRONTEND_PLAIN, 1);
	wait_for_change(before);
	dpdk_pci.state(&port, &now);
	assert_true(now.carrier);
	assert_null(now.why);
	before = __atomic_load_n(&changes, __ATOMIC_RELAXED);
	frontend_hang_up(&guest);
	wait_for_change(before);
	dpdk_pci.state(&port, &now);
	assert_false(now.carrier);
	frontend_free(&guest);
	dpdk_pci.close(&port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_out_and_come_in),
		cmocka_unit_test(frames_are_as_the_contract_says),
		cmocka_unit_test(a_quiet_device_wakes_by_time),
		cmocka_unit_test(what_is_quiet_for_longer_is_looked_at_less_often),
		cmocka_unit_test(what_is_no_device_is_refused),
		cmocka_unit_test(a_device_of_another_port_is_refused),
		cmocka_unit_test(what_could_not_be_started_can_be_tried_again),
		cmocka_unit_test(frames_are_left_to_others),
		cmocka_unit_test(a_device_can_be_opened_again),
		cmocka_unit_test(the_state_is_the_devices),
		cmocka_unit_test(the_link_is_told),
	};
	char *arguments[] = {"pci_test", "--no-huge", "-m", "64", "--no-pci", "--no-shconf",
		"--no-telemetry", "--lcores", "0@(0-1)", "--file-prefix", "weft-pci-test",
		"--log-level", "critical", NULL};
	if (unshare(CLONE_NEWNET) ||
		rte_eal_init((int)WEFT_ARRAY_SIZE(arguments) - 1, arguments) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("pci", 8192, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
