// SPDX-License-Identifier: BSD-2-Clause
// tool.h - what every test tool needs: a clock, namespaces, numbers, MACs, a command to run
#pragma once

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC  1000000000ull
#define NS_PER_MSEC 1000000ull

/* Exit codes of all tools: 0 as expected, 1 not as expected (deadline, loss), 2 cannot even try. */
enum { EXIT_UNMET = 1, EXIT_BROKEN = 2 };

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Enter /run/netns/NAME to open sockets and taps there; they stay in it after netns_leave(). */
static inline int netns_enter(const char *name)
{
	char path[PATH_MAX];
	int old, fd;

	if (!name)
		return -1;
	old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (old < 0)
		err(EXIT_BROKEN, "/proc/self/ns/net");
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(EXIT_BROKEN, "%s", path);
	close(fd);
	return old;
}

static inline void netns_leave(int old)
{
	if (old < 0)
		return;
	if (setns(old, CLONE_NEWNET))
		err(EXIT_BROKEN, "setns");
	close(old);
}

static inline unsigned long long parse_number(
	const char *what, const char *text, unsigned long long max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > max)
		errx(EXIT_BROKEN, "%s: a number up to %llu, not '%s'", what, max, text);
	return value;
}

static inline void parse_mac(const char *text, uint8_t mac[6])
{
	char rest;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0], &mac[1], &mac[2],
		    &mac[3], &mac[4], &mac[5], &rest) != 6)
		errx(EXIT_BROKEN, "'%s' is not a MAC address", text);
}

static inline void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(EXIT_BROKEN, "cannot run on cpu %d", cpu);
}

/* Start the command that the words after "--" name: the way to send once the receiver listens. */
static inline pid_t command_start(char **argv)
{
	pid_t pid;

	if (!argv || !argv[0])
		return 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(EXIT_BROKEN, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a sender without a receiver has nothing to do */
	execvp(argv[0], argv);
	warn("%s", argv[0]);
	_exit(127);
}

static inline void command_finish(pid_t pid)
{
	int status;

	if (!pid)
		return;
	if (waitpid(pid, &status, 0) != pid)
		err(EXIT_BROKEN, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		errx(EXIT_BROKEN, "the command failed (status 0x%x)", (unsigned int)status);
}
