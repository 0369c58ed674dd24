// SPDX-License-Identifier: BSD-2-Clause
// Words: which command they are, and what is said when they are wrong. Help and completion.

#include "tests/unit/expect.h"

#include <weft/control.h>
#include "daemon/command_table.h"

static void wrong_words(void **state)
{
	struct rig *rig = *state;

	rig_refused(rig, "", WEFT_EXIT_WORDS, "bad_words", "help");
	rig_refused(rig, "netwrok", WEFT_EXIT_WORDS, "bad_words", "did you mean 'network'?");
	rig_refused(rig, "network shwo", WEFT_EXIT_WORDS, "bad_words", "did you mean 'show'?");
	rig_refused(rig, "network blue", WEFT_EXIT_WORDS, "bad_words", "possible here: show, add");
	rig_refused(rig, "network add", WEFT_EXIT_WORDS, "bad_words", "network add needs its name");
	rig_refused(rig, "network add blue vin 5", WEFT_EXIT_WORDS, "bad_words", "'vni'");
	rig_refused(
		rig, "network add blue vni", WEFT_EXIT_WORDS, "bad_words", "needs a value: 1..");
	rig_refused(
		rig, "network add blue vni x", WEFT_EXIT_WORDS, "bad_value", "not a number from 1");
	rig_refused(
		rig, "network add blue vni 1 vni 2", WEFT_EXIT_WORDS, "bad_words", "given twice");
	rig_refused(rig, "network add Blue", WEFT_EXIT_WORDS, "bad_value", "not a name");
	rig_refused(
		rig, "port add web1", WEFT_EXIT_WORDS, "bad_words", "port add needs 'type tap|");
	rig_refused(
		rig, "port add web1 type tpa", WEFT_EXIT_WORDS, "bad_value", "did you mean 'tap'?");
	rig_refused(rig, "fdb add 02:00:00:00:00:01 port x", WEFT_EXIT_WORDS, "bad_words",
		"fdb add needs 'network NAME'");
	rig_refused(rig, "network set blue vni +5", WEFT_EXIT_WORDS, "bad_value", "'+5'");
	rig_refused(rig, "apply /no/such", WEFT_EXIT_WORDS, "bad_words", "did not send");
	rig_refused(rig, "help nothing", WEFT_EXIT_WORDS, "bad_words", "no help");
	rig_refused(rig, "export it", WEFT_EXIT_WORDS, "bad_words", "unknown word 'it'");
	rig_refused(rig, "network set blue vni default", WEFT_EXIT_WORDS, "bad_value",
		"`vni none` takes back");
	rig_refused(rig, "host set sample none", WEFT_EXIT_WORDS, "bad_value",
		"`sample default` takes back");
	rig_refused(rig, "probe a b interval 5m", WEFT_EXIT_WORDS, "bad_value",
		"not a number of ms from 1");
	// a filter of several words ends where a word with a value begins
	rig_refused(rig, "trace tcp port 80 count x", WEFT_EXIT_WORDS, "bad_value", "count: 'x'");
	rig_refused(rig, "trace count x", WEFT_EXIT_WORDS, "bad_value", "count: 'x'");
}

// No request, however odd, is more than refused.
static void odd_requests(void **state)
{
	static const char *const requests[] = {"{}", "{\"words\":null}", "{\"words\":\"port\"}",
		"{\"words\":[1]}", "{\"words\":[null]}", "{\"words\":[[]]}", "{\"words\":[\"\"]}",
		"{\"words\":[\"port\",\"\"]}", "{\"words\":[\"apply\",\"x\"],\"files\":[]}",
		"{\"words\":[\"apply\",\"x\"],\"files\":{\"x\":5}}",
		"{\"words\":[\"apply\",\"x\"],\"files\":{\"x\":{}}}",
		"{\"words\":[\"help\",\"help\",\"help\",\"help\"]}"};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		json_t *request = json_loads(requests[i], 0, NULL);
		json_t *answer = command_run(&rig->weftd, request);
		json_t *completion = command_complete(&rig->weftd, request);
		json_int_t status = json_integer_value(json_object_get(answer, "exit"));

		if (status != WEFT_EXIT_WORDS && status != WEFT_EXIT_REFUSED)
			fail_msg("%s: exit %d", requests[i], (int)status);
		assert_true(json_is_object(completion));
		json_decref(answer);
		json_decref(completion);
		json_decref(request);
	}
}

