// SPDX-License-Identifier: BSD-2-Clause
// Files of tables: made, judged, mapped, copied.
#include "datapath/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <weft/log.h>
#include "datapath/table.h"

LOG_MODULE(keep);

enum {
	HEADER_BYTES = 4096,
	LAYOUT = 1, // of table.c's slots
	NAME_BYTES = 64,
};

struct header {
	char magic[16];
	u32 layout;
	u32 kind, key_bytes, row_bytes;
	char abi[17];
	char owner[47];
	char boot[48]; // time stamps are of its clock
	u64 capacity;
	u64 rows_bytes;
};

struct keep {
	int dir;
	char path[PATH_MAX];
	char owner[sizeof(((struct header *)0)->owner)];
	char boot[sizeof(((struct header *)0)->boot)];
	struct {
		u8 *memory;
		size_t bytes;
	} mapped[WEFT_TABLE_count];
};

// Rows per CPU are counters of a worker, and workers may be others next time.
bool keep_wants(enum weft_table table)
{
	return table_infos[table].role == WEFT_DYNAMIC &&
	       table_infos[table].kind != WEFT_TABLE_PER_CPU;
}

static u64 rows_bytes(enum weft_table table, u32 capacity)
{
	const struct table_info *info = &table_infos[table];
	return table_rows_bytes(info->kind, info->key_bytes, info->row_bytes, capacity);
}

static u64 file_bytes(enum weft_table table, u32 capacity)
{
	return HEADER_BYTES + ((rows_bytes(table, capacity) + 4095) & ~4095ull);
}

// --- the directory

static void read_boot(char *text, size_t bytes)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || !fgets(text, (int)bytes, file))
		text[0] = '\0';
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
}

