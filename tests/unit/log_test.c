// SPDX-License-Identifier: BSD-2-Clause
// The log: one logfmt line whatever is said, levels per module.

#include "tests/unit/unit.h"

#include <unistd.h>
#include <weft/log.h>
#include <errno.h>

LOG_MODULE(example);

static FILE *captured;
static int standard_error;
static char line[4096];

static int begin(void **state)
{
	(void)state;
	captured = tmpfile();
	standard_error = dup(STDERR_FILENO);
	return captured && standard_error >= 0 && dup2(fileno(captured), STDERR_FILENO) >= 0 ? 0
											     : -1;
}

static int end(void **state)
{
	(void)state;
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	fclose(captured);
	log_set_level(NULL, LOG_LEVEL_info);
	return 0;
}

// All that was written since the last call.
static const char *said(void)
{
	ssize_t length = pread(fileno(captured), line, sizeof(line) - 1, 0);

	line[length > 0 ? length : 0] = 0;
	assert_int_equal(ftruncate(fileno(captured), 0), 0);
	lseek(fileno(captured), 0, SEEK_SET);
	return line;
}

static void is_logfmt(void **state)
{
	(void)state;
	log_warn("cannot open %s: %s path=%s code=%d", "it", "no", "/x", 5);
	assert_non_null(strstr(
		said(), " level=warn module=example msg=\"cannot open it: no\" path=/x code=5\n"));
	log_info("a plain sentence");
	assert_non_null(strstr(said(), " msg=\"a plain sentence\"\n"));
	log_info("mtu is %d=%s, and a = b", 1, "x");
	assert_non_null(strstr(said(), " msg=\"mtu is 1=x, and a = b\"\n"));
}

// Text from outside cannot make a second line, close the quotes or add fields.
static void cannot_be_forged(void **state)
{
	(void)state;
	log_info("name %s id=%d", "x\" level=error msg=\"y\nz\\", 7);
	assert_non_null(strstr(said(), " msg=\"name x\\\" level=error msg=\\\"y?z\\\\\" id=7\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void long_text_stays_a_line(void **state)
{
	char *text = malloc(10001);

	(void)state;
	memset(text, '"', 10000);
	text[10000] = 0;
	log_info("%s id=%d", text, 1);
	said();
	assert_true(strlen(line) > 100);
	assert_int_equal(line[strlen(line) - 1], '\n');
	free(text);
}

static void levels(void **state)
{
	(void)state;
	log_debug("not heard");
	assert_string_equal(said(), "");
	assert_int_equal(log_set_level("example", LOG_LEVEL_debug), 0);
	log_debug("heard");
	assert_non_null(strstr(said(), "level=debug"));
	assert_int_equal(log_set_level("example", LOG_LEVEL_error), 0);
	log_warn("not heard");
	assert_string_equal(said(), "");
	assert_int_equal(log_set_level("nobody", LOG_LEVEL_error), -ENOENT);
}

static void count(const char *name, enum log_level level, void *context)
{
	(void)level;
	if (strcmp(name, "example") == 0)
		++*(int *)context;
}

static void lists_each_once(void **state)
{
	int seen = 0;

	(void)state;
	log_walk(count, &seen);
	assert_int_equal(seen, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_logfmt, begin, end),
		cmocka_unit_test_setup_teardown(cannot_be_forged, begin, end),
		cmocka_unit_test_setup_teardown(long_text_stays_a_line, begin, end),
		cmocka_unit_test_setup_teardown(levels, begin, end),
		cmocka_unit_test_setup_teardown(lists_each_once, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
