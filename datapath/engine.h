// SPDX-License-Identifier: BSD-2-Clause
// The contract of an engine: what weftd (and the tests) may ask of a datapath.
//
// The tables (weft/tables.h) are the interface; these calls carry them. All calls come from one
// thread, weftd's event loop, and none keeps a pointer that it is given. Functions return 0 or
// -errno. Times are CLOCK_MONOTONIC nanoseconds.
#pragma once

#include <weft/tables.h>
#include <weft/verdict.h>

struct engine; // one running datapath; each engine defines its own

struct engine_config {
	const char *pin_dir;            // ebpf: directory on a bpffs that holds everything pinned
	const char *keep_dir;           // dpdk: of tables that outlive it (keep.h); NULL: none do.
					// Other engines remove it
	const char *owner;              // whose ids stand in them; of those that outlive it
	u32 capacity[WEFT_TABLE_count]; // rows; 0: the default in weft/tables.h
	bool force_clsact;              // ebpf: attach as on kernels before 6.6 (for tests)
	u32 flow_slots; // ebpf: of each CPU's flow cache, a power of two; 0: the default
	struct engine_dpdk_config {
		const char *cores; // for the workers, as in "1-2,4"; NULL: one worker, any core
		u32 memory_mb;     // of mbufs and tables; 0: the default
		const char *pages; // "huge", "small"; NULL or "auto": huge if reserved
		u32 flow_slots;    // of each worker's flow cache, a power of two; 0: the default
		u32 spin_us;       // that a queue is polled in vain; 0: the default
		bool pci;          // ports of kind pci can be: DPDK may look for NICs
	} dpdk;
};

enum engine_port_kind {
	ENGINE_PORT_NETDEV,
	ENGINE_PORT_VHOST_USER, // dpdk
	ENGINE_PORT_PCI,        // dpdk
};

enum { ENGINE_VHOST_QUEUES = 16 }; // pairs that a vhost-user port has at most

struct engine_port {
	u32 id;           // port id, 1 .. capacity - 1
	u32 ifindex;      // the netdev, of a pci port its twin; 0 for sim and ports without one
	const char *name; // for messages
	enum engine_port_kind kind;
	const char *path; // vhost-user: the socket; pci: the address, "0000:01:00.0"
	bool client;      // vhost-user: the hypervisor listens and weft connects
	u32 queues;       // vhost-user: most pairs of queues; 0: 1
	bool xdp;         // netdev, if the engine has own_xdp: by XDP where its driver can
	u32 wire;         // pci: the other end of its twin; 0: no twin
	u32 mtu;          // pci: it is to have this, if it can; 0: its own
	// netdev, if the engine has `direct`: a veth, up, with its other end in another network
	// namespace, and frames for this address go to that end at once. Zero: no.
	struct weft_mac direct;
};

// Of a port without a netdev: netlink tells of the others.
// What the other end of a port takes from weft unfinished: partial checksums, superpackets.
enum engine_takes {
	ENGINE_TAKES_CHECKSUM = WEFT_BIT(0),
	ENGINE_TAKES_TSO4 = WEFT_BIT(1),
	ENGINE_TAKES_TSO6 = WEFT_BIT(2),
	ENGINE_TAKES_USO = WEFT_BIT(3), // VIRTIO_NET_HDR_GSO_UDP_L4
	ENGINE_TAKES_ALL = WEFT_BIT(4) - 1,
};

struct engine_port_state {
	bool carrier;        // somebody is there: the guest's driver, a link
	u32 queues;          // pairs in use
	u32 mtu;             // 0: not known
	u32 takes;           // enum engine_takes (of a netdev the kernel says it)
	struct weft_mac mac; // pci; zero: not known
	const char *why;     // without carrier: a static sentence
};

// What a worker did since the engine started. Its times add up to its life.
struct engine_cpu {
	u32 cores_first, cores_last;    // where it may run
	u64 busy_ns, idle_ns, sleep_ns; // idle: polled in vain
	u64 packets, bursts;
	u64 receive_ns, decide_ns, send_ns; // of busy: receiving; parse, decide and apply; sending
	u64 hits, misses;                   // of the flow cache
	u64 sleeps;
	u64 wake_p50_ns,
		wake_p99_ns; // from the descriptor's wake-up to the first poll; 0: none yet
};

// Per port: what its traffic costs. Sampled times scaled up.
struct engine_port_cpu {
	u32 port;
	u64 packets;
	u64 busy_ns;
};

// The workers' threads, from commit on. They have the nice value of the thread that calls commit.
#define ENGINE_WORKER_NAME "weft-worker"

enum { ENGINE_UNDERLAYS = 16 };

struct engine_overlay {
	u32 carrier; // ifindex
	u32 underlay[ENGINE_UNDERLAYS];
	u32 underlays;
	u32 watch; // 1: nothing is decapsulated there, frames are only seen to come in
	bool xdp[ENGINE_UNDERLAYS]; // as in engine_port
};