static bool in_memory(int dir)
{
	struct statfs fs;
	return !fstatfs(dir, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static bool is_own(int fd, mode_t type)
{
	struct stat st;
	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

// What a disk had to write down would stop packets meanwhile. NULL: dir is good.
static const char *unfit(int dir)
{
	if (dir < 0)
		return strerror(errno);
	if (!in_memory(dir))
		return "it is not on a tmpfs";
	return is_own(dir, S_IFDIR) ? NULL : "others may write there";
}

struct keep *keep_open(const char *path, const char *owner)
{
	struct keep *keep = calloc(1, sizeof(*keep));
	if (!keep)
		abort();
	if (mkdir(path, 0700) && errno != EEXIST)
		log_debug("cannot make %s: %m", path);
	keep->dir = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const char *why = unfit(keep->dir);
	if (why) {
		log_warn("connections and what else is learned go with weftd: %s: %s", path, why);
		keep_close(keep);
		return NULL;
	}
	snprintf(keep->path, sizeof(keep->path), "%s", path);
	snprintf(keep->owner, sizeof(keep->owner), "%s", owner);
	read_boot(keep->boot, sizeof(keep->boot));
	return keep;
}

void keep_close(struct keep *keep)
{
	if (!keep)
		return;
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		if (keep->mapped[i].memory)
			munmap(keep->mapped[i].memory, keep->mapped[i].bytes);
	if (keep->dir >= 0)
		close(keep->dir);
	free(keep);
}

static const char *new_name(const char *name, char text[NAME_BYTES])
{
	snprintf(text, NAME_BYTES, "%s.new", name);
	return text;
}

void keep_remove(const char *path)
{
	int dir = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[NAME_BYTES];
	if (dir < 0)
		return;
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		unlinkat(dir, table_infos[i].name, 0);
		unlinkat(dir, new_name(table_infos[i].name, name), 0);
	}
	close(dir);
	if (rmdir(path))
		log_warn("%s stays: %m", path);
}

// --- a file

static struct header header_of(const struct keep *keep, enum weft_table table, u32 capacity)
{
	const struct table_info *info = &table_infos[table];
	struct header header;
	memset(&header, 0, sizeof(header)); // it is compared whole
	snprintf(header.magic, sizeof(header.magic), "weft table");
	header.layout = LAYOUT;
	header.kind = info->kind;
	header.key_bytes = info->key_bytes;
	header.row_bytes = info->row_bytes;
	table_abi(table, header.abi);
	memcpy(header.owner, keep->owner, sizeof(header.owner));
	memcpy(header.boot, keep->boot, sizeof(header.boot));
	header.capacity = capacity;
	header.rows_bytes = rows_bytes(table, capacity);
	return header;
}

// Every page is there from now on: none is missing when a packet wants it.
static u8 *map(int fd, size_t bytes)
{
	u8 *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (!madvise(memory, bytes, MADV_POPULATE_WRITE))
		return memory;
	munmap(memory, bytes);
	return NULL;
}

// NULL: it can be adopted, or, with another capacity than wanted, copied: *capacity is its own.
static const char *judge(const struct keep *keep, int fd, enum weft_table table, u32 *capacity)
{
	struct header found, wanted;
	struct stat st;
	if (!is_own(fd, S_IFREG))
		return "it is not weftd's own";
	if (fstat(fd, &st) || pread(fd, &found, sizeof(found), 0) != sizeof(found) ||
		memcmp(found.magic, "weft table", sizeof("weft table")) != 0)
		return "it is no table";
	if (found.capacity == 0 || found.capacity > UINT32_MAX / 2)
		return "it is damaged";
	wanted = header_of(keep, table, (u32)found.capacity);
	if (memcmp(found.owner, wanted.owner, sizeof(found.owner)) != 0)
		return "it is another weftd's";
	if (memcmp(found.boot, wanted.boot, sizeof(found.boot)) != 0)
		return "it is from before the machine was started";
	if (found.layout != wanted.layout || memcmp(found.abi, wanted.abi, sizeof(found.abi)) != 0)
		return "it is of another version of weftd";
	if (memcmp(&found, &wanted, sizeof(found)) != 0 ||
		(u64)st.st_size != file_bytes(table, (u32)found.capacity))
		return "it is damaged";
	*capacity = (u32)found.capacity;
	return NULL;
}

// What an earlier weftd has left; -1: nothing that can be used.
static int open_left(const struct keep *keep, enum weft_table table, u32 *capacity)
{
	int fd = openat(
		keep->dir, table_infos[table].name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return -1;
	const char *why = fd < 0 ? strerror(errno) : judge(keep, fd, table, capacity);
	if (!why)
		return fd;
	log_warn("%s/%s is discarded: %s", keep->path, table_infos[table].name, why);
	unlinkat(keep->dir, table_infos[table].name, 0); // the next one may need its room
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct table *table_at_file(
	struct keep *keep, enum weft_table table, u32 capacity, int fd, bool adopt)
{
	const struct table_info *info = &table_infos[table];
	size_t bytes = file_bytes(table, capacity);
	u8 *memory = map(fd, bytes);
	if (!memory)
		return NULL;
	keep->mapped[table].memory = memory;
	keep->mapped[table].bytes = bytes;
	return table_over(info->kind, info->key_bytes, info->row_bytes, capacity,
		memory + HEADER_BYTES, adopt);
}

static struct table *make(struct keep *keep, enum weft_table table, u32 capacity)
{
	char name[NAME_BYTES];
	struct header header = header_of(keep, table, capacity);
	struct table *made = NULL;
	unlinkat(keep->dir, new_name(table_infos[table].name, name), 0);
	int fd = openat(keep->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && !ftruncate(fd, (off_t)file_bytes(table, capacity)))
		made = table_at_file(keep, table, capacity, fd, false);
	if (made && pwrite(fd, &header, sizeof(header), 0) != sizeof(header)) {
		table_free(made);
		made = NULL;
	}
	if (!made)
		log_error("%s has no room for the table %s of %u rows", keep->path,
			table_infos[table].name, capacity);
	if (fd >= 0)
		close(fd);
	return made;
}

struct copy {
	struct table *to;
	u32 lost;
};

static int copy_row(const void *key, const void *row, void *context)
{
	struct copy *copy = context;
	copy->lost += table_put(copy->to, key, row) != 0;
	return 0;
}

// Rows of a table of another size.
static void copy(enum weft_table table, u32 capacity, int fd, struct table *to)
{
	const struct table_info *info = &table_infos[table];
	size_t bytes = file_bytes(table, capacity);
	struct copy c = {.to = to};
	u8 *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED) {
		log_warn("table %s: its rows cannot be read: %m", info->name);
		return;
	}
	struct table *from = table_over(info->kind, info->key_bytes, info->row_bytes, capacity,
		memory + HEADER_BYTES, true);
	table_walk(from, copy_row, &c);
	to->adopted = true;
	if (c.lost && info->kind == WEFT_TABLE_HASH)
		log_warn("table %s: %u rows have no room in the smaller one", info->name, c.lost);
	table_free(from);
	munmap(memory, bytes);
}

struct table *keep_table(struct keep *keep, enum weft_table table, u32 capacity)
{
	char name[NAME_BYTES];
	u32 left_capacity = 0;
	int left = open_left(keep, table, &left_capacity);
	struct table *made = NULL;
	if (left >= 0 && left_capacity == capacity)
		made = table_at_file(keep, table, capacity, left, true);
	if (made) {
		close(left);
		return made;
	}
	made = make(keep, table, capacity);
	if (made && left >= 0)
		copy(table, left_capacity, left, made);
	if (left >= 0)
		close(left);
	if (made && renameat(keep->dir, new_name(table_infos[table].name, name), keep->dir,
			    table_infos[table].name)) {
		log_warn("table %s goes with weftd: %m", table_infos[table].name);
		unlinkat(keep->dir, name, 0);
	}
	return made;
}

// --- room

// Bytes of the tables in dir (-1: there is none), and of those that are to be made.
static void count_bytes(int dir, const u32 capacity[WEFT_TABLE_count], u64 *present, u64 *wanted)
{
	*present = *wanted = 0;
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		struct stat st;
		u64 bytes = keep_wants(i) ? file_bytes(i, table_rows(i, capacity[i])) : 0;
		bool there = dir >= 0 &&
			     !fstatat(dir, table_infos[i].name, &st, AT_SYMLINK_NOFOLLOW) &&
			     (u64)st.st_size == bytes;
		*(there ? present : wanted) += bytes;
	}
}

// Of the directory, or of the first one above it that is there.
static u64 free_bytes(const char *path)
{
	char above[PATH_MAX];
	struct statfs fs;
	snprintf(above, sizeof(above), "%s", path);
	while (statfs(above, &fs)) {
		char *slash = strrchr(above, '/');
		if (!slash || slash == above || errno != ENOENT)
			return UINT64_MAX;
		*slash = '\0';
	}
	// Of no tmpfs nothing is taken, and one without a limit says 0.
	bool limited = fs.f_type == TMPFS_MAGIC && fs.f_blocks;
	return limited ? (u64)fs.f_bavail * (u64)fs.f_bsize : UINT64_MAX;
}

int keep_check(
	const char *path, const u32 capacity[WEFT_TABLE_count], u64 *present, const char **why)
{
	static char message[PATH_MAX + 256];
	int dir = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	u64 wanted, left = free_bytes(path);
	count_bytes(dir, capacity, present, &wanted);
	if (dir >= 0)
		close(dir);
	if (wanted <= left)
		return 0;
	snprintf(message, sizeof(message),
		"the tables that outlive weftd take %llu MiB more of %s, where %llu MiB are free: "
		"make that tmpfs larger (mount -o remount,size=N), or lower their capacities in "
		"the daemon's configuration",
		(unsigned long long)(wanted >> 20) + 1, path, (unsigned long long)(left >> 20));
	*why = message;
	return -ENOSPC;
}
