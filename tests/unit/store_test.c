// SPDX-License-Identifier: BSD-2-Clause
// The store: durable at commit, back at rollback, and a sentence for every file that is not its
// own.

#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/store.h"

struct fixture {
	char dir[64];
	char path[96];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->dir, "/tmp/weft-store-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/weft.db", fixture->dir);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct fixture *fixture = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
		unlink(path);
	}
	rmdir(fixture->dir);
	free(fixture);
	return 0;
}

static struct store *open_store(const struct fixture *fixture)
{
	struct failure failure = {0};
	struct store *store = NULL;

	if (store_open(&store, fixture->path, &failure))
		fail_msg("%s", failure.message);
	return store;
}

static int count_row(const struct store_row *row, void *context, struct failure *failure)
{
	(void)row;
	(void)failure;
	++*(int *)context;
	return 0;
}

static int rows_in(struct store *store)
{
	struct failure failure = {0};
	int count = 0;

	assert_int_equal(store_walk(store, count_row, &count, &failure), 0);
	return count;
}

static void put(struct store *store, u32 id, const char *name, const char *spec)
{
	struct failure failure = {0};
	const struct store_row row = {
		.noun = "port", .id = id, .order = id, .name = name, .spec = spec};

	if (store_put(store, &row, &failure))
		fail_msg("%s", failure.message);
}

static void survives_and_rolls_back(void **state)
{
	const struct fixture *fixture = *state;
	struct failure failure = {0};
	struct store *store = open_store(fixture);
	char uuid[37];

	snprintf(uuid, sizeof(uuid), "%s", store_uuid(store));
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(store_begin(store, &failure), 0);
	put(store, 1, "web1", "{}");
	put(store, 2, "web2", "{}");
	put(store, 1, "web1", "{\"mtu\":1}"); // replaced
	assert_int_equal(store_commit(store, &failure), 0);
	assert_int_equal(store_begin(store, &failure), 0);
	put(store, 3, "web3", "{}");
	assert_int_equal(store_del(store, "port", 1, &failure), 0);
	assert_int_equal(rows_in(store), 2);
	store_rollback(store);
	assert_int_equal(rows_in(store), 2);
	store_close(store);

	store = open_store(fixture);
	assert_string_equal(store_uuid(store), uuid);
	assert_int_equal(rows_in(store), 2);
	store_close(store);
}

// What was committed is there after a death without goodbye; what was not is not.
static void survives_a_kill(void **state)
{
	const struct fixture *fixture = *state;
	struct failure failure = {0};
	struct store *store;
	int status;
	pid_t child = fork();

	if (child == 0) {
		store = open_store(fixture);
		store_begin(store, &failure);
		put(store, 1, "web1", "{}");
		store_commit(store, &failure);
		store_begin(store, &failure);
		put(store, 2, "web2", "{}");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	store = open_store(fixture);
	assert_int_equal(rows_in(store), 1);
	store_close(store);
}

static void name_taken_is_an_error(void **state)
{
	struct failure failure = {0};
	struct store *store = open_store(*state);
	const struct store_row twice = {
		.noun = "port", .id = 2, .order = 2, .name = "web1", .spec = "{}"};

	store_begin(store, &failure);
	put(store, 1, "web1", "{}");
	assert_true(store_put(store, &twice, &failure) < 0);
	store_rollback(store);
	assert_int_equal(rows_in(store), 0);
	store_close(store);
}

static void refused(const struct fixture *fixture, const char *code, const char *sentence)
{
	struct failure failure = {0};
	struct store *store = NULL;

	assert_true(store_open(&store, fixture->path, &failure) < 0);
	assert_null(store);
	assert_string_equal(failure.code_name, code);
	if (!strstr(failure.message, sentence))
		fail_msg("said '%s', wanted '%s'", failure.message, sentence);
	assert_true(failure.hint[0]);
}

static void execute(const struct fixture *fixture, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void newer_version(void **state)
{
	store_close(open_store(*state));
	execute(*state, "PRAGMA user_version = 99");
	refused(*state, "state_newer", "made by a newer weft");
}

static void other_database(void **state)
{
	execute(*state, "CREATE TABLE t (x)");
	refused(*state, "state_damaged", "not one of weft");
}

static void no_database(void **state)
{
	const struct fixture *fixture = *state;
	FILE *file = fopen(fixture->path, "w");

	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	refused(fixture, "state_damaged", "is damaged");
}

static void fill(const struct fixture *fixture)
{
	struct failure failure = {0};
	struct store *store = open_store(fixture);
	char name[16];

	store_begin(store, &failure);
	for (u32 i = 1; i < 1000; i++) {
		snprintf(name, sizeof(name), "web%u", i);
		put(store, i, name, "{\"name\":\"web\"}");
	}
	store_commit(store, &failure);
	store_close(store);
}

static void cut_database(void **state)
{
	const struct fixture *fixture = *state;

	fill(fixture);
	assert_int_equal(truncate(fixture->path, 8192), 0);
	refused(fixture, "state_damaged", "is damaged");
}

// One page in the middle is garbage: found at start, not when an object is missed.
static void rotten_page(void **state)
{
	const struct fixture *fixture = *state;
	static const char garbage[2048] = {5, 4, 3, 2, 1};
	FILE *file;

	fill(fixture);
	file = fopen(fixture->path, "r+");
	assert_int_equal(fseek(file, 6 * 4096, SEEK_SET), 0);
	assert_int_equal(fwrite(garbage, sizeof(garbage), 1, file), 1);
	fclose(file);
	refused(fixture, "state_damaged", "is damaged");
}

static void no_directory(void **state)
{
	struct fixture fixture = *(struct fixture *)*state;

	strcat(fixture.dir, "/none");
	snprintf(fixture.path, sizeof(fixture.path), "%s/weft.db", fixture.dir);
	refused(&fixture, "state_failed", "unable to open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(survives_and_rolls_back, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(name_taken_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_version, setup, teardown),
		cmocka_unit_test_setup_teardown(other_database, setup, teardown),
		cmocka_unit_test_setup_teardown(no_database, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_database, setup, teardown),
		cmocka_unit_test_setup_teardown(rotten_page, setup, teardown),
		cmocka_unit_test_setup_teardown(no_directory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
