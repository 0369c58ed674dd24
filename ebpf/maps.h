// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The BPF maps: one per table of weft/tables.h, named weft_<table>, and those private to the
// engine.
//
// Row and key types are named in BTF, so that the user half can convert a pinned map of another
// layout field by field (datapath/ebpf/convert.c). Default sizes; the user half sets the real ones.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <weft/tables.h>
#include <weft/verdict.h>
#include "ebpf/shared.h"

// The kernel accepts only an integer as the key type of an array.
#define MAP_ARRAY(table, key_struct, row_struct, capacity) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, capacity); \
		__type(key, u32); \
		__type(value, struct row_struct); \
	} weft_##table SEC(".maps");

#define MAP_PER_CPU(table, key_struct, row_struct, capacity) \
	struct { \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, capacity); \
		__type(key, u32); \
		__type(value, struct row_struct); \
	} weft_##table SEC(".maps");

#define MAP_HASH_WITH(flags, table, key_struct, row_struct, capacity) \
	struct { \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(map_flags, flags); \
		__uint(max_entries, capacity); \
		__type(key, struct key_struct); \
		__type(value, struct row_struct); \
	} weft_##table SEC(".maps");
#define MAP_HASH(...)   MAP_HASH_WITH(0, __VA_ARGS__)
#define MAP_SPARSE(...) MAP_HASH_WITH(BPF_F_NO_PREALLOC, __VA_ARGS__)

#define X(table, kind, role, key_struct, row_struct, capacity) \
	MAP_##kind(table, key_struct, row_struct, capacity)
WEFT_TABLES(X)
#undef X

// In BPF the tables are the program's own maps: there is no object to point to.
struct tables;

#define MAP_ROW(name) typeof(*weft_##name.value)
#define TABLE_GET(tables, name, key) \
	((const MAP_ROW(name) *)((void)(tables), bpf_map_lookup_elem(&weft_##name, (key))))
#define TABLE_ROW(tables, name, key) ((void)(tables), bpf_map_lookup_elem(&weft_##name, (key)))
#define TABLE_INSERT(tables, name, key, row) \
	((void)(tables), bpf_map_update_elem(&weft_##name, (key), (row), BPF_NOEXIST))
#define TABLE_REPLACE(tables, name, key, row) \
	((void)(tables), bpf_map_update_elem(&weft_##name, (key), (row), BPF_EXIST))

// Which port a device is, and which device a port. Written at attach and detach.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);   // ifindex
	__type(value, u32); // port id and roles
} weft_device SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_DEVICE_SLOTS);
	__type(key, u32);
	__type(value, struct weft_device_slot);
} weft_device_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32); // port id; 0: the carrier
	__type(value, struct weft_port_device_row);
} weft_port_device SEC(".maps");

// What became of the last packet of engine_ops.inject. Written only where weft_inject is true.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_record);
} weft_record SEC(".maps");

const volatile bool weft_decap_ipv6; // the kernel can change the protocol on decapsulation (6.3)
const volatile bool weft_inject;     // set in the second copy of the program that inject runs
