// SPDX-License-Identifier: BSD-2-Clause
// Requests that are answered later: lines, limit, deadline, slow and vanished clients, the stop.

#include "tests/unit/expect.h"

#include <weft/control.h>
#include "daemon/command_table.h"
#include "daemon/pending.h"

enum { OUTLETS = PENDING_MAX + 1 };

// A client that keeps what it gets, and says how much of it it has not taken.
struct sink {
	struct outlet outlet;
	char *text;
	size_t length, held;
	int opened, closed, waits;
	json_t *answer; // one, of a command that answers whole
};

// What the command of this test does, and what became of it.
static struct {
	int (*run)(struct request *request);
	struct request *last;
	unsigned long long deadline_ms;
	int cancelled;
} work;

static void sink_open(struct outlet *outlet, bool json)
{
	(void)json;
	((struct sink *)outlet)->opened++;
}

static void sink_put(struct outlet *outlet, const char *text, size_t length)
{
	struct sink *sink = (struct sink *)outlet;

	assert_true(sink->opened == 1 && !sink->closed);
	sink->text = realloc(sink->text, sink->length + length + 1);
	memcpy(sink->text + sink->length, text, length);
	sink->length += length;
	sink->text[sink->length] = 0;
}

static size_t sink_held(const struct outlet *outlet)
{
	return ((const struct sink *)outlet)->held;
}

static void sink_close(struct outlet *outlet)
{
	assert_null(outlet->pending);
	((struct sink *)outlet)->closed++;
}

static void sink_wait(struct outlet *outlet)
{
	((struct sink *)outlet)->waits++;
}

static void sink_whole(struct outlet *outlet, json_t *answer)
{
	assert_null(outlet->pending);
	((struct sink *)outlet)->answer = answer;
}

static const struct outlet_ops sink_ops = {
	sink_open, sink_put, sink_held, sink_close, sink_wait, sink_whole};

static int run_work(struct request *request)
{
	request->context = malloc(1); // a leak if it is not freed, with ASan
	work.last = request;
	if (work.run)
		return work.run(request);
	return request_later(request, work.deadline_ms);
}

static void cancel_work(struct request *request)
{
	struct failure failure;

	free(request->context);
	request->context = NULL;
	work.cancelled++;
	request_line(request, json_pack("{s:s}", "word", "cancelled"));
	(fail)(&failure, -1, "late", "this comes too late");
	request_done(request, &failure); // is not heard
}

static const struct command in_lines = {
	.object = "work",
	.columns = "word,number",
	.run = run_work,
	.cancelled = cancel_work,
};

static void cancel_whole(struct request *request)
{
	free(request->context);
	work.cancelled++;
}

static const struct command in_one = {
	.object = "work",
	.columns = "word,number",
	.run = run_work,
	.cancelled = cancel_whole,
	.whole = true,
};

static json_t *start_one(
	struct rig *rig, struct sink *sink, const struct command *command, bool json)
{
	json_t *arguments = json_object();
	json_t *answer;

	*sink = (struct sink){.outlet.ops = &sink_ops};
	answer = pending_run(&(struct request){.weftd = &rig->weftd,
				     .command = command,
				     .arguments = arguments,
				     .json = json},
		&sink->outlet);
	json_decref(arguments);
	return answer;
}

static json_t *start(struct rig *rig, struct sink *sink, bool json)
{
	return start_one(rig, sink, &in_lines, json);
}

static void done(struct request *request, const struct failure *failure)
{
	free(request->context);
	request_done(request, failure);
}

static void line(const char *word, int number)
{
	request_line(work.last, json_pack("{s:s, s:i}", "word", word, "number", number));
}

// The text must be this, and nothing more comes.
static void expect_text(struct sink *sink, const char *wanted)
{
	assert_string_equal(sink->text ? sink->text : "", wanted);
	assert_int_equal(sink->closed, 1);
	free(sink->text);
	sink->text = NULL;
}

