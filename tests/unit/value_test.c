// SPDX-License-Identifier: BSD-2-Clause
// Argument kinds: what is accepted, its canonical spelling, and the sentence for the rest.

#include "tests/unit/unit.h"

#include <weft/control.h>
#include "daemon/near.h"
#include "daemon/value.h"

struct text_case {
	enum argument_kind kind;
	const char *text;
	const char *canonical; // NULL: refused
};

static const struct text_case text_cases[] = {
	{ARGUMENT_NAME, "web1", "web1"},
	{ARGUMENT_NAME, "0-a.b_c", "0-a.b_c"},
	{ARGUMENT_NAME, "", NULL},
	{ARGUMENT_NAME, "-x", NULL},
	{ARGUMENT_NAME, "Web", NULL},
	{ARGUMENT_NAME, "a b", NULL},
	{ARGUMENT_NAME, "none", NULL},
	{ARGUMENT_NAME, "help", NULL},
	{ARGUMENT_NAME, "a23456789012345678901234567890123456789012345678901234567890123",
		"a23456789012345678901234567890123456789012345678901234567890123"},
	{ARGUMENT_NAME, "a234567890123456789012345678901234567890123456789012345678901234", NULL},
	{ARGUMENT_DEVICE, "eth0", "eth0"},
	{ARGUMENT_DEVICE, "a12345678901234", "a12345678901234"},
	{ARGUMENT_DEVICE, "a123456789012345", NULL},
	{ARGUMENT_DEVICE, "..", NULL},
	{ARGUMENT_DEVICE, "a/b", NULL},
	{ARGUMENT_DEVICE, "a%d", NULL},
	{ARGUMENT_DEVICE, "a:1", NULL},
	{ARGUMENT_DEVICE, "0000:01:00.0", "0000:01:00.0"},
	{ARGUMENT_DEVICE, "af:1F.7", "0000:af:1f.7"},
	{ARGUMENT_DEVICE, "af:20.0", NULL},
	{ARGUMENT_DEVICE, "af:1f.8", NULL},
	{ARGUMENT_DEVICE, "0000:af:1f.0.1", NULL},
	{ARGUMENT_DEVICE, "02:00:00:00:00:01", NULL},
	{ARGUMENT_DEVICE, "a b", NULL},
	{ARGUMENT_CHOICE, "tap", "tap"},
	{ARGUMENT_CHOICE, "device", "device"},
	{ARGUMENT_CHOICE, "ta", NULL},
	{ARGUMENT_CHOICE, "tap|device", NULL},
	{ARGUMENT_CHOICE, "", NULL},
	{ARGUMENT_BOOL, "on", "on"},
	{ARGUMENT_BOOL, "off", "off"},
	{ARGUMENT_BOOL, "true", NULL},
	{ARGUMENT_NUMBER, "10", "10"},
	{ARGUMENT_NUMBER, "100", "100"},
	{ARGUMENT_NUMBER, "010", "10"},
	{ARGUMENT_NUMBER, "101", NULL},
	{ARGUMENT_NUMBER, "9", NULL},
	{ARGUMENT_NUMBER, "-10", NULL},
	{ARGUMENT_NUMBER, "+10", NULL},
	{ARGUMENT_NUMBER, " 10", NULL},
	{ARGUMENT_NUMBER, "10 ", NULL},
	{ARGUMENT_NUMBER, "0x20", NULL},
	{ARGUMENT_NUMBER, "99999999999999999999999", NULL},
	{ARGUMENT_DURATION, "60", "60"},
	{ARGUMENT_DURATION, "60s", "60"},
	{ARGUMENT_DURATION, "1m", "60"},
	{ARGUMENT_DURATION, "1h", NULL},
	{ARGUMENT_DURATION, "1w", NULL},
	{ARGUMENT_DURATION, "9223372036854775807h", NULL},
	{ARGUMENT_MAC, "02:00:00:00:00:Ab", "02:00:00:00:00:ab"},
	{ARGUMENT_MAC, "01:00:00:00:00:01", NULL},
	{ARGUMENT_MAC, "ff:ff:ff:ff:ff:ff", NULL},
	{ARGUMENT_MAC, "00:00:00:00:00:00", NULL},
	{ARGUMENT_MAC, "02:00:00:00:00:0", NULL},
	{ARGUMENT_MAC, "02-00-00-00-00-01", NULL},
	{ARGUMENT_MAC, "02:00:00:00:00:0g", NULL},
	{ARGUMENT_ADDRESS, "192.0.2.1", "192.0.2.1"},
	{ARGUMENT_ADDRESS, "2001:DB8:0::1", "2001:db8::1"},
	{ARGUMENT_ADDRESS, "192.0.2.256", NULL},
	{ARGUMENT_ADDRESS, "1.2", NULL},
	{ARGUMENT_ADDRESS, "", NULL},
	{ARGUMENT_PREFIX, "10.1.0.0/24", "10.1.0.0/24"},
	{ARGUMENT_PREFIX, "0.0.0.0/0", "0.0.0.0/0"},
	{ARGUMENT_PREFIX, "2001:db8::/32", "2001:db8::/32"},
	{ARGUMENT_PREFIX, "10.1.0.1/24", NULL},
	{ARGUMENT_PREFIX, "10.1.0.0/33", NULL},
	{ARGUMENT_PREFIX, "10.1.0.0/", NULL},
	{ARGUMENT_PREFIX, "10.1.0.0/-1", NULL},
	{ARGUMENT_PREFIX, "10.1.0.0", NULL},
	{ARGUMENT_TAGS, "blue:10,red:20", "blue:10,red:20"},
	{ARGUMENT_TAGS, "blue:010", "blue:10"},
	{ARGUMENT_TAGS, "blue:0", NULL},
	{ARGUMENT_TAGS, "blue:4095", NULL},
	{ARGUMENT_TAGS, "blue", NULL},
	{ARGUMENT_TAGS, "blue:10,", NULL},
	{ARGUMENT_TAGS, "blue:10,blue:10", NULL},
	{ARGUMENT_TAGS, "", NULL},
	{ARGUMENT_NAMES, "a,b", "a,b"},
	{ARGUMENT_ADDRESSES, "10.0.0.1,2001:db8::0:1", "10.0.0.1,2001:db8::1"},
	{ARGUMENT_USER, "libvirt-qemu", "libvirt-qemu"},
	{ARGUMENT_USER, "1000", "1000"},
	{ARGUMENT_USER, "a b", NULL},
	{ARGUMENT_TEXT, "anything at all", "anything at all"},
	{ARGUMENT_TEXT, "\x1b[2J", NULL},
};

