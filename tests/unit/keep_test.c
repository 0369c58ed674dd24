// SPDX-License-Identifier: BSD-2-Clause
// Tables that outlive their process: what a kill at any moment leaves, and files that are refused.
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "datapath/keep.h"
#include "datapath/table.h"

enum { CAPACITY = 256, KEYS = 200, OWNER = 1, ROUNDS = 60 };

static const char *const owners[] = {"somebody", "9ad2a1f0-0000-4000-8000-000000000001"};
static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/dev/shm/weft-keep-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	strcat(dir, "/tables");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keep_remove(dir);
	*strrchr(dir, '/') = '\0';
	return rmdir(dir); // nothing else may be there
}

static void file_path(char path[128])
{
	snprintf(path, 128, "%s/connection", dir);
}

// --- rows whose fields all say the same

static struct weft_connection_key key_of(u32 key)
{
	struct weft_connection_key at = {.scope = key, .src_port = (u16)~key, .protocol = 6};
	memset(at.src, (u8)key, sizeof(at.src));
	return at;
}

static struct weft_connection_row row_of(u32 key, u32 version)
{
	struct weft_connection_row row = {
		.seen_ns = version, .idle_ns = ~(u64)version, .service = key, .port = version};
	row.rewrite.backend = key ^ version;
	memset(row.rewrite.dst.byte, (u8)version, sizeof(row.rewrite.dst.byte));
	return row;
}

// The version of the row; 0: there is none.
static u32 version_of(const struct table *table, u32 key)
{
	struct weft_connection_key at = key_of(key);
	const struct weft_connection_row *row = table_get(table, &at);
	if (!row)
		return 0;
	struct weft_connection_row whole = row_of(key, (u32)row->seen_ns);
	assert_memory_equal(row, &whole, sizeof(whole));
	return (u32)row->seen_ns;
}

static int put(struct table *table, u32 key, u32 version)
{
	struct weft_connection_key at = key_of(key);
	struct weft_connection_row row = row_of(key, version);
	int error = table_put(table, &at, &row);
	table_retire(table);
	table_reclaim(table); // nobody reads meanwhile
	return error;
}

static void del(struct table *table, u32 key)
{
	struct weft_connection_key at = key_of(key);
	table_del(table, &at, NULL);
	table_retire(table);
	table_reclaim(table);
}

struct kept {
	struct keep *keep;
	struct table *table;
};

static struct kept open_kept(u32 owner, u32 capacity)
{
	struct kept k = {.keep = keep_open(dir, owners[owner])};
	assert_non_null(k.keep);
	k.table = keep_table(k.keep, WEFT_TABLE_connection, capacity);
	assert_non_null(k.table);
	return k;
}

static void close_kept(struct kept *k)
{
	table_free(k->table);
	keep_close(k->keep);
}

// --- tests

static void outlives(void **state)
{
	struct kept k = open_kept(OWNER, CAPACITY);
	(void)state;
	assert_false(k.table->adopted);
	for (u32 key = 0; key < KEYS; key++)
		assert_int_equal(put(k.table, key, 1), 0);
	for (u32 key = 0; key < KEYS; key += 2)
		assert_int_equal(put(k.table, key, 2), 0);
	for (u32 key = 0; key < KEYS; key += 5)
		del(k.table, key);
	close_kept(&k);
	k = open_kept(OWNER, CAPACITY);
	assert_true(k.table->adopted);
	assert_int_equal(table_used(k.table), KEYS - KEYS / 5);
	for (u32 key = 0; key < KEYS; key++)
		assert_int_equal(version_of(k.table, key), key % 5 == 0 ? 0 : key % 2 ? 1 : 2);
	// It is a table like any other: all of its room is there, and no more.
	for (u32 key = 0; table_used(k.table) < CAPACITY; key++)
		assert_int_equal(put(k.table, key, 3), 0);
	assert_int_equal(put(k.table, 100000, 3), -ENOSPC);
	for (u32 key = 0; key < KEYS; key++)
		assert_int_equal(put(k.table, key, 4), 0);
	close_kept(&k);
}

