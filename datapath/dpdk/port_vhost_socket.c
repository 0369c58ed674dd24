// SPDX-License-Identifier: BSD-2-Clause
// Sockets of vhost-user ports, and the thread that waits for all of them.
//
// One turn is one connection accepted or one message, whatever a guest sends; nothing waits for a
// guest but the workers' way out of its rings.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	RETRY_NS = 200000000, // of connecting, and of accepting when there were no descriptors
	BACKLOG = 8,
};

// What an event is of, with the number of the port or guest.
enum { OF_TIMER, OF_PORT, OF_GUEST };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vhost_port *ports[VHOST_PORTS];
static struct vhost_guest *guests[VHOST_GUESTS];
static int events = -1, timer = -1;

static int watch(int fd, u32 kind, u32 number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (u64)kind << 32 | number};
	return epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void retry_later(void)
{
	struct itimerspec when = {.it_value.tv_nsec = RETRY_NS};
	timerfd_settime(timer, 0, &when, NULL);
}

// --- connections

static void let_in(struct vhost_port *vhost, int socket)
{
	u32 number = 0;
	while (number < VHOST_GUESTS && guests[number])
		number++;
	bool room = number < VHOST_GUESTS && vhost->connections < VHOST_PORT_GUESTS;
	struct vhost_guest *guest = room ? vhost_guest_new(vhost, number, socket) : NULL;
	if (!guest || watch(socket, OF_GUEST, number)) {
		if (guest)
			vhost_guest_free(guest);
		close(socket);
		return;
	}
	guests[number] = guest;
}

static void see_out(struct vhost_guest *guest)
{
	struct vhost_port *vhost = guest->port;
	guests[guest->number] = NULL;
	close(guest->socket);
	vhost_guest_free(guest);
	if (vhost->client)
		retry_later();
}

static bool no_descriptors(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static void accept_guest(struct vhost_port *vhost)
{
	int socket = accept4(vhost->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (socket >= 0) {
		let_in(vhost, socket);
	} else if (no_descriptors(errno)) { // who waits goes on waiting
		epoll_ctl(events, EPOLL_CTL_DEL, vhost->listener, NULL);
		vhost->deaf = true;
		retry_later();
	}
}

static void try_to_connect(struct vhost_port *vhost)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, vhost->path, sizeof(address.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (const void *)&address, sizeof(address))) {
		let_in(vhost, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	retry_later();
}

static void retry(void)
{
	u64 ticks;
	(void)!read(timer, &ticks, sizeof(ticks));
	for (u32 i = 0; i < VHOST_PORTS; i++) {
		struct vhost_port *vhost = ports[i];
		if (vhost && vhost->client && !vhost->connections)
			try_to_connect(vhost);
		if (vhost && vhost->deaf)
			vhost->deaf = watch(vhost->listener, OF_PORT, i) != 0;
	}
}

// --- the thread

// Its owner may have gone since the event was there.
static void turn(u32 kind, u32 number)
{
	struct vhost_guest *guest = kind == OF_GUEST ? guests[number] : NULL;
	struct vhost_port *vhost = kind == OF_PORT ? ports[number] : NULL;
	if (kind == OF_TIMER)
		retry();
	if (vhost && vhost->listener >= 0 && !vhost->deaf)
		accept_guest(vhost);
	if (guest && vhost_message_read(guest) < 0)
		see_out(guest);
}

static void *wait_for_all(void *unused)
{
	struct epoll_event event;
	(void)unused;
	for (;;) {
		if (epoll_wait(events, &event, 1, -1) != 1)
			continue;
		pthread_mutex_lock(&lock);
		turn((u32)(event.data.u64 >> 32), (u32)event.data.u64);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

// It stays as long as the process. Signals are for others; those of faults are not asked.
static int start_thread(void)
{
	static pthread_t thread;
	sigset_t all, before;
	if (events >= 0)
		return 0;
	vhost_memory_guard();
	events = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = events < 0 || timer < 0 || watch(timer, OF_TIMER, 0)
			    ? EMFILE
			    : pthread_create(&thread, NULL, wait_for_all, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error) {
		pthread_setname_np(thread, "vhost-events");
		return 0;
	}
	close(timer);
	close(events);
	events = timer = -1;
	return -error;
}

// --- ports

// 0: nobody listens; a socket that a dead process left is gone.
static int clear_path(const struct sockaddr_un *address, const char **why)
{
	struct stat status;
	if (lstat(address->sun_path, &status))
		return 0; // bind tells the rest
	*why = "a file is in the way of the socket: remove it";
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = connect(fd, (const void *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	*why = "another process listens on the socket: stop it, or use mode client";
	if (error != ECONNREFUSED)
		return -EADDRINUSE;
	*why = "the socket of a dead process cannot be removed";
	return unlink(address->sun_path) ? -errno : 0;
}

// Private until the daemon says who may connect.
static int listen_at(struct vhost_port *vhost, const char **why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, vhost->path, sizeof(address.sun_path));
	int error = clear_path(&address, why);
	if (error)
		return error;
	*why = "the socket cannot be made: check its directory";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	mode_t mask = umask(0177);
	error = bind(fd, (const void *)&address, sizeof(address)) ? -errno : 0;
	umask(mask);
	if (!error && (listen(fd, BACKLOG) || watch(fd, OF_PORT, vhost->number))) {
		error = -errno;
		unlink(vhost->path);
	}
	if (error)
		close(fd);
	else
		vhost->listener = fd;
	return error;
}

static int find_place(struct vhost_port *vhost, const char **why)
{
	u32 place = VHOST_PORTS;
	*why = "another port has this socket";
	for (u32 i = VHOST_PORTS; i--;) {
		if (!ports[i])
			place = i;
		else if (!strcmp(ports[i]->path, vhost->path))
			return -EADDRINUSE;
	}
	*why = "there are 512 vhost-user ports already: a weftd has no more";
	if (place == VHOST_PORTS)
		return -ENOSPC;
	vhost->number = place;
	return 0;
}

int vhost_socket_open(struct vhost_port *vhost, const char **why)
{
	pthread_mutex_lock(&lock);
	*why = "out of memory or descriptors";
	int error = start_thread();
	if (!error)
		error = find_place(vhost, why);
	if (!error && !vhost->client)
		error = listen_at(vhost, why);
	if (!error) {
		ports[vhost->number] = vhost;
		if (vhost->client)
			try_to_connect(vhost);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

void vhost_socket_close(struct vhost_port *vhost)
{
	pthread_mutex_lock(&lock);
	ports[vhost->number] = NULL;
	if (vhost->listener >= 0) {
		unlink(vhost->path);
		close(vhost->listener);
	}
	for (u32 i = 0; i < VHOST_GUESTS; i++)
		if (guests[i] && guests[i]->port == vhost)
			see_out(guests[i]);
	pthread_mutex_unlock(&lock);
}
