// SPDX-License-Identifier: BSD-2-Clause
// Memory is shown before it is taken, and a weftd that would take more than there is does not
// start.
#include "tests/unit/expect.h"

#include <errno.h>
#include "daemon/memory.h"

static int make(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	return rig_make(rig);
}

static void more_than_there_is(void **state)
{
	struct rig *rig = *state;
	struct failure failure = {0};

	rig->weftd.settings.capacity[WEFT_TABLE_latency] = 1 << 26;
	assert_int_equal(rig_start(rig, &failure), -ENOMEM);
	assert_string_equal(failure.code_name, "no_memory");
	assert_non_null(strstr(failure.message, "of them the table latency"));
	assert_non_null(strstr(failure.message, "nothing was taken"));
	assert_non_null(strstr(failure.hint, "capacity"));
}

static void what_is_shown_is_taken(void **state)
{
	struct rig *rig = *state;
	struct failure failure = {0};
	char *text = NULL, line[64];
	size_t length, i, tables = 0;
	json_t *table;

	rig->weftd.settings.capacity[WEFT_TABLE_connection] = 1 << 20;
	assert_int_equal(rig_start(rig, &failure), 0);
	FILE *file = open_memstream(&text, &length);
	assert_int_equal(memory_print(&rig->weftd, file, &failure), 0);
	fclose(file);
	json_t *answer = rig_run(rig, true, "host show", NULL);
	json_t *host = json_array_get(json_object_get(answer, "result"), 0);
	json_array_foreach (json_object_get(host, "tables"), i, table) {
		snprintf(line, sizeof(line), "%-16s %10lld %14lld\n",
			json_string_value(json_object_get(table, "table")),
			json_integer_value(json_object_get(table, "capacity")),
			json_integer_value(json_object_get(table, "memory_bytes")));
		assert_non_null(strstr(text, line));
		tables++;
	}
	assert_int_equal(tables, WEFT_TABLE_count);
	json_decref(answer);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(more_than_there_is, make, rig_teardown),
		cmocka_unit_test_setup_teardown(what_is_shown_is_taken, make, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
