// SPDX-License-Identifier: BSD-2-Clause
// What the engine's tables will take of this host's memory, and what there is.
#include "daemon/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(memory);

enum { TEXT_BYTES = 512, WORTH_SAYING_BYTES = 1 << 20 };

void memory_config(
	const struct weftd *weftd, struct engine_config *config, char *pin_dir, char *keep_dir)
{
	const struct settings *settings = &weftd->settings;
	snprintf(pin_dir, PATH_MAX, "%s/weft/%s", settings->bpf_dir, weftd->uuid);
	snprintf(keep_dir, PATH_MAX, "%s/tables", settings->run_dir);
	*config = (struct engine_config){
		.pin_dir = pin_dir,
		.keep_dir = keep_dir,
		.owner = weftd->uuid,
		.flow_slots = settings->ebpf_flow_slots,
		.dpdk =
			{
				.cores = settings->dpdk.cores,
				.memory_mb = settings->dpdk.memory_mb,
				.pages = settings->dpdk.pages,
				.flow_slots = settings->dpdk.flow_slots,
				.spin_us = settings->dpdk.spin_us,
				.pci = settings->dpdk.pci,
			},
	};
	memcpy(config->capacity, settings->capacity, sizeof(config->capacity));
}

// --- what there is

static u64 read_number(const char *path) // all ones: no limit, or not known
{
	FILE *file = fopen(path, "re");
	unsigned long long number;
	bool read = file && fscanf(file, "%llu", &number) == 1;
	if (file)
		fclose(file);
	return read ? number : UINT64_MAX;
}

// The number of a line, as in "MemAvailable: %llu".
static bool read_line(const char *path, const char *format, unsigned long long *number)
{
	FILE *file = fopen(path, "re");
	char line[128];
	bool found = false;
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, format, number) == 1;
	if (file)
		fclose(file);
	return found;
}

static u64 machine_bytes(void)
{
	unsigned long long kib;
	return read_line("/proc/meminfo", "MemAvailable: %llu", &kib) ? kib << 10 : UINT64_MAX;
}

struct hierarchy { // of control groups
	const char *root, *most, *now, *cache;
};

// What the group holds for files nobody reads just now, it gives up when it needs room.
static u64 group_taken(const struct hierarchy *in, const char *group)
{
	char path[PATH_MAX + 64];
	unsigned long long cache = 0;
	snprintf(path, sizeof(path), "%s%s/%s", in->root, group, in->now);
	u64 now = read_number(path);
	snprintf(path, sizeof(path), "%s%s/memory.stat", in->root, group);
	read_line(path, in->cache, &cache);
	return now > cache ? now - cache : 0;
}

// Of a group (its path: none for the root) and those above it. Changes the path.
static u64 group_left(const struct hierarchy *in, char *group)
{
	char path[PATH_MAX + 64];
	u64 least = UINT64_MAX;
	for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
		*end = '\0';
		snprintf(path, sizeof(path), "%s%s/%s", in->root, group, in->most);
		u64 most = read_number(path);
		if (most == UINT64_MAX)
			continue;
		u64 taken = group_taken(in, group);
		u64 left = most > taken ? most - taken : 0;
		least = left < least ? left : least;
	}
	return least;
}

// Of weftd's group. A line is "N:CONTROLLERS:PATH"; v2 has no names of controllers there.
static u64 group_bytes(void)
{
	static const struct hierarchy v2 = {
		"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file %llu"};
	static const struct hierarchy v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
		"memory.usage_in_bytes", "total_inactive_file %llu"};
	char line[PATH_MAX];
	FILE *file = fopen("/proc/self/cgroup", "re");
	u64 least = UINT64_MAX;
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(++controllers, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		u64 left = UINT64_MAX;
		if (!*controllers)
			left = group_left(&v2, group);
		else if (strcmp(controllers, "memory") == 0)
			left = group_left(&v1, group);
		least = left < least ? left : least;
	}
	if (file)
		fclose(file);
	return least;
}

static u64 available_bytes(void)
{
	u64 machine = machine_bytes(), group = group_bytes();
	return machine < group ? machine : group;
}

// --- what is taken

static u64 sum(const struct engine_memory *memory)
{
	u64 bytes = memory->other;
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		bytes += memory->table[i];
	return bytes;
}

