// SPDX-License-Identifier: BSD-2-Clause
// wakeup.c - the limit of a switch that sleeps: a process that sleeps in epoll on one core, woken
// by an eventfd from another, whose answer comes through memory

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "histogram.h"
#include "tool.h"

#define GAP_NS 10000 /* between two looks: what is longer proves nothing */

struct shared {
	_Alignas(128) _Atomic uint64_t answer;
};

static void sleeper(int kick, int cpu, struct shared *shared)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t count = 0;

	pin_to_cpu(cpu);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, kick, &event))
		err(EXIT_BROKEN, "epoll");
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			continue;
		shared->answer = ++count;
	}
}

/* One wake-up when it is due; ns until the answer was here. 0: somebody took our core meanwhile. */
static uint64_t wake(int kick, struct shared *shared, uint64_t due, uint64_t count)
{
	uint64_t begin, before, now;

	while ((begin = now_ns()) < due)
		;
	if (eventfd_write(kick, 1))
		err(EXIT_BROKEN, "eventfd");
	now = now_ns();
	do {
		before = now;
		now = now_ns();
	} while (shared->answer != count);
	return now - before > GAP_NS ? 0 : now - begin;
}

int main(int argc, char **argv)
{
	static struct histogram histogram;
	uint64_t gap, rounds, i, due, ns;
	struct shared *shared;
	int kick, cpu[2];
	pid_t pid;

	if (argc != 5) {
		fputs("wakeup CPU CPU MS COUNT: how long a wake-up takes from one core to the "
		      "other,\n"
		      "so far apart, so often; the first core never sleeps\n",
			stderr);
		return EXIT_BROKEN;
	}
	for (i = 0; i < 2; i++)
		cpu[i] = (int)parse_number("CPU", argv[1 + i], 1023);
	gap = parse_number("MS", argv[3], 10000) * NS_PER_MSEC;
	rounds = parse_number("COUNT", argv[4], 1000000);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kick < 0 || shared == MAP_FAILED)
		err(EXIT_BROKEN, "eventfd or memory");
	pid = fork();
	if (pid < 0)
		err(EXIT_BROKEN, "fork");
	if (!pid)
		sleeper(kick, cpu[1], shared);
	pin_to_cpu(cpu[0]);
	for (i = 1, due = now_ns() + gap; i <= rounds; i++, due = now_ns() + gap) {
		ns = wake(kick, shared, due, i);
		if (ns)
			histogram_add(&histogram, ns);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	putchar('{');
	histogram_print(&histogram, 1);
	puts("}");
	return 0;
}
