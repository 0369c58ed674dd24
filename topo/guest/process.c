// SPDX-License-Identifier: BSD-2-Clause
// process.c - the QEMU process of a guest: identity, detached start, end
#include "topo/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUIT_WAIT_MS 3000
#define KILL_WAIT_MS 5000

/* What failed in the new process, sent back through a pipe that a successful exec closes. */
struct failure {
	int err;
	char what[128];
};

/* Start time of a process in clock ticks, the other half of its identity; 0 when it does not run.
 */
static unsigned long long process_start(pid_t pid)
{
	unsigned long long start;
	char path[32], buf[1024];
	char *after, state;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	/* The second field is the program's name in parentheses and may hold anything. */
	after = strrchr(buf, ')');
	if (!after || sscanf(after + 1,
			      " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			      " %*d %*d %llu",
			      &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

/* The pid file holds "PID START". Called by the new process, which keeps both when it becomes QEMU.
 */
static int write_pid(const struct guest *guest)
{
	char path[GUEST_PATH_LEN];
	FILE *f;

	guest_path(guest, "pid", path);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "%d %llu\n", (int)getpid(), process_start(getpid()));
	return fclose(f) ? -errno : 0;
}

pid_t guest_pid(const struct guest *guest)
{
	unsigned long long start;
	char path[GUEST_PATH_LEN];
	int pid, fields;
	FILE *f;

	guest_path(guest, "pid", path);
	f = fopen(path, "re");
	if (!f)
		return 0;
	fields = fscanf(f, "%d %llu", &pid, &start);
	fclose(f);
	return fields == 2 && start && process_start(pid) == start ? pid : 0;
}

/* Both steps fill in the failure and return whether they went well. */
static bool enter_netns(const char *netns, struct failure *failure)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !setns(fd, CLONE_NEWNET))
		return true;
	failure->err = errno;
	snprintf(failure->what, sizeof(failure->what), "network namespace %s", netns);
	return false;
}

/* QEMU would make a tap that is not there: a guest that runs, attached to nothing. */
static bool has_tap(const char *tap, struct failure *failure)
{
	if (if_nametoindex(tap))
		return true;
	failure->err = errno;
	snprintf(failure->what, sizeof(failure->what), "tap %s", tap);
	return false;
}

/* Standard input and outputs: nothing, and the log. */
static int redirect(const struct guest *guest)
{
	char path[GUEST_PATH_LEN];
	int in, log;

	guest_path(guest, "qemu.log", path);
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (in < 0 || log < 0 || dup2(in, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return -errno;
	return 0;
}

/* In the new process; returns only when something failed. */
static void become_qemu(const struct guest *guest, const struct guest_spec *spec, char **argv,
	struct failure *failure)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD};
	sigset_t none;
	size_t i;

	if (spec->netns && !enter_netns(spec->netns, failure))
		return;
	if (spec->tap && !spec->qemu_net && !has_tap(spec->tap, failure))
		return;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(failure->what, sizeof(failure->what), "%s", guest->dir);
	failure->err = -redirect(guest);
	if (!failure->err)
		failure->err = -write_pid(guest);
	if (failure->err)
		return;
	/* A harness waits for its pipes to close; QEMU must not hold them. */
	if (!spec->keep_fds)
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execvp(argv[0], argv);
	failure->err = errno;
	snprintf(failure->what, sizeof(failure->what), "%s", argv[0]);
}

int guest_spawn(struct guest *guest, const struct guest_spec *spec, char **argv)
{
	struct failure failure = {0};
	int report[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return guest_fail(guest, errno, "pipe: %m");
	pid = fork();
	if (pid == 0) {
		/* The middle process ends at once, so that QEMU is nobody's child here. */
		setsid();
		pid = fork();
		if (pid)
			_exit(0);
		become_qemu(guest, spec, argv, &failure);
		_exit(write(report[1], &failure, sizeof(failure)) < 0);
	}
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return guest_fail(guest, errno, "fork: %m");
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	do {
		n = read(report[0], &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == (ssize_t)sizeof(failure))
		return guest_fail(guest, failure.err, "cannot start guest %s: %s: %s", guest->name,
			failure.what, strerror(failure.err));
	return 0;
}

static bool ended(int pidfd, int timeout_ms)
{
	struct pollfd wait = {.fd = pidfd, .events = POLLIN};

	return poll(&wait, 1, timeout_ms) == 1;
}

int guest_end(struct guest *guest)
{
	pid_t pid = guest_pid(guest);
	json_t *quit, *reply = NULL;
	int pidfd, err = 0;

	if (!pid)
		return 0;
	pidfd = pidfd_open(pid, 0);
	/* Asked again: only now is it certain that the descriptor is QEMU's and not a successor's.
	 */
	if (pidfd < 0 || guest_pid(guest) != pid) {
		if (pidfd >= 0)
			close(pidfd);
		return 0;
	}
	quit = json_pack("{s:s}", "execute", "quit");
	if (!guest_qmp_timed(guest, quit, 1000, &reply))
		ended(pidfd, QUIT_WAIT_MS);
	json_decref(quit);
	json_decref(reply);
	if (!ended(pidfd, 0)) {
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		if (!ended(pidfd, KILL_WAIT_MS))
			err = guest_fail(guest, ETIMEDOUT, "guest %s (pid %d) does not end",
				guest->name, (int)pid);
	}
	close(pidfd);
	return err;
}
