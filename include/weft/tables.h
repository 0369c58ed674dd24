// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// List 2: every datapath table, declared once: expands to BPF maps and to native tables.
//
// A table's ABI is the text of its fields (weft_table_abi in datapath/table_info.c hashes it):
// a pinned table with another hash is converted field by field, by name. See docs/architecture.md.
//
// Configuration tables are written by weftd only and rebuilt from its store at start. Dynamic
// tables are written by the datapath too and survive weftd.
#pragma once

#include <weft/drops.h>
#include <weft/observe.h>
#include <weft/types.h>
#include <weft/verdict.h>

// F(type, name, dimension): rows of fixed layout, padding spelled out.

// port: what weft knows of a port. Index: port id; row 0 is never used.
// A peer (a remote VTEP) is a port too: its tags are VNIs, its way out is an encapsulation.
#define WEFT_ROW_port(F) \
	F(u32, flags, )       /* enum weft_port_flag */ \
	F(u32, network, )     /* access or native network; 0: untagged frames have none */ \
	F(u32, mac_limit, )   /* learned addresses behind this port; 0: none are learned */ \
	F(u32, storm_meter, ) /* spent by flooded frames; 0: no limit */ \
	F(u32, error_meter, ) /* spent by answers to frames that are lost; 0: no limit */ \
	F(u32, nexthops, )    /* peers: rows in the nexthop table; 0: only the carrier knows */ \
	F(u8, address, [16])  /* peers: of the VTEP, as struct weft_ip; WEFT_PORT_VIPS: its MAC */ \
	F(u32, sample_below, ) /* a packet from it is timed if a random u32 is below */

enum weft_port_flag {
	WEFT_PORT_PRESENT = WEFT_BIT(0),
	WEFT_PORT_TRUNK = WEFT_BIT(1), // tags are looked up in the tag table
	WEFT_PORT_HOST = WEFT_BIT(2),  // frames that no network claims go on to the host's stack
	WEFT_PORT_PEER = WEFT_BIT(3),
	WEFT_PORT_LIMITED = WEFT_BIT(4), // peer: only in networks whose VNI is its own tag row
	WEFT_PORT_TAP = WEFT_BIT(5),     // who takes its frames can be seen (P6)
	WEFT_PORT_VIPS = WEFT_BIT(6),  // services are reached by it: frames that no network claims
	WEFT_PORT_WEFTD = WEFT_BIT(7), // no port: weftd asks by it, and is in no flood list
};

// network: an L2 broadcast domain. Index: network id. Row 0 is no network: its flood list is that
// of the peers which all networks with a VNI have in common.
#define WEFT_ROW_network(F) \
	F(u32, flags, )        /* enum weft_network_flag */ \
	F(u32, mtu, )          /* bytes of L3; 0: not checked */ \
	F(u64, ageing_ns, )    /* a learned row unseen for longer is no row; 0: never ages */ \
	F(u32, mac_limit, )    /* learned addresses in this network */ \
	F(u32, move_meter, )   /* spent by address moves; 0: no limit */ \
	F(u32, member_epoch, ) /* which list of the member table holds */ \
	F(u32, member_count, ) \
	F(u32, gateway4, )         /* wire order; 0: none */ \
	F(u32, vni, )              /* 0: not between hosts */ \
	F(u8, gateway6, [16])      /* all zero: none */ \
	F(u32, binding_limit, )    /* rows in the neighbour table */ \
	F(u32, connection_limit, ) /* rows in the connection table */ \
	F(u64, neighbour_ns, )   /* ARP and ND are answered for who was seen so long ago at most; \
				    0: never */ \
	F(u32, fragment_limit, ) /* rows in the fragment table */ \
	F(u32, reserved, )

enum weft_network_flag {
	WEFT_NETWORK_PRESENT = WEFT_BIT(0),
	WEFT_NETWORK_OWN = WEFT_BIT(1),        // weft encapsulates itself where it can
	WEFT_NETWORK_INNER_TAGS = WEFT_BIT(2), // tags are payload: carried as they are
	WEFT_NETWORK_SERVICES = WEFT_BIT(3),   // has services, or backends of some
};