static void arrays_outlive(void **state)
{
	struct keep *keep = keep_open(dir, owners[OWNER]);
	struct table *table = keep_table(keep, WEFT_TABLE_service_usage, 16);
	struct weft_service_usage_row row = {.connections = 7};
	u32 index = 5;
	(void)state;
	assert_int_equal(table_put(table, &index, &row), 0);
	table_free(table);
	keep_close(keep);
	for (u32 capacity = 16; capacity >= 8; capacity -= 8) {
		keep = keep_open(dir, owners[OWNER]);
		table = keep_table(keep, WEFT_TABLE_service_usage, capacity);
		assert_true(table->adopted);
		assert_memory_equal(table_get(table, &index), &row, sizeof(row));
		table_free(table);
		keep_close(keep);
	}
}

static void capacity_changes(void **state)
{
	static const u32 capacities[] = {CAPACITY, 4 * CAPACITY, KEYS, KEYS / 2};
	struct kept k = open_kept(OWNER, capacities[0]);
	u32 count = 0;
	(void)state;
	for (u32 key = 0; key < KEYS; key++)
		put(k.table, key, 1);
	close_kept(&k);
	for (size_t i = 1; i < WEFT_ARRAY_SIZE(capacities); i++) {
		k = open_kept(OWNER, capacities[i]);
		assert_true(k.table->adopted);
		assert_int_equal(table_capacity(k.table), capacities[i]);
		for (u32 key = count = 0; key < KEYS; key++)
			count += version_of(k.table, key) == 1;
		assert_int_equal(count, capacities[i] < KEYS ? capacities[i] : KEYS);
		close_kept(&k);
	}
}

// What the child was about to do, and what it has done, by key.
struct journal {
	u32 begun[KEYS], done[KEYS]; // versions; 0: no row
	u32 rounds;
};

static void write_until_killed(struct journal *journal, u32 seed)
{
	struct kept k = open_kept(OWNER, CAPACITY);
	srandom(seed);
	for (u32 version = journal->rounds << 20 | 1;; version++) {
		u32 key = (u32)random() % KEYS;
		bool gone = random() % 4 == 0;
		__atomic_store_n(&journal->begun[key], gone ? 0 : version, __ATOMIC_SEQ_CST);
		if (gone)
			del(k.table, key);
		else if (put(k.table, key, version))
			abort();
		__atomic_store_n(&journal->done[key], gone ? 0 : version, __ATOMIC_SEQ_CST);
	}
}

