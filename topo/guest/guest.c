// SPDX-License-Identifier: BSD-2-Clause
// guest.c - a guest's life: name and directory, start, stop, what runs
#include "topo/guest/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define START_WAIT_MS 5000
/* How much of a log a sentence quotes. */
#define QUOTE_MAX 300

int64_t guest_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t guest_deadline_ns(unsigned int timeout_ms)
{
	return guest_now_ns() + (int64_t)timeout_ms * 1000000;
}

void guest_pause_ms(unsigned int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

int guest_fail(struct guest *guest, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(guest->why, sizeof(guest->why), format, args);
	va_end(args);
	return -err;
}

void guest_path(const struct guest *guest, const char *file, char path[GUEST_PATH_LEN])
{
	snprintf(path, GUEST_PATH_LEN, "%s/%s", guest->dir, file);
}

static bool name_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len && len < GUEST_NAME_LEN && !name[len] && !strchr("._-", name[0]);
}

int guest_open(struct guest *guest, const char *root, const char *name)
{
	memset(guest, 0, sizeof(*guest));
	if (!name_ok(name))
		return guest_fail(guest, EINVAL,
			"bad guest name '%s': a-z, 0-9, then also . _ -, at most %d", name,
			GUEST_NAME_LEN - 1);
	/* QEMU's options separate with commas. */
	if (root[0] != '/' || strpbrk(root, ", \t\n"))
		return guest_fail(guest, EINVAL,
			"run directory '%s' must be absolute, without commas or blanks", root);
	if (strlen(root) + 1 + strlen(name) >= sizeof(guest->dir))
		return guest_fail(guest, ENAMETOOLONG,
			"run directory '%s' is too long for sockets: use a shorter one", root);
	strcpy(guest->name, name);
	strcpy(guest->root, root);
	snprintf(guest->dir, sizeof(guest->dir), "%s/%s", root, name);
	return 0;
}

/* mkdir -p */
static int make_dirs(const char *path)
{
	char part[GUEST_DIR_LEN];
	size_t i;

	for (i = 1; path[i - 1]; i++) {
		if (path[i] != '/' && path[i])
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, 0700) && errno != EEXIST)
			return -errno;
		if (!path[i])
			break;
	}
	return 0;
}

/* One process at a time makes or removes guests in a run root. Close to unlock. */
static int lock_root(struct guest *guest)
{
	int fd = open(guest->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return guest_fail(guest, errno, "cannot open %s: %m", guest->root);
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR) {
			close(fd);
			return guest_fail(guest, errno, "cannot lock %s: %m", guest->root);
		}
	}
	return fd;
}

