// SPDX-License-Identifier: BSD-2-Clause
// Dynamic tables across restarts: adopt what is pinned, convert another layout, publish, clean up.
//
// Until publish an earlier datapath works on what is pinned. Pins change only after every device
// has been switched, each by one rename: whenever weftd dies, the next one finds a whole table.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

#define for_each_dynamic_table(table) \
	for (u32 table = 0; table < WEFT_TABLE_count; table++) \
		if (table_infos[table].role == WEFT_DYNAMIC)

static bool is_new(const char *name)
{
	size_t length = strlen(name), suffix = strlen(EBPF_NEW);
	return length > suffix && strcmp(name + length - suffix, EBPF_NEW) == 0;
}

static bool is_table(const char *name, u32 table)
{
	size_t length = strlen(table_infos[table].name);
	return strncmp(name, table_infos[table].name, length) == 0 && name[length] == '-';
}

static bool is_current(const struct engine *engine, const char *name, u32 table)
{
	return is_table(name, table) &&
	       strcmp(strchr(name, '-') + 1, engine->tables[table].abi) == 0;
}

struct candidate {
	u32 table;
	struct ebpf_map map; // fd -1: none
	bool current;        // its layout is ours
};

// The best of several: our own layout, else the newest (ids grow).
static void consider(struct engine *engine, const char *name, void *context)
{
	struct candidate *best = context;
	struct ebpf_map map;
	char path[EBPF_PATH_BYTES];
	if (!is_table(name, best->table) || is_new(name))
		return;
	ebpf_pin_path(path, engine, "tables", "%s", name);
	int fd = bpf_obj_get(path);
	if (fd < 0 || ebpf_map_describe(&map, fd)) {
		log_warn("%s cannot be read as a table: %m", path);
		if (fd >= 0)
			close(fd);
		return;
	}
	bool current = is_current(engine, name, best->table);
	if (best->map.fd >= 0 && (best->current || (!current && best->map.id > map.id))) {
		close(fd);
		return;
	}
	if (best->map.fd >= 0)
		close(best->map.fd);
	best->map = map;
	best->current = current;
}

static bool same_shape(const struct ebpf_map *pinned, const struct bpf_map *wanted)
{
	return pinned->type == bpf_map__type(wanted) &&
	       pinned->key_bytes == bpf_map__key_size(wanted) &&
	       pinned->row_bytes == bpf_map__value_size(wanted) &&
	       pinned->capacity == bpf_map__max_entries(wanted) &&
	       pinned->flags == bpf_map__map_flags(wanted);
}

int ebpf_dynamic_open(struct engine *engine)
{
	for_each_dynamic_table(i)
	{
		struct ebpf_table *table = &engine->tables[i];
		struct candidate best = {.table = i, .map = {.fd = -1}};
		ebpf_pin_each(engine, "tables", consider, &best);
		if (best.map.fd < 0)
			continue;
		if (!best.current || !same_shape(&best.map, table->map)) {
			table->source_fd = best.map.fd;
			continue;
		}
		int error = bpf_map__reuse_fd(table->map, best.map.fd);
		close(best.map.fd);
		if (error)
			return error;
		table->adopted = true;
		log_debug("table %s: adopted", table_infos[i].name);
	}
	return 0;
}

void ebpf_dynamic_convert(struct engine *engine)
{
	for_each_dynamic_table(i)
	{
		struct ebpf_table *table = &engine->tables[i];
		struct ebpf_map source;
		if (table->source_fd < 0)
			continue;
		if (!ebpf_map_describe(&source, table->source_fd))
			ebpf_convert(table_infos[i].name, &source, &table->live);
		close(table->source_fd);
		table->source_fd = -1;
	}
}

static void remove_stale(struct engine *engine, const char *name, void *context)
{
	char path[EBPF_PATH_BYTES];
	(void)context;
	for_each_dynamic_table(i)
	{
		if (is_current(engine, name, i))
			return;
	}
	ebpf_pin_path(path, engine, "tables", "%s", name);
	if (unlink(path))
		log_warn("%s stays: %m", path);
	else
		log_info("removed the earlier table %s", name);
}

int ebpf_dynamic_publish(struct engine *engine)
{
	for_each_dynamic_table(i)
	{
		struct ebpf_table *table = &engine->tables[i];
		char path[EBPF_PATH_BYTES];
		if (table->adopted) // it is what is pinned
			continue;
		ebpf_pin_path(path, engine, "tables", "%s-%s", table_infos[i].name, table->abi);
		int error = ebpf_pin_replace(table->live.fd, path);
		if (error) {
			log_error("cannot pin %s: %s", path, strerror(-error));
			return error;
		}
	}
	ebpf_pin_each(engine, "tables", remove_stale, NULL);
	return 0;
}

static void remove_any(struct engine *engine, const char *name, void *context)
{
	char path[EBPF_PATH_BYTES];
	(void)context;
	ebpf_pin_path(path, engine, "tables", "%s", name);
	unlink(path);
}

void ebpf_dynamic_purge(struct engine *engine)
{
	ebpf_pin_each(engine, "tables", remove_any, NULL);
}