// tag: (trunk port, VID) -> network; (peer that is limited, VNI) -> network; (0, VNI) -> network
// for all other peers.
#define WEFT_KEY_tag(F) F(u32, port, ) F(u32, tag, )
#define WEFT_ROW_tag(F) F(u32, network, )

// member: the flood list of a network: untagged members, tagged ones, peers. weftd writes a new
// list under the other epoch, then switches network.member_epoch: a flood sees the old list or the
// new one.
#define WEFT_KEY_member(F) F(u32, network, ) F(u32, epoch, ) F(u32, index, )
#define WEFT_ROW_member(F) F(u32, port, ) F(u16, tag, ) F(u16, reserved, )
#define WEFT_MEMBER_PEER   0xffff // the tag of a peer in a flood list

// fdb: (network, MAC) -> where it is. Dynamic. Inserted only by commit and weftd.
#define WEFT_KEY_fdb(F) F(u32, network, ) F(struct weft_mac, mac, ) F(u16, reserved, )
#ifndef WEFT_ROW_fdb // a test builds weft with another layout
#define WEFT_ROW_fdb(F) \
	F(u32, port, ) \
	F(u16, tag, )     /* VID to leave with; 0: untagged */ \
	F(u16, kind, )    /* enum weft_fdb_kind */ \
	F(u64, seen_ns, ) /* CLOCK_MONOTONIC of the last frame from it, within WEFT_REFRESH_NS */
#endif

enum weft_fdb_kind {
	WEFT_FDB_LEARNED,
	WEFT_FDB_STATIC, // never ages, never moves
};

// neighbour: (network, IP) -> MAC and where it is, from ARP and ND. Dynamic; inserted by commit.
#define WEFT_KEY_neighbour(F) F(u32, network, ) F(u8, ip, [16])
#define WEFT_ROW_neighbour(F) \
	F(struct weft_mac, mac, ) \
	F(u16, flags, ) /* enum weft_neighbour_flag */ \
	F(u32, port, ) \
	F(u32, reserved, ) \
	F(u64, seen_ns, ) /* contested: of the last claim that contradicted another */

enum weft_neighbour_flag {
	WEFT_NEIGHBOUR_CONTESTED = WEFT_BIT(0),  // two stations claim it: nobody is answered for
	WEFT_NEIGHBOUR_ADVERTISED = WEFT_BIT(1), // by an ND advertisement: ND may be answered
	WEFT_NEIGHBOUR_ROUTER = WEFT_BIT(2),     // which said that it routes
};

// host: this VTEP. One row, index 0.
#define WEFT_ROW_host(F) \
	F(u8, address, [16]) /* as struct weft_ip; all zero: no overlay */ \
	F(u32, udp_port, ) \
	F(u32, sample_below, )   /* for frames between hosts, until their peer is known */ \
	F(u64, alive_ns, )       /* CLOCK_MONOTONIC, by weftd every second: its next hops hold; 0: \
				    always */ \
	F(u64, identity_key, )   /* of the identities of packets; the same on all hosts */ \
	F(u64, trace_until_ns, ) /* packets are traced until then; 0: none */ \
	F(u32, trace_below, )    /* those whose identity's low half is not above */ \
	F(u32, blocks, )         /* rows in port_block that are this host's */ \
	F(u64, probe_key, [2])   /* of the tags of probes; the same on all hosts */ \
	F(u64, rest_until_ns, )  /* no packet is sampled until then; 0: none is */

// Nobody has followed the underlay for so long: the carrier takes all.
#define WEFT_ALIVE_NS 5000000000ull

// vtep: outer source address -> peer.
#define WEFT_KEY_vtep(F) F(u8, address, [16])
#define WEFT_ROW_vtep(F) F(u32, peer, )