static void show_is_the_default(void **state)
{
	struct rig *rig = *state;
	json_t *left, *right;

	rig_do(rig, "network add blue vni 7");
	left = rig_result(rig, "network");
	right = rig_result(rig, "network show");
	assert_true(json_equal(left, right));
	assert_int_equal(json_array_size(left), 1);
	json_decref(left);
	json_decref(right);
}

static void help(void **state)
{
	static const char *const lines[] = {"help", "network help", "network add help",
		"help network", "help network add", "apply help"};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		json_t *answer = rig_run(rig, false, lines[i], NULL);
		const char *text = json_string_value(json_object_get(answer, "text"));

		if (!text || strlen(text) < 40)
			fail_msg("%s: %s", lines[i], text ? text : rig_error(answer, "message"));
		json_decref(answer);
	}
}

// "words -> candidates"; the last word is begun.
static void completed(struct rig *rig, const char *line, const char *wanted)
{
	json_t *words = json_array();
	char *copy = strdup(line);
	char *rest = copy;
	char got[512] = "";
	json_t *request, *answer;
	size_t i;
	json_t *word;

	for (char *one; (one = strsep(&rest, " "));)
		json_array_append_new(words, json_string(one));
	request = json_pack("{s:o}", "words", words);
	answer = command_complete(&rig->weftd, request);
	json_array_foreach (json_object_get(answer, "words"), i, word)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "",
			json_string_value(word));
	if (json_is_true(json_object_get(answer, "file")))
		strcat(got, "<file>");
	if (strcmp(got, wanted) != 0)
		fail_msg("'%s': got '%s', wanted '%s'", line, got, wanted);
	json_decref(answer);
	json_decref(request);
	free(copy);
}

static void completion(void **state)
{
	struct rig *rig = *state;

	rig_do(rig, "network add blue");
	rig_do(rig, "network add blank");
	rig_do(rig, "network add red");
	completed(rig, "netw", "network");
	completed(rig, "network ", "show add set del");
	completed(rig, "network s", "show set");
	completed(rig, "network set ", "blue blank red");
	completed(rig, "network set bl", "blue blank");
	completed(rig, "network add ", "");
	completed(rig, "network set blue vn", "vni");
	completed(rig, "network set blue vni 5 v", "");
	completed(rig, "network set blue vni ", "");
	completed(rig, "port add x type t", "tap");
	completed(rig, "port add x network re", "red");
	completed(rig, "port add x trunk red:5,bl", "red:5,blue red:5,blank");
	completed(rig, "port add x host o", "on off");
	completed(rig, "trace tcp port 80 cou", "count");
	completed(rig, "fdb show network bl", "blue blank");
	completed(rig, "apply ", "<file>");
	completed(rig, "log set store level de", "debug");
	completed(rig, "nothing ", "");
	completed(rig, "network nothing ", "");
}

// What scripts and the client read.
static void list_of_commands(void **state)
{
	json_t *list = command_list(NULL), *some = command_list("apply");
	bool found = false;
	size_t i;
	json_t *command;

	(void)state;
	json_array_foreach (list, i, command) {
		const char *object = json_string_value(json_object_get(command, "object"));
		json_t *file = json_array_get(json_object_get(command, "arguments"), 0);

		assert_non_null(object);
		assert_true(json_is_string(json_object_get(command, "help")));
		if (strcmp(object, "apply") != 0)
			continue;
		found = true;
		assert_true(json_is_null(json_object_get(command, "verb")));
		assert_string_equal(json_string_value(json_object_get(file, "kind")), "file");
	}
	assert_true(found);
	assert_int_equal(json_array_size(some), 1);
	json_decref(some);
	json_decref(list);
}

// Every command says what it is for, in the help and in the manual.
static void manual(void **state)
{
	char *page = help_man();
	size_t count;
	const struct command *table = command_table(&count);

	(void)state;
	assert_int_equal(strncmp(page, ".TH WEFTCTL 8", 13), 0);
	for (size_t i = 0; i < count; i++) {
		char title[96], line[112];

		command_title(&table[i], title, sizeof(title));
		snprintf(line, sizeof(line), "\n.B %s\n", title);
		if (!strstr(page, line))
			fail_msg("the manual lacks %s", title);
		assert_non_null(table[i].help);
		for (const struct argument *a = table[i].arguments; a && a->word; a++)
			if (!a->help || !*a->help)
				fail_msg("%s: %s has no help", title, a->word);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_words, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(odd_requests, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(show_is_the_default, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(help, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(completion, rig_setup, rig_teardown),
		cmocka_unit_test(list_of_commands),
		cmocka_unit_test(manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
