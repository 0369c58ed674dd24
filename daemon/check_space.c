// SPDX-License-Identifier: BSD-2-Clause
// The network namespace of checks: a thread that is in it makes the sockets, weftd's own one uses
// them. It has no name and no pin: with weftd it goes, and the device into it.
//
// To make a namespace takes CAP_SYS_ADMIN, which weftd drops: so the thread begins before that, and
// drops everything itself once it is where it is to be.
#include <cap-ng.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/check.h"
#include "daemon/netlink.h"

struct order {
	u32 token;
	int family, type;
};

struct delivery {
	u32 token;
	int fd; // -errno: none
};

struct check_space {
	pthread_t thread;
	sem_t ready;
	int namespace;
	struct nl_sock *netlink;
	int weftd, maker; // ends of the pair
	struct event *delivered;
	check_socket_fn *fn;
	void *context;
	const char *why;
};

static const char *enter(struct check_space *s)
{
	int error;
	if (unshare(CLONE_NEWNET))
		return errno == EPERM ? "weftd was started without CAP_SYS_ADMIN"
				      : "the kernel gives weftd no network namespace";
	s->namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->namespace < 0)
		return "/proc says nothing of weftd's network namespace";
	s->netlink = netlink_open(NULL, &error);
	return s->netlink ? NULL : "the kernel does not listen in the network namespace";
}

static void *maker(void *context)
{
	struct check_space *s = context;
	struct order order;
	pthread_setname_np(pthread_self(), "weft-checks");
	s->why = enter(s);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 && !s->why)
		s->why = "the thread of checks cannot drop its capabilities";
	const char *why = s->why;
	sem_post(&s->ready);
	while (!why && recv(s->maker, &order, sizeof(order), 0) == sizeof(order)) {
		int fd = socket(order.family, order.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		struct delivery delivery = {order.token, fd < 0 ? -errno : fd};
		if (send(s->maker, &delivery, sizeof(delivery), MSG_NOSIGNAL) < 0 && fd >= 0)
			close(fd);
	}
	return NULL;
}

static void on_delivered(evutil_socket_t fd, short what, void *context)
{
	struct check_space *s = context;
	struct delivery delivery;
	(void)what;
	while (recv(fd, &delivery, sizeof(delivery), MSG_DONTWAIT) == sizeof(delivery))
		s->fn(s->context, delivery.token, delivery.fd);
}

// Signals are the event loop's.
static bool start_thread(struct check_space *s)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(&s->thread, NULL, maker, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	while (!error && sem_wait(&s->ready))
		;
	return !error;
}

struct check_space *check_space_open(
	struct event_base *base, check_socket_fn *fn, void *context, const char **why)
{
	struct check_space *s = calloc(1, sizeof(*s));
	int pair[2];
	if (!s)
		abort();
	*s = (struct check_space){.fn = fn, .context = context, .namespace = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(s);
		*why = "there are no descriptors left";
		return NULL;
	}
	s->weftd = pair[0];
	s->maker = pair[1];
	sem_init(&s->ready, 0, 0);
	s->delivered = event_new(base, s->weftd, EV_READ | EV_PERSIST, on_delivered, s);
	if (!s->delivered || event_add(s->delivered, NULL))
		abort();
	*why = NULL;
	if (!start_thread(s)) {
		s->thread = 0;
		*why = "the kernel gives weftd no thread";
	} else {
		*why = s->why;
	}
	if (!*why)
		return s;
	check_space_close(s);
	return NULL;
}

void check_space_close(struct check_space *s)
{
	if (!s)
		return;
	struct delivery late;
	shutdown(s->weftd, SHUT_RDWR);
	if (s->thread)
		pthread_join(s->thread, NULL);
	while (recv(s->weftd, &late, sizeof(late), MSG_DONTWAIT) == sizeof(late)) {
		if (late.fd >= 0)
			close(late.fd);
	}
	event_free(s->delivered);
	nl_socket_free(s->netlink);
	if (s->namespace >= 0)
		close(s->namespace);
	close(s->weftd);
	close(s->maker);
	sem_destroy(&s->ready);
	free(s);
}

int check_space_fd(const struct check_space *s)
{
	return s->namespace;
}

struct nl_sock *check_space_netlink(const struct check_space *s)
{
	return s->netlink;
}

int check_space_socket(struct check_space *s, u32 token, int family, int type)
{
	struct order order = {token, family, type};
	ssize_t sent = send(s->weftd, &order, sizeof(order), MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent == sizeof(order) ? 0 : -EAGAIN;
}
