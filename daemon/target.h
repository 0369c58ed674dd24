// SPDX-License-Identifier: BSD-2-Clause
// Whom somebody talks to, as it is typed: an address or a name, and perhaps a port.
#pragma once

#include <stdbool.h>

struct target {
	char name[64]; // without brackets
	unsigned port; // 0: none
	bool v6;
};

// "10.1.0.2", "10.1.0.2:80", "fd00::2", "[fd00::2]:80", "web1:80". Whether the name is an address
// is for others to say. False: it is none of these.
bool target_read(const char *text, struct target *target);
