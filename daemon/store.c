// SPDX-License-Identifier: BSD-2-Clause
// Desired state in SQLite: write-ahead log, fully synchronous, versioned.

#include "daemon/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(store);

// Raise the version with every change of the schema or of what a spec means, and convert in
// schema_prepare(): an older weftd must not read what it would misunderstand.
enum { STORE_VERSION = 1, STORE_APPLICATION = 0x77656674 /* "weft" */ };

enum statement { PUT, DEL, WALK, STATEMENT_count };

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENT_count];
	char *path;
	bool purged; // close deletes the file
	char uuid[37];
};

static const char *const statement_text[STATEMENT_count] = {
	[PUT] = ("INSERT INTO objects (noun, id, made, name, spec) VALUES (?1, ?2, ?3, ?4, ?5) "
		 "ON CONFLICT (noun, id) DO UPDATE SET made = ?3, name = ?4, spec = ?5"),
	[DEL] = "DELETE FROM objects WHERE noun = ?1 AND id = ?2",
	[WALK] = "SELECT noun, id, made, name, spec FROM objects ORDER BY made, id",
};

static const char schema[] = "BEGIN IMMEDIATE;"
			     "CREATE TABLE host (uuid TEXT NOT NULL);"
			     "CREATE TABLE objects (noun TEXT NOT NULL, id INTEGER NOT NULL,"
			     " made INTEGER NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
			     " PRIMARY KEY (noun, id), UNIQUE (noun, name)) WITHOUT ROWID;";

static int damaged(const struct store *store, const char *what, struct failure *failure)
{
	fail(failure, -EIO, "state_damaged", "the state file %s is damaged: %s", store->path, what);
	return fail_hint(failure,
		"put a copy of it back, or move it away: weftd then starts without objects");
}

static int failed(const struct store *store, const char *doing, struct failure *failure)
{
	int code = sqlite3_errcode(store->db);

	if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
		return damaged(store, sqlite3_errmsg(store->db), failure);
	log_error("%s failed path=%s code=%d", doing, store->path,
		sqlite3_extended_errcode(store->db));
	fail(failure, -EIO, "state_failed", "the state file %s: %s: %s", store->path, doing,
		sqlite3_errmsg(store->db));
	return fail_hint(failure,
		"see that its directory is writable and the disk has room; nothing was changed");
}

static int run(struct store *store, const char *sql, const char *doing, struct failure *failure)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(store, doing, failure);
	return 0;
}

// One number or text from a one-row query; text is copied into out when there is one.
static int ask(struct store *store, const char *sql, long long *number, char *out, size_t size,
	struct failure *failure)
{
	sqlite3_stmt *statement;
	const char *text;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return failed(store, "reading", failure);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		sqlite3_finalize(statement);
		return sqlite3_errcode(store->db) == SQLITE_DONE
			       ? damaged(store, "a row is missing", failure)
			       : failed(store, "reading", failure);
	}
	text = (const char *)sqlite3_column_text(statement, 0);
	if (number)
		*number = sqlite3_column_int64(statement, 0);
	if (out)
		snprintf(out, size, "%s", text ? text : "");
	sqlite3_finalize(statement);
	return 0;
}

// RFC 9562 version 4.
static void uuid_make(char out[37])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}

static int schema_create(struct store *store, struct failure *failure)
{
	char sql[256];
	int err;

	uuid_make(store->uuid);
	snprintf(sql, sizeof(sql),
		"INSERT INTO host (uuid) VALUES ('%s'); PRAGMA application_id = %d;"
		"PRAGMA user_version = %d; COMMIT",
		store->uuid, STORE_APPLICATION, STORE_VERSION);
	err = run(store, schema, "making the tables", failure);
	return err ? err : run(store, sql, "making the tables", failure);
}

static int schema_prepare(struct store *store, struct failure *failure)
{
	long long version, application, tables;
	int err;

	err = ask(store, "PRAGMA user_version", &version, NULL, 0, failure);
	if (!err)
		err = ask(store, "PRAGMA application_id", &application, NULL, 0, failure);
	if (!err)
		err = ask(store, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0, failure);
	if (err)
		return err;
	if (tables == 0 && version == 0)
		return schema_create(store, failure);
	if (application != STORE_APPLICATION)
		return damaged(store, "it is a database, but not one of weft", failure);
	if (version > STORE_VERSION) {
		fail(failure, -EPROTO, "state_newer",
			"the state file %s was made by a newer weft (its version is %lld, this "
			"weftd knows %d)",
			store->path, version, STORE_VERSION);
		return fail_hint(failure,
			"upgrade weft, or move the file away: weftd then starts without objects");
	}
	return ask(store, "SELECT uuid FROM host", NULL, store->uuid, sizeof(store->uuid), failure);
}

