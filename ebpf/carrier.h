// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The carrier: the kernel's VXLAN device in collect-metadata mode. It is complete alone:
// superpackets, floods, IPv6 underlay, routing; the program only says which tunnel.
#pragma once

// The skb leaves the carrier for this peer from here on.
static __noinline bool carrier_set_key(struct __sk_buff *skb, u32 peer, u32 vni, u32 tos)
{
	u32 zero = 0;
	const struct weft_host_row *host = TABLE_GET(NULL, host, &zero);
	const struct weft_port_row *row = TABLE_GET(NULL, port, &peer);
	struct weft_scratch_row *scratch = bpf_map_lookup_elem(&weft_scratch, &zero);
	if (!host || !row || !scratch)
		return false;
	struct bpf_tunnel_key *key = &scratch->tunnel;
	__builtin_memset(key, 0, sizeof(*key));
	key->tunnel_id = vni;
	key->tunnel_tos = (u8)tos;
	key->tunnel_ttl = 64;
	const be32 *to = (const be32 *)row->address, *from = (const be32 *)host->address;
	if (overlay_is_ip4(row->address)) {
		key->remote_ipv4 = weft_ntoh32(to[3]);
		key->local_ipv4 = weft_ntoh32(from[3]);
		return !bpf_skb_set_tunnel_key(
			skb, key, sizeof(*key), BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT);
	}
	__builtin_memcpy(key->remote_ipv6, to, sizeof(key->remote_ipv6));
	__builtin_memcpy(key->local_ipv6, from, sizeof(key->local_ipv6));
	return !bpf_skb_set_tunnel_key(
		skb, key, sizeof(*key), BPF_F_TUNINFO_IPV6 | BPF_F_DONT_FRAGMENT);
}

// Who sent it, and in which VNI. False: nobody that weft knows; counted.
weft_inline bool carrier_receive(struct pipeline *line, u32 *port, struct weft_record *record)
{
	struct __sk_buff *skb = line->packet->context;
	struct bpf_tunnel_key key = {0};
	struct weft_ip from = {0};
	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		parse_ip4(&from, weft_hton32(key.remote_ipv4));
	else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		__builtin_memcpy(&from, key.remote_ipv6, sizeof(from));
	*port = overlay_peer(NULL, &from);
	line->vni = key.tunnel_id;
	if (!*port)
		pipeline_reject(NULL, 0, WEFT_DROP_peer_unknown, record);
	return *port != 0;
}
