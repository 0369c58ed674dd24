// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What a packet is (key), what is to be done with it (verdict), and where its headers are (layout).
#pragma once

#include <weft/drops.h>
#include <weft/types.h>

// Headers are read from the first bytes of a frame only, in every engine alike.
enum { WEFT_PARSE_BYTES = 256 };

enum weft_key_flag {
	WEFT_KEY_TAGGED = WEFT_BIT(0), // a VLAN tag with a VID other than 0 (0 is priority-tagged)
	WEFT_KEY_FRAGMENT = WEFT_BIT(1), // any fragment
	WEFT_KEY_LATER = WEFT_BIT(2),    // not the first fragment: no L4 fields
	WEFT_KEY_L4 = WEFT_BIT(3),       // the L4 fields hold
	WEFT_KEY_OPTIONS = WEFT_BIT(4),  // IPv4 options or IPv6 extension headers
	WEFT_KEY_BINDING = WEFT_BIT(5),  // ARP or ND that tells the IP of the frame's own source:
					 // ip_src, but the target (ip_dst) of an ND advertisement
	WEFT_KEY_ROUTER = WEFT_BIT(6),   // an ND advertisement of a router
	WEFT_KEY_ND = WEFT_BIT(7),       // an ND solicitation or advertisement, from on link
};

// In tcp_flags: an ICMP error about a TCP or UDP packet. Its key is that of a packet which answers
// the one it quotes: protocol and ports, and what that one was sent to in ip_src.
#define WEFT_KEY_ERROR 0x8000

// In vni: a balancer elsewhere has chosen the station, and its host translates (mode host-dsr). On
// the wire it is the group bit of the source, which no station's address has; src is without it.
#define WEFT_KEY_BALANCED WEFT_BIT(31)

// The part of a key that all flows between two stations of a network share: what plain switching
// decides by.
#define WEFT_KEY_HEAD \
	u32 in_port; \
	u32 vni;       /* in_port is a peer: its VXLAN network identifier; WEFT_KEY_BALANCED */ \
	u16 ethertype; /* after the tag; host order */ \
	u16 vid;       /* 0 when untagged or priority-tagged */ \
	struct weft_mac dst; \
	struct weft_mac src; \
	u8 protocol; /* IP protocol after extension headers */ \
	u8 flags;    /* enum weft_key_flag */ \
	union { \
		u16 tcp_flags;   /* or WEFT_KEY_ERROR */ \
		u16 fragment_id; /* of a fragment (IPv6: folded) */ \
	};

struct weft_key_head {
	WEFT_KEY_HEAD
};

// Everything decide may read of a packet. Host byte order, except addresses. No pointers, no
// padding. Length, TTL, DSCP/ECN and GSO are not here on purpose: only apply looks at them.
struct weft_key {
	union {
		struct {
			WEFT_KEY_HEAD
		};
		struct weft_key_head head;
	};
	struct weft_ip ip_src; // ARP: sender
	struct weft_ip ip_dst; // ARP: target; ND: target address
	u16 l4_src; // ports; ICMP: type in l4_src, code in l4_dst; ARP: operation in l4_src
	u16 l4_dst;
} __attribute__((aligned(8)));

// Where the headers are: for apply and reply, never for decide. Offsets from the Ethernet header
// as it lies in the buffer (a tag held beside the bytes does not count).
struct weft_layout {
	u16 l3_bytes;     // offset of the L3 header
	u16 l4_bytes;     // offset of the L4 header, 0: none
	u16 header_bytes; // all headers of a segment: up to and with TCP or UDP
	u16 tci;          // the tag's TCI, host order
	u8 tagged;        // a tag is there, VID 0 included
	u8 reserved[3];
};

enum weft_action {
	WEFT_ACTION_drop,    // reason
	WEFT_ACTION_forward, // port, tag
	WEFT_ACTION_flood,   // network, all members but the in-port
	WEFT_ACTION_reply,   // reply: an answer built by pipeline/reply.h, out of the in-port
	WEFT_ACTION_to_host, // on to the host's own stack, unchanged
	WEFT_ACTION_encap,   // port (a peer), vni: leaves encapsulated
	WEFT_ACTION_count,
};

enum weft_reply {
	WEFT_REPLY_none,
	WEFT_REPLY_arp,
	WEFT_REPLY_nd,
	WEFT_REPLY_echo,     // ICMP
	WEFT_REPLY_echo6,    // ICMPv6
	WEFT_REPLY_too_big,  // ICMP fragmentation needed (RFC 1191), made by apply
	WEFT_REPLY_too_big6, // ICMPv6 packet too big (RFC 8201)
	// The packet is lost, for verdict.reason, and its sender is told.
	WEFT_REPLY_reset, // TCP reset (RFC 9293 section 3.10.7.1)
	WEFT_REPLY_reset6,
	WEFT_REPLY_unreachable,  // ICMP port unreachable (RFC 792)
	WEFT_REPLY_unreachable6, // ICMPv6 port unreachable (RFC 4443)
};