// nexthop: how the underlay reaches a peer. Index: peer * WEFT_NEXTHOPS_PER_PEER + n, with n below
// the peer's port.nexthops. A row that is being changed has ifindex 0: no way of weft's own.
enum { WEFT_NEXTHOPS_PER_PEER = 16 };
#define WEFT_ROW_nexthop(F) \
	F(u32, mtu, ) /* bytes of L3 */ \
	F(struct weft_mac, dst, ) \
	F(struct weft_mac, src, ) \
	F(u32, reserved, ) \
	F(u32, ifindex, ) /* last: a reader who sees it sees the rest */

// service: what an address serves. Scope: where the address is: a network id, or a port and
// WEFT_SCOPE_PORT for one that is reached from outside. Port 0: all ports. Protocol 0, port 0: that
// the address is a service's at all (ARP, ND and echo are answered for it).
#define WEFT_CONNECTIONS_OF_CHECKS \
	0xffffffffu // connection_limit: weft's own, no tenant's limit holds
#define WEFT_KEY_service(F) \
	F(u32, scope, ) F(u8, address, [16]) F(u16, port, ) F(u8, protocol, ) F(u8, reserved, )
#define WEFT_ROW_service(F) \
	F(u32, id, )        /* of the service; row of service_usage */ \
	F(u32, flags, )     /* enum weft_service_flag */ \
	F(u32, network, )   /* of the backends */ \
	F(u32, ring, )      /* its first row in the ring table */ \
	F(u32, ring_size, ) /* 0: no backend may serve */ \
	F(u32, seed, )      /* of the hash that chooses; the same on all hosts */ \
	F(u32, connection_limit, ) \
	F(u32, rate_meter, ) /* spent by new connections; 0: no limit */ \
	F(u64, idle_ns, )    /* a connection unseen for longer is none */

#define WEFT_SCOPE_PORT 0x80000000u

enum weft_service_flag {
	WEFT_SERVICE_NAT = WEFT_BIT(0),
	WEFT_SERVICE_HOST_DSR = WEFT_BIT(1),
	WEFT_SERVICE_DSR = WEFT_BIT(2),
	WEFT_SERVICE_AFFINITY = WEFT_BIT(3), // by the client's address alone
	WEFT_SERVICE_REJECT = WEFT_BIT(4),   // without backends: RST or ICMP, not silence
	WEFT_SERVICE_RESET = WEFT_BIT(5),    // TCP connections of a dead or gone backend get RST
	WEFT_SERVICE_ADDRESS = WEFT_BIT(6),  // the row of the address alone
};

// ring: Maglev's lookup tables (NSDI'16, section 3.4), one after the other. A packet reads one row:
// rows change in place, one by one; a table of another size is written elsewhere first.
#define WEFT_ROW_ring(F) F(u32, backend, )

// backend: index: backend id. Row 0 is never used.
#define WEFT_ROW_backend(F) \
	F(u32, flags, ) /* enum weft_backend_flag */ \
	F(u32, service, ) \
	F(u8, address, [16]) \
	F(u16, port, )            /* 0: that of the request */ \
	F(struct weft_mac, mac, ) /* all zero: not known yet */

enum weft_backend_flag {
	WEFT_BACKEND_PRESENT = WEFT_BIT(0),
	WEFT_BACKEND_DEAD = WEFT_BIT(1), // its checks failed: UDP flows leave it
};

// station: (service, MAC) -> backend: whose frame a host-dsr balancer has sent.
#define WEFT_KEY_station(F) F(u32, service, ) F(struct weft_mac, mac, ) F(u16, reserved, )
#define WEFT_ROW_station(F) F(u32, backend, )

// backend_count: what went to a backend and came back, one row per CPU.
#define WEFT_ROW_backend_count(F) \
	F(u64, packets, ) \
	F(u64, bytes, ) \
	F(u64, reply_packets, ) \
	F(u64, reply_bytes, ) \
	F(u64, connections, ) /* begun */ \
	F(u64, reserved, )    /* packets and bytes are counted as one word, which no line \
				 parts */

