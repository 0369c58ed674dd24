// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// List 1: every reason for which weft drops a packet, and the hop at which it happens.
//
// X(name, hop, sentence). The order is the number on the datapath side: append, never reorder.
#pragma once

#define WEFT_DROPS(X) \
	X(truncated, parse, "the frame ends inside a header") \
	X(bad_ipv4, parse, "IPv4 version, header length or total length is wrong") \
	X(bad_ipv6, parse, "IPv6 version or payload length is wrong") \
	X(bad_arp, parse, "not an Ethernet/IPv4 ARP packet") \
	X(bad_tcp, parse, "TCP data offset is wrong") \
	X(bad_udp, parse, "UDP length is wrong") \
	X(tag_8021ad, parse, "802.1ad (QinQ) tags are not carried") \
	X(tag_nested, parse, "a second VLAN tag inside the first") \
	X(port_removed, decide, "the port is being removed") \
	X(bad_source, decide, "the source address is multicast, zero or the gateway's") \
	X(tag_on_access, decide, "a tagged frame on an access port") \
	X(tag_unknown, decide, "no network has this tag on this trunk port") \
	X(untagged_on_trunk, decide, "an untagged frame on a trunk port without a native network") \
	X(reserved_address, decide, "802.1D reserved address: never forwarded by a switch") \
	X(hairpin, decide, "the destination is behind the port the frame came from") \
	X(no_destination, decide, "no other port in the network") \
	X(not_routed, decide, "addressed to the gateway, which routes only service traffic") \
	X(storm, apply, "over the port's storm limit for flooded frames") \
	X(too_big, apply, "larger than the network's MTU") \
	X(port_absent, apply, "the destination port has no device") \
	X(rewrite_failed, apply, "the kernel refused to change the packet") \
	X(device_dropped, port, \
		"the device dropped it after the hand-over (a full queue, no reader)") \
	X(bad_vxlan, parse, \
		"the outer headers or the VXLAN header are wrong (no I flag, cut short)") \
	X(peer_unknown, decide, "encapsulated by an address that is no peer") \
	X(vni_unknown, decide, "no network that this peer may reach has this VNI") \
	X(tag_inner, decide, "a VLAN tag inside a VNI whose network does not carry inner tags") \
	X(split_horizon, decide, "from a peer to a peer: the sender reaches it by itself") \
	X(bad_ecn, apply, \
		"the underlay marked congestion on a packet that cannot say so (RFC 6040)") \
	X(carrier_dropped, carrier, "the kernel's VXLAN device refused it") \
	X(rx_overrun, port, "it came faster than weft took it: the port's ring was full") \
	X(rx_malformed, port, \
		"what the port gave is no frame: its descriptors or virtio header make no sense") \
	X(probe_forged, apply, "a port sent what only weft itself may send: a probe") \
	X(probe_unplaced, apply, \
		"a probe whose destination is behind no known port: it would reach guests") \
	X(no_backend, decide, "no backend of the service may serve") \
	X(backend_unresolved, decide, \
		"the backend's MAC address, or where that is, is not known yet") \
	X(no_connection, decide, \
		"to a service's or gateway's port, of no connection that is known") \
	X(connection_limit, decide, \
		"the service's or the network's limit of connections, or the table, is full") \
	X(connection_rate, decide, "over the service's limit of new connections per second") \
	X(ports_exhausted, decide, \
		"the gateway has no address, or no free port, towards this backend") \
	X(answered_weftd, decide, \
		"the answer to a question of weftd's: it has served its purpose") \
	X(backend_dead, decide, "the backend of its connection is dead or gone") \
	X(no_service, decide, \
		"another host balances, in mode host-dsr, and this one lacks the service or " \
		"backend")

#define WEFT_HOPS(X) X(parse) X(decide) X(apply) X(port) X(carrier)

enum weft_hop {
#define X(name) WEFT_HOP_##name,
	WEFT_HOPS(X)
#undef X
};

enum weft_drop {
	WEFT_DROP_none, // not a drop
#define X(name, hop, text) WEFT_DROP_##name,
	WEFT_DROPS(X)
#undef X
		WEFT_DROP_count,
};

// The drop table has this many rows per port, so that a new reason does not move the old counts.
enum { WEFT_DROPS_PER_PORT = 64 };
_Static_assert((int)WEFT_DROP_count <= (int)WEFT_DROPS_PER_PORT, "raise WEFT_DROPS_PER_PORT");
