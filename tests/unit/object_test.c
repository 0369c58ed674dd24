// SPDX-License-Identifier: BSD-2-Clause
// add, set, del, show: what is stored, what is refused, and what is left after a failure.

#include "tests/unit/expect.h"

#include <errno.h>
#include <sqlite3.h>
#include <weft/control.h>
#include "daemon/store.h"

static struct object *network(struct rig *rig, const char *name)
{
	return object_find(&rig->weftd, noun_find("network"), name);
}

static void restart(struct rig *rig)
{
	struct failure failure = {0};

	rig_stop(rig);
	if (rig_start(rig, &failure))
		fail_msg("%s", failure.message);
}

static void survives_restart(void **state)
{
	struct rig *rig = *state;
	json_t *before, *after;
	char uuid[37];

	strcpy(uuid, rig->weftd.uuid);
	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "network add blue vni 7 subnet 10.1.0.0/24");
	rig_do(rig, "network add red");
	rig_do(rig, "network set red mtu 9000");
	rig_do(rig, "network add green");
	rig_do(rig, "network del green");
	before = rig_result(rig, "network");
	restart(rig);
	after = rig_result(rig, "network");
	assert_int_equal(json_array_size(after), 2);
	assert_true(json_equal(before, after));
	assert_string_equal(rig->weftd.uuid, uuid);
	assert_string_equal(
		spec_text(object_first(&rig->weftd, noun_find("host"))->spec, "address", ""),
		"192.0.2.1");
	json_decref(before);
	json_decref(after);
}

static void refusals(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue");
	rig_refused(rig, "network add blue", WEFT_EXIT_REFUSED, "exists", "blue exists already");
	rig_refused(rig, "network set bule mtu 1400", WEFT_EXIT_REFUSED, "not_found",
		"did you mean blue?");
	rig_refused(
		rig, "network del red", WEFT_EXIT_REFUSED, "not_found", "there is no network red");
	rig_refused(rig, "network show red", WEFT_EXIT_REFUSED, "not_found", "no network red");
	rig_refused(rig, "port add web1 type device dev none0 network red", WEFT_EXIT_REFUSED,
		"not_found", "no network red");
	rig_refused(rig, "port add web1 type device dev weft-none0 network blue", WEFT_EXIT_REFUSED,
		"no_device", "weft-none0");
	assert_int_equal(object_count(&rig->weftd, noun_find("port")), 0);
	restart(rig);
	assert_int_equal(object_count(&rig->weftd, noun_find("port")), 0);
	assert_int_equal(object_count(&rig->weftd, noun_find("network")), 1);
}

static void set_changes_what_is_given(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue vni 7 mtu 1400 gateway 10.0.0.1");
	rig_do(rig, "network set blue mtu 9000");
	assert_int_equal(spec_number(network(rig, "blue")->spec, "mtu", 0), 9000);
	assert_int_equal(spec_number(network(rig, "blue")->spec, "vni", 0), 7);
	rig_do(rig, "network set blue vni none mtu none");
	assert_null(json_object_get(network(rig, "blue")->spec, "vni"));
	assert_null(json_object_get(network(rig, "blue")->spec, "mtu"));
	rig_refused(rig, "network set blue vni default", WEFT_EXIT_WORDS, "bad_value", "'default'");
}

static void lists_take_more_and_less(void **state)
{
	struct rig *rig = *state;
	json_t *list;

	rig_do(rig, "network add blue gateway 10.0.0.1");
	rig_do(rig, "network set blue gateway +2001:db8::1");
	rig_do(rig, "network set blue gateway +2001:db8::1"); // there already
	list = spec_list(network(rig, "blue")->spec, "gateway");
	assert_int_equal(json_array_size(list), 2);
	rig_do(rig, "network set blue gateway -10.0.0.1,+10.0.0.2");
	list = spec_list(network(rig, "blue")->spec, "gateway");
	assert_string_equal(json_string_value(json_array_get(list, 0)), "2001:db8::1");
	assert_string_equal(json_string_value(json_array_get(list, 1)), "10.0.0.2");
	rig_do(rig, "network set blue gateway +10.0.0.3 -10.0.0.2");
	list = spec_list(network(rig, "blue")->spec, "gateway");
	assert_string_equal(json_string_value(json_array_get(list, 1)), "10.0.0.3");
	rig_refused(rig, "network set blue gateway -10.9.9.9", WEFT_EXIT_REFUSED, "not_found",
		"gateway has no 10.9.9.9");
	rig_refused(rig, "network set blue gateway +10.0.0.4,10.0.0.5", WEFT_EXIT_WORDS,
		"bad_words", "no + or -");
	rig_refused(rig, "network add red gateway +10.0.0.4", WEFT_EXIT_WORDS, "bad_value",
		"'+10.0.0.4'");
	rig_do(rig, "network set blue gateway -2001:db8::1,-10.0.0.3");
	assert_null(spec_list(network(rig, "blue")->spec, "gateway"));
}

static void ids_are_small_and_stable(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add a");
	rig_do(rig, "network add b");
	rig_do(rig, "network add c");
	assert_int_equal(network(rig, "c")->id, 3);
	rig_do(rig, "network del b");
	rig_do(rig, "network add d");
	assert_int_equal(network(rig, "d")->id, 2);
	assert_int_equal(network(rig, "c")->id, 3);
	assert_ptr_equal(object_by_id(&rig->weftd, noun_find("network"), 2), network(rig, "d"));
	assert_null(object_by_id(&rig->weftd, noun_find("network"), 4));
	assert_null(object_by_id(&rig->weftd, noun_find("network"), 0));
	restart(rig);
	assert_int_equal(network(rig, "d")->id, 2);
}

