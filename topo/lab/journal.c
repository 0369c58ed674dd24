// SPDX-License-Identifier: BSD-2-Clause
// journal.c - what a lab made, and how each kind of thing is undone
#include "topo/lab/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topo/lab/client.h"
#include "topo/lab/netns.h"
#include "topo/lab/process.h"

static int undo_mount(struct lab *lab, const char *path)
{
	// What was mounted twice, or never.
	while (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		;
	return errno == EINVAL || errno == ENOENT
		       ? 0
		       : lab_fail(lab, errno, "cannot unmount %s: %m", path);
}

static int undo_process(struct lab *lab, const char *pid_file)
{
	return process_end(lab, pid_file, SIGKILL);
}

static int undo_nothing(struct lab *lab, const char *name)
{
	(void)lab, (void)name;
	return 0;
}

static const struct {
	const char *what;
	int (*undo)(struct lab *lab, const char *name);
} undos[] = {
	{"netns", netns_remove},
	{"mount", undo_mount},
	{"process", undo_process},
	{"guest", vm_stop},
	{"up", undo_nothing},
};

static void lab_path(const struct lab *lab, const char *file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", lab->dir, file);
}

/*
 * The lock file that still has its name, locked; or -errno. A record lock is this process's alone:
 * it dies with it, whatever its children do.
 */
static int take_lock(const struct lab *lab)
{
	struct flock all = {.l_type = F_WRLCK};
	struct stat locked, named;
	char path[PATH_MAX];
	int err, fd;

	lab_path(lab, ".lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = fcntl(fd, F_SETLK, &all) ? -EBUSY : 0;
	if (!err && (fstat(fd, &locked) || stat(path, &named) || locked.st_ino != named.st_ino))
		err = -ENOENT;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int open_journal(struct lab *lab)
{
	char path[PATH_MAX];

	lab_path(lab, ".journal", path);
	lab->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return lab->journal < 0 ? lab_fail(lab, errno, "cannot write %s: %m", path) : 0;
}

static int refuse_existing(struct lab *lab)
{
	if (journal_is_busy(lab))
		return lab_fail(
			lab, EBUSY, "lab %s is being built or taken down right now", lab->name);
	if (journal_is_up(lab))
		return lab_fail(lab, EEXIST, "lab %s runs already: `weftlab down %s` takes it down",
			lab->name, lab->name);
	return lab_fail(lab, EEXIST,
		"lab %s was left half built: `weftlab down %s` removes what is left", lab->name,
		lab->name);
}

int journal_new(struct lab *lab)
{
	if (mkdir(LAB_ROOT, 0755) && errno != EEXIST)
		return lab_fail(lab, errno, "cannot make " LAB_ROOT ": %m");
	if (mkdir(lab->dir, 0755))
		return errno == EEXIST ? refuse_existing(lab)
				       : lab_fail(lab, errno, "cannot make %s: %m", lab->dir);
	lab->lock = take_lock(lab);
	if (lab->lock < 0)
		return lab_fail(
			lab, -lab->lock, "cannot lock %s: %s", lab->dir, strerror(-lab->lock));
	return open_journal(lab);
}

int journal_open(struct lab *lab)
{
	lab->lock = take_lock(lab);
	if (lab->lock == -ENOENT)
		return lab_fail(
			lab, ENOENT, "there is no lab %s (`weftlab list` shows them)", lab->name);
	if (lab->lock < 0)
		return lab_fail(lab, -lab->lock, "lab %s is being built or taken down right now",
			lab->name);
	return open_journal(lab);
}

void journal_close(struct lab *lab)
{
	if (lab->journal >= 0)
		close(lab->journal);
	if (lab->lock >= 0)
		close(lab->lock);
	lab->journal = lab->lock = -1;
}

int journal_add(struct lab *lab, const char *what, const char *name)
{
	json_t *record = json_pack("{s:s, s:s}", "what", what, "name", name);
	char *line = json_dumps(record, JSON_COMPACT);
	size_t length = strlen(line);
	ssize_t written;

	json_decref(record);
	line[length] = '\n'; // where the NUL was: the length is what counts
	written = write(lab->journal, line, length + 1);
	free(line);
	return written == (ssize_t)length + 1
		       ? 0
		       : lab_fail(lab, EIO, "cannot write the journal of lab %s", lab->name);
}

// All records; half a line at the end was never acted upon.
static json_t *read_records(const struct lab *lab)
{
	json_t *records = json_array(), *record;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *in;

	lab_path(lab, ".journal", path);
	in = fopen(path, "re");
	while (in && getline(&line, &size, in) > 0) {
		record = json_loads(line, 0, NULL);
		if (record)
			json_array_append_new(records, record);
	}
	free(line);
	if (in)
		fclose(in);
	return records;
}

static int undo(struct lab *lab, const json_t *record)
{
	const char *what = json_string_value(json_object_get(record, "what"));
	const char *name = json_string_value(json_object_get(record, "name"));

	for (size_t i = 0; what && name && i < sizeof(undos) / sizeof(*undos); i++)
		if (!strcmp(what, undos[i].what))
			return undos[i].undo(lab, name);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int journal_undo(struct lab *lab)
{
	json_t *records = read_records(lab);
	char first[LAB_WHY_LEN];
	int err = 0;

	for (size_t i = json_array_size(records); i--;) {
		int failed = undo(lab, json_array_get(records, i));

		if (failed && !err) {
			err = failed;
			strcpy(first, lab->why);
		}
	}
	json_decref(records);
	if (err)
		return lab_fail(lab, -err, "%s", first);
	if (nftw(lab->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return lab_fail(lab, errno, "cannot remove %s: %m", lab->dir);
	rmdir(LAB_ROOT); // of the last lab
	return 0;
}

bool journal_is_up(const struct lab *lab)
{
	json_t *records = read_records(lab);
	const json_t *last = json_array_get(records, json_array_size(records) - 1);
	const char *what = json_string_value(json_object_get(last, "what"));
	bool up = what && !strcmp(what, "up");

	json_decref(records);
	return up;
}

bool journal_is_busy(const struct lab *lab)
{
	struct flock all = {.l_type = F_WRLCK};
	char path[PATH_MAX];
	bool busy;
	int fd;

	lab_path(lab, ".lock", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	busy = fd >= 0 && !fcntl(fd, F_GETLK, &all) && all.l_type != F_UNLCK;
	if (fd >= 0)
		close(fd);
	return busy;
}

static int is_lab(const struct dirent *entry)
{
	return name_is_good(entry->d_name);
}

json_t *journal_labs(void)
{
	json_t *labs = json_array();
	struct dirent **entries;
	int n = scandir(LAB_ROOT, &entries, is_lab, alphasort);

	for (int i = 0; i < n; i++) {
		json_array_append_new(labs, json_string(entries[i]->d_name));
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return labs;
}
