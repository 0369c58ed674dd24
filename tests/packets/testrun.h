// SPDX-License-Identifier: BSD-2-Clause
// The BPF programs without ports, as testrun.c loads them.
#pragma once

#include "ebpf/shared.h"
#include "tests/packets/packets.h"
#include "weft_tc.skel.h"
#include "weft_xdp.skel.h"

struct engine {
	struct weft_xdp_bpf *xdp; // one of the two
	struct weft_tc_bpf *tc;
	struct bpf_object *object;
	int program;
	int fd[WEFT_TABLE_count];
	u8 *mapped[WEFT_TABLE_count]; // arrays, as they are asked for
	int cpus;
};

extern u32 testrun_flow_slots, testrun_capacity[WEFT_TABLE_count]; // 0: as declared
int testrun_open(struct engine **out, bool xdp, bool record);
void testrun_stop(struct engine *engine);
void testrun_come_in_by(struct engine *engine, u32 port);

// What services cost, as JSON lines on stdout. hook, name: by one hook, of one load; NULL: of all.
int services_bench(const char *hook, const char *name);