static void order_is_that_of_creation(void **state)
{
	static const char *const wanted[] = {"a", "c", "d"};
	struct rig *rig = *state;
	struct object *object;
	size_t i = 0;

	rig_do(rig, "network add a");
	rig_do(rig, "network add b");
	rig_do(rig, "network add c");
	rig_do(rig, "network del b");
	rig_do(rig, "network add d"); // takes the id of b
	restart(rig);
	object = object_first(&rig->weftd, noun_find("network"));
	for (; object; object = object->hh.next)
		assert_string_equal(object->name, wanted[i++]);
	assert_int_equal(i, 3);
}

static void filters(void **state)
{
	struct rig *rig = *state;
	json_t *shown;

	rig_do(rig, "network add blue vni 7 gateway 10.0.0.1,2001:db8::1");
	rig_do(rig, "network add red vni 8");
	shown = rig_result(rig, "network show vni 8");
	assert_int_equal(json_array_size(shown), 1);
	assert_string_equal(spec_text(json_array_get(shown, 0), "name", ""), "red");
	json_decref(shown);
	shown = rig_result(rig, "network show gateway 2001:db8::1");
	assert_int_equal(json_array_size(shown), 1);
	json_decref(shown);
	shown = rig_result(rig, "network show mtu 1500"); // the default, given by neither
	assert_int_equal(json_array_size(shown), 2);
	json_decref(shown);
	shown = rig_result(rig, "network show vni 9");
	assert_int_equal(json_array_size(shown), 0);
	json_decref(shown);
}

static void absent_is_null(void **state)
{
	struct rig *rig = *state;
	json_t *shown, *one;

	rig_do(rig, "network add blue");
	shown = rig_result(rig, "network show blue");
	one = json_array_get(shown, 0);
	assert_true(json_is_null(json_object_get(one, "vni")));
	assert_int_equal(json_integer_value(json_object_get(one, "mtu")), 1500);
	assert_string_equal(spec_text(one, "state", ""), "up");
	assert_true(json_is_null(json_object_get(one, "why")));
	json_decref(shown);
}

// An engine that refuses every write to one table.
static int (*real_put)(struct engine *, enum weft_table, const void *, const void *);
static bool put_fails;

static int failing_put(
	struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	if (put_fails && table == WEFT_TABLE_network)
		return -ENOSPC;
	return real_put(engine, table, key, row);
}

static void full_table_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct object *blue;

	real_put = rig->ops.table_put;
	rig->ops.table_put = failing_put;
	rig_do(rig, "network add blue mtu 1400");
	blue = network(rig, "blue");
	put_fails = true;
	rig_refused(rig, "network add red", WEFT_EXIT_REFUSED, "table_full", "");
	rig_refused(rig, "network set blue mtu 9000", WEFT_EXIT_REFUSED, "table_full", "");
	put_fails = false;
	assert_null(network(rig, "red"));
	assert_null(object_by_id(&rig->weftd, noun_find("network"), 2));
	assert_ptr_equal(network(rig, "blue"), blue);
	assert_int_equal(spec_number(blue->spec, "mtu", 0), 1400);
	rig_do(rig, "network add red"); // the id and the name are free again
	restart(rig);
	assert_int_equal(spec_number(network(rig, "blue")->spec, "mtu", 0), 1400);
	assert_int_equal(object_count(&rig->weftd, noun_find("network")), 2);
}

// Somebody else holds the state file: refused, and nothing has changed anywhere.
static void unwritable_store_changes_nothing(void **state)
{
	struct rig *rig = *state;
	char *path = rig_path(rig, "state/weft.db");
	sqlite3 *other;

	rig_do(rig, "network add blue mtu 1400");
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	rig_refused(rig, "network add red", WEFT_EXIT_REFUSED, "state_failed", "locked");
	rig_refused(rig, "network set blue mtu 9000", WEFT_EXIT_REFUSED, "state_failed", "locked");
	rig_refused(rig, "network del blue", WEFT_EXIT_REFUSED, "state_failed", "locked");
	sqlite3_close(other);
	assert_null(network(rig, "red"));
	assert_int_equal(spec_number(network(rig, "blue")->spec, "mtu", 0), 1400);
	free(path);
}

static void second_weftd_is_refused(void **state)
{
	struct rig *rig = *state;
	struct rig second = {0};
	struct failure failure = {0};
	char pid[16];

	strcpy(second.dir, rig->dir);
	assert_true(rig_start(&second, &failure) < 0);
	snprintf(pid, sizeof(pid), "pid %d", getpid());
	assert_string_equal(failure.code_name, "taken");
	assert_non_null(strstr(failure.message, pid));
	rig_stop(&second);
	rig_do(rig, "network add blue"); // the first one does not care
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(survives_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refusals, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(set_changes_what_is_given, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(lists_take_more_and_less, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(ids_are_small_and_stable, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(order_is_that_of_creation, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(filters, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(absent_is_null, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			full_table_changes_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			unwritable_store_changes_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(second_weftd_is_refused, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
