// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Takes from the host's stack what the dpdk engine receives by packet sockets, which are served
// before TC ingress; and keeps from an underlay's socket what is not the overlay's.
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <weft/wire.h>
#include "ebpf/claims.h"

// The kernel empties it when the last process that holds it is gone.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} weft_claim_alive SEC(".maps");

static __noinline bool udp_is_vxlan(struct __sk_buff *skb, u32 offset, u32 udp_port)
{
	struct udp_header udp;
	return !bpf_skb_load_bytes(skb, offset, &udp, sizeof(udp)) &&
	       weft_ntoh16(udp.dst_port) == udp_port;
}

// Of a datagram in fragments the first: the stack then says nothing about the others.
static __noinline bool ipv4_is_vxlan(struct __sk_buff *skb, const struct weft_claim *claim)
{
	struct ipv4_header ip;
	u32 at = sizeof(struct eth_header);
	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.protocol != WEFT_IP_UDP ||
		ip.version_ihl >> 4 != 4 || weft_ntoh16(ip.fragment) & IPV4_OFFSET)
		return false;
	const be32 *host = claim->host.word;
	if (host[0] || host[1] || host[2] != weft_hton32(0xffff) || host[3] != ip.dst)
		return false;
	return udp_is_vxlan(skb, at + 4 * (ip.version_ihl & 15), claim->udp_port);
}

static __noinline bool ipv6_is_vxlan(struct __sk_buff *skb, const struct weft_claim *claim)
{
	struct ipv6_header ip;
	u32 at = sizeof(struct eth_header);
	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.next_header != WEFT_IP_UDP)
		return false;
	const be32 *host = claim->host.word, *dst = ip.dst.word;
	if (host[0] != dst[0] || host[1] != dst[1] || host[2] != dst[2] || host[3] != dst[3])
		return false;
	return udp_is_vxlan(skb, at + sizeof(ip), claim->udp_port);
}

// A tag of priority alone (802.1p) is none. What is for another MAC address is another host's.
weft_inline bool is_vxlan(struct __sk_buff *skb, const struct weft_claim *claim)
{
	bool tagged = skb->vlan_present && (skb->vlan_tci & WEFT_VID_MASK ||
						   skb->vlan_proto != weft_hton16(WEFT_ETH_8021Q));
	if (tagged || skb->pkt_type != PACKET_HOST)
		return false;
	if (skb->protocol == weft_hton16(WEFT_ETH_IPV4))
		return ipv4_is_vxlan(skb, claim);
	return skb->protocol == weft_hton16(WEFT_ETH_IPV6) && ipv6_is_vxlan(skb, claim);
}

weft_inline bool claims_tag(struct __sk_buff *skb, const struct weft_claim *claim)
{
	u32 vid = skb->vlan_present ? skb->vlan_tci & WEFT_VID_MASK : 0;
	if (skb->vlan_present && skb->vlan_proto != weft_hton16(WEFT_ETH_8021Q))
		return false;
	if (!vid)
		return claim->flags & WEFT_CLAIM_UNTAGGED;
	return claim->flags & WEFT_CLAIM_TAGGED && claim->vid[vid / 64] >> (vid % 64) & 1;
}

static __noinline bool is_vip(struct __sk_buff *skb, u32 type)
{
	struct weft_claim_vip vip = {.ifindex = skb->ifindex};
	return CLAIM_TARGET(skb, (be16)type, &vip.address, bpf_skb_load_bytes) &&
	       bpf_map_lookup_elem(&weft_claim_vips, &vip);
}

SEC("tc")
int weft_claim(struct __sk_buff *skb)
{
	u32 ifindex = skb->ifindex;
	const struct weft_claim *claim = bpf_map_lookup_elem(&weft_claims, &ifindex);
	if (!claim)
		return TC_ACT_UNSPEC;
	if (claim->flags & WEFT_CLAIM_ALL || claims_tag(skb, claim))
		return TC_ACT_SHOT;
	if (claim->flags & WEFT_CLAIM_UNDERLAY && is_vxlan(skb, claim))
		return TC_ACT_SHOT;
	if (claim->flags & WEFT_CLAIM_VIPS && !skb->vlan_present && is_vip(skb, skb->protocol))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

// For clsact, whose filters outlive whoever made them.
SEC("tc")
int weft_claim_alive_only(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &weft_claim_alive, 0);
	return TC_ACT_UNSPEC;
}

// As far as it is looked at here; the kernel's BTF says where the fields are.
struct sk_buff {
	unsigned char *head;
	unsigned int end;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	unsigned int gso_type;
} __attribute__((preserve_access_index));

enum { // anonymous in the kernel, so no relocation; unchanged since Linux 4.18
	SKB_GSO_TCPV4 = 1,
	SKB_GSO_TCPV6 = 1 << 4,
	SKB_GSO_UDP_L4 = 1 << 17,
};

const volatile bool weft_claim_uso; // the kernel's virtio headers know it

// A superpacket that has no virtio header (UFO, SCTP, ESP) would stop a ring for good: Linux, up to
// 6.18 at least, leaves the slot marked as being written.
weft_inline bool has_virtio_header(struct __sk_buff *skb)
{
	if (!skb->gso_size)
		return true;
	struct sk_buff *kernel = (void *)skb;
	struct skb_shared_info *shared =
		(void *)(BPF_CORE_READ(kernel, head) + BPF_CORE_READ(kernel, end));
	u32 known = SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | (weft_claim_uso ? SKB_GSO_UDP_L4 : 0);
	return BPF_CORE_READ(shared, gso_type) & known;
}

SEC("socket")
int weft_claim_port(struct __sk_buff *skb)
{
	return has_virtio_header(skb) ? -1 : 0;
}

SEC("socket")
int weft_claim_underlay(struct __sk_buff *skb)
{
	u32 ifindex = skb->ifindex;
	const struct weft_claim *claim = bpf_map_lookup_elem(&weft_claims, &ifindex);
	if (!claim || !(claim->flags & WEFT_CLAIM_UNDERLAY))
		return 0;
	return is_vxlan(skb, claim) && has_virtio_header(skb) ? -1 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
