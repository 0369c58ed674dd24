// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache in front of decide: which verdicts an engine may keep, and for whom.
//
// A kept verdict is what decide would say while both generations (table `generation`: 0, and that
// of its network) stand, and for WEFT_REFRESH_NS: so ageing lags by twice that at most. The whole
// key is compared. Of a service's flows for longer: there may be millions, and each decides much.
// Kept out: whatever teaches, floods, answers, or opens and closes a connection.
// A verdict may be kept for every frame with the same head (struct weft_key_head) that is cacheable
// too, unless decide has read more of the key: then the verdict says so (flow_is_deep), and it is
// its own flow's alone.
// How slots are laid out is the engine's (ebpf/flow_cache.h, datapath/dpdk/flow.h).
#pragma once

#include <weft/tables.h>
#include <weft/verdict.h>
#include <weft/wire.h>

// What a service changes in a flow's packets, beside the flow's verdict (flow_rewrite.h).
struct flow_rewrite {
	struct weft_rewrite to; // also what stays
	u16 addresses, ports;   // what a checksum changes by (RFC 1624)
};

#define FLOW_SERVICE_NS (8 * WEFT_REFRESH_NS)

weft_inline u64 flow_life_ns(u8 flags)
{
	return flags & WEFT_VERDICT_REWRITE ? FLOW_SERVICE_NS : WEFT_REFRESH_NS;
}

weft_inline bool flow_cacheable(const struct weft_key *key)
{
	if (key->flags & WEFT_KEY_FRAGMENT || key->ethertype == WEFT_ETH_ARP)
		return false;
	if (key->tcp_flags & (WEFT_TCP_UNCACHED | WEFT_KEY_ERROR))
		return false;
	return key->protocol != WEFT_IP_ICMPV6; // ND among them
}

weft_inline bool flow_is_deep(const struct weft_verdict *v)
{
	return v->flags & WEFT_VERDICT_DEEP;
}

weft_inline bool flow_keepable(const struct weft_verdict *v)
{
	return (v->action == WEFT_ACTION_forward || v->action == WEFT_ACTION_encap) &&
	       !(v->effects & ~WEFT_EFFECT_stamps);
}
