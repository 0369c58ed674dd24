// SPDX-License-Identifier: BSD-2-Clause
// Any BPF map: its shape, and a walk over its rows in batches.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

enum {
	WALK_BYTES = 256 * 1024, // of one batch
	WALK_ROWS = 64,          // at least
	PART_ROWS = 128,         // of a part: what is done for each row may be a system call or two
};

int ebpf_map_describe(struct ebpf_map *map, int fd)
{
	struct bpf_map_info info = {0};
	u32 bytes = sizeof(info);
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return -errno;
	bool per_cpu =
		info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH;
	*map = (struct ebpf_map){
		.fd = fd,
		.id = info.id,
		.type = info.type,
		.flags = info.map_flags,
		.key_bytes = info.key_size,
		.row_bytes = info.value_size,
		.slot_bytes = info.value_size,
		.copies = 1,
		.capacity = info.max_entries,
		.btf_id = info.btf_id,
		.btf_key = info.btf_key_type_id,
		.btf_row = info.btf_value_type_id,
	};
	if (per_cpu) {
		int cpus = libbpf_num_possible_cpus();
		if (cpus < 0)
			return cpus;
		map->copies = (u32)cpus;
		map->slot_bytes = (u32)cpus * ((info.value_size + 7) & ~7u);
	}
	return 0;
}

struct batch {
	u8 *keys;
	u8 *slots;
	u32 rows;
	u32 position; // the kernel's: where the next batch starts; 0 at first
};

// The rows read, or -errno. *last: there are no more.
static int batch_read(const struct ebpf_map *map, struct batch *batch, bool *last)
{
	for (;;) {
		u32 count = batch->rows, next;
		int error = bpf_map_lookup_batch(map->fd, batch->position ? &batch->position : NULL,
			&next, batch->keys, batch->slots, &count, NULL);
		if (!error || error == -ENOENT) {
			*last = error != 0;
			batch->position = *last ? 0 : next;
			return (int)count;
		}
		if (error != -ENOSPC || batch->rows > map->capacity)
			return error;
		batch->rows *= 2; // a hash bucket is read whole
		void *keys = realloc(batch->keys, (size_t)batch->rows * map->key_bytes);
		batch->keys = keys ? keys : batch->keys;
		void *slots = realloc(batch->slots, (size_t)batch->rows * map->slot_bytes);
		batch->slots = slots ? slots : batch->slots;
		if (!keys || !slots)
			return -ENOMEM;
	}
}

// Batches from *cursor on, one or all.
static int walk(
	const struct ebpf_map *map, u32 *cursor, bool one, engine_walk_fn *fn, void *context)
{
	u32 rows = one ? PART_ROWS : WALK_BYTES / (map->key_bytes + map->slot_bytes);
	struct batch batch = {.rows = rows > WALK_ROWS ? rows : WALK_ROWS, .position = *cursor};
	bool last = false;
	int result = 0;

	batch.keys = malloc((size_t)batch.rows * map->key_bytes);
	batch.slots = malloc((size_t)batch.rows * map->slot_bytes);
	if (!batch.keys || !batch.slots)
		result = -ENOMEM;
	while (!result && !last) {
		int count = batch_read(map, &batch, &last);
		if (count < 0)
			result = count;
		for (u32 i = 0; !result && (int)i < count; i++)
			result = fn(batch.keys + (size_t)i * map->key_bytes,
				batch.slots + (size_t)i * map->slot_bytes, context);
		last |= one;
	}
	*cursor = batch.position;
	free(batch.keys);
	free(batch.slots);
	return result;
}

int ebpf_map_walk(const struct ebpf_map *map, engine_walk_fn *fn, void *context)
{
	u32 cursor = 0;
	return walk(map, &cursor, false, fn, context);
}

int ebpf_map_walk_part(const struct ebpf_map *map, u32 *cursor, engine_walk_fn *fn, void *context)
{
	return walk(map, cursor, true, fn, context);
}
