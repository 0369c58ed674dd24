// SPDX-License-Identifier: BSD-2-Clause
// netns.c - named network namespaces; no mount namespace is ever made: all share the lab's bpffs
#include "topo/lab/netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topo/lab/journal.h"
#include "topo/lab/process.h"

#define OWN_NETNS "/proc/thread-self/ns/net"
// A process may fork while its namespace is swept.
enum { SWEEPS = 50 };

static void netns_path(const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "/run/netns/%s", name);
}

bool netns_exists(const char *name)
{
	char path[PATH_MAX];

	netns_path(name, path);
	return !access(path, F_OK);
}

int netns_open(struct lab *lab, const char *name)
{
	char path[PATH_MAX];
	int fd;

	netns_path(name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? lab_fail(lab, errno, "network namespace %s: %m", name) : fd;
}

int netns_enter(struct lab *lab, const char *name)
{
	int home, target = netns_open(lab, name);

	if (target < 0)
		return target;
	home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	if (home < 0 || setns(target, CLONE_NEWNET)) {
		lab_fail(lab, errno, "cannot enter network namespace %s: %m", name);
		if (home >= 0)
			close(home);
		home = -EPERM;
	}
	close(target);
	return home;
}

void netns_leave(int home)
{
	if (setns(home, CLONE_NEWNET))
		abort(); // nothing may go on in the wrong namespace
	close(home);
}

static int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

// As `ip netns` makes it: a mount of its own, shared. Made by that later, over namespaces of ours,
// it would hide their mounts, and they could not be removed.
static int make_folder(void)
{
	const char *folder = "/run/netns";

	mkdir(folder, 0755);
	if (!mount("", folder, "none", MS_SHARED | MS_REC, NULL))
		return 0;
	if (errno != EINVAL || mount(folder, folder, "none", MS_BIND | MS_REC, NULL))
		return -errno;
	return mount("", folder, "none", MS_SHARED | MS_REC, NULL) ? -errno : 0;
}

int netns_make(struct lab *lab, const char *name)
{
	int home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC), file, err;
	char path[PATH_MAX];

	netns_path(name, path);
	if (home < 0)
		return lab_fail(lab, errno, OWN_NETNS ": %m");
	// Known before the journal has it: what another lab made must not be undone by this one.
	err = netns_exists(name) ? lab_fail(lab, EEXIST,
					   "there is a network namespace %s already: remove it, or "
					   "give the lab another name",
					   name)
				 : journal_add(lab, "netns", name);
	if (err)
		goto close_home;
	if (make_folder()) {
		err = lab_fail(lab, errno, "cannot make /run/netns: %m");
		goto close_home;
	}
	file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0 || unshare(CLONE_NEWNET)) {
		err = lab_fail(lab, errno, "cannot make network namespace %s: %m", name);
	} else {
		if (mount(OWN_NETNS, path, "none", MS_BIND, NULL) || loopback_up())
			err = lab_fail(lab, errno, "cannot make network namespace %s: %m", name);
		setns(home, CLONE_NEWNET);
	}
	if (file >= 0)
		close(file);
close_home:
	close(home);
	return err;
}

static bool is_in(pid_t pid, const struct stat *netns)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return !stat(path, &st) && st.st_dev == netns->st_dev && st.st_ino == netns->st_ino;
}

// Kills what is in the namespace now. Returns how many there were, or -errno.
static int sweep(struct lab *lab, const struct stat *netns)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int found = 0, err = 0;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == getpid() || !is_in(pid, netns))
			continue;
		found++;
		err = process_kill(lab, pid);
	}
	if (proc)
		closedir(proc);
	return err ? err : found;
}

int netns_remove(struct lab *lab, const char *name)
{
	struct stat netns;
	char path[PATH_MAX];
	int found = 1;

	netns_path(name, path);
	if (lstat(path, &netns))
		return 0;
	for (int i = 0; i < SWEEPS && found > 0; i++)
		found = sweep(lab, &netns);
	if (found < 0)
		return found;
	while (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		;
	return unlink(path) ? lab_fail(lab, errno, "cannot remove %s: %m", path) : 0;
}
