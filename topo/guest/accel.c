// SPDX-License-Identifier: BSD-2-Clause
// accel.c - KVM or TCG: does a guest really boot under KVM here? Tried once per machine and boot
#include "topo/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* /dev/kvm exists on machines where guests crawl; where it is real a boot takes less than a second.
 */
#define PROBE_MS 5000

/* The line that the answer is stored as: it holds until the machine boots again. */
static void cache_line(char *line, size_t size, const char *accel)
{
	char boot[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f) {
		if (!fgets(boot, sizeof(boot), f))
			boot[0] = 0;
		fclose(f);
	}
	boot[strcspn(boot, "\n")] = 0;
	snprintf(line, size, "%s %s\n", boot, accel);
}

/* The answer is about the machine, so all run roots share it; without the right to, each has its
 * own. */
static int open_cache(struct guest *guest)
{
	char path[GUEST_PATH_LEN];
	int fd;

	mkdir(GUEST_RUN_ROOT, 0700);
	fd = open(GUEST_RUN_ROOT "/.accel", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/.accel", guest->root);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	}
	return fd < 0 ? guest_fail(guest, errno, "cannot write in %s: %m", guest->root) : fd;
}

static void run_probe(const char *image, int out)
{
	char kernel[4096], initrd[4096];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", image);
	snprintf(initrd, sizeof(initrd), "%s/initrd", image);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(out, 1);
	dup2(null, 2);
	execlp(guest_qemu(), guest_qemu(), "-M", "q35,accel=kvm", "-cpu", "host", "-m", "128",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial",
		"stdio", "-kernel", kernel, "-initrd", initrd, "-append",
		"console=ttyS0 quiet panic=-1 weft.probe=1", (char *)NULL);
	_exit(127);
}

/* Wait for the probe, kill it when its time is up; true when it ended by itself with status 0. */
static bool probe_ended(pid_t pid)
{
	struct pollfd wait = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int64_t deadline_ns = guest_deadline_ns(PROBE_MS);
	int status, n;

	do {
		int64_t left_ms = (deadline_ns - guest_now_ns()) / 1000000;

		n = poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		kill(pid, SIGKILL);
	close(wait.fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return n == 1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool kvm_boots(const char *image)
{
	char text[65536];
	bool boots;
	ssize_t n;
	pid_t pid;
	FILE *out;

	out = tmpfile();
	if (!out)
		return false;
	pid = fork();
	if (pid == 0)
		run_probe(image, fileno(out));
	boots = pid > 0 && probe_ended(pid);
	n = pread(fileno(out), text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	fclose(out);
	return boots && strstr(text, "GUEST-PROBE-OK");
}

/* With the cache file locked: what it says, else what the probe says. */
static const char *cached_or_probed(int fd, const char *image)
{
	static const char *const answers[] = {"kvm", "tcg"};
	char line[80], found[80];
	const char *accel;
	ssize_t n;
	size_t i;

	n = pread(fd, found, sizeof(found) - 1, 0);
	found[n > 0 ? n : 0] = 0;
	for (i = 0; i < 2; i++) {
		cache_line(line, sizeof(line), answers[i]);
		if (!strcmp(found, line))
			return answers[i];
	}
	accel = kvm_boots(image) ? "kvm" : "tcg";
	cache_line(line, sizeof(line), accel);
	/* Not stored only means that the next start probes again. */
	if (ftruncate(fd, 0) || pwrite(fd, line, strlen(line), 0) < 0)
		return accel;
	return accel;
}

int guest_accel(struct guest *guest, const char *image, const char **accel)
{
	const char *wanted = getenv("WEFT_GUEST_ACCEL");
	char path[4096];
	int fd;

	if (wanted && *wanted) {
		if (strcmp(wanted, "kvm") && strcmp(wanted, "tcg"))
			return guest_fail(
				guest, EINVAL, "WEFT_GUEST_ACCEL is '%s': kvm or tcg", wanted);
		*accel = wanted;
		return 0;
	}
	*accel = "tcg";
	snprintf(path, sizeof(path), "%s/initrd", image);
	/* Without an image nothing was tried, and the start itself says what is missing. */
	if (access("/dev/kvm", R_OK | W_OK) || access(path, R_OK))
		return 0;
	fd = open_cache(guest);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX) && errno == EINTR)
		;
	*accel = cached_or_probed(fd, image);
	close(fd);
	return 0;
}
