// SPDX-License-Identifier: BSD-2-Clause
// process.c - daemons with a locked pid file, and commands
#include "topo/lab/process.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "topo/lab/journal.h"
#include "topo/lab/netns.h"

enum { KILL_WAIT_MS = 5000, QUOTE_MAX = 400 };

static volatile sig_atomic_t interrupted;
static sigset_t waiting_mask; // signals that may come while waiting

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

// Blocked except while waiting, so that none is lost between a look at the flag and a wait.
void process_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &waiting_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

bool process_interrupted(void)
{
	sigset_t pending;

	sigpending(&pending);
	return interrupted || sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM);
}

int process_wait(int fd, int pidfd, unsigned timeout_ms)
{
	struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
	struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	int n = ppoll(wait, 2, &timeout, &waiting_mask);

	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return wait[0].revents & POLLIN ? 0 : -ESRCH;
}

void process_beside(const char *program, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	if (snprintf(path, PATH_MAX, "%s%s%s", dirname(self), *program ? "/" : "", program) >=
		PATH_MAX)
		abort();
}

static void reset_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

// In the new process: the locked pid file stays open across exec.
static bool take_pid_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);

	return fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && dprintf(fd, "%d\n", getpid()) > 0;
}

static void become(char *const *argv, int in, int out, int err)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	reset_signals();
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void become_daemon(const struct daemon *daemon, const char *pid_file, const char *log_file)
{
	int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	for (char *const *env = daemon->env; env && *env; env++)
		putenv(*env);
	if (!take_pid_file(pid_file) || log < 0 || null < 0)
		_exit(126);
	become(daemon->argv, null, daemon->out < 0 ? log : daemon->out, log);
}

int process_start(struct lab *lab, struct node *node, const struct daemon *daemon)
{
	char netns[NAME_MAX], pid_file[PATH_MAX], log_file[PATH_MAX], file[NAME_MAX];
	int home, pidfd, err;
	pid_t pid;

	snprintf(file, sizeof(file), "%s.pid", daemon->name);
	node_path(lab, node, file, pid_file);
	snprintf(file, sizeof(file), "%s.log", daemon->name);
	node_path(lab, node, file, log_file);
	node_netns(lab, node, netns);
	err = journal_add(lab, "process", pid_file);
	home = err ? err : netns_enter(lab, netns);
	if (home < 0)
		return home;
	pid = fork();
	if (pid == 0)
		become_daemon(daemon, pid_file, log_file);
	netns_leave(home);
	pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0)
		return lab_fail(lab, errno, "cannot start %s: %m", daemon->name);
	return pidfd;
}

// The locked file of a live process, or -1.
static int open_live(const char *pid_file, pid_t *pid)
{
	int fd = open(pid_file, O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	*pid = 0;
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_SH | LOCK_NB) && read(fd, text, sizeof(text) - 1) > 0)
		*pid = atoi(text);
	if (*pid > 0)
		return fd;
	close(fd);
	return -1;
}

pid_t process_pid(const struct lab *lab, const struct node *node, const char *name)
{
	char file[NAME_MAX], path[PATH_MAX];
	pid_t pid;
	int fd;

	snprintf(file, sizeof(file), "%s.pid", name);
	node_path(lab, node, file, path);
	fd = open_live(path, &pid);
	if (fd >= 0)
		close(fd);
	return pid;
}

static int end_pidfd(struct lab *lab, int pidfd, pid_t pid, int signal)
{
	struct pollfd wait = {.fd = pidfd, .events = POLLIN};

	pidfd_send_signal(pidfd, signal, NULL, 0);
	return poll(&wait, 1, KILL_WAIT_MS) == 1
		       ? 0
		       : lab_fail(lab, ETIMEDOUT, "process %d does not end", (int)pid);
}

int process_kill(struct lab *lab, pid_t pid)
{
	int pidfd = pidfd_open(pid, 0);
	int err = pidfd < 0 ? 0 : end_pidfd(lab, pidfd, pid, SIGKILL);

	if (pidfd >= 0)
		close(pidfd);
	return err;
}

int process_end(struct lab *lab, const char *pid_file, int signal)
{
	int fd, pidfd, err = 0;
	pid_t pid;

	fd = open_live(pid_file, &pid);
	if (fd < 0)
		return 0;
	pidfd = pidfd_open(pid, 0);
	// Still locked: only now is it certain that the descriptor is not a successor's.
	if (pidfd >= 0 && flock(fd, LOCK_SH | LOCK_NB))
		err = end_pidfd(lab, pidfd, pid, signal);
	if (pidfd >= 0)
		close(pidfd);
	close(fd);
	return err;
}

// The end of a text without its last line breaks.
static void trim(char *text, size_t length)
{
	while (length && strchr("\r\n ", text[length - 1]))
		length--;
	text[length] = 0;
}

int process_fail(
	struct lab *lab, const struct node *node, const char *name, int err, const char *what)
{
	char file[NAME_MAX], path[PATH_MAX], tail[QUOTE_MAX + 1] = "", *line;
	ssize_t n = 0;
	off_t end;
	int fd;

	snprintf(file, sizeof(file), "%s.log", name);
	node_path(lab, node, file, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	if (fd >= 0) {
		n = pread(fd, tail, QUOTE_MAX, end > QUOTE_MAX ? end - QUOTE_MAX : 0);
		close(fd);
	}
	trim(tail, n > 0 ? (size_t)n : 0);
	line = strrchr(tail, '\n');
	return lab_fail(lab, err, "%s: %s %s%s%s", node->name, name, what, *tail ? ": " : "",
		line ? line + 1 : tail);
}

static char *read_back(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	if (!text || pread(fd, text, (size_t)size, 0) != size)
		abort();
	trim(text, (size_t)size);
	return text;
}

static pid_t spawn_command(char *const *argv, int out, int err)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	become(argv, open("/dev/null", O_RDONLY | O_CLOEXEC), out, err);
	return -1;
}

// Exit status, or -EINTR.
static int wait_command(pid_t pid)
{
	int pidfd = pidfd_open(pid, 0), status = 0, err;

	err = process_wait(pidfd, -1, 3600 * 1000u);
	if (err)
		kill(pid, SIGKILL);
	close(pidfd);
	waitpid(pid, &status, 0);
	if (err)
		return err;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int process_run(struct lab *lab, const struct node *node, char *const *argv, char **out)
{
	int said = memfd_create("out", MFD_CLOEXEC), wrong = memfd_create("err", MFD_CLOEXEC);
	int home = -1, status = 0;
	char netns[NAME_MAX], *text;
	pid_t pid;

	if (said < 0 || wrong < 0)
		abort();
	if (node) {
		node_netns(lab, node, netns);
		status = home = netns_enter(lab, netns);
	}
	if (status >= 0) {
		pid = spawn_command(argv, said, wrong);
		if (node)
			netns_leave(home);
		status = pid < 0 ? -errno : wait_command(pid);
		text = read_back(wrong);
		if (status == -EINTR)
			lab_fail(lab, EINTR, "interrupted");
		else if (status)
			lab_fail(lab, EREMOTEIO, "%s%s%s%s", node ? node->name : "",
				node ? ": " : "", *text ? text : basename(argv[0]),
				*text ? "" : " failed");
		free(text);
		status = status > 0 ? -EREMOTEIO : status;
	}
	if (!status && out)
		*out = read_back(said);
	close(said);
	close(wrong);
	return status;
}
