// SPDX-License-Identifier: BSD-2-Clause
// The eBPF engine's user half: what its files share.
//
// Everything that outlives weftd hangs on pins below pin_dir:
//   tables/<name>-<abi>   dynamic tables (the kernel refuses dots in these names)
//   links/<ifindex>       tcx: the link
//   xdp/<ifindex>         XDP: the link
//   observe/taken         the link of the program that sees a tap's reader
//   filters/<ifindex>     clsact: the program that our filter on that device runs
// A pin that is being made has the suffix "-new" until it is renamed over the old one.
#pragma once

#include <limits.h>
#include <net/if.h>
#include "datapath/engine.h"
#include "ebpf/shared.h"

struct bpf_map;
struct bpf_object;
struct ebpf_cards;
struct ring_buffer;
struct weft_tc_bpf;
struct weft_xdp_bpf;

enum { EBPF_PATH_BYTES = PATH_MAX };
#define EBPF_NEW "-new"

// A map as the kernel describes it.
struct ebpf_map {
	int fd;
	u32 id;
	u32 type;
	u32 flags;
	u32 key_bytes;
	u32 row_bytes;
	u32 slot_bytes; // a row in a system call; per-CPU tables: the rows of all CPUs
	u32 copies;     // rows in a slot: 1, or the number of possible CPUs
	u32 capacity;
	u32 btf_id; // 0: its fields are unknown
	u32 btf_key;
	u32 btf_row;
};

struct ebpf_table {
	struct bpf_map *map;
	struct ebpf_map live;
	int source_fd; // until loaded: the pinned map to convert from, or -1
	bool adopted;
	char abi[17];
	u8 *mapped; // arrays: the rows, once table_at was asked
	void *slot; // scratch: one slot
	u32 used;
	u64 used_till_ns; // how long `used` is good for
};

struct ebpf_port {
	u32 ifindex;         // 0: not attached
	bool xdp;            // wanted
	const char *xdp_why; // why not, though it is wanted
	char name[64];       // for messages
};

struct engine {
	char *pin_dir;
	bool tcx;           // new devices get tcx links, else clsact filters
	u64 tcx_full_at_ns; // budget of new tcx links, see hook.c
	struct weft_tc_bpf *program;
	struct weft_tc_bpf *inject;   // the second copy, loaded when first asked for
	struct weft_xdp_bpf *xdp;     // loaded when first asked for
	struct weft_taken_bpf *taken; // the same
	struct ebpf_table tables[WEFT_TABLE_count];
	int device_fd;           // ifindex -> port id
	int device_slots_fd;     // the same by a slot of the ifindex
	int port_device_fd;      // port id -> ifindex
	struct ebpf_port *ports; // by id
	u32 port_capacity;
	struct engine_overlay overlay;
	const char *underlay_xdp_why[ENGINE_UNDERLAYS];
	bool committed;
	enum { EBPF_OBSERVE_UNKNOWN, EBPF_OBSERVE_NOTHING, EBPF_OBSERVE_TAPS } observes;
	struct ring_buffer *ring; // of postcards; NULL: nobody has asked
	struct ebpf_cards *cards; // who reads them now
	int entry_fd;             // of the tap by which weftd's own frames enter; -1: none yet
	u32 entry_ifindex;
};

// The sentence that the last refusal left: one for the thread that calls the engine.
const char *ebpf_why(const char *format, ...) __attribute__((format(printf, 1, 2)));

