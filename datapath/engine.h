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
	u32 capacity[WEFT_TABLE_count]; // rows; 0: the default in weft/tables.h
	bool force_clsact;              // ebpf: attach as on kernels before 6.6 (for tests)
};

struct engine_port {
	u32 id;           // port id, 1 .. capacity - 1
	u32 ifindex;      // the netdev; 0 for sim
	const char *name; // for messages
};

enum { ENGINE_UNDERLAYS = 16 };

struct engine_overlay {
	u32 carrier; // ifindex
	u32 underlay[ENGINE_UNDERLAYS];
	u32 underlays;
};

struct engine_table_status {
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

struct engine_ops {
	const char *name;

	// Makes a datapath with empty configuration tables and, where an earlier one left them in
	// config->pin_dir, its dynamic tables (adopted when the ABI is equal, else converted, else
	// dropped with a log line). Packets keep taking the earlier datapath until commit.
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
	// After an error *why (if not NULL) is a sentence that names the next step; static memory.
	int (*port_attach)(struct engine *engine, const struct engine_port *port, const char **why);

	// The device may be gone already: not an error. The port's rows stay; weftd deletes them.
	int (*port_detach)(struct engine *engine, u32 port_id);

	// The devices that carry the overlay, in place of those of the last call: the carrier (a
	// VXLAN device in collect-metadata mode; 0: none) and the underlay devices on which weft
	// may decapsulate itself. Errors as port_attach; what was carried before may then be off.
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

	// Visits every row (arrays: every index). Rows inserted or deleted meanwhile may be seen
	// or not; the callback may delete the row it is given.
	int (*table_walk)(
		struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context);

	// A live row of an ARRAY table, shared with the datapath: change fields by atomic
	// operations only. NULL: index out of range. Valid until stop.
	void *(*table_at)(struct engine *engine, enum weft_table table, u32 index);

	void (*table_status)(
		struct engine *engine, enum weft_table table, struct engine_table_status *out);

	// Runs one frame through the very datapath, effects and counters included, but sends
	// nothing but the copies of a flood. now_ns is used by engines without a clock of their
	// own. Errors: -EINVAL length, -ENOENT port.
	int (*inject)(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
		struct engine_result *result);
};

// List 3: the engines.
extern const struct engine_ops engine_sim;
extern const struct engine_ops engine_ebpf;
const struct engine_ops *engine_find(const char *name); // NULL: no such engine

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

// 16 hex digits and a NUL: XXH3 of the declaration of key and row.
void table_abi(enum weft_table table, char hex[17]);

const char *drop_name(enum weft_drop reason);     // "storm"
const char *drop_sentence(enum weft_drop reason); // for people
const char *drop_hop(enum weft_drop reason);      // "apply"