static int integrity_check(struct store *store, struct failure *failure)
{
	char verdict[256];
	int err = ask(store, "PRAGMA quick_check(1)", NULL, verdict, sizeof(verdict), failure);

	if (err)
		return err;
	if (strcmp(verdict, "ok") == 0)
		return 0;
	char *finding = strchr(verdict, '\n'); // below a line that names the database
	return damaged(store, finding ? finding + 1 : verdict, failure);
}

static int prepare(struct store *store, struct failure *failure)
{
	int err = run(store,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF",
		"opening", failure);

	if (!err)
		err = integrity_check(store, failure);
	if (!err)
		err = schema_prepare(store, failure);
	for (size_t i = 0; !err && i < STATEMENT_count; i++)
		if (sqlite3_prepare_v3(store->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->statement[i], NULL) != SQLITE_OK)
			err = damaged(store, sqlite3_errmsg(store->db), failure);
	return err;
}

int store_open(struct store **out, const char *path, struct failure *failure)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	store->path = strdup(path);
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		SQLITE_OK)
		err = failed(store, "opening", failure);
	else
		err = prepare(store, failure);
	if (err) {
		store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < STATEMENT_count; i++)
		sqlite3_finalize(store->statement[i]);
	sqlite3_close(store->db);
	if (store->purged) // the log files went at close
		unlink(store->path);
	free(store->path);
	free(store);
}

void store_purge(struct store *store)
{
	if (store)
		store->purged = true;
}

const char *store_uuid(const struct store *store)
{
	return store->uuid;
}

int store_begin(struct store *store, struct failure *failure)
{
	return run(store, "BEGIN IMMEDIATE", "beginning a change", failure);
}

int store_commit(struct store *store, struct failure *failure)
{
	return run(store, "COMMIT", "writing", failure);
}

void store_rollback(struct store *store)
{
	// After some errors SQLite has rolled back by itself: nothing is left to do then.
	if (!sqlite3_get_autocommit(store->db))
		run(store, "ROLLBACK", "taking a change back", NULL);
}

static int step(struct store *store, enum statement which, struct failure *failure)
{
	sqlite3_stmt *statement = store->statement[which];
	int code = sqlite3_step(statement);
	int err = code == SQLITE_DONE ? 0 : failed(store, "writing", failure);

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return err;
}

int store_put(struct store *store, const struct store_row *row, struct failure *failure)
{
	sqlite3_stmt *statement = store->statement[PUT];

	sqlite3_bind_text(statement, 1, row->noun, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, row->id);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)row->order);
	sqlite3_bind_text(statement, 4, row->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 5, row->spec, -1, SQLITE_STATIC);
	return step(store, PUT, failure);
}

int store_del(struct store *store, const char *noun, u32 id, struct failure *failure)
{
	sqlite3_stmt *statement = store->statement[DEL];

	sqlite3_bind_text(statement, 1, noun, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, id);
	return step(store, DEL, failure);
}

int store_walk(struct store *store, store_walk_fn *fn, void *context, struct failure *failure)
{
	sqlite3_stmt *statement = store->statement[WALK];
	int code, err = 0;

	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct store_row row = {
			.noun = (const char *)sqlite3_column_text(statement, 0),
			.id = (u32)sqlite3_column_int64(statement, 1),
			.order = (u64)sqlite3_column_int64(statement, 2),
			.name = (const char *)sqlite3_column_text(statement, 3),
			.spec = (const char *)sqlite3_column_text(statement, 4),
		};

		if (!row.noun || !row.name || !row.spec ||
			sqlite3_column_int64(statement, 1) != row.id)
			err = damaged(store, "a row lacks a value", failure);
		else
			err = fn(&row, context, failure);
	}
	if (!err && code != SQLITE_DONE)
		err = failed(store, "reading", failure);
	sqlite3_reset(statement);
	return err;
}