// service_usage: how much of a service's quota is taken.
#define WEFT_ROW_service_usage(F) \
	F(u64, connections, )          /* rows in the connection table, two for each */ \
	F(u64, connections_refused, )  /* over a limit or table full, and dropped for it */ \
	F(u64, connections_bypassed, ) /* the same, and the hash alone serves them */

// connection: a flow as its packets come in -> what is changed in them. A translated connection has
// two rows, one for each direction; each can tell the other's key. Dynamic; inserted by commit.
#define WEFT_KEY_connection(F) \
	F(u32, scope, ) \
	F(u8, src, [16]) \
	F(u8, dst, [16]) \
	F(u16, src_port, ) \
	F(u16, dst_port, ) \
	F(u8, protocol, ) \
	F(u8, reserved, [3])
#define WEFT_ROW_connection(F) \
	F(u64, seen_ns, ) /* of the last packet, within WEFT_REFRESH_NS */ \
	F(u64, idle_ns, ) /* unseen for longer it is none */ \
	F(u32, flags, )   /* enum weft_connection_flag */ \
	F(u32, service, ) \
	F(u32, network, )       /* of the service's backends: who pays */ \
	F(u32, partner_scope, ) /* of the other row; 0: there is none */ \
	F(u32, port, )          /* the peer whose balancer has it and gets the answers; 0: none */ \
	F(u32, reserved, ) \
	F(struct weft_rewrite, rewrite, )

enum weft_connection_flag {
	WEFT_CONNECTION_REPLY = WEFT_BIT(0),   // from the backend to the client
	WEFT_CONNECTION_CLOSED = WEFT_BIT(1),  // RST, or a FIN from both sides
	WEFT_CONNECTION_FIN = WEFT_BIT(2),     // a FIN in this direction
	WEFT_CONNECTION_OPENING = WEFT_BIT(3), // TCP: the client has sent one packet, or only SYNs
	WEFT_CONNECTION_ALONE = WEFT_BIT(4),   // answers go another way: there is no row for them
};

// A TCP connection that was closed is remembered for so long, for what is still on its way; one
// that is not open yet no longer: a flood of SYNs must not take the room of others for its idle
// time.
#define WEFT_CLOSED_NS 10000000000ull
// Where the answers go another way only the client's FIN is seen, and the backend may have more to
// say: as long as Linux waits for it (tcp_fin_timeout).
#define WEFT_HALF_CLOSED_NS 60000000000ull

// fragment: (scope, addresses, identification) -> the ports that its first fragment told. Dynamic.
#define WEFT_KEY_fragment(F) \
	F(u32, scope, ) F(u8, src, [16]) F(u8, dst, [16]) F(u32, id, ) F(u32, protocol, )
#define WEFT_ROW_fragment(F) \
	F(u64, seen_ns, ) F(u16, src_port, ) F(u16, dst_port, ) F(u32, network, )
#define WEFT_FRAGMENT_NS 2000000000ull

// port_block: blocks of WEFT_BLOCK_PORTS ports of the networks' gateway addresses: which host sends
// by them, so that an answer finds its way though all hosts have the same gateway address. Row n of
// `owner` is of block n; row n of `own` is this host's nth.
#define WEFT_ROW_port_block(F) \
	F(u32, owner, ) /* a peer; 0: this host; WEFT_BLOCK_NONE: nobody */ \
	F(u32, own, )
enum { WEFT_BLOCKS = 256, WEFT_BLOCK_PORTS = 256 };
#define WEFT_BLOCK_NONE 0xffffffffu

// Rows are refreshed at most this often: a store per packet would bounce the cache line.
#define WEFT_REFRESH_NS 500000000ull

// meter: a token bucket kept as one time stamp (GCRA, ITU-T I.371): it conforms while
// full_at_ns - now <= burst_ns. Written by weftd (rate) and the datapath (full_at_ns).
#define WEFT_ROW_meter(F) \
	F(u64, cost_ns, ) /* per unit: 1e9 / rate; 0: no limit */ \
	F(u64, burst_ns, ) \
	F(u64, full_at_ns, )

