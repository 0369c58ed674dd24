// SPDX-License-Identifier: BSD-2-Clause
// The daemon's one context: what every noun may use. One thread: the event loop.
#pragma once

#include <event2/event.h>
#include "datapath/engine.h"
#include "daemon/object.h"

struct store;       // store.h
struct links;       // link.h
struct api;         // api.h
struct sweep;       // sweep.h
struct underlay;    // underlay.h
struct objects;     // model.h
struct carrier;     // carrier.h
struct network;     // network.h
struct pending;     // pending.h
struct balancer;    // service.h
struct connections; // connection.h
struct connection_walks;
struct checks; // check.h

struct settings {     // from the command line and --config; strings owned
	char *name;   // --name: shown, default the host name
	char *engine; // "ebpf"
	char *state_dir;
	char *run_dir;
	char *bpf_dir;
	char *log_level;                // at start; `log set` changes it
	u32 capacity[WEFT_TABLE_count]; // 0: default
	u32 ebpf_flow_slots;            // 0: default
	char *ebpf_xdp;        // of underlay devices: "on", "off"; NULL or "auto": if hardware
	struct settings_dpdk { // as in engine.h
		char *cores;
		u32 memory_mb;
		char *pages;
		u32 flow_slots;
		u32 spin_us;
		bool pci;
		char *xdp; // as ebpf_xdp
	} dpdk;
};

struct weftd {
	struct settings settings;
	struct event_base *base;
	struct store *store;
	char uuid[37]; // of this weftd's state directory
	const struct engine_ops *engine_ops;
	struct engine *engine;
	struct links *links;
	struct api *api;
	struct sweep *sweep;
	struct balancer *balancer;
	struct connections *connections;
	struct connection_walks *walks;
	struct checks *checks;
	struct carrier *carrier;
	struct network *common; // network.h: row 0
	struct underlay *underlay;
	struct probes *probes;             // probe.h; NULL: the engine sends none
	struct cards *cards;               // cards.h; NULL: nobody has asked for any
	struct latency_rest *latency_rest; // latency_rest.h; NULL: the engine needs none
	u32 densest;                       // of what is sampled: latency.c
	struct event *port_events;         // port.h; NULL: the engine has none
	struct event *port_retry;          // port_retry.c; NULL: nothing was to be tried again
	struct objects *objects;           // the model: see model.h
	struct pending *pending;           // requests that are answered later: pending.h
	unsigned pending_count;
	u64 started_ns;
	int run_lock, state_lock; // descriptors; -1: none
	bool stopping;            // set by a command: the answer goes out first (api.c)
	bool purging;             // and nothing of weft stays on this host
};

u32 engine_capacity(const struct weftd *weftd, enum weft_table table); // rows, instance.c

// Every table access of a noun goes through these lines.
#define engine_put(weftd, table, key, row) \
	((weftd)->engine_ops->table_put((weftd)->engine, WEFT_TABLE_##table, (key), (row)))
#define engine_get(weftd, table, key, row) \
	((weftd)->engine_ops->table_get((weftd)->engine, WEFT_TABLE_##table, (key), (row)))
#define engine_expire(weftd, table, key, row) \
	((weftd)->engine_ops->table_expire((weftd)->engine, WEFT_TABLE_##table, (key), (row)))
#define engine_del(weftd, table, key, row) \
	((weftd)->engine_ops->table_del((weftd)->engine, WEFT_TABLE_##table, (key), (row)))
