// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Headers as they stand on the wire: big endian, never packed (every field is naturally aligned).
#pragma once

#include <weft/types.h>

enum {
	WEFT_ETH_IPV4 = 0x0800,
	WEFT_ETH_ARP = 0x0806,
	WEFT_ETH_RARP = 0x8035,
	WEFT_ETH_8021Q = 0x8100,
	WEFT_ETH_IPV6 = 0x86dd,
	WEFT_ETH_8021AD = 0x88a8,

	WEFT_IP_HOPOPTS = 0,
	WEFT_IP_ICMP = 1,
	WEFT_IP_TCP = 6,
	WEFT_IP_UDP = 17,
	WEFT_IP_ROUTING = 43,
	WEFT_IP_FRAGMENT = 44,
	WEFT_IP_ICMPV6 = 58,
	WEFT_IP_DSTOPTS = 60,

	WEFT_ICMP_ECHO_REPLY = 0,
	WEFT_ICMP_ECHO = 8,
	WEFT_ICMPV6_ECHO = 128,
	WEFT_ICMPV6_ECHO_REPLY = 129,
	WEFT_ND_SOLICIT = 135, // RFC 4861 section 4.3
	WEFT_ND_ADVERT = 136,
	WEFT_ND_SOURCE_MAC = 1, // options
	WEFT_ND_TARGET_MAC = 2,

	WEFT_TCP_FIN = 0x01, // RFC 9293 section 3.1
	WEFT_TCP_SYN = 0x02,
	WEFT_TCP_RST = 0x04,
	WEFT_TCP_ACK = 0x10,
	WEFT_TCP_UNCACHED =
		WEFT_TCP_FIN | WEFT_TCP_SYN | WEFT_TCP_RST, // they begin or end something

	WEFT_VXLAN_HAS_VNI = 0x08, // the I flag, first byte

	WEFT_ARP_REQUEST = 1,
	WEFT_ARP_REPLY = 2,

	WEFT_VID_MASK = 0x0fff,
	WEFT_TCI_PRIORITY_MASK = 0xf000, // PCP and DEI
};

struct eth_header {
	struct weft_mac dst;
	struct weft_mac src;
	be16 type;
};

struct vlan_header { // what follows the TPID (IEEE 802.1Q)
	be16 tci;
	be16 type;
};

struct ipv4_header { // RFC 791
	u8 version_ihl;
	u8 tos;
	be16 total_length;
	be16 id;
	be16 fragment; // flags and offset
	u8 ttl;
	u8 protocol;
	be16 checksum;
	be32 src;
	be32 dst;
};

struct ipv6_header { // RFC 8200
	be32 version_class_flow;
	be16 payload_length;
	u8 next_header;
	u8 hop_limit;
	struct weft_ip src;
	struct weft_ip dst;
};

struct ipv6_extension_header {
	u8 next_header;
	u8 length;     // in 8-byte units, less one
	be16 fragment; // fragment header only
	be32 fragment_id;
};

struct arp_header { // RFC 826, Ethernet and IPv4
	be16 hardware;
	be16 protocol;
	u8 hardware_length;
	u8 protocol_length;
	be16 operation;
	struct weft_mac sender_mac;
	be16 sender_ip[2]; // not aligned to 4
	struct weft_mac target_mac;
	be16 target_ip[2];
};

struct tcp_header { // RFC 9293
	be16 src_port;
	be16 dst_port;
	be32 sequence;
	be32 acknowledgement;
	u8 data_offset;
	u8 flags;
	be16 window;
	be16 checksum;
	be16 urgent;
};

struct udp_header {
	be16 src_port;
	be16 dst_port;
	be16 length;
	be16 checksum;
};

struct icmp_header { // ICMP and ICMPv6 share these four fields and, for echo, the next two
	u8 type;
	u8 code;
	be16 checksum;
	be16 id;
	be16 sequence;
};

struct nd_header { // RFC 4861: neighbour solicitation and advertisement
	u8 type;
	u8 code;
	be16 checksum;
	be32 flags;
	struct weft_ip target;
};

struct nd_mac_option { // source or target link-layer address
	u8 type;
	u8 length; // in 8 bytes: 1
	struct weft_mac mac;
};

struct vxlan_header { // RFC 7348
	u8 flags;
	u8 reserved[3];
	be32 vni; // upper 24 bits
};

_Static_assert(sizeof(struct eth_header) == 14, "eth");
_Static_assert(sizeof(struct ipv4_header) == 20, "ipv4");
_Static_assert(sizeof(struct ipv6_header) == 40, "ipv6");
_Static_assert(sizeof(struct arp_header) == 28, "arp");
_Static_assert(sizeof(struct tcp_header) == 20, "tcp");
_Static_assert(sizeof(struct nd_header) == 24, "nd");
_Static_assert(sizeof(struct vxlan_header) == 8, "vxlan");