// generation: bumped when a cached verdict may no longer hold. Index 0: any configuration (weftd);
// network id: an address of the network has moved (the datapath).
#define WEFT_ROW_generation(F) F(u64, value, )

// port_usage, network_usage: how much of a quota is taken. Index: id. Dynamic; weftd and the
// datapath change single fields by atomic operations.
#define WEFT_ROW_usage(F) \
	F(u64, macs, )          /* learned rows in the fdb table */ \
	F(u64, learn_refused, ) /* addresses not learned: over a limit or table full */ \
	F(u64, moves, ) \
	F(u64, moves_refused, )    /* over the move limit */ \
	F(u64, bindings, )         /* rows in the neighbour table */ \
	F(u64, bindings_refused, ) /* not taken: over the limit or table full */ \
	F(u64, suppressed, )       /* network: ARP and ND questions answered from the table */ \
	F(u64, connections, )      /* network: rows in the connection table */ \
	F(u64, connections_refused, ) \
	F(u64, fragments, )         /* network: rows in the fragment table */ \
	F(u64, fragments_refused, ) /* over the limit or table full: later ones are not known */ \
	F(u64, samples_lost, )      /* port: timed, but the latency table was full */

// An address has several IP addresses: a port's limit of bindings is this many times mac_limit.
enum { WEFT_BINDINGS_PER_MAC = 8 };

// port_count: what crossed the port, one row per CPU. A superpacket is one packet.
#define WEFT_ROW_port_count(F) \
	F(u64, rx_packets, ) F(u64, rx_bytes, ) F(u64, tx_packets, ) F(u64, tx_bytes, )

// drop: index port * WEFT_DROPS_PER_PORT + reason.
#define WEFT_ROW_drop(F) F(u64, packets, )

// latency: where the time goes, by (port or peer, port or peer, span). Index 0 for `to`: flooded.
// Each CPU (DPDK: worker) has a row of its own, made with its first sample; who reads adds them up.
// CPUs that are alike modulo WEFT_LATENCY_CPUS share one, so fields change by atomic additions; min
// and max by plain stores, which may lose against such a CPU's.
enum { WEFT_LATENCY_CPUS = 8 };
#define WEFT_KEY_latency(F) F(u32, from, ) F(u32, to, ) F(u32, span, ) F(u32, cpu, )
#define WEFT_ROW_latency(F) \
	F(u64, count, ) \
	F(u64, sum_ns, ) \
	F(u64, min_ns, ) \
	F(u64, max_ns, ) \
	F(u32, bucket, [WEFT_LATENCY_BUCKETS])

// guest: a question that was handed to a port and waits for the guest's answer. Index: port id.
// Written by the datapath alone, but for `asked`.
#define WEFT_ROW_guest(F) \
	F(u64, out_ns, ) /* when it was handed over; 0: none waits, 1: not all is here yet */ \
	F(be32, src, )   /* low words of its addresses */ \
	F(be32, dst, ) \
	F(u32, from, )     /* where it came from */ \
	F(u32, ports, )    /* source and destination */ \
	F(u32, expected, ) /* TCP: acknowledgement, host order; ICMP: identifier and number */ \
	F(u32, protocol, ) \
	F(u32, asked, ) /* weftd has asked the guest itself (weft/probe.h); an answer ends it */ \
	F(u32, heard, ) /* frames that were looked at for the answer to what waits */

enum weft_table_kind {
	WEFT_TABLE_ARRAY,   // u32 index; every row exists; rows can be mapped (engine_ops.table_at)
	WEFT_TABLE_PER_CPU, // u32 index; one row per CPU
	WEFT_TABLE_HASH,
	WEFT_TABLE_SPARSE = WEFT_TABLE_HASH, // a row takes memory when it is made
};

enum weft_table_role {
	WEFT_CONFIGURED,
	WEFT_DYNAMIC,
};

