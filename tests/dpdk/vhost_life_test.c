// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver's wake-ups under load, and guests that come, go and die in mid-traffic.

#include "tests/dpdk/vhost_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { WAKES = 10000, KILLS = 15 };

static void pass_frame(struct rig *rig)
{
	u8 bytes[64] = {1};
	frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes));
	rte_pktmbuf_free(rig_receive(rig, 0));
}

static void guest_restarts(void **state)
{
	(void)state;
	struct rig *rig = rig_new("restarts");
	const char *why;
	int wake;
	assert_int_equal(rig_open(rig, false, 2, &why), 0);
	wake = rig->port.wake_fd[1];
	rig_expect(rig, 0, "no guest is connected to the socket");
	for (u32 i = 0; i < 50; i++) {
		frontend_connect(&rig->guest, rig->path);
		frontend_sync(&rig->guest);
		rig_expect(rig, 0, "the guest's driver has not started");
		frontend_start(&rig->guest, FRONTEND_ALL, 2);
		pass_frame(rig);
		assert_int_equal(frontend_stop(&rig->guest), 0);
		rig_expect(rig, 0, "the guest's driver has not started");
		frontend_start(&rig->guest, FRONTEND_ALL, 2);
		pass_frame(rig);
		frontend_hang_up(&rig->guest);
		if (i & 1) // else the next guest may come before this one was seen to go
			rig_until(rig->port.rx_queues == 0 &&
				  !((struct vhost_port *)rig->port.driver_state)->connections);
		else
			rig_until(rig->port.rx_queues == 0);
		assert_int_equal(rig->port.wake_fd[1], wake);
	}
	rig_free(rig);
}

// A guest may be back before its end was seen, or a second one come by mistake.
static void guest_waits(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("waits", FRONTEND_ALL, 2);
	struct frontend first = rig->guest;
	frontend_init(&rig->guest);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
	rig_expect(rig, 2, NULL);
	frontend_free(&first);
	rig_until(rig->port.rx_queues == 1);
	pass_frame(rig);
	rig_free(rig);
}

static void weft_connects(void **state)
{
	(void)state;
	struct rig *rig = rig_new("connects");
	const char *why;
	assert_int_equal(rig_open(rig, true, 1, &why), 0);
	rig_expect(rig, 0, "no hypervisor listens on the socket");
	for (u32 i = 0; i < 3; i++) {
		int listener = frontend_listen(rig->path);
		frontend_accept(&rig->guest, listener);
		assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
		pass_frame(rig);
		close(listener);
		unlink(rig->path);
		frontend_hang_up(&rig->guest);
		rig_until(rig->port.rx_queues == 0);
	}
	rig_free(rig);
}

struct sender {
	struct frontend *guest;
	u32 asked, sent;
	pthread_t thread;
};

// So that the frame comes at any point of the other's way to sleep, on one core or two.
static void pause_a_little(void)
{
	if (rig_number() & 1)
		sched_yield();
	for (u32 spin = rig_number() % 64; spin; spin--)
		rte_pause();
}

static void *send_when_asked(void *context)
{
	struct sender *s = context;
	u8 bytes[64] = {0};
	while (s->sent < WAKES) {
		while (__atomic_load_n(&s->asked, __ATOMIC_ACQUIRE) == s->sent)
			sched_yield();
		pause_a_little();
		while (!frontend_send(s->guest, 0, NULL, bytes, sizeof(bytes)))
			sched_yield();
		s->sent++;
	}
	return NULL;
}

static void wake_with(u64 features)
{
	struct rig *rig = rig_ready("wake", features, 1);
	struct sender s = {.guest = &rig->guest, .asked = 2}; // ahead of the other
	struct epoll_event event = {.events = EPOLLIN};
	struct rte_mbuf *m;
	u32 slept = 0;
	int outer = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, rig->port.wake_fd[0], &event), 0);
	assert_int_equal(pthread_create(&s.thread, NULL, send_when_asked, &s), 0);
	for (u32 i = 0; i < WAKES; i++) {
		while (!dpdk_vhost.rx(&rig->port, 0, &m, 1)) {
			pause_a_little();
			if (dpdk_vhost.arm(&rig->port, 0, true))
				continue;
			slept++;
			assert_int_equal(epoll_wait(outer, &event, 1, 5000), 1);
			dpdk_vhost.arm(&rig->port, 0, false);
		}
		rte_pktmbuf_free(m);
		__atomic_add_fetch(&s.asked, 1, __ATOMIC_RELEASE);
	}
	pthread_join(s.thread, NULL);
	// Nothing is left that wakes.
	dpdk_vhost.arm(&rig->port, 0, false);
	assert_int_equal(epoll_wait(outer, &event, 1, 0), 0);
	print_message("slept %u times\n", slept);
	assert_true(slept > WAKES / 100);
	close(outer);
	rig_free(rig);
}

// A frame that came without a kick, before the worker asked for one.
static void frame_before_arm(u64 features)
{
	struct rig *rig = rig_ready("before", features, 1);
	struct pollfd wait = {.fd = rig->port.wake_fd[0], .events = POLLIN};
	u8 bytes[64] = {0};
	for (u32 i = 0; i < 100; i++) {
		assert_false(dpdk_vhost.arm(&rig->port, 0, true));
		frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes));
		assert_int_equal(poll(&wait, 1, FRONTEND_DEADLINE_MS), 1);
		dpdk_vhost.arm(&rig->port, 0, false);
		rte_pktmbuf_free(rig_receive(rig, 0));
		frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes));
		assert_int_equal(poll(&wait, 1, 0), 0);
		assert_true(dpdk_vhost.arm(&rig->port, 0, true));
		dpdk_vhost.arm(&rig->port, 0, false);
		rte_pktmbuf_free(rig_receive(rig, 0));
	}
	rig_free(rig);
}