enum weft_effect {
	WEFT_EFFECT_learn = WEFT_BIT(0),    // a new FDB row
	WEFT_EFFECT_refresh = WEFT_BIT(1),  // its time stamp
	WEFT_EFFECT_move = WEFT_BIT(2),     // to another port
	WEFT_EFFECT_bind = WEFT_BIT(3),     // an IP-MAC binding, new or changed or to be refreshed
	WEFT_EFFECT_suppress = WEFT_BIT(4), // counts: a question that was not flooded
	WEFT_EFFECT_connect = WEFT_BIT(5),  // a new connection (struct balance)
	WEFT_EFFECT_touch = WEFT_BIT(6),    // its time stamp and TCP state
	WEFT_EFFECT_fragment = WEFT_BIT(7), // the ports of a fragmented packet
	WEFT_EFFECT_place = WEFT_EFFECT_learn | WEFT_EFFECT_move,
	WEFT_EFFECT_balance = WEFT_EFFECT_connect | WEFT_EFFECT_touch | WEFT_EFFECT_fragment,
	WEFT_EFFECT_stamps = WEFT_EFFECT_refresh | WEFT_EFFECT_touch, // of rows that are there
};

struct weft_verdict {
	u32 action;     // enum weft_action
	u32 reason;     // enum weft_drop; reply: the packet is lost for it, and its sender told
	u32 network;    // 0: none was found
	u32 port;       // forward: where to
	u32 meter;      // row of the meter table that this packet spends; 0: none
	u32 max_bytes;  // largest frame (a superpacket: its largest segment) that may leave; 0: any
	u32 effects;    // enum weft_effect; a frame that is dropped may still teach
	u16 tag;        // forward, encap: VID to leave with; 0: untagged
	u8 reply;       // enum weft_reply
	u8 flags;       // enum weft_verdict_flag
	u64 generation; // of the network, read before its other rows: a cached verdict is held
			// against it
	u32 vni;        // of the network; 0: none
	struct weft_mac reply_mac; // reply: its source; arp, nd: the address in the answer, too
	u16 reserved;
	u32 service; // whose packet this is; 0: none's
};

enum weft_verdict_flag {
	WEFT_VERDICT_OWN = WEFT_BIT(0),       // weft's own encapsulation may be used
	WEFT_VERDICT_KEEP_TAG = WEFT_BIT(1),  // the network carries tags as payload
	WEFT_VERDICT_FROM_PEER = WEFT_BIT(2), // flood: not to peers
	WEFT_VERDICT_ROUTER = WEFT_BIT(3),    // reply: the address is a router's
	// More of the key than its head was read: it holds for this flow only.
	WEFT_VERDICT_DEEP = WEFT_BIT(4),
	// Apply changes addresses, as a weft_rewrite says.
	WEFT_VERDICT_REWRITE = WEFT_BIT(5),
};

// What a balancer changes in a packet, beside its verdict. A field holds if `what` says so.
struct weft_rewrite {
	struct weft_ip src;
	struct weft_ip dst;
	u16 src_port;
	u16 dst_port;
	struct weft_mac src_mac;
	struct weft_mac dst_mac;
	u32 backend; // whose traffic it is
	u8 what;     // enum weft_rewrite_what
	u8 reserved[3];
};

enum weft_rewrite_what {
	WEFT_REWRITE_SRC = WEFT_BIT(0), // address and port
	WEFT_REWRITE_DST = WEFT_BIT(1),
	WEFT_REWRITE_SRC_MAC = WEFT_BIT(2),
	WEFT_REWRITE_DST_MAC = WEFT_BIT(3),
	WEFT_REWRITE_REPLY = WEFT_BIT(4), // from the backend: counted as such
};

// One packet's fate, as an engine's inject reports it: decide's verdict and what became of it.
struct weft_record {
	struct weft_verdict verdict;
	u32 action; // after apply: a storm or a too-big frame has become a drop
	u32 reason;
	u32 passed; // the hook did not take it: nothing was done
	u16 tci;    // tag the frame leaves with, beside the bytes; valid if tagged
	u8 tagged;
	u8 answered; // an answer went out of the in-port, whatever became of the frame itself
};

_Static_assert(sizeof(struct weft_key_head) == 28, "no padding in the head of a key");
_Static_assert(sizeof(struct weft_key) == 64, "no padding in the key");
_Static_assert(sizeof(struct weft_verdict) == 56, "no padding in the verdict");
_Static_assert(sizeof(struct weft_rewrite) == 56, "no padding in the rewrite");
