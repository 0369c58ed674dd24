// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Packets that are timed, in BPF: what is known of them between two programs.
#pragma once

#include <weft/wire.h>
#include "ebpf/maps.h"

// On the way to the reader of a tap. The skb's own time stamp names the flight: it survives a
// redirect, and TC, the tap and its reader share nothing else. What is not IP has its name in the
// control block: the kernel redirects it without a time. One that is overtaken by WEFT_FLIGHTS
// later ones is not observed.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_FLIGHTS);
	__type(key, u32);
	__type(value, struct weft_flight);
} weft_flight SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_latency_row);
} weft_no_latency SEC(".maps"); // zeros

weft_inline void observe_insert(const struct weft_latency_key *key)
{
	u32 zero = 0;
	const struct weft_latency_row *none = bpf_map_lookup_elem(&weft_no_latency, &zero);
	if (none)
		TABLE_INSERT(NULL, latency, key, none);
}

// Postcards for weftd. When it does not keep up, cards are lost, and counted in weft_observed.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEFT_POSTCARD_RING_BYTES);
} weft_postcards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_observed_row);
} weft_observed SEC(".maps");

weft_inline void observe_post(struct weft_postcard *card)
{
	u32 zero = 0;
	struct weft_observed_row *row = bpf_map_lookup_elem(&weft_observed, &zero);
	if (bpf_ringbuf_output(&weft_postcards, card, sizeof(*card), 0) && row)
		__sync_fetch_and_add(&row->cards_lost, 1);
}

weft_inline bool ip_protocol(be16 protocol)
{
	return protocol == weft_hton16(WEFT_ETH_IPV4) || protocol == weft_hton16(WEFT_ETH_IPV6);
}

weft_inline u32 flight_next(void)
{
	u32 zero = 0;
	struct weft_observed_row *row = bpf_map_lookup_elem(&weft_observed, &zero);
	return row ? __sync_fetch_and_add(&row->flights, 1) & (WEFT_FLIGHTS - 1) : 0;
}

// Every packet is asked whether it is sampled: the kernel's random numbers cost 13 ns, these 2.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} weft_random SEC(".maps");

static const u32 weft_random_key; // the stack has no room for one more

weft_inline u32 observe_random(void)
{
	u64 *state = bpf_map_lookup_elem(&weft_random, &weft_random_key);
	if (!state)
		return ~0u;
	*state = *state * 6364136223846793005ull + 1442695040888963407ull; // Knuth's MMIX
	return (u32)(*state >> 32);
}

#define OBSERVE_NOW(line)           bpf_ktime_get_ns()
#define OBSERVE_RANDOM()            observe_random()
#define OBSERVE_CPU(tables)         bpf_get_smp_processor_id()
#define OBSERVE_INSERT(tables, key) observe_insert(key)
