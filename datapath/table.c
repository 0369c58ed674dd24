// SPDX-License-Identifier: BSD-2-Clause
// Native tables: preallocated rows, chained hashing, deletion by limbo list.
#include "datapath/keep.h"
#include "datapath/table.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	TABLE_NONE = UINT32_MAX,
	PREFETCH_BUCKETS = 16,
	PREFETCH_BYTES = 192,
	PART_BUCKETS = 2048, // of a walk
	LINE_BYTES = 64,
};

// In the order in which a replacement passes through them: whenever the writer is killed, one of
// the two rows is taken to be the key's.
enum slot_state {
	SLOT_FREE, // or being written, or in limbo
	SLOT_LIVE,
	SLOT_REPLACED, // holds while no other slot of its key is live
};

struct slot {     // followed by key and row
	u32 next; // in the chain; TABLE_NONE ends it
	u32 next_limbo;
	u32 state; // read only when the rows are adopted
};

static u32 round_up(u32 bytes)
{
	return (bytes + 7) & ~7u;
}

static void *allocate(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);
	if (!memory)
		errx(1, "out of memory for a table of %zu rows of %zu bytes", count, bytes);
	return memory;
}

static struct slot *slot_at(const struct table *table, u32 index)
{
	return (struct slot *)(table->slots + (size_t)index * table->slot_bytes);
}

static void *slot_key(struct slot *slot)
{
	return slot + 1;
}

static void *slot_row(const struct table *table, struct slot *slot)
{
	return (u8 *)slot + table->row_offset;
}

// All but the memory.
static struct table shape(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity)
{
	struct table table = {
		.kind = kind,
		.key_bytes = key_bytes,
		.row_bytes = row_bytes,
		.slot_bytes = row_bytes,
		.capacity = capacity,
		.slot_count = capacity,
		.free = TABLE_NONE,
		.limbo = TABLE_NONE,
		.retired = TABLE_NONE,
	};
	if (kind != WEFT_TABLE_HASH)
		return table;
	table.row_offset = round_up((u32)sizeof(struct slot) + key_bytes);
	table.slot_bytes = round_up(table.row_offset + row_bytes);
	// A replaced row lies in limbo beside its successor: spare slots keep a full table usable.
	table.slot_count = capacity + capacity / 16 + 64;
	u32 buckets = 1;
	while (buckets < capacity)
		buckets *= 2;
	table.buckets_mask = buckets - 1;
	return table;
}

u64 table_rows_bytes(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity)
{
	struct table table = shape(kind, key_bytes, row_bytes, capacity);
	return (u64)table.slot_count * table.slot_bytes;
}

u64 table_bytes(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity)
{
	struct table table = shape(kind, key_bytes, row_bytes, capacity);
	u64 buckets = kind == WEFT_TABLE_HASH ? (u64)table.buckets_mask + 1 : 0;
	return (u64)table.slot_count * table.slot_bytes + buckets * sizeof(*table.buckets);
}

static void adopt(struct table *table);

static struct table *table_make(struct table table, void *rows, bool adopted)
{
	struct table *made = allocate(1, sizeof(*made));
	*made = table;
	if (!rows) {
		made->memory =
			allocate(1, (size_t)table.slot_count * table.slot_bytes + LINE_BYTES);
		rows = (u8 *)made->memory + LINE_BYTES - (uintptr_t)made->memory % LINE_BYTES;
	}
	made->slots = rows;
	made->adopted = adopted;
	if (table.kind != WEFT_TABLE_HASH)
		return made;
	made->buckets = allocate((size_t)table.buckets_mask + 1, sizeof(*made->buckets));
	for (u32 i = 0; i <= table.buckets_mask; i++)
		made->buckets[i] = TABLE_NONE;
	if (adopted)
		adopt(made);
	return made;
}

struct table *table_new(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity)
{
	return table_make(shape(kind, key_bytes, row_bytes, capacity), NULL, false);
}

struct table *table_over(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity,
	void *rows, bool adopt_rows)
{
	return table_make(shape(kind, key_bytes, row_bytes, capacity), rows, adopt_rows);
}

void table_free(struct table *table)
{
	if (!table)
		return;
	free(table->memory);
	free(table->buckets);
	free(table);
}

static u32 *first_link(const struct table *table, const void *key)
{
	return &table->buckets[XXH3_64bits(key, table->key_bytes) & table->buckets_mask];
}