static struct argument argument_of(enum argument_kind kind)
{
	return (struct argument){
		.word = "word", .kind = kind, .choices = "tap|device", .min = 10, .max = 100};
}

static void texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		const struct text_case *c = &text_cases[i];
		const struct argument argument = argument_of(c->kind);
		struct failure failure = {0};
		json_t *value = value_parse(&argument, c->text, &failure);
		char *text = value ? value_text(value) : NULL;

		if (!!value != !!c->canonical || (value && strcmp(text, c->canonical) != 0))
			fail_msg("%s '%s': got %s, wanted %s", value_kind(&argument), c->text,
				text ? text : "a refusal",
				c->canonical ? c->canonical : "a refusal");
		if (!value) {
			assert_int_equal(failure.exit_status, WEFT_EXIT_WORDS);
			assert_string_equal(failure.code_name, "bad_value");
			assert_non_null(strstr(failure.message, "word: "));
		}
		free(text);
		json_decref(value);
	}
}

static void prefix_names_the_right_one(void **state)
{
	const struct argument argument = argument_of(ARGUMENT_PREFIX);
	struct failure failure = {0};

	(void)state;
	assert_null(value_parse(&argument, "10.1.2.3/16", &failure));
	assert_non_null(strstr(failure.hint, "10.1.0.0/16"));
}

