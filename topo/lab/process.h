// SPDX-License-Identifier: BSD-2-Clause
// process.h - the processes of a lab: daemons that outlive weftlab, commands that it waits for
#pragma once

#include <sys/types.h>

#include "topo/lab/lab.h"

/*
 * A daemon of a node is known by its name there. NODE/NAME.pid holds its id and is locked by it as
 * long as it lives, NODE/NAME.log is what it said. It is born in the node's namespace.
 */
struct daemon {
	const char *name;
	char *const *argv;
	char *const *env; // "KEY=VALUE" besides weftlab's own; NULL: none
	int out;          // its standard output; -1: the log
};

// Returns a pidfd, the caller's to close, or -errno. Journals first.
int process_start(struct lab *lab, struct node *node, const struct daemon *daemon);
// 0: it does not run.
pid_t process_pid(const struct lab *lab, const struct node *node, const char *name);
// Ends the process of a pid file by that signal, if it runs, and waits until it is gone.
int process_end(struct lab *lab, const char *pid_file, int signal);
// Kills a process and waits until it is gone.
int process_kill(struct lab *lab, pid_t pid);
// Until `fd` is readable. -ESRCH: the process of pidfd ended; -ETIMEDOUT; -EINTR: interrupted.
int process_wait(int fd, int pidfd, unsigned timeout_ms);
// Fills `why` with what a daemon said last. Returns -err.
int process_fail(
	struct lab *lab, const struct node *node, const char *name, int err, const char *what);

/*
 * Runs a command in the node's namespace (NULL: here) and waits. 0: it said 0; what it wrote to
 * standard output is in *out (the caller's; NULL: not wanted). Else its last words are in `why`.
 */
int process_run(struct lab *lab, const struct node *node, char *const *argv, char **out);

// A program that stands beside weftlab.
void process_beside(const char *program, char path[PATH_MAX]);

// From here on SIGINT and SIGTERM end waiting and are told by process_interrupted.
void process_catch_signals(void);
bool process_interrupted(void);
