// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Before each packet of a test run: the frame as it was, of the next flow. Then the program.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <weft/wire.h>
#include "tests/packets/bpf/replay.h"

#define NEXT(name) \
	struct { \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, 1); \
		__type(key, u32); \
		__type(value, u32); \
	} name SEC(".maps")
NEXT(replay_next_xdp); // an array has programs of one type
NEXT(replay_next_tc);

const volatile u32 replay_flows = 1; // 0: each packet is of a new one
const volatile u32 replay_services = 1;
u64 replay_frame[REPLAY_BYTES / sizeof(u64)];
u32 replay_count;
u32 replay_mixed; // flows come in no order that a core could foresee; else one after the other

// murmur3's finalizer.
weft_inline u32 replay_mix(u32 x)
{
	x = (x ^ x >> 16) * 0x85ebca6b;
	x = (x ^ x >> 13) * 0xc2b2ae35;
	return x ^ x >> 16;
}

// By words, as a frame comes: bytes written one by one would have to be collected for each look.
// Checksums are left alone: what is measured does not look at them.
weft_inline bool replay(void *data, void *data_end)
{
	struct ipv4_header *ip = data + sizeof(struct eth_header);
	struct tcp_header *tcp = (void *)(ip + 1); // or UDP: the ports are the same
	u32 count = replay_count++;
	u32 flow = replay_mixed ? replay_mix(count) : count;
	if (replay_flows)
		flow %= replay_flows;
	if (data + REPLAY_BYTES > data_end)
		return false;
	for (u32 i = 0; i < REPLAY_BYTES / sizeof(u64); i++)
		((u64 *)data)[i] = replay_frame[i];
	ip->dst = weft_hton32(REPLAY_VIP + flow % replay_services);
	ip->src = weft_hton32(REPLAY_CLIENT + (flow >> 14));
	tcp->src_port = weft_hton16((u16)(1024 + (flow & 0x3fff)));
	return true;
}

SEC("xdp")
int replay_xdp(struct xdp_md *ctx)
{
	int grown = (int)(ctx->data_end - ctx->data) - REPLAY_BYTES;
	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	if (!replay((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &replay_next_xdp, 0);
	return XDP_PASS;
}

SEC("tc")
int replay_tc(struct __sk_buff *skb)
{
	if (!replay((void *)(long)skb->data, (void *)(long)skb->data_end))
		return TC_ACT_SHOT;
	bpf_tail_call(skb, &replay_next_tc, 0);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
