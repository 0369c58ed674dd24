// SPDX-License-Identifier: BSD-2-Clause
// What the maps take of the kernel's memory, before they are made.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft_tc.skel.h"

// Of Linux: struct htab_elem before its key, struct bucket, a pointer to a row per CPU.
enum { ELEMENT_BYTES = 48, BUCKET_BYTES = 16, POINTER_BYTES = 8 };

static u64 round_up(u64 bytes)
{
	return (bytes + 7) & ~7ull;
}

static u64 buckets_of(u64 rows)
{
	u64 buckets = 1;
	while (buckets < rows)
		buckets *= 2;
	return buckets;
}

u64 ebpf_map_bytes(u32 type, u32 key_bytes, u32 row_bytes, u64 rows)
{
	u64 cpus = (u64)libbpf_num_possible_cpus(), row = round_up(row_bytes);
	switch (type) {
	case BPF_MAP_TYPE_HASH: // with a row more for each CPU, for replacements
		return (rows + cpus) * (ELEMENT_BYTES + round_up(key_bytes) + row) +
		       buckets_of(rows) * BUCKET_BYTES;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return rows * (row * cpus + POINTER_BYTES);
	case BPF_MAP_TYPE_RINGBUF:
		return rows;
	default:
		return rows * row;
	}
}

static u64 bytes_of(const struct bpf_map *map)
{
	return ebpf_map_bytes(bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
		bpf_map__max_entries(map));
}

// Is it pinned, as it would be made? Then it is adopted.
static bool is_pinned(const struct engine *engine, u32 table)
{
	char path[EBPF_PATH_BYTES];
	struct ebpf_map map;
	ebpf_pin_path(path, engine, "tables", "%s-%s", table_infos[table].name,
		engine->tables[table].abi);
	int fd = bpf_obj_get(path);
	bool there = fd >= 0 && !ebpf_map_describe(&map, fd) &&
		     map.capacity == bpf_map__max_entries(engine->tables[table].map);
	if (fd >= 0)
		close(fd);
	return there;
}

static void count(struct engine *engine, struct engine_memory *out)
{
	const struct bpf_map *map;
	bpf_object__for_each_map(map, engine->program->obj)
	{
		out->other += bytes_of(map);
	}
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		out->table[i] = bytes_of(engine->tables[i].map);
		out->other -= out->table[i];
		if (table_infos[i].role == WEFT_DYNAMIC && is_pinned(engine, i))
			out->present += out->table[i];
	}
}

int ebpf_memory(const struct engine_config *config, struct engine_memory *out, const char **why)
{
	struct engine engine = {.pin_dir = (char *)config->pin_dir};
	*out = (struct engine_memory){0};
	int error = ebpf_open(&engine, config);
	if (!error)
		count(&engine, out);
	else
		*why = "its BPF program cannot be read";
	weft_tc_bpf__destroy(engine.program);
	return error;
}
