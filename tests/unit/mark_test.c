// SPDX-License-Identifier: BSD-2-Clause
// The mark in a device's alias: written, read back, and not seen where there is none.

#include "tests/unit/unit.h"

#include "daemon/mark.h"

#define UUID "58acdf61-f6f4-4e3e-9a20-1db6c5b32295"

static void check(u32 words, const char *former, const char *wanted)
{
	struct mark mark = {.uuid = UUID, .port = "web1", .words = words}, got;
	char alias[LINK_ALIAS_BYTES];
	strcpy(mark.alias, former);
	assert_true(mark_write(&mark, alias));
	assert_string_equal(alias, wanted);
	assert_true(mark_read(alias, &got));
	assert_string_equal(got.uuid, UUID);
	assert_string_equal(got.port, "web1");
	assert_int_equal(got.words, words);
	assert_string_equal(got.alias, former);
}

static void there_and_back(void **state)
{
	(void)state;
	check(0, "", "weft:" UUID ":web1");
	check(MARK_adopted, "", "weft:" UUID ":web1:adopted");
	check(MARK_adopted | MARK_promisc, "", "weft:" UUID ":web1:adopted,promisc");
	check(MARK_new, "", "weft:" UUID ":web1:new");
	check(0, "rack 3", "weft:" UUID ":web1::rack 3");
	check(MARK_promisc, "a:b::c", "weft:" UUID ":web1:promisc:a:b::c");
}

static void no_mark(void **state)
{
	static const char *const aliases[] = {
		"",
		"weft",
		"weft:",
		"weft:short:web1",
		"weft:" UUID,
		"weft:" UUID ":",
		"weft:" UUID UUID ":web1",
		"uplink weft:" UUID ":web1",
	};
	struct mark mark;
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(aliases); i++) {
		if (mark_read(aliases[i], &mark))
			fail_msg("'%s' was taken for a mark", aliases[i]);
	}
}

static void too_long(void **state)
{
	struct mark mark = {.uuid = UUID, .port = "web1"}, got;
	char alias[LINK_ALIAS_BYTES];
	(void)state;
	memset(mark.alias, 'x', sizeof(mark.alias) - 1);
	assert_false(mark_write(&mark, alias));
	assert_int_equal(strlen(alias), LINK_ALIAS_BYTES - 1);
	assert_true(mark_read(alias, &got)); // cut, but still ours
}

static void later_words(void **state)
{
	struct mark mark;
	(void)state;
	assert_true(mark_read("weft:" UUID ":p:promisc,fresh,adopted:a", &mark));
	assert_int_equal(mark.words, MARK_adopted | MARK_promisc);
	assert_string_equal(mark.alias, "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(no_mark),
		cmocka_unit_test(too_long),
		cmocka_unit_test(later_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
