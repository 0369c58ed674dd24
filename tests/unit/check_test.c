// SPDX-License-Identifier: BSD-2-Clause
// When a backend counts as dead, when its checks come, and how their answers are read.
#include "tests/unit/unit.h"

#include "daemon/check_health.h"

static void fails_in_a_row(void **state)
{
	struct health health = {0};
	(void)state;
	assert_false(health_count(&health, false, 2, 3));
	assert_false(health_count(&health, false, 2, 3));
	assert_false(health_count(&health, true, 2, 3)); // the row is broken
	assert_false(health_count(&health, false, 2, 3));
	assert_false(health_count(&health, false, 2, 3));
	assert_false(health.dead);
	assert_true(health_count(&health, false, 2, 3));
	assert_true(health.dead);
	assert_false(health_count(&health, false, 2, 3)); // no news
	assert_int_equal(health.streak, 4);
}

static void rises_in_a_row(void **state)
{
	struct health health = {.known = true, .dead = true, .streak = 3};
	(void)state;
	assert_false(health_count(&health, true, 2, 3));
	assert_false(health_count(&health, false, 2, 3));
	assert_true(health.dead);
	assert_false(health_count(&health, true, 2, 3));
	assert_true(health_count(&health, true, 2, 3));
	assert_false(health.dead);
}

// One failure says nothing yet, but it is the first of a row.
static void begins_unknown(void **state)
{
	struct health health = {0};
	(void)state;
	assert_false(health.dead);
	assert_false(health_count(&health, false, 1, 2));
	assert_false(health.known);
	assert_true(health_count(&health, false, 1, 2));
	assert_true(health.known);
	health = (struct health){0};
	assert_false(health_count(&health, true, 5, 1));
	assert_true(health.known);
	assert_false(health.dead);
}

static void waits_with_jitter(void **state)
{
	u64 least = ~0ull, most = 0;
	(void)state;
	for (u32 random = 0; random < 100000; random += 7) {
		u64 ms = check_pause_ms(2000, random);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		assert_in_range(check_first_ms(2000, random), 0, 1999);
	}
	assert_int_equal(least, 1800);
	assert_int_equal(most, 2200);
	assert_int_equal(check_pause_ms(5, 12345), 5);
}

// A thousand checks that begin at once: no tenth of the interval has twice its share.
static void spreads_the_first(void **state)
{
	u32 parts[10] = {0}, random = 1;
	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		random = random * 1664525 + 1013904223;
		parts[check_first_ms(2000, random >> 8) / 200]++;
	}
	for (u32 i = 0; i < 10; i++)
		assert_in_range(parts[i], 50, 200);
}

static int status(const char *text)
{
	return check_http_status(text, strlen(text));
}

static void reads_http(void **state)
{
	(void)state;
	assert_int_equal(status("HTTP/1.1 200 OK\r\n"), 200);
	assert_int_equal(status("HTTP/1.0 503 \r\nServer: x\r\n"), 503);
	assert_int_equal(status("HTTP/1.1 204\r\n"), 204);
	assert_int_equal(status(""), 0);
	assert_int_equal(status("HT"), 0);
	assert_int_equal(status("HTTP/1.1 200 OK"), 0);
	assert_int_equal(status("SSH-2.0-OpenSSH"), -1);
	assert_int_equal(status("HTTP/1.1 20\r\n"), -1);
	assert_int_equal(status("HTTP/1.1 2000 OK\r\n"), -1);
	assert_int_equal(status("HTTP/1.1 -20 OK\r\n"), -1);
	assert_int_equal(status("HTTP/1.\n"), -1);
}

static void reads_a_range(void **state)
{
	u32 first, last;
	(void)state;
	assert_true(check_status_read("200-399", &first, &last));
	assert_int_equal(first, 200);
	assert_int_equal(last, 399);
	assert_true(check_status_read("204", &first, &last));
	assert_int_equal(first, 204);
	assert_int_equal(last, 204);
	static const char *const wrong[] = {
		"", "2", "200-", "-300", "399-200", "200-600", "200 ", "200-300-400", "x"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(check_status_read(wrong[i], &first, &last));
}

static void reads_a_payload(void **state)
{
	u8 bytes[8];
	(void)state;
	assert_int_equal(check_payload_read("ping", bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "ping", 4);
	assert_int_equal(check_payload_read("0x00ffA9", bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "\x00\xff\xa9", 3);
	assert_int_equal(check_payload_read("0x", bytes, sizeof(bytes)), 0);
	assert_int_equal(check_payload_read("0x0", bytes, sizeof(bytes)), -1);
	assert_int_equal(check_payload_read("0x0g", bytes, sizeof(bytes)), -1);
	assert_int_equal(check_payload_read("0x000102030405060708", bytes, sizeof(bytes)), -1);
	assert_int_equal(check_payload_read("123456789", bytes, sizeof(bytes)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fails_in_a_row),
		cmocka_unit_test(rises_in_a_row),
		cmocka_unit_test(begins_unknown),
		cmocka_unit_test(waits_with_jitter),
		cmocka_unit_test(spreads_the_first),
		cmocka_unit_test(reads_http),
		cmocka_unit_test(reads_a_range),
		cmocka_unit_test(reads_a_payload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
