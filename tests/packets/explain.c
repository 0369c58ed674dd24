// SPDX-License-Identifier: BSD-2-Clause
// What explain says of a frame, held against what the engine then decides; and that explaining
// changes nothing.
#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "datapath/explain.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct sum {
	enum weft_table table;
	u64 hash;
};

static int add_row(const void *key, const void *row, void *context)
{
	struct sum *sum = context;
	const struct table_info *info = &table_infos[sum->table];
	sum->hash += XXH3_64bits_withSeed(row, info->row_bytes, // in any order
		XXH3_64bits_withSeed(key, info->key_bytes, sum->table));
	return 0;
}

static u64 tables_hash(const struct engine_ops *ops, struct engine *engine)
{
	static struct port_counts counts;
	struct sum sum = {0};
	for (u32 table = 0; table < WEFT_TABLE_count; table++) {
		sum.table = table;
		if (ops == &engine_sim || table_infos[table].kind == WEFT_TABLE_HASH)
			ops->table_walk(engine, sum.table, add_row, &sum);
	}
	// Where each row of an array costs a call, those that this world uses.
	world_counts(ops, engine, &counts);
	return sum.hash + XXH3_64bits(&counts, sizeof(counts));
}

void explain_before(const struct engine_ops *ops, struct engine *engine, u32 port, u32 vni,
	const struct frame *frame, u64 now_ns, struct explained *out)
{
	struct explain e = {
		.ops = ops,
		.engine = engine,
		.now_ns = now_ns,
		.port = port,
		.vni = vni,
		.bytes = frame->bytes,
		.length = frame->length,
	};
	u64 before = tables_hash(ops, engine);
	explain(&e);
	assert_true(tables_hash(ops, engine) == before);
	*out = (struct explained){e.verdict, e.too_big, e.copy_count};
	explain_free(&e);
}

void explain_check(const struct engine_ops *ops, const struct explained *explained,
	const struct engine_result *result)
{
	struct weft_verdict said = explained->verdict, got = result->record.verdict;
	// A clock of its own, by which half a second may have passed, and a cache that keeps what
	// apply needs. Which bindings there are the world knows.
	if (ops != &engine_sim) {
		const u32 timed = WEFT_EFFECT_stamps | WEFT_EFFECT_bind;
		said.effects &= ~timed;
		got.effects &= ~timed;
		said.flags = got.flags;
		said.service = got.service;
		said.generation = got.generation;
	}
	assert_memory_equal(&said, &got, sizeof(got));
	assert_int_equal(explained->too_big, result->record.reason == WEFT_DROP_too_big);
	if (ops == &engine_sim && got.action == WEFT_ACTION_flood && !result->record.reason)
		assert_int_equal(explained->copies, result->outputs);
}
