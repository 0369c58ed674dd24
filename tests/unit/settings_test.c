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
		{"ebpf: 5", "ebpf must hold settings"},
		{"ebpf: {flow_slots: 1000}", "ebpf.flow_slots must be a power of two"},
		{"ebpf: {xdp: maybe}", "ebpf.xdp must be auto, on or off"},
		{"ebpf: {slots: 64}", "unknown setting 'slots'"},
		{"dpdk: 5", "dpdk must hold settings"},
		{"dpdk: {core: 1}", "unknown setting 'core'"},
		{"dpdk: {cores: x}", "dpdk.cores must be cores as in"},
		{"dpdk: {cores: 2-1}", "dpdk.cores must be"},
		{"dpdk: {cores: '1,'}", "dpdk.cores must be"},
		{"dpdk: {cores: '1-2-3'}", "dpdk.cores must be"},
		{"dpdk: {cores: 1024}", "dpdk.cores must be"},
		{"dpdk: {cores: ''}", "dpdk.cores must be"},
		{"dpdk: {memory_mb: 15}", "dpdk.memory_mb must be a number of MiB"},
		{"dpdk: {memory_mb: 1048577}", "dpdk.memory_mb must be"},
		{"dpdk: {pages: large}", "dpdk.pages must be auto, huge or small"},
		{"dpdk: {flow_slots: 1000}", "dpdk.flow_slots must be a power of two"},
		{"dpdk: {spin_us: 0}", "dpdk.spin_us must be a number of microseconds"},
		{"dpdk: {spin_us: 1000001}", "dpdk.spin_us must be"},
		{"dpdk: {pci: 7}", "dpdk.pci must be true or false"},
		{"dpdk: {flow_slots: 32}", "dpdk.flow_slots must be"},
		{"dpdk: {xdp: true}", "dpdk.xdp must be auto, on or off"},
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

static void dpdk(void **state)
{
	static const char *const cores[] = {"0", "0-1,3", "5-5", "0,2,4-1023"};
	struct failure failure = {0};
	char config[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cores) / sizeof(cores[0]); i++) {
		struct settings settings = {0};

		snprintf(config, sizeof(config),
			"engine: dpdk\ndpdk: {cores: \"%s\", memory_mb: 256, pages: huge, "
			"flow_slots: 4096, spin_us: 70, pci: true, xdp: on}\n",
			cores[i]);
		write_config(config);
		assert_int_equal(settings_read(&settings, path, &failure), 0);
		assert_string_equal(settings.engine, "dpdk");
		assert_string_equal(settings.dpdk.cores, cores[i]);
		assert_int_equal(settings.dpdk.memory_mb, 256);
		assert_string_equal(settings.dpdk.pages, "huge");
		assert_int_equal(settings.dpdk.flow_slots, 4096);
		assert_int_equal(settings.dpdk.spin_us, 70);
		assert_true(settings.dpdk.pci);
		assert_string_equal(settings.dpdk.xdp, "on");
		settings_free(&settings);
		assert_null(settings.dpdk.cores);
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
		cmocka_unit_test(dpdk),
		cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