static unsigned long long mib(u64 bytes)
{
	return (bytes + (1 << 20) - 1) >> 20;
}

static int no_room_for_other(const struct weftd *weftd, const struct engine_memory *memory,
	u64 wanted, u64 available, struct failure *failure)
{
	bool dpdk = strcmp(weftd->engine_ops->name, "dpdk") == 0;
	fail(failure, -ENOMEM, "no_memory",
		"the engine takes %llu MiB more, %llu of them %s, and this host has %llu MiB: "
		"nothing was taken",
		mib(wanted), mib(memory->other), dpdk ? "frames and flow caches" : "flow caches",
		available >> 20);
	return fail_hint(failure, "lower %s in the daemon's configuration",
		dpdk ? "dpdk.memory_mb or dpdk.flow_slots" : "ebpf.flow_slots");
}

static int no_room(const struct weftd *weftd, const struct engine_memory *memory, u64 wanted,
	u64 available, struct failure *failure)
{
	u32 largest = 0;
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		if (memory->table[i] > memory->table[largest])
			largest = i;
	if (memory->other > memory->table[largest])
		return no_room_for_other(weftd, memory, wanted, available, failure);
	fail(failure, -ENOMEM, "no_memory",
		"the tables take %llu MiB more, %llu of them the table %s, and this host has %llu "
		"MiB: nothing was taken",
		mib(wanted), mib(memory->table[largest]), table_infos[largest].name,
		available >> 20);
	return fail_hint(failure, "lower the capacity of that table in the daemon's configuration");
}

static int judge(const struct weftd *weftd, const struct engine_config *config,
	struct engine_memory *memory, u64 *available, struct failure *failure)
{
	const char *why = NULL;
	int error = weftd->engine_ops->memory(config, memory, &why);
	u64 bytes = sum(memory);
	*available = available_bytes();
	if (error)
		return fail(failure, error, error == -ENOSPC ? "no_memory" : "engine_failed",
			"the %s engine does not start: %s", weftd->engine_ops->name,
			fail_reason(error, why));
	u64 wanted = bytes > memory->present ? bytes - memory->present : 0;
	return wanted <= *available ? 0 : no_room(weftd, memory, wanted, *available, failure);
}

// Tables of less than a MiB are one number.
static void log_tables(const struct engine_memory *memory, u64 available)
{
	char text[TEXT_BYTES] = "";
	size_t length = 0;
	u64 small = 0;
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		if (memory->table[i] < WORTH_SAYING_BYTES)
			small += memory->table[i];
		else if (length < sizeof(text))
			length += (size_t)snprintf(text + length, sizeof(text) - length,
				"%s %llu, ", table_infos[i].name, mib(memory->table[i]));
	}
	log_info("memory in MiB: %sother tables %llu, caches and frames %llu; in all %llu, %llu of "
		 "them there already, of %llu that are free",
		text, mib(small), mib(memory->other), mib(sum(memory)), mib(memory->present),
		available >> 20);
}

int memory_check(
	const struct weftd *weftd, const struct engine_config *config, struct failure *failure)
{
	struct engine_memory memory;
	u64 available;
	int error = judge(weftd, config, &memory, &available, failure);
	log_tables(&memory, available);
	return error;
}

int memory_print(struct weftd *weftd, FILE *file, struct failure *failure)
{
	struct engine_config config;
	struct engine_memory memory;
	char pin_dir[PATH_MAX], keep_dir[PATH_MAX];
	u64 available;
	memory_config(weftd, &config, pin_dir, keep_dir);
	int error = judge(weftd, &config, &memory, &available, failure);
	fprintf(file, "%-16s %10s %14s\n", "table", "rows", "bytes");
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		fprintf(file, "%-16s %10u %14llu\n", table_infos[i].name,
			table_rows(i, config.capacity[i]), (unsigned long long)memory.table[i]);
	fprintf(file, "%-27s %14llu\n", "caches and frames", (unsigned long long)memory.other);
	fprintf(file, "%-27s %14llu\n", "in all", (unsigned long long)sum(&memory));
	fprintf(file, "%-27s %14llu\n", "there already", (unsigned long long)memory.present);
	fprintf(file, "%-27s %14llu\n", "free on this host", (unsigned long long)available);
	return error;
}
