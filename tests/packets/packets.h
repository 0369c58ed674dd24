// SPDX-License-Identifier: BSD-2-Clause
// The golden packets: one table of cases, held against every engine.
#pragma once

#include "datapath/engine.h"

struct frame {
	u32 length;
	u8 bytes[ENGINE_FRAME_BYTES];
};

// Builds a frame from words; aborts on a word it does not know. See frame.c for the language.
// asked: the frame that an ICMP error quotes.
struct frame frame_build(const char *words);
struct frame frame_build_answer(const char *words, const struct frame *asked);
void frame_change(struct frame *frame, const char *words); // `set` and `cut` alone

// Ports 1 .. PORTS - 1 have devices; peers come behind them.
enum { PORTS = 15, P1 = 15, P2 = 16, PLACES = 17, OUTPUTS_MAX = 8, FDB_MAX = 4, BINDINGS_MAX = 3 };
enum { WORLD_NO_DEVICE = 20 }; // a port of blue that has no device
enum { P_UNKNOWN = 99 };       // sends like a peer, and is none
enum { BLUE = 1, RED, GREEN, YELLOW, VIOLET, WHITE, NETWORKS };
enum { YELLOW_VNI = 100, VIOLET_VNI = 200, WHITE_VNI = 300 };
// The services of white, see services.c.
enum {
	SERVICE_NAT = 1,
	SERVICE_UDP,
	SERVICE_DSR,
	SERVICE_HOST_DSR,
	SERVICE_EMPTY,
	SERVICE_WAITING,
	SERVICE_NAT6,
	SERVICE_ALL,
	SERVICE_REJECT,
	SERVICE_REJECT_UDP,
	SERVICE_REJECT6,
	SERVICE_REJECT6_UDP,
	SERVICE_RESET,
	SERVICE_RESET6,
	SERVICE_RESET_DSR,
	SERVICE_DSR_UDP,
	SERVICE_DSR6,
	SERVICE_DSR6_UDP,
	SERVICE_HOST_DSR_TCP,
	SERVICE_HOST_DSR6,
	SERVICE_HOST_DSR6_UDP,
	SERVICES
};

struct fdb_expect {
	u32 network;
	const char *mac; // a letter of the frame language
	u32 port;
	u16 tag;
	bool fixed;      // before: a static row
	u32 age_seconds; // before: last seen so long ago
	bool absent;     // after: there must be no row
};

struct binding_expect {
	u32 network;
	const char *ip;
	const char *mac;
	u32 port;
	u32 age_seconds;
	bool absent;
	u16 flags; // enum weft_neighbour_flag
};

struct packet_case {
	const char *name;
	u32 port; // where the frame comes in; from a peer: encapsulated
	const char *in;
	struct fdb_expect before[FDB_MAX]; // ends at network 0
	enum weft_action action;
	enum weft_drop reason;
	struct {
		u32 port;
		const char *frame;
	} out[OUTPUTS_MAX]; // ends at port 0; any order
	struct fdb_expect after[FDB_MAX];
	u32 vni;           // of frames from and to peers
	const char *outer; // changes to the outer headers of the frame that comes in
	struct binding_expect bound[BINDINGS_MAX]; // before
	struct binding_expect binds[BINDINGS_MAX]; // after
	bool answer;             // it may answer weft's own question: XDP leaves it to TC
	bool asked;              // before: weftd has asked the port's guest
	bool own_only;           // the carrier refuses it in the kernel
	bool kernel_drops;       // before the carrier counts, too
	const char *sim_only;    // why neither a test run nor a device takes the frame
	const char *no_test_run; // why the kernel refuses it in a TC test run; it is sent live
	bool in_bench;           // measured by `packets --bench`: the frame leaves as it came
};

extern const struct packet_case packet_cases[];
extern const size_t packet_case_count;
extern const struct packet_case services_cases[]; // cases_services.c
extern const size_t services_case_count;

// Outer headers, by the book and not by the code under test (tunnel.c).
bool is_peer(u32 port);
// change: words for the outer headers (tunnel.c), before the IP checksum; or NULL.
struct frame tunnel_wrap(u32 peer, u32 vni, const struct frame *inner, const char *change);
// Checks every outer field (cmocka); returns the peer it is for.
u32 tunnel_unwrap(const u8 *bytes, u32 length, u32 *vni, struct frame *inner);

// Into the engine that is at hand as `ops` and `engine`; cmocka is included.
#define PUT(table, key, row) \
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_##table, (key), (row)), 0)

// The world of all cases, see world.c.
extern bool world_own; // yellow: weft's own encapsulation
extern const u64 world_probe_key[2];
extern u32 world_underlay;               // ifindex of the device to the peers
struct engine_config world_config(void); // tables that are just large enough for it
void world_configure(const struct engine_ops *ops, struct engine *engine);
void world_before(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	u64 now_ns);
// Both, for a test that no packet comes before. Returns the time.
u64 world_begin(const struct engine_ops *ops, struct engine *engine);

// services_world.c.
#define SERVICES_VIP  "10.9.0.1"
#define SERVICES_VIP6 "fd09::1"
enum { SERVICES_UPLINK = 14 };
void services_address(const char *text, u8 out[16]);
struct weft_mac services_mac(const char *letter);
void world_services(const struct engine_ops *ops, struct engine *engine);

struct port_counts {
	struct weft_port_count_row port[PLACES];
	u64 drops[PLACES][WEFT_DROP_count];
};
void world_counts(const struct engine_ops *ops, struct engine *engine, struct port_counts *out);

// Asserts (cmocka) what a case expects of tables and counters after its packet.
void world_check(const struct engine_ops *ops, struct engine *engine, const struct packet_case *c,
	const struct port_counts *before);

u64 world_now_ns(void);

// Before Linux 6.3 an IPv6 packet cannot be taken out of IPv4 by a BPF program.
bool old_kernel(void);

// What explain says of the frame (from a peer: without outer headers), and that it changes nothing.
struct explained {
	struct weft_verdict verdict;
	bool too_big;
	u32 copies;
};
void explain_before(const struct engine_ops *ops, struct engine *engine, u32 port, u32 vni,
	const struct frame *frame, u64 now_ns, struct explained *out);
// Asserts (cmocka) that the engine has decided so.
void explain_check(const struct engine_ops *ops, const struct explained *explained,
	const struct engine_result *result);

// The XDP build of the pipeline as an engine without ports: tables and inject only.
extern const struct engine_ops engine_xdp;

// What takes more than one packet, in an engine with the world in it. Returns the failures.
struct sequence_arena {
	const char *name;
	const struct engine_ops *ops;
	struct engine *engine;
};
int sequence_run(struct sequence_arena *arena);
int services_run(struct sequence_arena *arena);
int services_modes_run(struct sequence_arena *arena);
int refusals_run(struct sequence_arena *arena);

// What a packet costs in either hook, as JSON lines on stdout.
int testrun_bench(void);
// What either hook observes of one. Returns the failures.
int testrun_observe(void);
int testrun_flows(void);

// Live: real devices in this network namespace.
enum live_kind { LIVE_TAP, LIVE_VETH, LIVE_XDP }; // XDP: veths that can take a program
// Makes the ports' devices, the underlay's (port 0) and the carrier.
void live_open(enum live_kind kind);
u32 live_carrier(void);
u32 live_ifindex(u32 port);
void live_send(u32 port, const struct frame *frame);
// The frames that came out, at most `capacity`; waits for `expected`, then for silence.
u32 live_receive(u32 *ports, struct frame *frames, u32 capacity, u32 expected);
void live_close(void);