// The last line must say this.
static void expect_last(struct sink *sink, int status, const char *code, int dropped)
{
	const char *at = strstr(sink->text, "{\"done\"");
	json_t *last = json_loads(at ? at : "", 0, NULL);

	assert_non_null(last);
	assert_int_equal(json_integer_value(json_object_get(last, "exit")), status);
	assert_int_equal(json_integer_value(json_object_get(last, "dropped")), dropped);
	assert_string_equal(rig_error(last, "code"), code);
	assert_int_equal(sink->closed, 1);
	json_decref(last);
	free(sink->text);
	sink->text = NULL;
}

static int setup(void **state)
{
	memset(&work, 0, sizeof(work));
	return rig_setup(state);
}

static void lines_as_json(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	assert_null(start(rig, &sink, true));
	assert_int_equal(sink.opened, 1); // a client knows at once that its command runs
	assert_int_equal(sink.length, 0);
	line("a", 1);
	assert_string_equal(sink.text, "{\"word\":\"a\",\"number\":1}\n"); // at once, too
	line("{\n", 2);
	done(work.last, NULL);
	expect_text(&sink, "{\"word\":\"a\",\"number\":1}\n{\"word\":\"{\\n\",\"number\":2}\n"
			   "{\"done\":true,\"exit\":0,\"lines\":2,\"dropped\":0}\n");
	assert_int_equal(rig->weftd.pending_count, 0);
	assert_int_equal(work.cancelled, 0);
}

// A table whose columns only grow; no line but the last begins with '{', none steers a terminal.
static void lines_as_text(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	assert_null(start(rig, &sink, false));
	line("a", 1);
	line("longer", 2);
	line("b", 3);
	line("{\n\033[", 4);
	done(work.last, NULL);
	expect_text(&sink, "WORD  NUMBER\na     1\nlonger  2\nb       3\n {??[    4\n"
			   "{\"done\":true,\"exit\":0,\"lines\":4,\"dropped\":0}\n");
}

static void client_gone(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	assert_null(start(rig, &sink, true));
	line("a", 1);
	pending_gone(&sink.outlet);
	assert_int_equal(work.cancelled, 1);
	assert_int_equal(rig->weftd.pending_count, 0);
	pending_gone(&sink.outlet); // there is nothing to cancel any more
	pending_stop(&rig->weftd);
	assert_int_equal(work.cancelled, 1);
	assert_int_equal(sink.closed, 0); // the outlet went before
	assert_string_equal(sink.text, "{\"word\":\"a\",\"number\":1}\n");
	free(sink.text);
}

