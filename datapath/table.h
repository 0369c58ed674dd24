// SPDX-License-Identifier: BSD-2-Clause
// Native tables: what sim and DPDK workers look up. One writer at a time, any number of readers.
//
// Every row is allocated when the table is made; nothing is allocated later. A row that is deleted
// or replaced stays readable: the owner retires such rows, waits until no reader can still hold one
// (RCU grace period; sim: between packets), and reclaims them.
#pragma once

#include "datapath/engine.h"

struct table;

// Aborts when memory is short: sizes are checked where they are configured.
struct table *table_new(enum weft_table_kind kind, u32 key_bytes, u32 row_bytes, u32 capacity);
void table_free(struct table *table);

void *table_get(const struct table *table, const void *key);              // NULL: absent
int table_insert(struct table *table, const void *key, const void *row);  // -EEXIST, -ENOSPC
int table_replace(struct table *table, const void *key, const void *row); // -ENOENT
int table_put(struct table *table, const void *key, const void *row);     // -ENOSPC
int table_del(struct table *table, const void *key, void *row);           // -ENOENT
int table_walk(struct table *table, engine_walk_fn *fn, void *context);
void table_retire(struct table *table);  // before the grace period; the last retired are reclaimed
void table_reclaim(struct table *table); // after it
u32 table_used(const struct table *table);
u32 table_capacity(const struct table *table);

// One of each, by name: `tables->fdb`.
struct tables {
#define X(name, kind, role, key, row, capacity) struct table *name;
	WEFT_TABLES(X)
#undef X
};

void tables_init(struct tables *tables, const u32 capacity[WEFT_TABLE_count]);
void tables_fini(struct tables *tables);
void tables_retire(struct tables *tables);
void tables_reclaim(struct tables *tables);
struct table *tables_at(const struct tables *tables, enum weft_table table);
