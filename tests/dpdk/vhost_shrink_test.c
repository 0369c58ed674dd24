// SPDX-License-Identifier: BSD-2-Clause
// Guests' memory that goes away while it is in use: the guest is cut off, and nobody else notices.
// The guest here is in the driver's process: it must not touch what it took away either.

#include "tests/dpdk/vhost_rig.h"
#include <signal.h>
#include <sys/wait.h>

#define LOST "the guest's hypervisor took away memory"

static struct sigaction guard; // cmocka has a handler of its own while a test runs

static void shrink(struct rig *rig, u64 bytes)
{
	assert_int_equal(ftruncate(rig->guest.memory_fd, (off_t)bytes), 0);
}

static void expect_lost(struct rig *rig)
{
	struct engine_port_state state;
	dpdk_vhost.state(&rig->port, &state);
	assert_false(state.carrier);
	assert_non_null(strstr(state.why, LOST));
}

static u32 poll_once(struct rig *rig)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u32 count = dpdk_vhost.rx(&rig->port, 0, frames, DPDK_BURST);
	if (count)
		rte_pktmbuf_free_bulk(frames, count);
	return count;
}

static void send_one(struct rig *rig)
{
	u8 bytes[1000] = {1};
	struct rte_mbuf *frame = rig_mbuf(bytes, sizeof(bytes));
	if (!dpdk_vhost.tx(&rig->port, 0, &frame, 1))
		rte_pktmbuf_free(frame);
}

// The same port, with another guest.
static void renew(struct rig *rig)
{
	frontend_free(&rig->guest);
	rig_gone(rig);
	frontend_init(&rig->guest);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
	frontend_fill(&rig->guest, 0);
	rig_expect(rig, 1, NULL);
	rig_pass(rig);
}

static void rings_gone(void **state)
{
	(void)state;
	sigaction(SIGBUS, &guard, NULL);
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1);
	struct rig *bad = rig_ready("bad", FRONTEND_ALL, 1);
	u32 changes;
	rig_pass(bad);
	changes = bad->changes;
	shrink(bad, 0);
	assert_int_equal(poll_once(bad), 0);
	expect_lost(bad);
	assert_int_equal(bad->changes, changes + 1);
	send_one(bad);
	assert_false(dpdk_vhost.arm(&bad->port, 0, true));
	rig_pass(good);
	renew(bad);
	shrink(bad, 0);
	send_one(bad); // the first to notice
	expect_lost(bad);
	renew(bad);
	shrink(bad, 0);
	dpdk_vhost.arm(&bad->port, 0, true);
	expect_lost(bad);
	rig_pass(good);
	rig_free(bad);
	rig_free(good);
}

// Of what the guest receives on the buffers go, and of what it sends on: frames of zeros are none.
static void buffers_gone(void **state)
{
	(void)state;
	sigaction(SIGBUS, &guard, NULL);
	struct rig *bad = rig_ready("bad", FRONTEND_ALL, 1);
	const struct vhost_port *vhost = bad->port.driver_state;
	u8 bytes[500] = {1};
	for (u32 i = 0; i < 3; i++)
		frontend_send(&bad->guest, 0, NULL, bytes, sizeof(bytes));
	shrink(bad, FRONTEND_AREA + FRONTEND_BUFFERS_AT);
	assert_int_equal(poll_once(bad), 0);
	expect_lost(bad);
	assert_int_equal(vhost->rings[1].faults[VRING_LOST], 3 + 1);
	assert_int_equal(bad->lost[WEFT_DROP_rx_malformed], 3);
	renew(bad);
	shrink(bad, FRONTEND_BUFFERS_AT);
	send_one(bad);
	expect_lost(bad);
	renew(bad);
	rig_free(bad);
}

// weft looks at rings when it is told where they are.
static void gone_for_messages(void **state)
{
	(void)state;
	sigaction(SIGBUS, &guard, NULL);
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1);
	struct rig *bad = rig_ready("bad", FRONTEND_ALL, 1);
	const struct frontend_ring *ring = &bad->guest.ring[0];
	struct frontend_message m = {.request = VHOST_SET_VRING_ADDR};
	m.address.desc = (u64)ring->vring.desc;
	m.address.avail = (u64)ring->vring.avail;
	m.address.used = (u64)ring->vring.used;
	shrink(bad, 0);
	frontend_tell(&bad->guest, &m, sizeof(m.address), -1);
	frontend_sync(&bad->guest);
	frontend_set_memory(&bad->guest, 0, FRONTEND_MEMORY); // again, and as short
	frontend_tell(&bad->guest, &m, sizeof(m.address), -1);
	frontend_sync(&bad->guest);
	rig_pass(good);
	assert_int_equal(poll_once(bad), 0);
	renew(bad);
	rig_free(bad);
	rig_free(good);
}

// What a migration writes down of the guest's pages is a file of the hypervisor, too.
static void log_gone(void **state)
{
	(void)state;
	sigaction(SIGBUS, &guard, NULL);
	struct rig *bad = rig_ready("bad", FRONTEND_ALL, 1);
	struct frontend *f = &bad->guest;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct frontend_message m = {.request = VHOST_SET_LOG_BASE, .log = {4096, 0}};
	assert_int_equal(ftruncate(fd, 4096), 0);
	frontend_tell(f, &m, sizeof(m.log), fd);
	assert_true(recv(f->socket, &m, sizeof(m), 0) >= 12);
	f->features |= FRONTEND_BIT(26); // VHOST_F_LOG_ALL
	frontend_number(f, VHOST_SET_FEATURES, f->features, -1);
	assert_int_equal(frontend_sync(f), 0);
	send_one(bad);
	assert_int_equal(ftruncate(fd, 0), 0);
	send_one(bad);
	expect_lost(bad);
	close(fd);
	renew(bad);
	rig_free(bad);
}

// What is no guest's ends the process as ever.
static void not_ours(void **state)
{
	(void)state;
	sigaction(SIGBUS, &guard, NULL);
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1);
	int status;
	pid_t child = fork();
	if (!child) {
		int fd = memfd_create("own", MFD_CLOEXEC);
		const volatile u8 *own = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		signal(SIGALRM, SIG_DFL);
		alarm(5); // a handler that returns for ever
		_exit(own[0]);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	child = fork();
	if (!child) {
		raise(SIGBUS);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	rig_free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_gone),
		cmocka_unit_test(buffers_gone),
		cmocka_unit_test(gone_for_messages),
		cmocka_unit_test(log_gone),
		cmocka_unit_test(not_ours),
	};
	signal(SIGBUS, SIG_DFL); // a sanitizer's handler would answer for what is not ours
	vhost_memory_guard();
	sigaction(SIGBUS, NULL, &guard);
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
