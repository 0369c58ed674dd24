// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What replay.bpf.c and its loader agree on.
#pragma once

enum {
	REPLAY_BYTES = 64,
	REPLAY_VIP = 0x0a090000,    // 10.9.0.0 and up, one address per service
	REPLAY_CLIENT = 0x0a010100, // 10.1.1.0 and up
};