// pin.c: names on the bpffs.
int ebpf_pin_prepare(const char *pin_dir, const char **why); // checks, makes the directories
void ebpf_pin_path(char path[EBPF_PATH_BYTES], const struct engine *engine, const char *dir,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
int ebpf_pin_replace(int fd, const char *path); // atomically
// Calls fn for each name; fn may unlink it.
void ebpf_pin_each(const struct engine *engine, const char *dir,
	void (*fn)(struct engine *engine, const char *name, void *context), void *context);
// Of pins that are named by a device, "7" or "7-qdisc": detaches those that are not wanted; wanted
// NULL: all.
void ebpf_pin_prune(struct engine *engine, const char *dir,
	bool (*wanted)(struct engine *engine, u32 ifindex),
	void (*detach)(struct engine *engine, u32 ifindex));
void ebpf_pin_remove_directories(const char *pin_dir);

// map.c: any map, whoever made it.
int ebpf_map_describe(struct ebpf_map *map, int fd);
// Visits every row with its whole slot; a concurrent change may be seen or not, no row twice.
int ebpf_map_walk(const struct ebpf_map *map, engine_walk_fn *fn, void *context);
// One batch. *cursor as table_walk_part has it.
int ebpf_map_walk_part(const struct ebpf_map *map, u32 *cursor, engine_walk_fn *fn, void *context);

// convert.c: copies rows field by field, by name. False: nothing in common, nothing copied.
bool ebpf_convert(const char *table, const struct ebpf_map *from, const struct ebpf_map *to);

// dynamic.c: the tables that survive weftd.
int ebpf_dynamic_open(struct engine *engine);     // before load: adopt, or note what to convert
void ebpf_dynamic_convert(struct engine *engine); // after load
int ebpf_dynamic_publish(struct engine *engine);  // after the switch: pin, drop what is stale
void ebpf_dynamic_purge(struct engine *engine);

// table.c: the engine's table calls.
int ebpf_table_open(struct ebpf_table *table); // after load
void ebpf_table_close(struct ebpf_table *table);
int ebpf_table_put(struct engine *engine, enum weft_table table, const void *key, const void *row);
int ebpf_table_get(struct engine *engine, enum weft_table table, const void *key, void *row);
int ebpf_table_del(struct engine *engine, enum weft_table table, const void *key, void *row);
int ebpf_table_expire(struct engine *engine, enum weft_table table, const void *key, void *row);
int ebpf_table_walk(
	struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context);
int ebpf_table_walk_part(struct engine *engine, enum weft_table table, u32 *cursor,
	engine_walk_fn *fn, void *context);
void *ebpf_table_at(struct engine *engine, enum weft_table table, u32 index);
void ebpf_table_counted(struct engine *engine, enum weft_table table, u32 rows);
void ebpf_table_status(
	struct engine *engine, enum weft_table table, struct engine_table_status *out);

// A way to have a program run on what a device receives. `pin` is the path of the device's pin.
struct ebpf_hook {
	const char *dir;
	// Runs the program from now on; where one of ours did already, no packet is missed.
	int (*attach)(const char *pin, u32 ifindex, int program_fd);
	// Ours and its pin are gone afterwards; the device may be gone before.
	void (*detach)(const char *pin, u32 ifindex);
	// -EBUSY and *why: somebody else's program is there.
	int (*check)(const char *pin, u32 ifindex, const char **why);
};
extern const struct ebpf_hook ebpf_tcx;    // Linux 6.6 and newer
extern const struct ebpf_hook ebpf_clsact; // before
bool ebpf_tcx_works(void);

// hook.c: one of them for each device.
int ebpf_hook_check(struct engine *engine, u32 ifindex, const char **why); // -EBUSY, -ENODEV
int ebpf_hook_attach(struct engine *engine, u32 ifindex, const char **why);
void ebpf_hook_detach(struct engine *engine, u32 ifindex);
// Detaches every device that is not wanted; wanted NULL: every device.
void ebpf_hook_prune(struct engine *engine, bool (*wanted)(struct engine *engine, u32 ifindex));

// xdp.c: the XDP program in front of a device's hook. Without it the hook does all.
bool ebpf_xdp_is_on(const struct engine *engine, u32 ifindex);
// 0: it runs from now on; *sends: others may redirect to the device. -errno: *why not, static.
int ebpf_xdp_attach(struct engine *engine, u32 ifindex, bool *sends, const char **why);
void ebpf_xdp_detach(struct engine *engine, u32 ifindex);
void ebpf_xdp_prune(struct engine *engine, bool (*wanted)(struct engine *engine, u32 ifindex));
bool ebpf_own_xdp(struct engine *engine, u32 program);

// port.c: ports on hooks. A netdev is a port, a device of the overlay, or both.
int ebpf_port_attach(struct engine *engine, const struct engine_port *port, const char **why);
int ebpf_port_detach(struct engine *engine, u32 port_id);
int ebpf_overlay_set(struct engine *engine, const struct engine_overlay *overlay, const char **why);
const char *ebpf_driver(struct engine *engine, u32 ifindex, const char **why);
void ebpf_port_switch(struct engine *engine); // every device that is used; hooks of all others go

// A device by which weftd's own frames enter: see send.c.
int ebpf_entry_set(struct engine *engine, u32 ifindex, const char **why);
void ebpf_entry_unset(struct engine *engine, u32 ifindex);

// memory.c
u64 ebpf_map_bytes(u32 type, u32 key_bytes, u32 row_bytes, u64 rows);
int ebpf_memory(const struct engine_config *config, struct engine_memory *out, const char **why);

// load.c: the programs.
int ebpf_open(struct engine *engine, const struct engine_config *config); // with their sizes
int ebpf_load(struct engine *engine, const struct engine_config *config, const char **why);
int ebpf_load_inject(struct engine *engine);
int ebpf_load_xdp(struct engine *engine);
// The maps of an object that is not yet loaded are the datapath's, by name. -ENOENT: it has others.
int ebpf_share_maps(const struct engine *engine, const struct bpf_object *with);

// observe.c
int ebpf_observe(struct engine *engine, bool taps);
u64 ebpf_flights(struct engine *engine);
void ebpf_observe_purge(struct engine *engine);
int ebpf_card_fd(struct engine *engine);
u64 ebpf_cards(struct engine *engine, void (*fn)(const struct weft_postcard *card, void *context),
	void *context);

// send.c
int ebpf_send(
	struct engine *engine, enum engine_send how, u32 port_id, const u8 *bytes, u32 length);
void ebpf_send_close(struct engine *engine);

// inject.c
int ebpf_inject(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
	struct engine_result *result);
