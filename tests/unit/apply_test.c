// SPDX-License-Identifier: BSD-2-Clause
// apply, diff, export: all or nothing, the same twice, an order that always works.

#include "tests/unit/expect.h"

#include <weft/control.h>

static json_t *apply(struct rig *rig, const char *verb, bool json, const char *content)
{
	char line[32];

	snprintf(line, sizeof(line), "%s file", verb);
	return rig_run(rig, json, line, rig_files("file", content));
}

static void prints(struct rig *rig, const char *verb, const char *content, const char *wanted)
{
	json_t *answer = apply(rig, verb, false, content);
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (!text || strcmp(text, wanted) != 0)
		fail_msg("%s: got '%s' %s, wanted '%s'", content, text ? text : "",
			rig_error(answer, "message"), wanted);
	json_decref(answer);
}

static void refused(struct rig *rig, const char *content, const char *sentence)
{
	json_t *before = rig_result(rig, "export");
	json_t *answer = apply(rig, "apply", false, content);
	json_t *after = rig_result(rig, "export");

	if (json_integer_value(json_object_get(answer, "exit")) != WEFT_EXIT_REFUSED ||
		!strstr(rig_error(answer, "message"), sentence))
		fail_msg("%s: said '%s', wanted '%s'", content, rig_error(answer, "message"),
			sentence);
	assert_true(json_equal(before, after));
	json_decref(answer);
	json_decref(before);
	json_decref(after);
}

static void adds_changes_deletes(void **state)
{
	static const char first[] = "networks:\n- {name: blue, vni: 7}\n- {name: red}\n";
	static const char second[] = "networks:\n- {name: red, mtu: 9000}\n- {name: green}\n";
	struct rig *rig = *state;
	struct failure failure = {0};

	prints(rig, "diff", first, "add network blue\nadd network red\n");
	assert_int_equal(object_count(&rig->weftd, noun_find("network")), 0);
	prints(rig, "apply", first, "add network blue\nadd network red\n");
	prints(rig, "apply", first, "nothing to change\n");
	prints(rig, "diff", second,
		"del network blue\nset network red: mtu - -> 9000\nadd network green\n");
	prints(rig, "apply", second,
		"del network blue\nset network red: mtu - -> 9000\nadd network green\n");
	prints(rig, "apply", second, "nothing to change\n");
	rig_stop(rig);
	assert_int_equal(rig_start(rig, &failure), 0);
	prints(rig, "apply", second, "nothing to change\n"); // the store has become the same
}

// A default that is written out is no change.
static void defaults_are_equal(void **state)
{
	struct rig *rig = *state;

	prints(rig, "apply", "networks: [{name: blue}]", "add network blue\n");
	prints(rig, "apply",
		"networks: [{name: blue, ageing_seconds: 300, vni: null, gateway: []}]",
		"nothing to change\n");
	prints(rig, "apply", "{\"networks\": [{\"name\": \"blue\", \"mac_limit\": \"16384\"}]}",
		"nothing to change\n");
}

static void kinds_not_named_stay(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue");
	rig_do(rig, "host set address 192.0.2.1");
	prints(rig, "apply", "ports: []\n", "nothing to change\n");
	prints(rig, "apply", "", "nothing to change\n");
	prints(rig, "apply", "host: {address: 192.0.2.2}\n",
		"set host: address 192.0.2.1 -> 192.0.2.2\n");
	prints(rig, "apply", "networks:\nhost:\n",
		"del network blue\nset host: address 192.0.2.2 -> -\n");
}

static void bad_files_change_nothing(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue vni 7");
	refused(rig, "networks: [{name: red}, {name: Green}]", "networks: Green: name: 'Green'");
	refused(rig, "networks: [{name: red}, {vni: 3}]", "networks: entry 2: 'name' is missing");
	refused(rig, "networks: [{name: red, vin: 3}]", "networks: red: unknown key 'vin'");
	refused(rig, "networks: [{name: red, vni: none}]", "networks: red: vni: 'none'");
	refused(rig, "networks: [{name: red}, {name: red}]", "networks: red stands there twice");
	refused(rig, "networks: [red]", "entry 1: this is no list of keys");
	refused(rig, "networks: red", "networks: this is no list");
	refused(rig, "netwroks: []", "unknown key 'netwroks'");
	refused(rig, "- a\n", "holds no keys");
	refused(rig, "networks: [", "line ");
	refused(rig, "{\"networks\": [}", "this is no JSON");
	// The first is possible, the second is not: neither is done.
	refused(rig, "networks: [{name: red}]\nports: [{name: web1, type: device, network: none1}]",
		"there is no network none1");
	refused(rig, "networks: [{name: blue, vni: 7}, {name: red, vni: 7}]", "vni");
}

