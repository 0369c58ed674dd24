// SPDX-License-Identifier: BSD-2-Clause
// YAML in and out: the same tree as JSON, sentences with line numbers, hostile input.

#include "tests/unit/unit.h"

#include "daemon/yaml.h"

static void same_as_json(const char *yaml, const char *json)
{
	struct failure failure = {0};
	json_t *got = yaml_parse(yaml, strlen(yaml), &failure);
	json_t *wanted = json_loads(json, JSON_DECODE_ANY, NULL);

	if (!got)
		fail_msg("%s: %s", yaml, failure.message);
	if (!json_equal(got, wanted)) {
		char *text = json_dumps(got, JSON_ENCODE_ANY);

		fail_msg("%s: got %s", yaml, text);
	}
	json_decref(got);
	json_decref(wanted);
}

static void reads(void **state)
{
	(void)state;
	same_as_json("", "{}");
	same_as_json("# only a remark\n", "{}");
	same_as_json("a: 1\nb: [x, 'y', \"z\"]\n", "{\"a\":\"1\",\"b\":[\"x\",\"y\",\"z\"]}");
	same_as_json("a:\n- b: true\n  c: 'true'\n- d: ~\n  e:\n",
		"{\"a\":[{\"b\":true,\"c\":\"true\"},{\"d\":null,\"e\":null}]}");
	same_as_json("tags: [blue:10, red:20]", "{\"tags\":[\"blue:10\",\"red:20\"]}");
	same_as_json("mac: 02:00:00:00:00:01", "{\"mac\":\"02:00:00:00:00:01\"}");
	same_as_json("host: off", "{\"host\":\"off\"}");
	same_as_json("---\na: b\n...\n", "{\"a\":\"b\"}");
}

static void refused(const char *yaml, size_t length, const char *sentence)
{
	struct failure failure = {0};
	json_t *got = yaml_parse(yaml, length, &failure);

	if (got)
		fail_msg("accepted: %s", yaml);
	if (!strstr(failure.message, sentence))
		fail_msg("%s: said '%s', wanted '%s'", yaml, failure.message, sentence);
	assert_string_equal(failure.code_name, "bad_file");
}

static void refuses(void **state)
{
	static const char nul[] = "a: \"x\\0y\"\n";
	char deep[512];

	(void)state;
	refused("a: [1, 2\n", 9, "line 2:");
	refused("a: &x 1\nb: *x\n", 14, "line 2: anchors");
	refused("a: 1\na: 2\n", 10, "line 2: this key stands here twice");
	refused("a: 1\n---\nb: 2\n", 14, "line 2: a second document");
	refused("[a]: 1\n", 7, "a key must be a word");
	refused(nul, sizeof(nul) - 1, "NUL");
	refused("a: \xff\xfe\n", 6, "");
	memset(deep, '[', sizeof(deep));
	refused(deep, sizeof(deep), "nested too deep");
}

static void round_trip(void **state)
{
	static const char text[] = "{\"ports\":[{\"name\":\"on\",\"mtu\":1500,\"host\":true,"
				   "\"tags\":[\"blue:10\"],\"text\":"
				   "\"a \\\"b\\\" # c: d\\\\ "
				   "\\u00e4\",\"mac\":\"02:00:00:00:00:01\",\"number\":\"12\","
				   "\"empty\":\"\",\"list\":[],\"nothing\":null}],\"host\":{}}";
	json_t *value = json_loads(text, 0, NULL);
	char *yaml = yaml_dump(value);
	struct failure failure = {0};
	json_t *again = yaml_parse(yaml, strlen(yaml), &failure);
	json_t *port = json_array_get(json_object_get(again, "ports"), 0);

	(void)state;
	assert_non_null(again);
	assert_non_null(strstr(yaml, "- name: \"on\"\n")); // other readers would see a truth value
	// Numbers come back as text: the schema makes them numbers again.
	assert_string_equal(json_string_value(json_object_get(port, "mtu")), "1500");
	json_object_set_new(port, "mtu", json_integer(1500));
	assert_true(json_equal(value, again));
	json_decref(value);
	json_decref(again);
	free(yaml);
}

static void json_documents(void **state)
{
	static const char good[] = " {\"ports\": [{\"name\": \"\\u0061/\"}]}";
	static const char twice[] = "{\"a\": 1,\n \"a\": 2}";
	static const char cut[] = "{\"a\":\n\n1";
	struct failure failure = {0};
	json_t *value = document_parse(good, strlen(good), &failure);

	(void)state;
	assert_non_null(value);
	json_decref(value);
	assert_null(document_parse(twice, strlen(twice), &failure));
	assert_non_null(strstr(failure.message, "line 2"));
	assert_null(document_parse(cut, strlen(cut), &failure));
	assert_non_null(strstr(failure.message, "line 3: this is no JSON"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(json_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
