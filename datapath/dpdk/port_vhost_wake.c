// SPDX-License-Identifier: BSD-2-Clause
// Waking a worker that sleeps: kicks of the guest, changes of its state, and a timer.
//
// Both descriptors in the epoll instance are edge-triggered, so waiting there once eats what has
// come. Nothing is ever read from the guest's descriptor: a read could block.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	VAIN_MAX = 64,       // a ring that gives nothing is then looked at by time
	RETRY_NS = 10000000, // 10 ms
};

static int add(struct vhost_wake *wake, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	return epoll_ctl(wake->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void set_timer(struct vhost_wake *wake, long nanoseconds)
{
	struct itimerspec when = {.it_value.tv_nsec = nanoseconds};
	timerfd_settime(wake->timer, 0, &when, NULL);
}

int vhost_wake_open(struct vhost_wake *wake)
{
	wake->kick = -1;
	wake->epoll = epoll_create1(EPOLL_CLOEXEC);
	wake->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (wake->epoll >= 0 && wake->timer >= 0 && !add(wake, wake->timer))
		return 0;
	return -errno; // close comes in any case
}

void vhost_wake_close(struct vhost_wake *wake)
{
	vhost_wake_set_kick(wake, -1);
	if (wake->timer >= 0)
		close(wake->timer);
	if (wake->epoll >= 0)
		close(wake->epoll);
}

// A duplicate of our own: the guest's is closed when a message says so, and the epoll instance
// would hold the guest's file on, with no number left to remove it by.
void vhost_wake_set_kick(struct vhost_wake *wake, int fd)
{
	if (wake->kick >= 0) {
		epoll_ctl(wake->epoll, EPOLL_CTL_DEL, wake->kick, NULL);
		close(wake->kick);
	}
	int kick = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (kick >= 0 && add(wake, kick)) { // a file that cannot be polled
		close(kick);
		kick = -1;
	}
	__atomic_store_n(&wake->kick, kick, __ATOMIC_RELEASE);
}

void vhost_wake_up(struct vhost_wake *wake)
{
	set_timer(wake, 1);
}

// Without memory frames wait and none can be had. The worker must sleep all the same; it looks
// again by time.
static bool frames_wait(struct vhost_wake *wake, bool waiting)
{
	wake->vain = waiting && !wake->got ? wake->vain + 1 : 0;
	wake->got = false;
	if (waiting && wake->vain <= VAIN_MAX)
		return true;
	if (waiting || __atomic_load_n(&wake->kick, __ATOMIC_ACQUIRE) < 0)
		set_timer(wake, RETRY_NS);
	return false;
}

bool vhost_arm(struct dpdk_port *port, u32 queue, bool on)
{
	struct vhost_port *vhost = port->driver_state;
	struct vhost_wake *wake = &vhost->wake[queue];
	struct epoll_event eaten[2];
	bool waiting = false;
	int guest = vhost_gate_enter(vhost, &vhost->rx_gate[queue]);
	if (guest >= 0) {
		struct guest_ring *ring = &vhost->rings[vhost_ring_from_guest(queue)];
		waiting = vring_arm(ring, on);
		if (unlikely(!vhost_ring_good(vhost, ring)))
			vhost_ring_settle(vhost, ring, 0);
		vhost_gate_leave(&vhost->rx_gate[queue]);
	}
	if (on)
		return guest >= 0 && frames_wait(wake, waiting);
	epoll_wait(wake->epoll, eaten, RTE_DIM(eaten), 0);
	return false;
}