// Every row that was written is there, whole; of the one that was being written the old or the new.
static void killed(void **state)
{
	struct journal *journal = mmap(
		NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u32 used;
	(void)state;
	assert_ptr_not_equal(journal, MAP_FAILED);
	for (journal->rounds = 0; journal->rounds < ROUNDS; journal->rounds++) {
		pid_t child = fork();
		if (child == 0)
			write_until_killed(journal, journal->rounds);
		usleep(2000 + 311 * journal->rounds);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		struct kept k = open_kept(OWNER, CAPACITY);
		for (u32 key = used = 0; key < KEYS; key++) {
			u32 version = version_of(k.table, key);
			if (version != journal->done[key])
				assert_int_equal(version, journal->begun[key]);
			journal->begun[key] = journal->done[key] = version;
			used += version != 0;
		}
		assert_int_equal(table_used(k.table), used);
		close_kept(&k);
	}
	for (u32 key = used = 0; key < KEYS; key++)
		used += journal->done[key] != 0;
	assert_true(used > KEYS / 2); // it has come to writing
	munmap(journal, sizeof(*journal));
}

// --- what a kill leaves, by hand: a slot is its links, its state, key and row

enum { STATE = 2, FREE = 0, LIVE = 1, REPLACED = 2 };

struct memory {
	u8 *rows;
	size_t slot_bytes;
	struct table *table;
};

static struct table *over(struct memory *m, bool adopt)
{
	return m->table = table_over(WEFT_TABLE_HASH, sizeof(struct weft_connection_key),
		       sizeof(struct weft_connection_row), CAPACITY, m->rows, adopt);
}

static u32 *word(struct memory *m, u32 slot, u32 word)
{
	return (u32 *)(void *)(m->rows + slot * m->slot_bytes) + word;
}

// Slots 0 and 1 are those of one key, with versions 1 and 2; there are others.
static struct memory two_slots(u32 state_of_old, u32 state_of_new)
{
	struct memory m = {
		.rows = calloc(
			1, table_rows_bytes(WEFT_TABLE_HASH, sizeof(struct weft_connection_key),
				   sizeof(struct weft_connection_row), CAPACITY))};
	m.slot_bytes = over(&m, false)->slot_bytes;
	put(m.table, 7, 1);
	for (u32 key = 20; key < 40; key++)
		put(m.table, key, 1);
	memcpy(m.rows + 30 * m.slot_bytes, m.rows, m.slot_bytes);
	struct weft_connection_row row = row_of(7, 2);
	memcpy(m.rows + 30 * m.slot_bytes + m.table->row_offset, &row, sizeof(row));
	*word(&m, 0, STATE) = state_of_old;
	*word(&m, 30, STATE) = state_of_new;
	table_free(m.table);
	return m;
}

static void torn(void **state)
{
	static const struct {
		u32 old, new, version;
	} cases[] = {
		{LIVE, FREE, 1},      // before the new row was whole
		{REPLACED, FREE, 1},  // before it was live
		{REPLACED, LIVE, 2},  // before the old one was free
		{FREE, LIVE, 2},      // after it
		{FREE, REPLACED, 2},  // the next replacement had begun
		{LIVE, REPLACED, 1},  // the same, with the slots in the other order
		{FREE, FREE, 0},      // deleted
		{77, 0x80000001u, 0}, // no state of a slot
	};
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct memory m = two_slots(cases[i].old, cases[i].new);
		for (u32 slot = 0; slot < CAPACITY; slot++) // links are not believed
			*word(&m, slot, 0) = *word(&m, slot, 1) = 0x7fffffff + slot;
		over(&m, true);
		assert_int_equal(version_of(m.table, 7), cases[i].version);
		assert_int_equal(table_used(m.table), 20 + (cases[i].version != 0));
		for (u32 key = 20; key < 40; key++)
			assert_int_equal(version_of(m.table, key), 1);
		for (u32 key = 100; table_used(m.table) < CAPACITY; key++)
			assert_int_equal(put(m.table, key, 1), 0);
		table_free(m.table);
		free(m.rows);
	}
}

// The writer stopped after each of its instructions: the rows are copied then, and adopted.
static void stepped(void **state)
{
	u64 bytes = table_rows_bytes(WEFT_TABLE_HASH, sizeof(struct weft_connection_key),
		sizeof(struct weft_connection_row), CAPACITY);
	u8 *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct memory m = {.rows = shared};
	u32 steps = 0, seen[4] = {0};
	int status;
	(void)state;
	over(&m, false);
	for (u32 key = 20; key < 40; key++)
		put(m.table, key, 1);
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		put(m.table, 7, 1);
		put(m.table, 7, 2);
		del(m.table, 7);
		put(m.table, 8, 3); // in the slot of another
		_exit(0);
	}
	waitpid(child, &status, 0);
	struct memory copy = {.rows = malloc(bytes)};
	for (; WIFSTOPPED(status) && !ptrace(PTRACE_SINGLESTEP, child, NULL, NULL); steps++) {
		waitpid(child, &status, 0);
		memcpy(copy.rows, shared, bytes);
		over(&copy, true);
		u32 version = version_of(copy.table, 7), other = version_of(copy.table, 8);
		assert_true(version < 3 && (other == 0 || other == 3) && !(version && other));
		// The version rises, then the row goes, then the other one comes.
		u32 stage = other ? 3 : seen[2] && !version ? 0 : version;
		assert_true(!seen[3] || other == 3);
		assert_true(!seen[2] || version != 1);
		assert_true(!seen[1] || seen[2] || version);
		seen[stage]++;
		for (u32 key = 20; key < 40; key++)
			assert_int_equal(version_of(copy.table, key), 1);
		table_free(copy.table);
	}
	assert_true(steps > 500 && seen[1] && seen[2] && seen[3]);
	free(copy.rows);
	table_free(m.table);
	munmap(shared, bytes);
}