// What a datapath takes of this host's memory, most of it when it starts.
struct engine_memory {
	u64 table[WEFT_TABLE_count]; // bytes
	u64 other;                   // flow caches, frames
	u64 present;                 // of all: an earlier datapath has taken it already
};

struct engine_table_status {
	u64 bytes; // of memory
	u32 capacity;
	u32 used;        // rows in use; for arrays: 0
	bool adopted;    // dynamic table taken over from an earlier weftd
	const char *abi; // hex hash of the declaration
};

// One frame in, its fate out (inject). Tags stand in the bytes, as on the wire.
struct engine_packet {
	u32 port; // 0: from the underlay, outer headers first
	const u8 *bytes;
	u32 length;
};

enum { ENGINE_OUTPUTS = 16, ENGINE_FRAME_BYTES = 2048 };
enum { ENGINE_CARDS_AT_ONCE = 64 };

struct engine_result {
	struct weft_record record;
	// What would leave, tags in the bytes: one frame for forward, encap and reply; sim also
	// lists the copies of a flood, which ebpf really sends. To a peer: with its outer headers,
	// unless `inner` says that the kernel's VXLAN device would add them (network row's vni).
	u32 outputs;
	struct {
		u32 port;
		bool inner;
		u32 length;
		u8 bytes[ENGINE_FRAME_BYTES];
	} output[ENGINE_OUTPUTS];
};

// Return non-zero to stop the walk; the walk returns it.
typedef int engine_walk_fn(const void *key, const void *row, void *context);

enum engine_send {
	ENGINE_SEND_FROM, // as if the port had: from P0 on it is on the way of the port's frames
	ENGINE_SEND_TO,   // to the port, as it is, in the network of its tag: a question to a guest
};

struct engine_ops {
	const char *name;
	bool own_overlay; // writes and reads all outer headers itself: needs no carrier
	bool direct;      // knows engine_port.direct

	// What a datapath so configured would take; takes nothing. -ENOSPC and *why, as of start:
	// the place where tables are kept has no room, whatever memory there is.
	int (*memory)(
		const struct engine_config *config, struct engine_memory *out, const char **why);

	// Makes a datapath with empty configuration tables and, where an earlier one left them in
	// config->pin_dir or keep_dir, its dynamic tables (adopted when the ABI is equal, else
	// converted, else dropped with a log line). Packets keep taking the earlier datapath until
	// commit.
	// Errors: -ENOENT no bpffs, -EPERM, -E2BIG capacity, -ENOTSUP kernel too old.
	// After an error *why is a sentence that names the next step; static memory.
	int (*start)(struct engine **out, const struct engine_config *config, const char **why);

	// Frees what weftd holds. Forwarding goes on where the engine can (ebpf), else ends (sim).
	void (*stop)(struct engine *engine);

	// stop, and nothing of the datapath stays on this host.
	void (*purge)(struct engine *engine);

	// Publishes: from here on packets of attached ports take this datapath. Called once after
	// start, when configuration tables and ports are in. Later table_put and port_attach take
	// effect at once. Unpins links of ports that were not attached again.
	int (*commit)(struct engine *engine);

	// Gives the port's frames to the datapath. Idempotent; replaces an earlier program of weft.
	// Errors: -EBUSY somebody else's program is on the device, -ENODEV.
	// When the port has the same netdev already, it still has it after -EBUSY; after other
	// errors it has none.
	// After an error *why (if not NULL) is a sentence that names the next step; static memory.
	int (*port_attach)(struct engine *engine, const struct engine_port *port, const char **why);

	// Is the XDP program with this id one that this engine put on a device? NULL: the engine
	// puts none there, and does not know engine_port.xdp.
	bool (*own_xdp)(struct engine *engine, u32 program);

	// What has taken the netdev of a port or of the underlay: "xdp", else "packet" (dpdk) or
	// "tc" (ebpf), a twin: "pci"; NULL: nothing.
	// *why: a static sentence why it is not "xdp", though that was asked for; NULL: it was not.
	// As own_xdp, only for engines that have both.
	const char *(*driver)(struct engine *engine, u32 ifindex, const char **why);

	// The device may be gone already: not an error. The port's rows stay; weftd deletes them.
	int (*port_detach)(struct engine *engine, u32 port_id);

	// The devices that carry the overlay, in place of those of the last call: the carrier (a
	// VXLAN device in collect-metadata mode; 0: none) and the underlay devices on which weft
	// may decapsulate itself, or only sees P3. Errors as port_attach; what was carried before
	// may then be off.
	int (*overlay_set)(
		struct engine *engine, const struct engine_overlay *overlay, const char **why);

	// Tables. key and row are the structs of weft/tables.h. Per-CPU tables: a row is the sum
	// over CPUs on get and walk; put writes it on the first CPU and zero on the others.
	// put: insert or replace; -ENOSPC when full, nothing changed.
	// get, del: -ENOENT when absent. del: *row (may be NULL) receives what was there.
	// Arrays cannot be deleted from (-EINVAL): put zeros.
	int (*table_put)(
		struct engine *engine, enum weft_table table, const void *key, const void *row);
	int (*table_get)(struct engine *engine, enum weft_table table, const void *key, void *row);
	int (*table_del)(struct engine *engine, enum weft_table table, const void *key, void *row);

