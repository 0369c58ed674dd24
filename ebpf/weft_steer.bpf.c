// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Gives what weft claims of a device's frames to the dpdk engine's AF_XDP sockets, one per receive
// queue; the host's stack has the rest. What no socket takes passes on, to the claim at TC ingress.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <weft/wire.h>
#include "ebpf/claims.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEFT_STEERED);
	__type(key, u32);   // ifindex
	__type(value, u32); // the socket of its first queue
} weft_steered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WEFT_STEERED *WEFT_STEERED_QUEUES);
	__type(key, u32);
	__type(value, u32);
} weft_sockets SEC(".maps");

// at: of the IP header.
static __noinline bool ipv4_is_vxlan(struct xdp_md *ctx, const struct weft_claim *claim, u32 at)
{
	struct ipv4_header ip;
	struct udp_header udp;
	if (!claim || bpf_xdp_load_bytes(ctx, at, &ip, sizeof(ip)) || ip.protocol != WEFT_IP_UDP ||
		ip.version_ihl >> 4 != 4 || weft_ntoh16(ip.fragment) & IPV4_OFFSET)
		return false;
	const be32 *host = claim->host.word;
	if (host[0] || host[1] || host[2] != weft_hton32(0xffff) || host[3] != ip.dst)
		return false;
	at += 4 * (ip.version_ihl & 15);
	return !bpf_xdp_load_bytes(ctx, at, &udp, sizeof(udp)) &&
	       weft_ntoh16(udp.dst_port) == claim->udp_port;
}

static __noinline bool ipv6_is_vxlan(struct xdp_md *ctx, const struct weft_claim *claim, u32 at)
{
	struct ipv6_header ip;
	struct udp_header udp;
	if (!claim || bpf_xdp_load_bytes(ctx, at, &ip, sizeof(ip)) || ip.next_header != WEFT_IP_UDP)
		return false;
	const be32 *host = claim->host.word, *dst = ip.dst.word;
	if (host[0] != dst[0] || host[1] != dst[1] || host[2] != dst[2] || host[3] != dst[3])
		return false;
	return !bpf_xdp_load_bytes(ctx, at + sizeof(ip), &udp, sizeof(udp)) &&
	       weft_ntoh16(udp.dst_port) == claim->udp_port;
}

// Behind a tag of priority alone (802.1p), too. Frames for another host's MAC address are dropped
// by weft as they would be by the stack: their address is not known here.
static __noinline bool is_vxlan(struct xdp_md *ctx, const struct weft_claim *claim)
{
	be16 head[9]; // Ethernet, and a tag's two words
	u32 at = sizeof(struct eth_header);
	if (!claim || bpf_xdp_load_bytes(ctx, 0, head, sizeof(head)) || *(u8 *)head & 1)
		return false;
	be16 type = head[6];
	if (type == weft_hton16(WEFT_ETH_8021Q) && !(weft_ntoh16(head[7]) & WEFT_VID_MASK)) {
		type = head[8];
		at += sizeof(struct vlan_header);
	}
	if (type == weft_hton16(WEFT_ETH_IPV4))
		return ipv4_is_vxlan(ctx, claim, at);
	return type == weft_hton16(WEFT_ETH_IPV6) && ipv6_is_vxlan(ctx, claim, at);
}

weft_inline bool claims_tag(const struct weft_claim *claim, const be16 tag[2])
{
	u32 vid = 0;
	if (tag[0] == weft_hton16(WEFT_ETH_8021AD))
		return false;
	if (tag[0] == weft_hton16(WEFT_ETH_8021Q))
		vid = weft_ntoh16(tag[1]) & WEFT_VID_MASK;
	if (!vid)
		return claim->flags & WEFT_CLAIM_UNTAGGED;
	return claim->flags & WEFT_CLAIM_TAGGED && claim->vid[vid / 64] >> (vid % 64) & 1;
}

static __noinline bool is_vip(struct xdp_md *ctx, u32 type)
{
	struct weft_claim_vip vip = {.ifindex = ctx->ingress_ifindex};
	return CLAIM_TARGET(ctx, (be16)type, &vip.address, bpf_xdp_load_bytes) &&
	       bpf_map_lookup_elem(&weft_claim_vips, &vip);
}

weft_inline bool claims(struct xdp_md *ctx, const struct weft_claim *claim)
{
	be16 tag[2]; // or the type, and what follows it
	if (claim->flags & WEFT_CLAIM_ALL)
		return true;
	if (bpf_xdp_load_bytes(ctx, 12, tag, sizeof(tag)))
		return false;
	if (claims_tag(claim, tag) || (claim->flags & WEFT_CLAIM_VIPS && is_vip(ctx, tag[0])))
		return true;
	return claim->flags & WEFT_CLAIM_UNDERLAY && is_vxlan(ctx, claim);
}

SEC("xdp")
int weft_steer(struct xdp_md *ctx)
{
	u32 ifindex = ctx->ingress_ifindex, queue = ctx->rx_queue_index;
	const struct weft_claim *claim = bpf_map_lookup_elem(&weft_claims, &ifindex);
	const u32 *first = bpf_map_lookup_elem(&weft_steered, &ifindex);
	if (!claim || !first || queue >= WEFT_STEERED_QUEUES || !claims(ctx, claim))
		return XDP_PASS;
	return bpf_redirect_map(&weft_sockets, *first + queue, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