static void wakes(void **state)
{
	(void)state;
	frame_before_arm(FRONTEND_ALL);
	frame_before_arm(FRONTEND_PLAIN);
	wake_with(FRONTEND_ALL);
	wake_with(FRONTEND_PLAIN); // no EVENT_IDX
}

// A sleeping worker is told that a guest came, whatever its ring says.
static void wakes_by_state(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("state", FRONTEND_ALL, 1);
	struct pollfd wait = {.fd = rig->port.wake_fd[0], .events = POLLIN};
	dpdk_vhost.arm(&rig->port, 0, false);
	assert_int_equal(poll(&wait, 1, 0), 0);
	frontend_hang_up(&rig->guest);
	assert_int_equal(poll(&wait, 1, FRONTEND_DEADLINE_MS), 1);
	rig_gone(rig);
	dpdk_vhost.arm(&rig->port, 0, false);
	frontend_connect(&rig->guest, rig->path);
	frontend_start(&rig->guest, FRONTEND_ALL, 1);
	assert_int_equal(poll(&wait, 1, FRONTEND_DEADLINE_MS), 1);
	rig_free(rig);
}

// Guests that are killed while frames go both ways.

struct worker {
	struct rig *rig;
	bool stop;
	u64 frames;
	pthread_t thread;
};

static void *work(void *context)
{
	struct worker *w = context;
	struct rte_mbuf *frames[DPDK_BURST];
	rte_thread_register();
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		u32 count = dpdk_vhost.rx(&w->rig->port, 0, frames, DPDK_BURST);
		u32 sent = dpdk_vhost.tx(&w->rig->port, 0, frames, count);
		rte_pktmbuf_free_bulk(frames + sent, count - sent);
		__atomic_add_fetch(&w->frames, count, __ATOMIC_RELEASE);
		if (!count && !dpdk_vhost.arm(&w->rig->port, 0, true)) {
			struct pollfd wait = {.fd = w->rig->port.wake_fd[0], .events = POLLIN};
			poll(&wait, 1, 100);
			dpdk_vhost.arm(&w->rig->port, 0, false);
		}
	}
	rte_thread_unregister();
	return NULL;
}

static void blast(const char *path)
{
	struct frontend f;
	u8 bytes[1500] = {0};
	frontend_init(&f);
	frontend_connect(&f, path);
	frontend_start(&f, FRONTEND_ALL, 1);
	for (;;) {
		f.ring[0].used = f.ring[0].vring.used->idx;
		frontend_fill(&f, 0);
		if (!frontend_send(&f, 0, NULL, bytes, sizeof(bytes)))
			sched_yield();
	}
}

static void killed(void **state)
{
	(void)state;
	struct rig *rig = rig_new("killed");
	struct worker w = {.rig = rig};
	const char *why;
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	assert_int_equal(pthread_create(&w.thread, NULL, work, &w), 0);
	for (u32 i = 0; i < KILLS; i++) {
		u64 before = __atomic_load_n(&w.frames, __ATOMIC_ACQUIRE);
		pid_t child = fork();
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			blast(rig->path);
		}
		rig_until(__atomic_load_n(&w.frames, __ATOMIC_ACQUIRE) > before + 1000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	rig_until(rig->port.rx_queues == 0);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	pthread_join(w.thread, NULL);
	print_message("%llu frames\n", w.frames);
	rig_free(rig);
}

// The thread of messages, which would free the guest, stands while a worker is inside.
static void gates(void **state)
{
	(void)state;
	struct rig *other = rig_ready("other", FRONTEND_ALL, 1);
	struct frontend_message m = {.request = VHOST_GET_FEATURES};
	struct pollfd answer = {.fd = other->guest.socket, .events = POLLIN};
	for (u32 i = 0; i < 2; i++) {
		struct rig *rig = rig_ready("gates", FRONTEND_ALL, 1);
		struct vhost_port *vhost = rig->port.driver_state;
		struct vhost_gate *gate = i ? &vhost->tx_gate[0] : &vhost->rx_gate[0];
		assert_true(vhost_gate_enter(vhost, gate) >= 0);
		frontend_hang_up(&rig->guest);
		rig_until(rig->port.rx_queues == 0);
		frontend_tell(&other->guest, &m, 0, -1);
		assert_int_equal(poll(&answer, 1, 200), 0);
		vhost_gate_leave(gate);
		assert_int_equal(poll(&answer, 1, FRONTEND_DEADLINE_MS), 1);
		assert_true(recv(other->guest.socket, &m, sizeof(m), 0) > 0);
		assert_int_equal(vhost_gate_enter(vhost, gate), -1);
		rig_free(rig);
	}
	rig_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_restarts),
		cmocka_unit_test(guest_waits),
		cmocka_unit_test(weft_connects),
		cmocka_unit_test(wakes),
		cmocka_unit_test(wakes_by_state),
		cmocka_unit_test(killed),
		cmocka_unit_test(gates),
	};
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