	// del of a row that has been over for longer than verdicts are cached: none hangs on it.
	int (*table_expire)(
		struct engine *engine, enum weft_table table, const void *key, void *row);

	// Visits every row (arrays: every index). Rows inserted or deleted meanwhile may be seen
	// or not; the callback may delete the row it is given.
	int (*table_walk)(
		struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context);

	// Visits a part of a HASH table, a matter of milliseconds at most: from *cursor on, 0 at
	// first; 0 afterwards says that it was the last. What is there from the first part to the
	// last is seen once.
	int (*table_walk_part)(struct engine *engine, enum weft_table table, u32 *cursor,
		engine_walk_fn *fn, void *context);

	// A live row of an ARRAY table, shared with the datapath: change fields by atomic
	// operations only. NULL: index out of range. Valid until stop.
	void *(*table_at)(struct engine *engine, enum weft_table table, u32 index);

	void (*table_status)(
		struct engine *engine, enum weft_table table, struct engine_table_status *out);

	// Who has walked a large HASH table says how many rows it has now, so that table_status
	// need not count them for a minute. NULL: this engine knows at all times.
	void (*table_counted)(struct engine *engine, enum weft_table table, u32 rows);

	// Only for engines with ports that have no netdev; else NULL. port_state: -ENOENT.
	int (*port_state)(struct engine *engine, u32 port_id, struct engine_port_state *out);
	// Readable when the state of some port has changed; owned by the engine. events reads it
	// empty and calls back once for each such port.
	int (*event_fd)(struct engine *engine);
	void (*events)(
		struct engine *engine, void (*changed)(u32 port_id, void *context), void *context);

	// Only for engines with workers of their own; else NULL. -ENOENT: no such worker, port.
	int (*cpu)(struct engine *engine, u32 worker, struct engine_cpu *out);
	int (*port_cpu)(struct engine *engine, u32 port_id, struct engine_port_cpu *out);

	// Observation (weft/observe.h); NULL: this engine observes nothing. What is sampled and
	// traced stands in rows of the tables port and host.
	// taps: it is seen when the reader of a port that is WEFT_PORT_TAP takes a frame (P6), also
	// without weftd where forwarding goes on without it.
	int (*observe)(struct engine *engine, bool taps);
	// Frames that were timed on their way to such a reader, since the engine's tables are.
	// NULL: to see them costs others next to nothing.
	u64 (*flights)(struct engine *engine);
	// Readable when there are postcards; owned by the engine. -errno.
	int (*card_fd)(struct engine *engine);
	// Calls back for the next postcards, ENGINE_CARDS_AT_ONCE at most: what they lead to has
	// its turn before the rest. Returns how many were lost since start because nobody came for
	// them.
	u64 (*cards)(struct engine *engine,
		void (*fn)(const struct weft_postcard *card, void *context), void *context);

	// Sends a frame of weftd's own (a probe: weft/probe.h). NULL: this engine cannot. length 0:
	// only makes the way in, which takes its time once. -EMSGSIZE, -ENOBUFS, -ENOMEM, and what
	// making that may say.
	int (*send)(struct engine *engine, enum engine_send how, u32 port_id, const u8 *bytes,
		u32 length);

	// Runs one frame through the very datapath, effects and counters included, but sends
	// nothing but the copies of a flood. now_ns is used by engines without a clock of their
	// own. Errors: -EINVAL length, -ENOENT port.
	int (*inject)(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
		struct engine_result *result);
};

// List 3: the engines. dpdk is in a module (weft-dpdk.so) that is opened when it is asked for.
extern const struct engine_ops engine_sim;
extern const struct engine_ops engine_ebpf;
// Before ports are attached to another engine: what an eBPF datapath has pinned there goes on
// without weftd, and ends now.
void engine_ebpf_leave(const char *pin_dir);
// NULL: no such engine; *why (may be NULL) is then a static sentence if there could be one.
const struct engine_ops *engine_find(const char *name, const char **why);

// What weft/tables.h declares, as data.
struct table_info {
	const char *name;
	enum weft_table_kind kind;
	enum weft_table_role role;
	u32 key_bytes;
	u32 row_bytes;
	u32 capacity; // default
	const char *abi_text;
};
extern const struct table_info table_infos[WEFT_TABLE_count];

u32 table_rows(enum weft_table table, u32 capacity); // of a configuration, where 0 is the default

// 16 hex digits and a NUL: XXH3 of the declaration of key and row.
void table_abi(enum weft_table table, char hex[17]);

const char *action_name(u32 action);              // enum weft_action: "to_host"; NULL: none
const char *drop_name(enum weft_drop reason);     // "storm"
const char *drop_sentence(enum weft_drop reason); // for people
const char *drop_hop(enum weft_drop reason);      // "apply"
