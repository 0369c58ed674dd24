// SPDX-License-Identifier: BSD-2-Clause
// The store: desired state in one SQLite file, one transaction per request, durable at commit.
#pragma once

#include "daemon/failure.h"
#include <weft/types.h>

struct store;

// One stored object as text; what `walk` hands out is valid during the call.
struct store_row {
	const char *noun;
	u32 id;
	u64 order; // of creation
	const char *name;
	const char *spec; // JSON
};

typedef int store_walk_fn(const struct store_row *row, void *context, struct failure *failure);

// Opens or makes the file; the uuid is made with it.
int store_open(struct store **out, const char *path, struct failure *failure);
void store_close(struct store *store); // NULL: nothing
void store_purge(struct store *store); // store_close deletes the file
const char *store_uuid(const struct store *store);

// Changes stand between begin and commit. A change that fails ends in store_rollback by the caller.
int store_begin(struct store *store, struct failure *failure);
int store_commit(struct store *store, struct failure *failure);
void store_rollback(struct store *store);

int store_put(struct store *store, const struct store_row *row, struct failure *failure);
int store_del(struct store *store, const char *noun, u32 id, struct failure *failure);
int store_walk(struct store *store, store_walk_fn *fn, void *context, struct failure *failure);