static void deadline(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	work.deadline_ms = 30;
	assert_null(start(rig, &sink, true));
	for (int i = 0; i < 2000 && rig->weftd.pending_count; i++) {
		usleep(1000);
		event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(work.cancelled, 1);
	assert_non_null(strstr(sink.text, "{\"word\":\"cancelled\"}\n")); // what it still said
	assert_non_null(strstr(sink.text, "within 0.03 seconds"));
	expect_last(&sink, WEFT_EXIT_PARTIAL, "timeout", 0);
}

static void deadline_not_reached(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	work.deadline_ms = 1;
	assert_null(start(rig, &sink, true));
	done(work.last, NULL);
	usleep(5000);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	assert_int_equal(work.cancelled, 0);
	expect_last(&sink, WEFT_EXIT_DONE, "", 0);
}

static void limit(void **state)
{
	struct rig *rig = *state;
	struct sink *sinks = calloc(OUTLETS, sizeof(*sinks));
	json_t *answer;

	for (int i = 0; i < PENDING_MAX; i++)
		assert_null(start(rig, &sinks[i], true));
	answer = start(rig, &sinks[PENDING_MAX], true);
	assert_int_equal(json_integer_value(json_object_get(answer, "exit")), WEFT_EXIT_REFUSED);
	assert_string_equal(rig_error(answer, "code"), "busy");
	assert_int_equal(sinks[PENDING_MAX].opened, 0);
	json_decref(answer);
	pending_gone(&sinks[7].outlet);
	assert_null(start(rig, &sinks[7], true));
	pending_stop(&rig->weftd);
	assert_int_equal(work.cancelled, PENDING_MAX + 1);
	for (int i = 0; i < PENDING_MAX; i++)
		expect_last(&sinks[i], WEFT_EXIT_PARTIAL, "stopping", 0);
	free(sinks);
}

// weftd itself stops: the teardown of the rig would find requests that are left, by ASan.
static void stop(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	assert_null(start(rig, &sink, true));
	rig_stop(rig);
	assert_int_equal(work.cancelled, 1);
	assert_non_null(strstr(sink.text, "weftd was stopped"));
	expect_last(&sink, WEFT_EXIT_PARTIAL, "stopping", 0);
}

static void slow_reader(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	size_t before;

	assert_null(start(rig, &sink, true));
	line("a", 1);
	sink.held = PENDING_OUTPUT_MAX_BYTES;
	before = sink.length;
	for (int i = 0; i < 1000; i++)
		line("lost", i);
	assert_int_equal(sink.length, before);
	sink.held = 0; // it reads again
	line("b", 2);
	assert_non_null(strstr(sink.text, "\"b\""));
	sink.held = PENDING_OUTPUT_MAX_BYTES;
	done(work.last, NULL); // the last object always goes out
	assert_non_null(strstr(sink.text, "1000 of 1002 lines were dropped"));
	expect_last(&sink, WEFT_EXIT_PARTIAL, "too_slow", 1000);
}

// A failure of the command's own goes before that of its reader.
static void slow_and_failed(void **state)
{
	struct rig *rig = *state;
	struct failure failure;
	struct sink sink;

	assert_null(start(rig, &sink, true));
	sink.held = PENDING_OUTPUT_MAX_BYTES;
	line("lost", 1);
	(fail)(&failure, -1, "broken", "it broke");
	done(work.last, &failure);
	expect_last(&sink, WEFT_EXIT_REFUSED, "broken", 1);
}

// The end of one must say this, and be all that there was.
static void expect_whole(struct sink *sink, int status, const char *code)
{
	assert_non_null(sink->answer);
	assert_int_equal(json_integer_value(json_object_get(sink->answer, "exit")), status);
	assert_string_equal(rig_error(sink->answer, "code"), code);
	assert_true(sink->waits == 1 && !sink->opened && !sink->closed);
	json_decref(sink->answer);
}

static void one_answer_later(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	json_t *row;

	assert_null(start_one(rig, &sink, &in_one, true));
	assert_true(sink.waits == 1 && !sink.answer);
	work.last->result = json_pack("[{s:s}]", "word", "a");
	done(work.last, NULL);
	row = json_array_get(json_object_get(sink.answer, "result"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "word")), "a");
	expect_whole(&sink, WEFT_EXIT_DONE, "");
	assert_null(start_one(rig, &sink, &in_one, false));
	work.last->result = json_pack("[{s:s, s:i}]", "word", "a", "number", 1);
	done(work.last, NULL);
	assert_string_equal(
		json_string_value(json_object_get(sink.answer, "text")), "WORD  NUMBER\na     1\n");
	expect_whole(&sink, WEFT_EXIT_DONE, "");
	assert_int_equal(work.cancelled, 0);
}

static void one_answer_cut_short(void **state)
{
	struct rig *rig = *state;
	struct failure failure;
	struct sink sink;

	assert_null(start_one(rig, &sink, &in_one, true));
	(fail)(&failure, -1, "broken", "it broke");
	done(work.last, &failure);
	expect_whole(&sink, WEFT_EXIT_REFUSED, "broken");
	assert_null(start_one(rig, &sink, &in_one, true));
	pending_gone(&sink.outlet);
	assert_true(work.cancelled == 1 && !sink.answer);
	assert_null(start_one(rig, &sink, &in_one, true));
	rig_stop(rig);
	assert_int_equal(work.cancelled, 2);
	expect_whole(&sink, WEFT_EXIT_PARTIAL, "stopping");
}

