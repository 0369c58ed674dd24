// SPDX-License-Identifier: BSD-2-Clause
// More of worker_rig.h's world: stations behind a peer, and a service in front of them.
#pragma once

#include "tests/dpdk/worker_rig.h"

enum { RIG_PEER = 3, RIG_SERVICE = 1, RIG_BACKENDS = 16 };

static const u8 RIG_VIP[16] = {[10] = 0xff, 0xff, 10, 1, 0, 2}; // rig_frame's destination

// The peer is behind the second port.
static inline void rig_overlay(void)
{
	struct weft_index zero = {0}, peer = {RIG_PEER}, hop = {RIG_PEER * WEFT_NEXTHOPS_PER_PEER};
	struct weft_host_row host = {.udp_port = 4789};
	struct weft_port_row row = {
		.flags = WEFT_PORT_PRESENT | WEFT_PORT_PEER, .nexthops = 1, .mac_limit = 1000};
	struct weft_nexthop_row nexthop = {.mtu = 1600, .ifindex = 77, .dst = {{2, 0, 0, 0, 9, 9}}};
	const u8 mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
	memcpy(host.address, mapped, 16);
	memcpy(row.address, mapped, 16);
	rig_put(WEFT_TABLE_host, &zero, &host);
	rig_put(WEFT_TABLE_port, &peer, &row);
	rig_put(WEFT_TABLE_nexthop, &hop, &nexthop);
	struct weft_vtep_key vtep;
	memcpy(vtep.address, mapped, sizeof(vtep.address));
	rig_put(WEFT_TABLE_vtep, &vtep, &(struct weft_vtep_row){RIG_PEER});
	rig_put(WEFT_TABLE_tag, &(struct weft_tag_key){.tag = 100},
		&(struct weft_tag_row){.network = RIG_NETWORK});
	rig.engine->ports[RIG_TO]->ifindex = nexthop.ifindex;
	rig.engine->underlay[0] = RIG_TO;
}

// Outer headers of a frame from the peer, in front of an inner one of so many bytes.
enum { RIG_OUTER_BYTES = 50 };
static inline void rig_outer(u8 *at, u32 inner_bytes, u32 flow)
{
	static const u8 head[RIG_OUTER_BYTES] = {2, 0, 0, 0, 9, 8, 2, 0, 0, 0, 9, 9, 8, 0, 0x45, 0,
		0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 1, 0xc0, 0, 0x12, 0xb5, 0,
		0, 0, 0, 8, 0, 0, 0, 0, 0, 100, 0};
	u32 ip = inner_bytes + RIG_OUTER_BYTES - 14, udp = ip - 20, sum = 0;
	memcpy(at, head, sizeof(head));
	at[16] = (u8)(ip >> 8), at[17] = (u8)ip;
	at[35] = (u8)flow;
	at[38] = (u8)(udp >> 8), at[39] = (u8)udp;
	for (u32 i = 14; i < 34; i += 2)
		sum += (u32)(at[i] << 8 | at[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	at[24] = (u8)(sum >> 8), at[25] = (u8)sum;
}

// Addresses: the service's, with another end.
static inline void rig_backends(const u8 vip[16])
{
	struct weft_backend_row row = {.flags = WEFT_BACKEND_PRESENT, .service = RIG_SERVICE};
	memcpy(row.address, vip, sizeof(row.address));
	for (u32 i = 0; i < RIG_BACKENDS; i++) {
		struct weft_index backend = {1 + i}, slot = {i};
		row.address[15] = (u8)(100 + i);
		row.mac = (struct weft_mac){{2, 0, 0, 0, 0, (u8)(2 + i)}};
		rig_put(WEFT_TABLE_backend, &backend, &row);
		rig_put(WEFT_TABLE_ring, &slot, &(struct weft_ring_row){backend.index});
	}
}

// nat: frames come from outside, and both addresses change. Else dsr: they come from the network,
// and the MAC does. All UDP ports.
static inline void rig_services(bool nat, const u8 vip[16])
{
	struct weft_service_key key = {
		.scope = nat ? RIG_FROM | WEFT_SCOPE_PORT : RIG_NETWORK, .protocol = WEFT_IP_UDP};
	struct weft_service_row row = {.id = RIG_SERVICE,
		.flags = nat ? WEFT_SERVICE_NAT : WEFT_SERVICE_DSR,
		.network = RIG_NETWORK,
		.ring_size = RIG_BACKENDS,
		.connection_limit = UINT32_MAX,
		.idle_ns = 3600000000000ull};
	struct weft_network_row *network = table_at(rig.engine->tables.network, RIG_NETWORK);
	struct weft_host_row *host = table_at(rig.engine->tables.host, 0);
	struct weft_port_row *port = table_at(rig.engine->tables.port, RIG_FROM);
	memcpy(key.address, vip, sizeof(key.address));
	network->flags |= WEFT_NETWORK_SERVICES;
	network->connection_limit = UINT32_MAX;
	network->gateway4 = weft_hton32(0x0a0100fe);
	network->gateway6[0] = 0xfd, network->gateway6[15] = 0xfe;
	host->blocks = WEFT_BLOCKS - 4;
	for (u32 i = 0; i < WEFT_BLOCKS; i++)
		rig_put(WEFT_TABLE_port_block, &i, &(struct weft_port_block_row){0, 4 + i});
	rig_backends(vip);
	rig_put(WEFT_TABLE_service, &key, &row);
	if (!nat)
		return;
	port->network = 0;
	port->flags |= WEFT_PORT_VIPS;
	memcpy(port->address, &WEFT_GATEWAY_MAC, sizeof(struct weft_mac));
}

// A frame of rig_frame's, for the service; with a checksum, to be changed.
static inline void rig_to_service(u8 *frame)
{
	memcpy(frame, &WEFT_GATEWAY_MAC, sizeof(struct weft_mac));
	frame[40] = 0x12;
}