static int remove_dir(struct guest *guest)
{
	struct dirent *entry;
	DIR *dir = opendir(guest->dir);

	if (!dir)
		return errno == ENOENT ? 0 : guest_fail(guest, errno, "%s: %m", guest->dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	if (rmdir(guest->dir))
		return guest_fail(guest, errno, "cannot remove %s: %m", guest->dir);
	return 0;
}

/* The last `size` - 1 bytes of a file on one line; false when there are none. */
static bool file_tail(const char *path, char *buf, size_t size)
{
	ssize_t n = 0;
	off_t end;
	size_t i;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	end = lseek(fd, 0, SEEK_END);
	if (end > 0)
		n = pread(fd, buf, size - 1, end > (off_t)size - 1 ? end - (off_t)size + 1 : 0);
	close(fd);
	while (n > 0 && strchr("\r\n ", buf[n - 1]))
		n--;
	if (n <= 0)
		return false;
	buf[n] = 0;
	for (i = 0; buf[i]; i++)
		if ((unsigned char)buf[i] < ' ')
			buf[i] = buf[i] == '\n' ? ';' : ' ';
	return true;
}

int guest_died(struct guest *guest)
{
	char path[GUEST_PATH_LEN], tail[4096], *reason;

	guest_path(guest, "qemu.log", path);
	if (file_tail(path, tail, QUOTE_MAX))
		return guest_fail(
			guest, ESRCH, "guest %s ended: %.*s", guest->name, QUOTE_MAX, tail);
	guest_path(guest, "console.log", path);
	if (!file_tail(path, tail, sizeof(tail)))
		return guest_fail(guest, ESRCH, "guest %s does not run", guest->name);
	/* What matters of a panic comes before its pages of registers. */
	reason = strstr(tail, "Kernel panic");
	if (!reason)
		reason = strlen(tail) > QUOTE_MAX ? tail + strlen(tail) - QUOTE_MAX : tail;
	return guest_fail(
		guest, ESRCH, "guest %s ended; its console: %.*s", guest->name, QUOTE_MAX, reason);
}

/* Keep the exact QEMU words beside the guest, for whoever looks around. */
static void write_command(const struct guest *guest, char *const *argv)
{
	char path[GUEST_PATH_LEN];
	FILE *f;

	guest_path(guest, "command", path);
	f = fopen(path, "we");
	if (!f)
		return;
	for (; *argv; argv++)
		fprintf(f, strpbrk(*argv, " \t") ? "'%s'%s" : "%s%s", *argv, argv[1] ? " " : "\n");
	fclose(f);
}

static int make_and_spawn(struct guest *guest, const struct guest_spec *spec, char **argv)
{
	pid_t pid = guest_pid(guest);
	int err;

	if (pid)
		return guest_fail(guest, EEXIST, "guest %s runs already (pid %d): stop it first",
			guest->name, (int)pid);
	err = remove_dir(guest);
	if (err)
		return err;
	if (mkdir(guest->dir, 0700))
		return guest_fail(guest, errno, "cannot make %s: %m", guest->dir);
	write_command(guest, argv);
	err = guest_spawn(guest, spec, argv);
	if (err) {
		char why[GUEST_WHY_LEN];

		memcpy(why, guest->why, sizeof(why));
		remove_dir(guest);
		memcpy(guest->why, why, sizeof(why));
	}
	return err;
}

/* Until QEMU has set itself up, which attaches the NIC. */
static int wait_for_qemu(struct guest *guest)
{
	int64_t deadline_ns = guest_deadline_ns(START_WAIT_MS);
	int err;

	while (guest_pid(guest)) {
		if (!guest_qmp_greeting(guest, deadline_ns))
			return 0;
		if (guest_now_ns() > deadline_ns)
			return 0;
		guest_pause_ms(20);
	}
	err = guest_died(guest);
	remove_dir(guest);
	return err;
}

int guest_start(struct guest *guest, const struct guest_spec *spec)
{
	struct words words = {0};
	const char *accel;
	int err, lock;

	err = make_dirs(guest->root);
	if (err)
		return guest_fail(guest, -err, "cannot make %s: %s", guest->root, strerror(-err));
	err = guest_accel(guest, spec->image, &accel);
	if (err)
		return err;
	err = guest_words(guest, spec, accel, &words);
	if (err)
		goto free_words;
	lock = err = lock_root(guest);
	if (err < 0)
		goto free_words;
	err = make_and_spawn(guest, spec, words.list);
	close(lock);
	if (!err)
		err = wait_for_qemu(guest);
free_words:
	words_free(&words);
	return err;
}

int guest_stop(struct guest *guest)
{
	int err, lock;

	if (access(guest->dir, F_OK))
		return guest_fail(guest, ENOENT, "no guest %s in %s", guest->name, guest->root);
	err = guest_end(guest);
	if (err)
		return err;
	lock = lock_root(guest);
	if (lock < 0)
		return lock;
	/* Whoever started a new one of that name in between owns the directory now. */
	err = guest_pid(guest) ? 0 : remove_dir(guest);
	close(lock);
	return err;
}

static int is_guest(const struct dirent *entry)
{
	return name_ok(entry->d_name);
}

int guest_list(const char *root, char ***names)
{
	struct dirent **entries;
	int i, n, kept = 0;

	n = scandir(root, &entries, is_guest, alphasort);
	if (n < 0 && errno != ENOENT)
		return -errno;
	*names = calloc((size_t)(n > 0 ? n : 0) + 1, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (entries[i]->d_type == DT_DIR) {
			(*names)[kept] = strdup(entries[i]->d_name);
			kept += (*names)[kept] != NULL;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return 0;
}
