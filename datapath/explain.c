// SPDX-License-Identifier: BSD-2-Clause
// The pipeline as a hook that takes nothing: over an engine's own tables, read one row at a time by
// the calls that weftd has, each look written down.
#include "datapath/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tables { // what the pipeline is given for tables
	struct explain *explain;
	enum explain_stage *stage; // who asks
};

static void *explain_get(const struct tables *tables, enum weft_table table, const void *key)
{
	struct explain *e = tables->explain;
	const struct table_info *info = &table_infos[table];
	struct explain_row *look = calloc(1, sizeof(*look) + ((info->row_bytes + 7) & ~7u));
	if (!look)
		abort();
	look->stage = *tables->stage;
	look->table = table;
	memcpy(look->key, key, info->key_bytes);
	look->found = !e->ops->table_get(e->engine, table, key, look->row);
	*e->rows_end = look;
	e->rows_end = &look->next;
	return look->found ? look->row : NULL;
}

static int explain_write(const struct tables *tables, const void *key, const void *row)
{
	(void)tables, (void)key, (void)row;
	return -EROFS;
}

// Rows are copies: what the pipeline would write, if it got there, would be lost.
#define TABLE_GET(tables, name, key)          explain_get((tables), WEFT_TABLE_##name, (key))
#define TABLE_ROW(tables, name, key)          explain_get((tables), WEFT_TABLE_##name, (key))
#define TABLE_INSERT(tables, name, key, row)  explain_write((tables), (key), (row))
#define TABLE_REPLACE(tables, name, key, row) TABLE_INSERT(tables, name, key, row)
#define DECIDE_ENTER(d, name)                 (*(d)->tables->stage = EXPLAIN_##name)

#include "datapath/packet_flat.h"
#include "datapath/pipeline/pipeline.h"
#include "datapath/flat_hook.h"
#include "datapath/flood.h"

_Static_assert(sizeof(struct weft_connection_key) <= sizeof(((struct explain_row *)0)->key),
	"room for the longest key");

// So pipeline_run stops where the first change would come.
weft_inline bool hook_takes(struct pipeline *line, u32 action)
{
	(void)line, (void)action;
	return false;
}

weft_inline enum weft_drop apply_forward(struct pipeline *line)
{
	(void)line;
	return WEFT_DROP_none;
}

weft_inline enum weft_drop apply_encap(struct pipeline *line)
{
	return apply_forward(line);
}

weft_inline enum weft_drop apply_reply(struct pipeline *line)
{
	return apply_forward(line);
}

weft_inline enum weft_drop apply_to_host(struct pipeline *line)
{
	return apply_forward(line);
}

static void flood_copy(struct pipeline *line, u32 port, u16 tag)
{
	struct explain *e = line->tables->explain;
	if (!(e->copy_count & (e->copy_count - 1))) { // full at each power of two
		u32 room = e->copy_count ? 2 * e->copy_count : 1;
		e->copies = realloc(e->copies, room * sizeof(*e->copies));
		if (!e->copies)
			abort();
	}
	e->copies[e->copy_count++] = (struct explain_copy){port, tag};
}

static void explain_encap(struct explain *e, struct pipeline *line)
{
	struct overlay_way way = {.vni = line->verdict->vni};
	overlay_find_way(line->tables, line->key, line->verdict->port, &way);
	e->nexthop_known = way.nexthop;
	if (way.nexthop)
		e->nexthop = *way.nexthop;
	if (e->ops->own_overlay)
		e->path =
			way.nexthop && way.host && way.peer ? EXPLAIN_PATH_own : EXPLAIN_PATH_none;
	else if (line->verdict->flags & WEFT_VERDICT_OWN &&
		 overlay_own_flow(line->key, line->verdict) &&
		 overlay_own_way(&way, e->bytes_counted, e->now_ns))
		e->path = EXPLAIN_PATH_own;
	else
		e->path = EXPLAIN_PATH_carrier;
}

void explain(struct explain *e)
{
	enum explain_stage stage = EXPLAIN_parse;
	struct tables tables = {e, &stage};
	// Nothing is written into it: see hook_takes.
	struct packet packet = {.bytes = (u8 *)e->bytes, .length = e->length};
	struct pipeline line = {
		.packet = &packet,
		.tables = &tables,
		.now_ns = e->now_ns,
		.vni = e->vni,
		.key = &flat.key,
		.layout = &flat.layout,
		.verdict = &flat.verdict,
	};
	struct weft_record record = {0};
	e->rows_end = &e->rows;
	pipeline_run(&line, e->port, &record);
	e->decided = stage;
	stage = EXPLAIN_apply;
	e->key = *line.key;
	e->verdict = record.verdict;
	if (e->verdict.flags & WEFT_VERDICT_REWRITE)
		e->rewrite = *line.rewrite;
	e->too_big = pipeline_too_big(&line);
	e->bytes_counted = e->length - packet_tag_bytes(line.layout);
	if (e->too_big)
		return;
	if (e->verdict.action == WEFT_ACTION_flood)
		apply_flood(&line);
	else if (e->verdict.action == WEFT_ACTION_encap)
		explain_encap(e, &line);
}

void explain_free(struct explain *e)
{
	while (e->rows) {
		struct explain_row *look = e->rows;
		e->rows = look->next;
		free(look);
	}
	free(e->copies);
	e->copies = NULL;
}

const char *explain_stage_name(enum explain_stage stage)
{
	static const char *const names[EXPLAIN_stage_count] = {
		[EXPLAIN_parse] = "parse",
#define X(name) [EXPLAIN_##name] = #name,
		WEFT_STAGES(X)
#undef X
			[EXPLAIN_apply] = "apply",
	};
	return names[stage];
}