// For readers: every link is read once, whatever the writer does meanwhile.
static u32 find_index(const struct table *table, const void *key)
{
	u32 index = __atomic_load_n(first_link(table, key), __ATOMIC_ACQUIRE);
	while (index != TABLE_NONE) {
		struct slot *slot = slot_at(table, index);
		if (memcmp(slot_key(slot), key, table->key_bytes) == 0)
			break;
		index = __atomic_load_n(&slot->next, __ATOMIC_ACQUIRE);
	}
	return index;
}

// For the writer: the link that holds the key's slot, or the end of its chain.
static u32 *find_link(const struct table *table, const void *key)
{
	u32 *link = first_link(table, key);
	while (*link != TABLE_NONE) {
		struct slot *slot = slot_at(table, *link);
		if (memcmp(slot_key(slot), key, table->key_bytes) == 0)
			break;
		link = &slot->next;
	}
	return link;
}

void *table_get(const struct table *table, const void *key)
{
	if (table->kind != WEFT_TABLE_HASH)
		return table_at(table, *(const u32 *)key);
	u32 index = find_index(table, key);
	return index == TABLE_NONE ? NULL : slot_row(table, slot_at(table, index));
}

static u32 slot_take(struct table *table)
{
	if (table->free != TABLE_NONE) {
		u32 index = table->free;
		table->free = slot_at(table, index)->next;
		return index;
	}
	return table->fresh < table->slot_count ? table->fresh++ : TABLE_NONE;
}

static void slot_set(struct slot *slot, enum slot_state state)
{
	__atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
}

static void slot_give(struct table *table, u32 index)
{
	struct slot *slot = slot_at(table, index);
	slot->state = SLOT_FREE;
	slot->next = table->free;
	table->free = index;
}

static void slot_to_limbo(struct table *table, u32 index)
{
	struct slot *slot = slot_at(table, index);
	slot_set(slot, SLOT_FREE);
	slot->next_limbo = table->limbo;
	table->limbo = index;
}

void table_retire(struct table *table)
{
	if (table->retired != TABLE_NONE)
		return; // their time is not over yet
	table->retired = table->limbo;
	table->limbo = TABLE_NONE;
}

void table_reclaim(struct table *table)
{
	while (table->retired != TABLE_NONE) {
		u32 next = slot_at(table, table->retired)->next_limbo;
		slot_give(table, table->retired);
		table->retired = next;
	}
}

// Readers follow `next` while this publishes: a slot is complete before it is linked.
static int put_at(struct table *table, u32 *link, const void *key, const void *row)
{
	u32 old = *link;
	u32 index = slot_take(table);
	if (index == TABLE_NONE)
		return -ENOSPC;
	struct slot *slot = slot_at(table, index);
	slot->next = old == TABLE_NONE ? TABLE_NONE : slot_at(table, old)->next;
	memcpy(slot_key(slot), key, table->key_bytes);
	memcpy(slot_row(table, slot), row, table->row_bytes);
	if (old != TABLE_NONE)
		slot_set(slot_at(table, old), SLOT_REPLACED);
	slot_set(slot, SLOT_LIVE);
	__atomic_store_n(link, index, __ATOMIC_RELEASE);
	if (old != TABLE_NONE)
		slot_to_limbo(table, old);
	else
		table->used++;
	return 0;
}

int table_put(struct table *table, const void *key, const void *row)
{
	if (table->kind != WEFT_TABLE_HASH) {
		void *at = table_get(table, key);
		if (!at)
			return -ENOSPC;
		memcpy(at, row, table->row_bytes);
		return 0;
	}
	u32 *link = find_link(table, key);
	if (*link == TABLE_NONE && table->used >= table->capacity)
		return -ENOSPC;
	return put_at(table, link, key, row);
}

int table_insert(struct table *table, const void *key, const void *row)
{
	if (table_get(table, key))
		return -EEXIST;
	return table_put(table, key, row);
}

int table_replace(struct table *table, const void *key, const void *row)
{
	if (!table_get(table, key))
		return -ENOENT;
	return table_put(table, key, row);
}

int table_del(struct table *table, const void *key, void *row)
{
	if (table->kind != WEFT_TABLE_HASH)
		return -EINVAL;
	u32 *link = find_link(table, key);
	u32 index = *link;
	if (index == TABLE_NONE)
		return -ENOENT;
	struct slot *slot = slot_at(table, index);
	if (row)
		memcpy(row, slot_row(table, slot), table->row_bytes);
	__atomic_store_n(link, slot->next, __ATOMIC_RELEASE);
	slot_to_limbo(table, index);
	table->used--;
	return 0;
}

