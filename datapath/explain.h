// SPDX-License-Identifier: BSD-2-Clause
// What a running datapath would do with one frame, and by which rows: parse and decide over its own
// tables, without commit. Nothing is changed, counted or sent.
#pragma once

#include <weft/stages.h>
#include "datapath/engine.h"

enum explain_stage {
	EXPLAIN_parse,
#define X(name) EXPLAIN_##name,
	WEFT_STAGES(X)
#undef X
		EXPLAIN_apply,
	EXPLAIN_stage_count,
};

// One look into a table, in the order of looking. The row is a copy.
struct explain_row {
	struct explain_row *next;
	enum explain_stage stage;
	enum weft_table table;
	bool found;
	u64 key[6]; // as the table has it: host order, addresses as on the wire
	u64 row[];
};

struct explain_copy { // of a flood
	u32 port;
	u16 tag;
};

enum explain_path {
	EXPLAIN_PATH_none,    // no way: the frame is lost
	EXPLAIN_PATH_own,     // weft's own encapsulation
	EXPLAIN_PATH_carrier, // the kernel's VXLAN device
};

struct explain {
	const struct engine_ops *ops;
	struct engine *engine;
	u64 now_ns;
	u32 port;        // the frame comes from it; a peer:
	u32 vni;         // and in this VNI, outer headers off
	const u8 *bytes; // the first WEFT_PARSE_BYTES of it at least, if there are so many
	u32 length;

	// What explain() found.
	struct weft_key key;
	struct weft_verdict verdict; // as an engine's record has it
	struct weft_rewrite rewrite; // if the verdict says so
	enum explain_stage decided;  // whose verdict stands
	bool too_big;                // it is lost for its length; verdict.reply: its sender is told
	u32 bytes_counted;           // its length without a tag: what max_bytes is held against
	struct explain_row *rows, **rows_end;
	struct explain_copy *copies; // flood
	u32 copy_count;
	enum explain_path path; // encap
	bool nexthop_known;
	struct weft_nexthop_row nexthop;
};

// *e: what is in, all else zero. Aborts without memory.
void explain(struct explain *e);
void explain_free(struct explain *e);
const char *explain_stage_name(enum explain_stage stage);