static void wrong_words_name_the_range(void **state)
{
	const struct argument argument = argument_of(ARGUMENT_NUMBER);
	struct failure failure = {0};

	(void)state;
	assert_null(value_parse(&argument, "9", &failure));
	assert_string_equal(failure.message, "word: '9' is not a number from 10 to 100");
}

// Values as they stand in files.
static void json_values(void **state)
{
	static const struct {
		enum argument_kind kind;
		const char *json;
		const char *canonical; // NULL: refused
	} cases[] = {
		{ARGUMENT_NUMBER, "20", "20"},
		{ARGUMENT_NUMBER, "\"20\"", "20"},
		{ARGUMENT_NUMBER, "20.5", NULL},
		{ARGUMENT_NUMBER, "true", NULL},
		{ARGUMENT_NUMBER, "[20]", NULL},
		{ARGUMENT_BOOL, "true", "on"},
		{ARGUMENT_BOOL, "\"off\"", "off"},
		{ARGUMENT_BOOL, "1", NULL},
		{ARGUMENT_NAME, "1", "1"},
		{ARGUMENT_NAME, "false", "false"},
		{ARGUMENT_NAME, "{}", NULL},
		{ARGUMENT_TAGS, "[\"blue:1\", \"red:2\"]", "blue:1,red:2"},
		{ARGUMENT_TAGS, "\"blue:1,red:2\"", "blue:1,red:2"},
		{ARGUMENT_TAGS, "[\"blue:1,red:2\"]", NULL},
		{ARGUMENT_TAGS, "[1]", NULL},
		{ARGUMENT_TAGS, "[[\"blue:1\"]]", NULL},
		{ARGUMENT_DURATION, "\"1m\"", "60"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct argument argument = argument_of(cases[i].kind);
		json_t *json = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		struct failure failure = {0};
		json_t *value = value_from_json(&argument, json, &failure);
		char *text = value ? value_text(value) : NULL;

		if (!!value != !!cases[i].canonical ||
			(value && strcmp(text, cases[i].canonical) != 0))
			fail_msg("%s %s: got %s", value_kind(&argument), cases[i].json,
				text ? text : failure.message);
		free(text);
		json_decref(value);
		json_decref(json);
	}
}

// A sentence is text whatever it quotes: it must pass as JSON and not steer a terminal.
static void sentences_are_text(void **state)
{
	static const char *const quoted[] = {"\xff", "\xc3", "\xe4\xb8", "\xed\xa0\x80", "\xc0\x80",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\x1b[2J\n", "\x80\x80"};
	struct failure failure;
	json_t *text;

	(void)state;
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++) {
		fail_words(&failure, "unknown word '%s'", quoted[i]);
		text = json_string(failure.message);
		if (!text || strpbrk(failure.message, "\x1b\n"))
			fail_msg("case %zu: %s", i, failure.message);
		json_decref(text);
	}
	fail_words(&failure, "%s", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7");
	assert_string_equal(failure.message, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7");
}

static void near_words(void **state)
{
	json_t *words = json_pack("[s,s,s,s]", "network", "port", "show", "set");

	(void)state;
	assert_string_equal(near_word("netwrok", words), "network");
	assert_string_equal(near_word("prot", words), "port");
	assert_string_equal(near_word("shw", words), "show");
	assert_string_equal(near_word("net", words), "network");
	assert_null(near_word("banana", words));
	assert_null(near_word("x", words));
	assert_null(near_word("", words));
	json_decref(words);
	words = json_pack("[s,s]", "from", "form"); // two letters changed places: one slip
	assert_string_equal(near_word("fomr", words), "form");
	json_decref(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(prefix_names_the_right_one),
		cmocka_unit_test(wrong_words_name_the_range),
		cmocka_unit_test(json_values),
		cmocka_unit_test(sentences_are_text),
		cmocka_unit_test(near_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