// Rows lie anywhere: a walk through a large table would wait for each.
static void prefetch_slot(const struct table *table, u32 bucket)
{
	u32 index = bucket <= table->buckets_mask ? table->buckets[bucket] : TABLE_NONE;
	const struct slot *slot = index == TABLE_NONE ? NULL : slot_at(table, index);
	for (u32 line = 0; slot && line < table->slot_bytes && line < PREFETCH_BYTES; line += 64)
		__builtin_prefetch((const u8 *)slot + line);
}

static int walk_buckets(struct table *table, u32 from, u32 to, engine_walk_fn *fn, void *context)
{
	int stopped = 0;
	for (u32 bucket = from; bucket < to && !stopped; bucket++) {
		u32 index = table->buckets[bucket];
		prefetch_slot(table, bucket + PREFETCH_BUCKETS);
		while (index != TABLE_NONE && !stopped) {
			struct slot *slot = slot_at(table, index);
			u32 next = slot->next; // fn may delete the row
			stopped = fn(slot_key(slot), slot_row(table, slot), context);
			index = next;
		}
	}
	return stopped;
}

int table_walk(struct table *table, engine_walk_fn *fn, void *context)
{
	int stopped = 0;
	if (table->kind == WEFT_TABLE_HASH)
		return walk_buckets(table, 0, table->buckets_mask + 1, fn, context);
	for (u32 i = 0; i < table->capacity && !stopped; i++)
		stopped = fn(&i, table->slots + (size_t)i * table->slot_bytes, context);
	return stopped;
}

int table_walk_part(struct table *table, u32 *cursor, engine_walk_fn *fn, void *context)
{
	u32 from = *cursor, left = table->buckets_mask + 1 - from;
	*cursor = left > PART_BUCKETS ? from + PART_BUCKETS : 0;
	return walk_buckets(table, from, *cursor ? *cursor : from + left, fn, context);
}

static void adopt_slot(struct table *table, u32 index)
{
	struct slot *slot = slot_at(table, index);
	u32 *link = find_link(table, slot_key(slot));
	if (*link != TABLE_NONE || table->used == table->capacity) {
		slot_give(table, index);
		return;
	}
	slot->state = SLOT_LIVE;
	slot->next = TABLE_NONE;
	*link = index;
	table->used++;
}

// The rows are all that is read: whatever else stands in the slots is made anew.
static void adopt(struct table *table)
{
	u32 replaced = 0;
	table->fresh = table->slot_count;
	for (u32 i = table->slot_count; i-- > 0;) {
		u32 state = slot_at(table, i)->state;
		if (state == SLOT_LIVE)
			adopt_slot(table, i);
		else if (state == SLOT_REPLACED)
			replaced++;
		else
			slot_give(table, i);
	}
	for (u32 i = 0; replaced && i < table->slot_count; i++) {
		if (slot_at(table, i)->state != SLOT_REPLACED)
			continue;
		adopt_slot(table, i);
		replaced--;
	}
}

u32 table_used(const struct table *table)
{
	return table->used;
}

u32 table_capacity(const struct table *table)
{
	return table->capacity;
}

static struct table *table_of(enum weft_table id, u32 capacity, struct keep *keep)
{
	const struct table_info *info = &table_infos[id];
	u32 rows = table_rows(id, capacity);
	if (keep && keep_wants(id))
		return keep_table(keep, id, rows);
	return table_new(info->kind, info->key_bytes, info->row_bytes, rows);
}

bool tables_init(struct tables *tables, const u32 capacity[WEFT_TABLE_count], struct keep *keep)
{
	bool all = true;
#define X(name, kind, role, key, row, fallback) \
	tables->name = \
		all ? table_of(WEFT_TABLE_##name, capacity[WEFT_TABLE_##name], keep) : NULL; \
	all = all && tables->name;
	WEFT_TABLES(X)
#undef X
	return all;
}

u64 tables_bytes(enum weft_table id, u32 capacity)
{
	const struct table_info *info = &table_infos[id];
	return table_bytes(info->kind, info->key_bytes, info->row_bytes, table_rows(id, capacity));
}

struct table *tables_at(const struct tables *tables, enum weft_table table)
{
	switch (table) {
#define X(name, kind, role, key, row, capacity) \
	case WEFT_TABLE_##name: \
		return tables->name;
		WEFT_TABLES(X)
#undef X
	case WEFT_TABLE_count:
		break;
	}
	abort();
}

void tables_fini(struct tables *tables)
{
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		table_free(tables_at(tables, i));
}

void tables_retire(struct tables *tables)
{
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		table_retire(tables_at(tables, i));
}

void tables_reclaim(struct tables *tables)
{
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		table_reclaim(tables_at(tables, i));
}