// What its client has still to hear goes before the end, which is no error.
static void interrupted(void **state)
{
	struct rig *rig = *state;
	struct sink sink;

	assert_null(start(rig, &sink, true));
	line("a", 1);
	pending_interrupt(&sink.outlet);
	assert_int_equal(work.cancelled, 1);
	assert_non_null(strstr(sink.text, "{\"word\":\"cancelled\"}\n"));
	expect_last(&sink, WEFT_EXIT_PARTIAL, "", 0);
	pending_interrupt(&sink.outlet); // there is nothing any more
}

static int refuse(struct request *request)
{
	free(request->context);
	return (fail)(&request->failure, -1, "never", "this is never done");
}

static int refuse_late(struct request *request)
{
	line("a", 1);
	return refuse(request);
}

static int at_once(struct request *request)
{
	free(request->context);
	line("a", 1);
	return 0;
}

// What run says at once: a plain refusal, one after a line, all of the answer.
static void answers_of_run(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	json_t *answer;

	work.run = refuse;
	answer = start(rig, &sink, true);
	assert_string_equal(rig_error(answer, "code"), "never");
	assert_true(!sink.opened && !sink.outlet.pending);
	json_decref(answer);
	work.run = refuse_late;
	assert_null(start(rig, &sink, true));
	expect_last(&sink, WEFT_EXIT_REFUSED, "never", 0);
	work.run = at_once;
	assert_null(start(rig, &sink, true));
	expect_last(&sink, WEFT_EXIT_DONE, "", 0);
	assert_int_equal(work.cancelled, 0);
	assert_int_equal(rig->weftd.pending_count, 0);
}

static void no_outlet(void **state)
{
	struct rig *rig = *state;

	rig_refused(rig, "watch port", WEFT_EXIT_REFUSED, "no_stream", "POST /v1/run");
}

// Only commands that answer in lines may be given to several hosts.
static void only_streams(void **state)
{
	struct rig *rig = *state;
	struct sink sink = {.outlet.ops = &sink_ops};
	json_t *request =
		json_pack("{s:[s,s,s], s:b}", "words", "network", "add", "blue", "stream", 1);
	json_t *answer = command_start(&rig->weftd, request, &sink.outlet);

	assert_int_equal(json_integer_value(json_object_get(answer, "exit")), WEFT_EXIT_WORDS);
	json_decref(answer);
	json_decref(request);
	answer = rig_result(rig, "network show");
	assert_int_equal(json_array_size(answer), 0);
	json_decref(answer);
}

// What has rows that can be told apart can be watched: a new noun has its place in the list.
static void watch_takes_every_show(void **state)
{
	size_t count;
	const struct command *table = command_table(&count);
	const struct command *watch = NULL;

	(void)state;
	for (size_t i = 0; i < count; i++)
		if (command_is(&table[i], "watch", NULL))
			watch = &table[i];
	assert_non_null(watch);
	for (size_t i = 0; i < count; i++) {
		char *choices = NULL, word[64];

		if (!verb_is(&table[i], "show") || !(table[i].noun || table[i].identity))
			continue;
		snprintf(word, sizeof(word), "|%s|", table[i].object);
		if (asprintf(&choices, "|%s|", watch->arguments[0].choices) < 0)
			abort();
		if (!strstr(choices, word))
			fail_msg("watch does not take %s", table[i].object);
		free(choices);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_as_json, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(lines_as_text, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(client_gone, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(deadline, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(deadline_not_reached, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(limit, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(stop, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(slow_reader, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(slow_and_failed, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(answers_of_run, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(one_answer_later, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(one_answer_cut_short, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(interrupted, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(no_outlet, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(only_streams, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(watch_takes_every_show, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
