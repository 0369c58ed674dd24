// SPDX-License-Identifier: BSD-2-Clause
// Native tables: what sim and DPDK workers look up. One writer at a time, any number of readers.
//
// Every row is allocated when the table is made; nothing is allocated later. A row that is deleted
// or replaced stays readable: the owner retires such rows, waits until no reader can still hold one
// (RCU grace period; sim: between packets), and reclaims them.
//
// The rows may lie in memory that outlives the process (keep.h): each says whether it is whole, so
// wherever the writer was killed, the next table over them has all that were. The rest of a table
// is made anew.
#pragma once

#include "datapath/engine.h"

struct keep;

struct table {
	enum weft_table_kind kind;
	u32 capacity;
	u32 slot_bytes;
	u8 *slots;    // arrays: the rows; at the start of a cache line
	void *memory; // that they lie in; NULL: they are lent
	bool adopted; // from an earlier table
	// What follows is of hashes, and of table.c alone.
	u32 key_bytes;
	u32 row_bytes;
	u32 row_offset; // within a slot
	u32 used;
	u32 fresh;   // slots that were never used start here
	u32 free;    // list through next
	u32 limbo;   // deleted, perhaps still read: list through next_limbo
	u32 retired; // those of them that a grace period is running for
	u32 slot_count;
	u32 buckets_mask;
	u32 *buckets;
};

// Aborts when memory is short: sizes are checked where they are configured.
struct table *table_new(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity);
// With rows that are lent to it until table_free: zeros, or, to adopt, those of an earlier table of
// this shape.
struct table *table_over(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity,
	void *rows, bool adopt);
u64 table_rows_bytes(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity);
u64 table_bytes(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity); // all of it
void table_free(struct table *table);

void *table_get(const struct table *table, const void *key);              // NULL: absent
int table_insert(struct table *table, const void *key, const void *row);  // -EEXIST, -ENOSPC
int table_replace(struct table *table, const void *key, const void *row); // -ENOENT
int table_put(struct table *table, const void *key, const void *row);     // -ENOSPC
int table_del(struct table *table, const void *key, void *row);           // -ENOENT
int table_walk(struct table *table, engine_walk_fn *fn, void *context);
int table_walk_part(struct table *table, u32 *cursor, engine_walk_fn *fn, void *context);
void table_retire(struct table *table);  // before the grace period; the last retired are reclaimed
void table_reclaim(struct table *table); // after it
u32 table_used(const struct table *table);
u32 table_capacity(const struct table *table);

// Of a table that is no hash. NULL: no such row.
weft_inline void *table_at(const struct table *table, u32 index)
{
	return index < table->capacity ? table->slots + (size_t)index * table->slot_bytes : NULL;
}

// The pipeline's access to native tables. The kind of each is known when this is compiled.
#define TABLE_ROW(tables, name, key) \
	(TABLE_IS_HASH_##name ? table_get((tables)->name, (key)) \
			      : table_at((tables)->name, *(const u32 *)(key)))
#define TABLE_GET(tables, name, key)          TABLE_ROW(tables, name, key)
#define TABLE_INSERT(tables, name, key, row)  table_insert((tables)->name, (key), (row))
#define TABLE_REPLACE(tables, name, key, row) table_replace((tables)->name, (key), (row))
enum {
#define X(name, kind, role, key, row, capacity) \
	TABLE_IS_HASH_##name = WEFT_TABLE_##kind == WEFT_TABLE_HASH,
	WEFT_TABLES(X)
#undef X
};

// One of each, by name: `tables->fdb`.
struct tables {
#define X(name, kind, role, key, row, capacity) struct table *name;
	WEFT_TABLES(X)
#undef X
};

// keep: where the dynamic tables lie that outlive this process, closed after tables_fini; NULL:
// none do. False: it has no room, and says so; tables_fini all the same.
bool tables_init(struct tables *tables, const u32 capacity[WEFT_TABLE_count], struct keep *keep);
u64 tables_bytes(enum weft_table table, u32 capacity); // that one of them takes
void tables_fini(struct tables *tables);
void tables_retire(struct tables *tables);
void tables_reclaim(struct tables *tables);
struct table *tables_at(const struct tables *tables, enum weft_table table);