// X(table, kind, role, key struct, row struct, default capacity)
#define WEFT_TABLES(X) \
	X(port, ARRAY, CONFIGURED, weft_index, weft_port_row, 4096) \
	X(network, ARRAY, CONFIGURED, weft_index, weft_network_row, 4096) \
	X(tag, HASH, CONFIGURED, weft_tag_key, weft_tag_row, 16384) \
	X(member, HASH, CONFIGURED, weft_member_key, weft_member_row, 65536) \
	X(meter, ARRAY, CONFIGURED, weft_index, weft_meter_row, 16384) \
	X(generation, ARRAY, CONFIGURED, weft_index, weft_generation_row, 4096) \
	X(host, ARRAY, CONFIGURED, weft_index, weft_host_row, 1) \
	X(vtep, HASH, CONFIGURED, weft_vtep_key, weft_vtep_row, 4096) \
	X(nexthop, ARRAY, CONFIGURED, weft_index, weft_nexthop_row, 65536) \
	X(fdb, HASH, DYNAMIC, weft_fdb_key, weft_fdb_row, 65536) \
	X(neighbour, HASH, DYNAMIC, weft_neighbour_key, weft_neighbour_row, 65536) \
	X(port_usage, ARRAY, DYNAMIC, weft_index, weft_usage_row, 4096) \
	X(network_usage, ARRAY, DYNAMIC, weft_index, weft_usage_row, 4096) \
	X(port_count, PER_CPU, DYNAMIC, weft_index, weft_port_count_row, 4096) \
	X(drop, ARRAY, DYNAMIC, weft_index, weft_drop_row, 262144) \
	X(guest, ARRAY, CONFIGURED, weft_index, weft_guest_row, 4096) \
	X(latency, SPARSE, DYNAMIC, weft_latency_key, weft_latency_row, 16384) \
	X(service, HASH, CONFIGURED, weft_service_key, weft_service_row, 8192) \
	X(ring, ARRAY, CONFIGURED, weft_index, weft_ring_row, 1048576) \
	X(backend, ARRAY, CONFIGURED, weft_index, weft_backend_row, 4096) \
	X(station, HASH, CONFIGURED, weft_station_key, weft_station_row, 4096) \
	X(port_block, ARRAY, CONFIGURED, weft_index, weft_port_block_row, 256) \
	X(backend_count, PER_CPU, DYNAMIC, weft_index, weft_backend_count_row, 4096) \
	X(service_usage, ARRAY, DYNAMIC, weft_index, weft_service_usage_row, 4096) \
	X(connection, HASH, DYNAMIC, weft_connection_key, weft_connection_row, 65536) \
	X(fragment, HASH, DYNAMIC, weft_fragment_key, weft_fragment_row, 4096)

enum weft_table {
#define X(name, kind, role, key, row, capacity) WEFT_TABLE_##name,
	WEFT_TABLES(X)
#undef X
		WEFT_TABLE_count,
};

