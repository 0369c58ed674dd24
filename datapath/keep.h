// SPDX-License-Identifier: BSD-2-Clause
// Tables that outlive the process: their rows lie in files on a tmpfs, one for each, which are
// mapped and so are memory like any other. The kernel keeps them whatever ends the process.
//
// A file is its header, one page, and the rows. It is adopted when the header is what this weftd
// would write; with another capacity its rows are copied; else it is discarded, which is logged.
#pragma once

#include "datapath/engine.h"

struct keep;
struct table;

// NULL: nothing is kept there, which is logged. dir is made, its parent is there. owner: of the ids
// in the rows.
struct keep *keep_open(const char *dir, const char *owner);
void keep_close(struct keep *keep); // after the tables; NULL: nothing
void keep_remove(const char *dir);  // with what is kept there, if it is there

bool keep_wants(enum weft_table table);
// NULL: there is no room, which is logged.
struct table *keep_table(struct keep *keep, enum weft_table table, u32 capacity);

// *present: bytes of these tables that stand in dir already. -ENOSPC and *why (static memory): for
// the others there is no room. Takes nothing.
int keep_check(
	const char *dir, const u32 capacity[WEFT_TABLE_count], u64 *present, const char **why);
