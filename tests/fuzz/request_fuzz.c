// SPDX-License-Identifier: BSD-2-Clause
// libFuzzer: any request into a weftd with the sim engine. Raw bodies, words of the command table
// in any order, and files for apply. Holds: no crash, every answer has the promised form, and what
// export writes changes nothing when it is applied.
#include "tests/unit/rig.h"

#include <sched.h>
#include <weft/control.h>
#include <weft/log.h>
#include "daemon/api.h"
#include "daemon/command_table.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct rig rig;
static json_t *vocabulary; // words that may mean something

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void learn(const char *word)
{
	json_array_append_new(vocabulary, json_string(word));
}

static void learn_argument(const struct argument *argument)
{
	char *copy = strdup(argument->choices ? argument->choices : "");
	char *rest = copy;

	for (char *choice; (choice = strsep(&rest, "|"));)
		if (*choice)
			learn(choice);
	learn(argument->word);
	free(copy);
}

static void make_vocabulary(void)
{
	static const char *const values[] = {"a", "b", "c", "1", "7", "1500", "9000", "on", "off",
		"none", "default", "help", "a:10", "a:10,b:20", "+b:20", "-a:10", "a,b",
		"10.1.0.0/24", "10.1.0.1", "2001:db8::1", "+10.1.0.2", "-10.1.0.1",
		"02:00:00:00:00:01", "02:00:00:00:00:02", "lo", "x0", "5m", "0", "file", "", "-",
		"+", "apply", "debug"};
	size_t count;
	const struct command *table = command_table(&count);

	vocabulary = json_array();
	for (size_t i = 0; i < count; i++) {
		learn(table[i].object);
		if (table[i].verb)
			learn(table[i].verb);
		for (const struct argument *a = table[i].arguments; a && a->word; a++)
			learn_argument(a);
	}
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		learn(values[i]);
}

static void finish(void)
{
	rig_stop(&rig);
	rig_delete(rig.dir);
	json_decref(vocabulary);
}

static void start(void)
{
	struct failure failure = {0};

	if (rig_start(&rig, &failure)) {
		fprintf(stderr, "%s\n", failure.message);
		abort();
	}
	log_set_level(NULL, LOG_LEVEL_error);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	// What ports do to devices must not reach this machine's network.
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		fprintf(stderr, "request_fuzz needs a network namespace of its own\n");
		exit(EXIT_FAILURE);
	}
	require(rig_make(&rig) == 0);
	make_vocabulary();
	start();
	atexit(finish);
	return 0;
}

// The form that weft/control.h promises.
static void check_answer(const json_t *answer)
{
	const json_t *status = json_object_get(answer, "exit");
	const json_t *error = json_object_get(answer, "error");

	require(json_is_integer(status));
	if (json_integer_value(status) == WEFT_EXIT_DONE) {
		require(!error);
		require(json_object_get(answer, "text") || json_object_get(answer, "result"));
		return;
	}
	require(json_integer_value(status) != WEFT_EXIT_NO_DAEMON);
	require(json_string_length(json_object_get(error, "code")) > 0);
	require(json_string_length(json_object_get(error, "message")) > 0);
}

static void run(json_t *words, json_t *files, bool json)
{
	json_t *request =
		json_pack("{s:o, s:o, s:b}", "words", words, "files", files, "json", json);
	json_t *answer = command_run(&rig.weftd, request);
	json_t *completion = command_complete(&rig.weftd, request);

	check_answer(answer);
	require(json_is_object(completion));
	json_decref(answer);
	json_decref(completion);
	json_decref(request);
}

static void run_words(const u8 *data, size_t size)
{
	json_t *words = json_array();

	for (size_t i = 1; i < size && i < 16; i++)
		json_array_append(
			words, json_array_get(vocabulary, data[i] % json_array_size(vocabulary)));
	run(words, json_pack("{s:s}", "file", "networks: [{name: a}, {name: b}]"), size % 2);
}

static void run_file(const u8 *data, size_t size)
{
	json_t *text = json_stringn((const char *)data + 1, size - 1);

	if (text && strlen(json_string_value(text)) == json_string_length(text))
		run(json_pack("[s, s]", size % 2 ? "apply" : "diff", "file"),
			json_pack("{s:O}", "file", text), false);
	json_decref(text);
}

static void run_body(const u8 *data, size_t size)
{
	struct api_answer answer =
		api_answer(&rig.weftd, true, "/v1/run", (const char *)data + 1, size - 1, NULL);

	require(answer.body && answer.status >= 200 && answer.status < 500);
	free(answer.body);
}

static void require_export_is_stable(void)
{
	json_t *words = json_pack("[s]", "export");
	json_t *request = json_pack("{s:o}", "words", words);
	json_t *answer = command_run(&rig.weftd, request);
	json_t *text = json_incref(json_object_get(answer, "text"));

	json_decref(request);
	json_decref(answer);
	request = json_pack("{s:[s,s], s:{s:o}, s:b}", "words", "diff", "file", "files", "file",
		text, "json", 1);
	answer = command_run(&rig.weftd, request);
	if (json_array_size(json_object_get(answer, "result")) != 0 ||
		json_integer_value(json_object_get(answer, "exit")) != 0) {
		json_dumpf(answer, stderr, JSON_INDENT(1));
		abort();
	}
	json_decref(request);
	json_decref(answer);
}

static u32 objects(void)
{
	u32 count = 0;

	for (size_t i = 0; nouns[i]; i++)
		count += object_count(&rig.weftd, nouns[i]);
	return count;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static void (*const ways[])(const u8 *, size_t) = {run_words, run_file, run_body};
	static unsigned runs;

	if (size < 2)
		return 0;
	ways[data[0] % WEFT_ARRAY_SIZE(ways)](data, size);
	if (++runs % 64 == 0)
		require_export_is_stable();
	// `host purge` and `host stop` end a weftd; many objects only make it slow.
	if (rig.weftd.stopping || objects() > 100) {
		rig.weftd.purging = true;
		rig_stop(&rig);
		start();
	}
	return 0;
}