#define WEFT_FIELD(type, name, dimension) type name dimension;
struct weft_index {
	u32 index;
};
struct weft_port_row {
	WEFT_ROW_port(WEFT_FIELD)
};
struct weft_network_row {
	WEFT_ROW_network(WEFT_FIELD)
};
struct weft_tag_key {
	WEFT_KEY_tag(WEFT_FIELD)
};
struct weft_tag_row {
	WEFT_ROW_tag(WEFT_FIELD)
};
struct weft_member_key {
	WEFT_KEY_member(WEFT_FIELD)
};
struct weft_member_row {
	WEFT_ROW_member(WEFT_FIELD)
};
struct weft_fdb_key {
	WEFT_KEY_fdb(WEFT_FIELD)
};
struct weft_fdb_row {
	WEFT_ROW_fdb(WEFT_FIELD)
};
struct weft_neighbour_key {
	WEFT_KEY_neighbour(WEFT_FIELD)
};
struct weft_neighbour_row {
	WEFT_ROW_neighbour(WEFT_FIELD)
};
struct weft_host_row {
	WEFT_ROW_host(WEFT_FIELD)
};
struct weft_vtep_key {
	WEFT_KEY_vtep(WEFT_FIELD)
};
struct weft_vtep_row {
	WEFT_ROW_vtep(WEFT_FIELD)
};
struct weft_nexthop_row {
	WEFT_ROW_nexthop(WEFT_FIELD)
};
struct weft_meter_row {
	WEFT_ROW_meter(WEFT_FIELD)
};
struct weft_generation_row {
	WEFT_ROW_generation(WEFT_FIELD)
};
struct weft_usage_row {
	WEFT_ROW_usage(WEFT_FIELD)
};
struct weft_port_count_row {
	WEFT_ROW_port_count(WEFT_FIELD)
};
struct weft_drop_row {
	WEFT_ROW_drop(WEFT_FIELD)
};
struct weft_guest_row {
	WEFT_ROW_guest(WEFT_FIELD)
};
struct weft_latency_key {
	WEFT_KEY_latency(WEFT_FIELD)
};
struct weft_latency_row {
	WEFT_ROW_latency(WEFT_FIELD)
};
struct weft_service_key {
	WEFT_KEY_service(WEFT_FIELD)
};
struct weft_service_row {
	WEFT_ROW_service(WEFT_FIELD)
};
struct weft_ring_row {
	WEFT_ROW_ring(WEFT_FIELD)
};
struct weft_backend_row {
	WEFT_ROW_backend(WEFT_FIELD)
};
struct weft_station_key {
	WEFT_KEY_station(WEFT_FIELD)
};
struct weft_station_row {
	WEFT_ROW_station(WEFT_FIELD)
};
struct weft_port_block_row {
	WEFT_ROW_port_block(WEFT_FIELD)
};
struct weft_backend_count_row {
	WEFT_ROW_backend_count(WEFT_FIELD)
};
struct weft_service_usage_row {
	WEFT_ROW_service_usage(WEFT_FIELD)
};
struct weft_connection_key {
	WEFT_KEY_connection(WEFT_FIELD)
};
struct weft_connection_row {
	WEFT_ROW_connection(WEFT_FIELD)
};
struct weft_fragment_key {
	WEFT_KEY_fragment(WEFT_FIELD)
};
struct weft_fragment_row {
	WEFT_ROW_fragment(WEFT_FIELD)
};
#undef WEFT_FIELD

_Static_assert(sizeof(struct weft_port_row) == 44, "port row");
_Static_assert(sizeof(struct weft_network_row) == 80, "network row");
_Static_assert(sizeof(struct weft_tag_key) == 8, "tag key");
_Static_assert(sizeof(struct weft_member_key) == 12, "member key");
_Static_assert(sizeof(struct weft_fdb_key) == 12, "fdb key");
_Static_assert(sizeof(struct weft_fdb_row) % 8 == 0, "fdb row");
_Static_assert(sizeof(struct weft_neighbour_key) == 20, "neighbour key");
_Static_assert(sizeof(struct weft_neighbour_row) == 24, "neighbour row");
_Static_assert(sizeof(struct weft_host_row) == 80, "host row");
_Static_assert(sizeof(struct weft_nexthop_row) == 24, "nexthop row");
_Static_assert(sizeof(struct weft_service_key) == 24, "service key");
_Static_assert(sizeof(struct weft_service_row) == 40, "service row");
_Static_assert(sizeof(struct weft_backend_row) == 32, "backend row");
_Static_assert(sizeof(struct weft_connection_key) == 44, "connection key");
_Static_assert(sizeof(struct weft_connection_row) == 96, "connection row");
_Static_assert(sizeof(struct weft_fragment_key) == 44, "fragment key");

// Anycast gateway address, the same on every host: locally administered.
#define WEFT_GATEWAY_MAC ((struct weft_mac){{0x02, 0x57, 0x65, 0x66, 0x74, 0x01}})
