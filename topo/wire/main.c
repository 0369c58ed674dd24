// SPDX-License-Identifier: BSD-2-Clause
// main.c - weft-wire: a wire with delay, loss and rate between two network namespaces
#include "topo/wire/wire.h"

#include <err.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int catch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN); /* nobody has to read the counters */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A wire does not wait its turn behind those who send over it: better delays, if we may. */
static void prefer_timeliness(void)
{
	setpriority(PRIO_PROCESS, 0, -15);
	prctl(PR_SET_TIMERSLACK, 1ul);
}

/* Relaying needs the open descriptors and nothing else. */
static void drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none))
		err(WIRE_FAILED, "cannot drop privileges");
}

static void say_ready(const struct wire_spec *spec)
{
	static const char line[] = "ready\n";
	int fd = spec->ready_fd < 0 ? STDOUT_FILENO : spec->ready_fd;

	if (write(fd, line, sizeof(line) - 1) < 0)
		err(WIRE_FAILED, "cannot say that it is ready");
	if (spec->ready_fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	static struct wire_spec spec;
	struct end end[2];
	int i, signals;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") && strcmp(argv[i], "-h"))
			continue;
		fputs(wire_usage, stdout);
		return WIRE_DONE;
	}
	words_parse(argv + 1, &spec);
	signals = catch_signals();
	prefer_timeliness();
	end_open(&end[0], &spec.end[0], spec.mtu);
	end_open(&end[1], &spec.end[1], spec.mtu);
	drop_privileges();
	return relay_run(&spec, end, signals, say_ready);
}
