// SPDX-License-Identifier: BSD-2-Clause
// The engine's table calls on BPF maps.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LARGE_ROWS = 200000, COUNT_SECONDS = 60 };

int ebpf_table_open(struct ebpf_table *table)
{
	int error = ebpf_map_describe(&table->live, bpf_map__fd(table->map));
	if (error)
		return error;
	table->slot = malloc(table->live.slot_bytes);
	return table->slot ? 0 : -ENOMEM;
}

static u32 row_stride(const struct ebpf_map *map)
{
	return (map->row_bytes + 7) & ~7u;
}

static size_t mapped_bytes(const struct ebpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return ((size_t)map->capacity * row_stride(map) + page - 1) & ~(page - 1);
}

void ebpf_table_close(struct ebpf_table *table)
{
	if (table->source_fd >= 0)
		close(table->source_fd);
	if (table->mapped)
		munmap(table->mapped, mapped_bytes(&table->live));
	free(table->slot);
}

static u64 now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

// Per-CPU rows consist of u64 counters.
static void sum_copies(const struct ebpf_map *map, const void *slot, void *row)
{
	const u64 *from = slot;
	u64 *to = row;
	u32 words = map->row_bytes / sizeof(u64);
	memset(row, 0, map->row_bytes);
	for (u32 i = 0; i < map->copies; i++, from += words)
		for (u32 k = 0; k < words; k++)
			to[k] += from[k];
}

// Whatever weftd changes, verdicts cached before it no longer hold.
static void bump_generation(struct engine *engine)
{
	struct weft_generation_row *row = ebpf_table_at(engine, WEFT_TABLE_generation, 0);
	if (row)
		__atomic_fetch_add(&row->value, 1, __ATOMIC_SEQ_CST);
}

int ebpf_table_put(struct engine *engine, enum weft_table id, const void *key, const void *row)
{
	struct ebpf_table *table = &engine->tables[id];
	if (table_infos[id].kind == WEFT_TABLE_PER_CPU) {
		memset(table->slot, 0, table->live.slot_bytes);
		memcpy(table->slot, row, table->live.row_bytes);
		row = table->slot;
	}
	int error = bpf_map_update_elem(table->live.fd, key, row, BPF_ANY);
	bump_generation(engine);
	return error == -E2BIG ? -ENOSPC : error;
}

int ebpf_table_get(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	struct ebpf_table *table = &engine->tables[id];
	int error = bpf_map_lookup_elem(table->live.fd, key, table->slot);
	if (error)
		return error;
	if (table_infos[id].kind == WEFT_TABLE_PER_CPU)
		sum_copies(&table->live, table->slot, row);
	else
		memcpy(row, table->slot, table->live.row_bytes);
	return 0;
}

int ebpf_table_expire(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	struct ebpf_table *table = &engine->tables[id];
	if (table_infos[id].kind != WEFT_TABLE_HASH)
		return -EINVAL;
	return row ? bpf_map_lookup_and_delete_elem(table->live.fd, key, row)
		   : bpf_map_delete_elem(table->live.fd, key);
}

int ebpf_table_del(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	int error = ebpf_table_expire(engine, id, key, row);
	bump_generation(engine);
	return error;
}

struct sum_walk {
	const struct ebpf_map *map;
	engine_walk_fn *fn;
	void *context;
	void *row;
};

static int walk_sum(const void *key, const void *slot, void *context)
{
	struct sum_walk *walk = context;
	sum_copies(walk->map, slot, walk->row);
	return walk->fn(key, walk->row, walk->context);
}

static int walk_per_cpu(const struct ebpf_map *map, engine_walk_fn *fn, void *context)
{
	struct sum_walk walk = {map, fn, context, malloc(map->row_bytes)};
	int result = walk.row ? ebpf_map_walk(map, walk_sum, &walk) : -ENOMEM;
	free(walk.row);
	return result;
}

static int walk_array(struct engine *engine, enum weft_table id, engine_walk_fn *fn, void *context)
{
	int result = 0;
	for (u32 i = 0; !result && i < engine->tables[id].live.capacity; i++) {
		const void *row = ebpf_table_at(engine, id, i);
		result = row ? fn(&i, row, context) : -ENOMEM;
	}
	return result;
}

int ebpf_table_walk(struct engine *engine, enum weft_table id, engine_walk_fn *fn, void *context)
{
	const struct ebpf_map *map = &engine->tables[id].live;
	if (table_infos[id].kind == WEFT_TABLE_ARRAY)
		return walk_array(engine, id, fn, context);
	if (table_infos[id].kind == WEFT_TABLE_PER_CPU)
		return walk_per_cpu(map, fn, context);
	return ebpf_map_walk(map, fn, context);
}

int ebpf_table_walk_part(
	struct engine *engine, enum weft_table id, u32 *cursor, engine_walk_fn *fn, void *context)
{
	return ebpf_map_walk_part(&engine->tables[id].live, cursor, fn, context);
}

void *ebpf_table_at(struct engine *engine, enum weft_table id, u32 index)
{
	struct ebpf_table *table = &engine->tables[id];
	if (table_infos[id].kind != WEFT_TABLE_ARRAY || index >= table->live.capacity)
		return NULL;
	if (!table->mapped) {
		void *rows = mmap(NULL, mapped_bytes(&table->live), PROT_READ | PROT_WRITE,
			MAP_SHARED, table->live.fd, 0);
		if (rows == MAP_FAILED)
			return NULL;
		table->mapped = rows;
	}
	return table->mapped + (size_t)index * row_stride(&table->live);
}

static int count_row(const void *key, const void *row, void *context)
{
	(void)key, (void)row;
	++*(u32 *)context;
	return 0;
}

// The kernel does not tell how full a hash is, and counting reads it all: of a small one at most
// once a second, of a large one, where that takes a second itself, once a minute.
static u32 table_used_rows(struct ebpf_table *table)
{
	u64 now = now_ns();
	if (now >= table->used_till_ns) {
		table->used = 0;
		ebpf_map_walk(&table->live, count_row, &table->used);
		table->used_till_ns =
			now + (table->used < LARGE_ROWS ? 1 : COUNT_SECONDS) * 1000000000ull;
	}
	return table->used;
}

void ebpf_table_counted(struct engine *engine, enum weft_table id, u32 rows)
{
	struct ebpf_table *table = &engine->tables[id];
	if (rows < LARGE_ROWS) // they are counted in no time, and exactly
		return;
	table->used = rows;
	table->used_till_ns = now_ns() + COUNT_SECONDS * 1000000000ull;
}

void ebpf_table_status(struct engine *engine, enum weft_table id, struct engine_table_status *out)
{
	struct ebpf_table *table = &engine->tables[id];
	*out = (struct engine_table_status){
		.bytes = ebpf_map_bytes(table->live.type, table->live.key_bytes,
			table->live.row_bytes, table->live.capacity),
		.capacity = table->live.capacity,
		.used = table_infos[id].kind == WEFT_TABLE_HASH ? table_used_rows(table) : 0,
		.adopted = table->adopted,
		.abi = table->abi,
	};
}
