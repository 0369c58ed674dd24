// SPDX-License-Identifier: BSD-2-Clause
// The directories of one weftd and the locks in them that tell a live weftd from what one left.

#include "daemon/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// Makes the directory and those above it. What exists keeps its mode.
static int make_dirs(const char *dir, unsigned mode)
{
	char path[PATH_MAX];
	struct stat st;

	if (strlen(dir) >= sizeof(path))
		return -ENAMETOOLONG;
	strcpy(path, dir);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(path, mode) == 0 && chmod(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int fail_taken(int lock, const char *what, const char *dir, struct failure *failure)
{
	char pid[32] = "";
	ssize_t length = read(lock, pid, sizeof(pid) - 1);

	pid[length > 0 ? (size_t)length : 0] = 0;
	pid[strspn(pid, "0123456789")] = 0;
	fail(failure, -EADDRINUSE, "taken", "another weftd (pid %s) holds the %s directory %s",
		pid[0] ? pid : "unknown", what, dir);
	return fail_hint(failure,
		"stop it, or give this one directories of its own (--run-dir, --state-dir)");
}

int lock_take(const char *dir, unsigned mode, const char *what, struct failure *failure)
{
	char path[PATH_MAX];
	char pid[32];
	int length, lock;
	int err = make_dirs(dir, mode);

	if (err)
		return fail(failure, err, "no_directory", "cannot make the %s directory %s: %s",
			what, dir, strerror(-err));
	if (snprintf(path, sizeof(path), "%s/weftd.lock", dir) >= (int)sizeof(path))
		return fail(failure, -ENAMETOOLONG, "no_directory",
			"the name of the %s directory is too long", what);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (lock < 0)
		return fail(failure, -errno, "no_directory",
			"cannot write in the %s directory %s: %s", what, dir, strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		err = fail_taken(lock, what, dir, failure);
		close(lock);
		return err;
	}
	length = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(lock, 0) < 0 || pwrite(lock, pid, (size_t)length, 0) != length) {
		err = fail(failure, -errno, "no_directory", "cannot write %s: %s", path,
			strerror(errno));
		close(lock);
		return err;
	}
	return lock;
}
