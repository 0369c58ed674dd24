// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// P6: the reader of a tap takes a frame. Attached while something is timed that goes to a tap.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "ebpf/observe.h"
#include "datapath/pipeline/observe.h"

struct sk_buff {
	s64 tstamp;
	be16 protocol;
	char cb[48];
} __attribute__((preserve_access_index));

struct qdisc_skb_cb {
	unsigned char data[20]; // __sk_buff's cb
} __attribute__((preserve_access_index));

const volatile bool weft_landed_only; // the engine keeps the histogram itself

weft_inline void taken_post(const struct weft_flight *flight, u64 now_ns)
{
	struct weft_postcard card = {
		.identity = flight->identity,
		.out_ns = now_ns,
		.from = flight->from,
		.to = flight->to,
		.out_point = WEFT_POINT_P6,
	};
	observe_post(&card);
}

// 0: none, for sure.
weft_inline u64 taken_name(const struct sk_buff *skb)
{
	u64 name = (u64)skb->tstamp;
	if (name || ip_protocol(skb->protocol))
		return name;
	const struct qdisc_skb_cb *cb = (const void *)skb->cb;
	bpf_probe_read_kernel(&name, sizeof(name), cb->data);
	return name;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int weft_taken(u64 *arguments)
{
	const struct sk_buff *skb = (void *)arguments[0];
	u64 name = taken_name(skb);
	u32 index = name & (WEFT_FLIGHTS - 1);
	if (!name)
		return 0;
	struct weft_flight *flight = bpf_map_lookup_elem(&weft_flight, &index);
	if (!flight || flight->name != name)
		return 0;
	struct weft_flight landed = *flight;
	u64 now_ns = bpf_ktime_get_ns();
	flight->taken_ns = now_ns;
	if (__sync_val_compare_and_swap(&flight->name, name, 0) != name || weft_landed_only)
		return 0;
	if (landed.sampled)
		observe_span(NULL, landed.from, landed.to, WEFT_SPAN_queue,
			histogram_between(landed.out_ns, now_ns));
	if (landed.identity)
		taken_post(&landed, now_ns);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
