// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The claims as the programs see them: one map for all.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <weft/wire.h>
#include "ebpf/claim.h"

enum { IPV4_OFFSET = 0x1fff };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u32); // ifindex
	__type(value, struct weft_claim);
} weft_claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct weft_claim_vip);
	__type(value, u32);
} weft_claim_vips SEC(".maps");

// LOAD(ctx, offset, to, bytes) is the program's. Whom an untagged frame is for: its destination,
// or whom it asks for. False: neither is an IP address.
#define CLAIM_TARGET(ctx, type, address, LOAD) \
	({ \
		u32 at_ = sizeof(struct eth_header); \
		bool found_ = false; \
		u8 next_ = 0, kind_ = 0; \
		(address)->word[2] = weft_hton32(0xffff); \
		if ((type) == weft_hton16(WEFT_ETH_IPV4)) { \
			found_ = !LOAD((ctx), at_ + offsetof(struct ipv4_header, dst), \
				&(address)->word[3], 4); \
		} else if ((type) == weft_hton16(WEFT_ETH_ARP)) { \
			found_ = !LOAD((ctx), at_ + offsetof(struct arp_header, target_ip), \
				&(address)->word[3], 4); \
		} else if ((type) == weft_hton16(WEFT_ETH_IPV6)) { \
			found_ = !LOAD((ctx), at_ + offsetof(struct ipv6_header, dst), (address), \
				sizeof(*(address))); \
			LOAD((ctx), at_ + offsetof(struct ipv6_header, next_header), &next_, 1); \
			at_ += sizeof(struct ipv6_header); \
			LOAD((ctx), at_, &kind_, 1); \
			if (next_ == WEFT_IP_ICMPV6 && kind_ == WEFT_ND_SOLICIT) \
				found_ = !LOAD((ctx), at_ + offsetof(struct nd_header, target), \
					(address), sizeof(*(address))); \
		} \
		found_; \
	})
