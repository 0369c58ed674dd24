// SPDX-License-Identifier: BSD-2-Clause
// Whether a backend is well, from how its checks ended. Nothing here knows sockets or clocks.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "weft/types.h"

// Not checked yet is as good as well: a backend is dead after `fall` failures in a row, never for
// want of news, and alive after `rise` successes in a row.
struct health {
	bool known; // a check has succeeded, or enough have failed
	bool dead;
	u32 streak; // checks in a row that ended as the last one
	bool last;  // how
};

// Counts one check that has ended. True: `dead` has changed.
bool health_count(struct health *health, bool success, u32 rise, u32 fall);

// Until the next check: the interval, a tenth more or less. random: any number.
u64 check_pause_ms(u64 interval_ms, u32 random);
// Until the first one: checks that begin at once are spread over an interval.
u64 check_first_ms(u64 interval_ms, u32 random);

// "200-399", or one number. False: neither.
bool check_status_read(const char *text, u32 *first, u32 *last);
// The status of an HTTP answer of which so many bytes have come. 0: its line has not ended yet;
// -1: that is no HTTP.
int check_http_status(const char *bytes, size_t length);

// What is sent and expected by UDP: text, or 0x and hexadecimal digits. -1: an odd digit, or it
// does not fit.
int check_payload_read(const char *text, u8 *bytes, size_t size);
