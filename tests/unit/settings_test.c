// SPDX-License-Identifier: BSD-2-Clause
// Settings: the command line goes before --config, defaults come last, mistakes get a sentence.

#include "tests/unit/unit.h"

#include <unistd.h>
#include <weft/control.h>
#include "daemon/settings.h"

static char path[] = "/tmp/weft-settings-XXXXXX";

static void write_config(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void precedence(void **state)
{
	struct settings settings = {.name = strdup("from-options")};
	struct failure failure = {0};

	(void)state;
	write_config("name: from-file\nengine: sim\nstate_dir: here/state\n"
		     "capacity:\n  fdb: 1000\n  port: 64\n");
	assert_int_equal(settings_read(&settings, path, &failure), 0);
	settings_default(&settings);
	assert_string_equal(settings.name, "from-options");
	assert_string_equal(settings.engine, "sim");
	assert_string_equal(settings.run_dir, WEFT_RUN_DIR);
	assert_string_equal(settings.bpf_dir, WEFT_BPF_DIR);
	assert_int_equal(settings.capacity[WEFT_TABLE_fdb], 1000);
	assert_int_equal(settings.capacity[WEFT_TABLE_port], 64);
	assert_int_equal(settings.capacity[WEFT_TABLE_network], 0);
	// What is kept does not move when weftd is started elsewhere.
	assert_int_equal(settings.state_dir[0], '/');
	assert_non_null(strstr(settings.state_dir, "/here/state"));
	settings_free(&settings);
}

static void mistakes(void **state)
{
	static const char *const cases[][2] = {
		{"nmae: x", "unknown setting 'nmae'"},
		{"capacity: {fbd: 5}", "unknown setting 'fbd'"},
		{"capacity: {fdb: 0}", "capacity of table fdb"},
		{"capacity: {fdb: lots}", "capacity of table fdb"},
		{"capacity: 5", "capacity must hold tables"},
		{"name: [a]", "name must be text"},
		{"name: [", "line 2: this is no YAML"},
		{"ports: []", "unknown setting 'ports'"},
		{"- a", "holds no settings"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct settings settings = {0};
		struct failure failure = {0};

		write_config(cases[i][0]);
		if (settings_read(&settings, path, &failure) == 0)
			fail_msg("accepted: %s", cases[i][0]);
		assert_string_equal(failure.code_name, "bad_config");
		if (!strstr(failure.message, cases[i][1]) || !strstr(failure.message, path))
			fail_msg("%s: said '%s'", cases[i][0], failure.message);
		settings_free(&settings);
	}
}

static void no_file(void **state)
{
	struct settings settings = {0};
	struct failure failure = {0};

	(void)state;
	assert_true(settings_read(&settings, "/no/such/file", &failure) < 0);
	assert_non_null(strstr(failure.message, "/no/such/file: No such file"));
	assert_true(settings_read(&settings, "/", &failure) < 0);
	settings_free(&settings);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(precedence),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
