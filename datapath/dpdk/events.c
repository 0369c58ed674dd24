// SPDX-License-Identifier: BSD-2-Clause
// One descriptor for weftd's loop, behind which are an eventfd, for ports, and a netlink socket.
#include "datapath/dpdk/events.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "datapath/dpdk/attach.h"
#include "datapath/netdev.h"

static bool watch(const struct engine *engine, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	return !epoll_ctl(engine->events_fd, EPOLL_CTL_ADD, fd, &event);
}

// Without CONFIG_ETHTOOL_NETLINK the kernel tells of no queues.
bool events_open(struct engine *engine)
{
	engine->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	engine->events_fd = epoll_create1(EPOLL_CLOEXEC);
	engine->queues_fd = netdev_watch_queues();
	return engine->event_fd >= 0 && engine->events_fd >= 0 && watch(engine, engine->event_fd) &&
	       (engine->queues_fd < 0 || watch(engine, engine->queues_fd));
}

void events_close(struct engine *engine)
{
	int fds[] = {engine->events_fd, engine->event_fd, engine->queues_fd};
	for (u32 i = 0; i < WEFT_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int events_fd(struct engine *engine)
{
	return engine->events_fd;
}

void events_read(struct engine *engine, void (*changed)(u32 port_id, void *context), void *context)
{
	u64 eaten;
	if (engine->queues_fd >= 0 && netdev_queues_changed(engine->queues_fd))
		attach_follow_queues(engine);
	if (read(engine->event_fd, &eaten, sizeof(eaten)) < 0)
		return;
	for (u32 id = 1; id < engine->port_capacity; id++)
		if (__atomic_exchange_n(&engine->changed[id], 0, __ATOMIC_ACQ_REL))
			changed(id, context);
}
