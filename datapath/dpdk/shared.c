// SPDX-License-Identifier: BSD-2-Clause
// The engine's table calls on native tables that workers read meanwhile. Called by weftd's thread.
#include "datapath/dpdk/claims.h"

#include <errno.h>
#include <string.h>

static struct table *table_of(struct engine *engine, enum weft_table id)
{
	return tables_at(&engine->tables, id);
}

static bool per_worker(enum weft_table id)
{
	return table_infos[id].kind == WEFT_TABLE_PER_CPU;
}

u64 shared_bytes(enum weft_table id, u32 capacity, u32 workers)
{
	// the injector's own, and those of all together
	return tables_bytes(id, capacity) * (per_worker(id) ? workers + 2 : 1);
}

void shared_reclaim(struct engine *engine)
{
	if (engine->walking ||
		(engine->retiring && rte_rcu_qsbr_check(engine->rcu, engine->grace, false) != 1))
		return;
	rte_spinlock_lock(&engine->write_lock);
	tables_reclaim(&engine->tables);
	tables_retire(&engine->tables);
	rte_spinlock_unlock(&engine->write_lock);
	engine->grace = rte_rcu_qsbr_start(engine->rcu);
	engine->retiring = true;
}

void shared_wait(struct engine *engine)
{
	for (u32 i = 0; i < engine->worker_count; i++)
		worker_wake(engine->workers[i]);
	rte_rcu_qsbr_synchronize(engine->rcu, RTE_QSBR_THRID_INVALID);
}

// Whatever weftd changes, verdicts cached before it no longer hold.
static void bump_generation(struct engine *engine)
{
	struct weft_generation_row *row = shared_at(engine, WEFT_TABLE_generation, 0);
	if (row)
		__atomic_fetch_add(&row->value, 1, __ATOMIC_SEQ_CST);
}

// Per-worker rows consist of u64 counters.
static void sum_rows(struct engine *engine, enum weft_table id, const void *key, u64 *sum)
{
	u32 words = table_infos[id].row_bytes / sizeof(u64);
	memset(sum, 0, table_infos[id].row_bytes);
	for (u32 i = 0; i <= engine->worker_count; i++) {
		const u64 *row = table_get(tables_at(&engine->workers[i]->tables, id), key);
		for (u32 k = 0; row && k < words; k++)
			sum[k] += __atomic_load_n(&row[k], __ATOMIC_RELAXED);
	}
}

// On the injector the row as it is, on workers zero.
static int put_per_worker(
	struct engine *engine, enum weft_table id, const void *key, const void *row)
{
	static const u8 zero[64];
	int error = 0;
	for (u32 i = 0; i <= engine->worker_count && !error; i++)
		error = table_put(tables_at(&engine->workers[i]->tables, id), key,
			i == engine->worker_count ? row : zero);
	return error;
}

static int put_locked(struct engine *engine, enum weft_table id, const void *key, const void *row)
{
	rte_spinlock_lock(&engine->write_lock);
	int error = table_put(table_of(engine, id), key, row);
	rte_spinlock_unlock(&engine->write_lock);
	return error;
}

int shared_put(struct engine *engine, enum weft_table id, const void *key, const void *row)
{
	if (per_worker(id))
		return put_per_worker(engine, id, key, row);
	shared_reclaim(engine);
	int error = put_locked(engine, id, key, row);
	if (error == -ENOSPC &&
		table_used(table_of(engine, id)) < table_capacity(table_of(engine, id))) {
		for (int i = 0; i < 2;
			i++) { // rows lie in limbo: what is retired now, is free then
			shared_reclaim(engine);
			shared_wait(engine);
		}
		shared_reclaim(engine);
		error = put_locked(engine, id, key, row);
	}
	bump_generation(engine);
	claims_table(engine, id, key);
	return error;
}

int shared_get(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	struct table *table = table_of(engine, id);
	const void *found = table_get(table, key);
	if (!found)
		return -ENOENT;
	if (per_worker(id))
		sum_rows(engine, id, key, row);
	else
		memcpy(row, found, table_infos[id].row_bytes);
	return 0;
}

int shared_expire(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	shared_reclaim(engine);
	rte_spinlock_lock(&engine->write_lock);
	int error = table_del(table_of(engine, id), key, row);
	rte_spinlock_unlock(&engine->write_lock);
	return error;
}

int shared_del(struct engine *engine, enum weft_table id, const void *key, void *row)
{
	int error = shared_expire(engine, id, key, row);
	bump_generation(engine);
	claims_table(engine, id, key);
	return error;
}

// Without the lock: only this thread reclaims, so no row that the walk stands on goes away.
int shared_walk_part(
	struct engine *engine, enum weft_table id, u32 *cursor, engine_walk_fn *fn, void *context)
{
	bool outer = engine->walking;
	struct table *table = table_of(engine, id);
	shared_reclaim(engine);
	engine->walking = true;
	int stopped = cursor ? table_walk_part(table, cursor, fn, context)
			     : table_walk(table, fn, context);
	engine->walking = outer;
	shared_reclaim(engine); // what was deleted in the walk
	return stopped;
}

int shared_walk(struct engine *engine, enum weft_table id, engine_walk_fn *fn, void *context)
{
	u64 sum[8];
	int stopped = 0;
	if (!per_worker(id))
		return shared_walk_part(engine, id, NULL, fn, context);
	for (u32 i = 0; i < table_capacity(table_of(engine, id)) && !stopped; i++) {
		sum_rows(engine, id, &i, sum);
		stopped = fn(&i, sum, context);
	}
	return stopped;
}

void *shared_at(struct engine *engine, enum weft_table id, u32 index)
{
	return table_infos[id].kind == WEFT_TABLE_ARRAY ? table_get(table_of(engine, id), &index)
							: NULL;
}

void shared_status(struct engine *engine, enum weft_table id, struct engine_table_status *out)
{
	static char abi[WEFT_TABLE_count][17];
	table_abi(id, abi[id]);
	shared_reclaim(engine);
	u32 capacity = table_capacity(table_of(engine, id));
	*out = (struct engine_table_status){
		.bytes = shared_bytes(id, capacity, engine->worker_count),
		.capacity = capacity,
		.used = table_used(table_of(engine, id)),
		.adopted = table_of(engine, id)->adopted,
		.abi = abi[id],
	};
}

// An underlay device is no port: its frames stand with port 0, a wire's with its NIC's port.
void shared_lost(struct engine *engine, u32 slot, enum weft_drop reason, u32 frames)
{
	const struct dpdk_port *end = dpdk_port_at(engine, slot);
	u32 port = slot < engine->port_capacity ? slot : end ? end->pass : 0;
	struct weft_index index = {port * WEFT_DROPS_PER_PORT + (u32)reason};
	struct weft_drop_row *row = TABLE_ROW(&engine->tables, drop, &index);
	if (row)
		__atomic_fetch_add(&row->packets, frames, __ATOMIC_RELAXED);
}