// Two networks exchange their VNIs' names: what is taken is free only after a deletion.
static void order_is_found(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue vni 7");
	prints(rig, "apply", "networks: [{name: red, vni: 7}]",
		"del network blue\nadd network red\n");
	// blue wants the VNI that red gives up later in the file.
	prints(rig, "apply", "networks: [{name: blue, vni: 7}, {name: red, vni: 8}]",
		"set network red: vni 7 -> 8\nadd network blue\n");
}

static void export_can_be_applied(void **state)
{
	struct rig *rig = *state;
	json_t *document, *answer;
	char *text;

	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "network add blue vni 7 gateway 10.1.0.254,2001:db8::1 subnet 10.1.0.0/24");
	rig_do(rig, "network add on mtu 9000");
	answer = rig_run(rig, false, "export", NULL);
	prints(rig, "apply", json_string_value(json_object_get(answer, "text")),
		"nothing to change\n");
	document = rig_result(rig, "export");
	text = json_dumps(document, 0);
	prints(rig, "apply", text, "nothing to change\n");
	rig_do(rig, "network del blue");
	rig_do(rig, "host set address none");
	prints(rig, "apply", json_string_value(json_object_get(answer, "text")),
		"set host: address - -> 192.0.2.1\nadd network blue\n");
	free(text);
	json_decref(document);
	json_decref(answer);
}

static void changes_as_data(void **state)
{
	struct rig *rig = *state;
	json_t *answer, *change;

	rig_do(rig, "network add blue vni 7");
	answer = apply(rig, "diff", true, "networks: [{name: blue, vni: 8}]");
	change = json_array_get(json_object_get(answer, "result"), 0);
	assert_string_equal(spec_text(change, "change", ""), "set");
	assert_string_equal(spec_text(change, "object", ""), "network");
	assert_string_equal(spec_text(change, "name", ""), "blue");
	assert_int_equal(spec_number(json_object_get(change, "before"), "vni", 0), 7);
	assert_int_equal(spec_number(json_object_get(change, "after"), "vni", 0), 8);
	json_decref(answer);
	assert_int_equal(
		spec_number(object_first(&rig->weftd, noun_find("network"))->spec, "vni", 0), 7);
}

// What the file wants and the machine cannot give stays wanted: stored, exit 4, tried again.
static void partial(void **state)
{
	static const char file[] =
		"networks: [{name: blue}]\n"
		"ports: [{name: web1, type: device, dev: weft-none0, network: blue}]\n";
	struct rig *rig = *state;
	json_t *answer = apply(rig, "apply", true, file);
	json_t *shown;
	struct failure failure = {0};

	assert_int_equal(json_integer_value(json_object_get(answer, "exit")), WEFT_EXIT_PARTIAL);
	assert_string_equal(rig_error(answer, "code"), "partial");
	assert_non_null(strstr(rig_error(answer, "message"), "1 of 2 changes"));
	assert_int_equal(json_array_size(json_object_get(answer, "result")), 2);
	json_decref(answer);
	rig_stop(rig);
	assert_int_equal(rig_start(rig, &failure), 0);
	shown = rig_result(rig, "port show web1");
	assert_string_not_equal(spec_text(json_array_get(shown, 0), "state", "up"), "up");
	assert_true(json_is_string(json_object_get(json_array_get(shown, 0), "why")));
	json_decref(shown);
	rig_do(rig, "port del web1");
}

static void order_survives_a_dry_run(void **state)
{
	static const char *const wanted[] = {"c", "a", "b"};
	struct rig *rig = *state;
	struct object *object;
	size_t i = 0;

	rig_do(rig, "network add c");
	rig_do(rig, "network add a");
	rig_do(rig, "network add b");
	prints(rig, "diff", "networks: [{name: b, mtu: 9000}, {name: d}]",
		"del network a\ndel network c\nset network b: mtu - -> 9000\nadd network d\n");
	object = object_first(&rig->weftd, noun_find("network"));
	for (; object; object = object->hh.next)
		assert_string_equal(object->name, wanted[i++]);
	assert_int_equal(i, 3);
	rig_do(rig, "network add d");
	assert_int_equal(object_find(&rig->weftd, noun_find("network"), "d")->id, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adds_changes_deletes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(defaults_are_equal, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(kinds_not_named_stay, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(bad_files_change_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(order_is_found, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(export_can_be_applied, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(changes_as_data, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(partial, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(order_survives_a_dry_run, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
