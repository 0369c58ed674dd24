// SPDX-License-Identifier: BSD-2-Clause
// The golden packets: one table of cases, held against every engine.
#pragma once

#include "datapath/engine.h"

struct frame {
	u32 length;
	u8 bytes[ENGINE_FRAME_BYTES];
};

// Builds a frame from words; aborts on a word it does not know. See frame.c for the language.
struct frame frame_build(const char *words);

enum { PORTS = 9, OUTPUTS_MAX = 8, FDB_MAX = 4 };
enum { WORLD_NO_DEVICE = 20 }; // a port of blue that has no device

struct fdb_expect {
	u32 network;
	const char *mac; // a letter of the frame language
	u32 port;
	u16 tag;
	bool fixed;      // before: a static row
	u32 age_seconds; // before: last seen so long ago
	bool absent;     // after: there must be no row
};

struct packet_case {
	const char *name;
	u32 port; // where the frame comes in
	const char *in;
	struct fdb_expect before[FDB_MAX]; // ends at network 0
	enum weft_action action;
	enum weft_drop reason;
	struct {
		u32 port;
		const char *frame;
	} out[OUTPUTS_MAX]; // ends at port 0; any order
	struct fdb_expect after[FDB_MAX];
	const char *sim_only;    // why neither a test run nor a device takes the frame
	const char *no_test_run; // why the kernel refuses it in a TC test run; it is sent live
	bool in_bench;           // measured by `packets --bench`: the frame leaves as it came
};

extern const struct packet_case packet_cases[];
extern const size_t packet_case_count;

// The world of all cases, see world.c.
void world_configure(const struct engine_ops *ops, struct engine *engine);
void world_before(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	u64 now_ns);

struct port_counts {
	struct weft_port_count_row port[PORTS];
	u64 drops[PORTS][WEFT_DROP_count];
};
void world_counts(const struct engine_ops *ops, struct engine *engine, struct port_counts *out);

// Asserts (cmocka) what a case expects of tables and counters after its packet.
void world_check(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	const struct port_counts *before);

u64 world_now_ns(void);

// The XDP build of the pipeline as an engine without ports: tables and inject only.
extern const struct engine_ops engine_xdp;

// What takes more than one packet, in an engine with the world in it. Returns the failures.
struct sequence_arena {
	const char *name;
	const struct engine_ops *ops;
	struct engine *engine;
};
int sequence_run(struct sequence_arena *arena);

// What a packet costs in either hook, as JSON lines on stdout.
int testrun_bench(void);

// Live: real devices in this network namespace.
enum live_kind { LIVE_TAP, LIVE_VETH };
void live_open(enum live_kind kind); // makes PORTS devices; ifindex by live_ifindex
u32 live_ifindex(u32 port);
void live_send(u32 port, const struct frame *frame);
// The frames that came out, at most `capacity`; waits for `expected`, then for silence.
u32 live_receive(u32 *ports, struct frame *frames, u32 capacity, u32 expected);
void live_close(void);