static void garbage_is_a_table(void **state)
{
	struct memory m = two_slots(LIVE, LIVE);
	u64 bytes = table_rows_bytes(WEFT_TABLE_HASH, sizeof(struct weft_connection_key),
		sizeof(struct weft_connection_row), CAPACITY);
	(void)state;
	over(&m, true);
	assert_true(version_of(m.table, 7) != 0); // one of the two
	assert_int_equal(table_used(m.table), 21);
	table_free(m.table);
	srandom(1);
	for (u64 i = 0; i < bytes; i++)
		m.rows[i] = (u8)random();
	for (u32 slot = 0; slot < bytes / m.slot_bytes; slot++)
		*word(&m, slot, STATE) = (u32)random() % 3;
	over(&m, true);
	assert_true(table_used(m.table) <= CAPACITY);
	for (u32 key = 0; table_used(m.table) < CAPACITY; key++)
		assert_int_equal(put(m.table, key, 1), 0);
	table_free(m.table);
	free(m.rows);
}

// --- files that are not taken

static void damage(u32 how)
{
	char path[128], text[] = "no table, but a text that is longer than nothing";
	file_path(path);
	int fd = open(path, O_RDWR);
	struct stat st;
	assert_true(fd >= 0 && !fstat(fd, &st));
	switch (how) {
	case 0: // of the magic
	case 1: // of the layout
	case 2: // of the row's size
	case 3: // of the ABI
	case 4: // of the boot
	case 5: // of the capacity
	case 6: // of the size
		pwrite(fd, "\x5a", 1, (off_t[]){1, 16, 28, 33, 97, 144, 152}[how]);
		break;
	case 7:
		assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
		break;
	case 8:
		assert_int_equal(ftruncate(fd, 0), 0);
		break;
	case 9:
		assert_int_equal(ftruncate(fd, 0), 0);
		pwrite(fd, text, sizeof(text), 0);
		break;
	case 10:
		assert_int_equal(fchmod(fd, 0644), 0);
		break;
	case 11:
		unlink(path);
		assert_int_equal(symlink("/dev/zero", path), 0);
		break;
	default:
		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
		break;
	}
	close(fd);
}

static void refused(void **state)
{
	(void)state;
	for (u32 how = 0; how <= 12; how++) {
		struct kept k = open_kept(OWNER, CAPACITY);
		put(k.table, 7, 1);
		close_kept(&k);
		damage(how);
		k = open_kept(OWNER, CAPACITY);
		assert_false(k.table->adopted);
		assert_int_equal(table_used(k.table), 0);
		put(k.table, 8, 2);
		close_kept(&k);
		k = open_kept(OWNER, CAPACITY); // what is there now is good
		assert_true(k.table->adopted);
		assert_int_equal(version_of(k.table, 8), 2);
		close_kept(&k);
	}
	struct kept k = open_kept(0, CAPACITY); // somebody else's ids
	assert_int_equal(table_used(k.table), 0);
	close_kept(&k);
}

static void places(void **state)
{
	u32 capacity[WEFT_TABLE_count] = {0};
	const char *why = NULL;
	u64 present;
	(void)state;
	assert_null(keep_open("/proc/self", owners[OWNER])); // no tmpfs
	assert_null(keep_open("/dev/shm", owners[OWNER]));   // others may write there
	assert_int_equal(keep_check(dir, capacity, &present, &why), 0);
	assert_int_equal(present, 0);
	struct kept k = open_kept(OWNER, table_infos[WEFT_TABLE_connection].capacity);
	close_kept(&k);
	assert_int_equal(keep_check(dir, capacity, &present, &why), 0);
	assert_true(present > 9 << 20); // the connection table
	capacity[WEFT_TABLE_connection] = UINT32_MAX / 4;
	capacity[WEFT_TABLE_fdb] = UINT32_MAX / 4;
	assert_int_equal(keep_check(dir, capacity, &present, &why), -ENOSPC);
	assert_non_null(strstr(why, dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(outlives, setup, teardown),
		cmocka_unit_test_setup_teardown(arrays_outlive, setup, teardown),
		cmocka_unit_test_setup_teardown(capacity_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(killed, setup, teardown),
		cmocka_unit_test(torn),
		cmocka_unit_test(stepped),
		cmocka_unit_test(garbage_is_a_table),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(places, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
