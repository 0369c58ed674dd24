// SPDX-License-Identifier: BSD-2-Clause
// Native tables: preallocated rows, chained hashing, deletion by limbo list.
#include "datapath/table.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { TABLE_NONE = UINT32_MAX };

struct slot {     // followed by key and row
	u32 next; // in the chain; TABLE_NONE ends it
	u32 next_limbo;
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

struct table *table_new(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity)
{
	struct table *table = allocate(1, sizeof(*table));
	*table = (struct table){
		.kind = kind,
		.key_bytes = key_bytes,
		.row_bytes = row_bytes,
		.capacity = capacity,
		.free = TABLE_NONE,
		.limbo = TABLE_NONE,
		.retired = TABLE_NONE,
	};
	if (kind != WEFT_TABLE_HASH) {
		table->slot_bytes = row_bytes;
		table->slots = allocate(capacity, row_bytes);
		return table;
	}
	u32 buckets = 1;
	while (buckets < capacity)
		buckets *= 2;
	table->row_offset = round_up((u32)sizeof(struct slot) + key_bytes);
	table->slot_bytes = round_up(table->row_offset + row_bytes);
	// A replaced row lies in limbo beside its successor: spare slots keep a full table usable.
	table->slot_count = capacity + capacity / 16 + 64;
	table->slots = allocate(table->slot_count, table->slot_bytes);
	table->buckets = allocate(buckets, sizeof(u32));
	table->buckets_mask = buckets - 1;
	for (u32 i = 0; i < buckets; i++)
		table->buckets[i] = TABLE_NONE;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	free(table->slots);
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

static void slot_to_limbo(struct table *table, u32 index)
{
	slot_at(table, index)->next_limbo = table->limbo;
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
		struct slot *slot = slot_at(table, table->retired);
		u32 next = slot->next_limbo;
		slot->next = table->free;
		table->free = table->retired;
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

int table_walk(struct table *table, engine_walk_fn *fn, void *context)
{
	int stopped = 0;
	if (table->kind != WEFT_TABLE_HASH) {
		for (u32 i = 0; i < table->capacity && !stopped; i++)
			stopped = fn(&i, table->slots + (size_t)i * table->slot_bytes, context);
		return stopped;
	}
	for (u32 bucket = 0; bucket <= table->buckets_mask && !stopped; bucket++) {
		u32 index = table->buckets[bucket];
		while (index != TABLE_NONE && !stopped) {
			struct slot *slot = slot_at(table, index);
			u32 next = slot->next; // fn may delete the row
			stopped = fn(slot_key(slot), slot_row(table, slot), context);
			index = next;
		}
	}
	return stopped;
}

u32 table_used(const struct table *table)
{
	return table->used;
}

u32 table_capacity(const struct table *table)
{
	return table->capacity;
}

void tables_init(struct tables *tables, const u32 capacity[WEFT_TABLE_count])
{
#define X(name, table_kind, role, key, row, fallback) \
	tables->name = table_new(WEFT_TABLE_##table_kind, sizeof(struct key), sizeof(struct row), \
		capacity[WEFT_TABLE_##name] ? capacity[WEFT_TABLE_##name] : (fallback));
	WEFT_TABLES(X)
#undef X
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
