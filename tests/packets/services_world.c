// SPDX-License-Identifier: BSD-2-Clause
// The services of network white: their rows. Who is where, see services.c.
#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <weft/wire.h>

#define VIP  SERVICES_VIP
#define VIP6 SERVICES_VIP6

enum {
	REJECT = WEFT_SERVICE_NAT | WEFT_SERVICE_REJECT,
	RESET = WEFT_SERVICE_NAT | WEFT_SERVICE_RESET,
};

static const struct {
	u32 id;
	u16 port;
	u8 protocol;
	bool outside; // reached by the uplink, too
	u32 flags;
	const char *vip, *backend, *mac;
	u16 backend_port;
} services[] = {
	{SERVICE_NAT, 80, WEFT_IP_TCP, true, WEFT_SERVICE_NAT, VIP, "10.1.0.2", "B", 8080},
	{SERVICE_UDP, 53, WEFT_IP_UDP, true, WEFT_SERVICE_NAT, VIP, "10.1.0.2", "B", 0},
	{SERVICE_DSR, 81, WEFT_IP_TCP, false, WEFT_SERVICE_DSR, VIP, "10.1.0.2", "B", 0},
	{SERVICE_HOST_DSR, 82, WEFT_IP_UDP, true, WEFT_SERVICE_HOST_DSR, VIP, "10.1.0.3", "C",
		8082},
	{SERVICE_EMPTY, 83, WEFT_IP_TCP, false, WEFT_SERVICE_NAT, VIP, NULL, NULL, 0},
	{SERVICE_WAITING, 84, WEFT_IP_TCP, false, WEFT_SERVICE_NAT, VIP, "10.1.0.9", "Z", 0},
	{SERVICE_NAT6, 80, WEFT_IP_TCP, true, WEFT_SERVICE_NAT, VIP6, "fd00::2", "B", 8080},
	{SERVICE_ALL, 0, WEFT_IP_UDP, false, WEFT_SERVICE_NAT, VIP6, "fd00::2", "B", 0},
	{SERVICE_REJECT, 85, WEFT_IP_TCP, true, REJECT, VIP, NULL, NULL, 0},
	{SERVICE_REJECT_UDP, 85, WEFT_IP_UDP, true, REJECT, VIP, NULL, NULL, 0},
	{SERVICE_REJECT6, 85, WEFT_IP_TCP, true, REJECT, VIP6, NULL, NULL, 0},
	{SERVICE_REJECT6_UDP, 85, WEFT_IP_UDP, true, REJECT, VIP6, NULL, NULL, 0},
	{SERVICE_RESET, 86, WEFT_IP_TCP, true, RESET, VIP, "10.1.0.2", "B", 8086},
	{SERVICE_RESET6, 86, WEFT_IP_TCP, true, RESET, VIP6, "fd00::2", "B", 8086},
	{SERVICE_RESET_DSR, 87, WEFT_IP_TCP, true, WEFT_SERVICE_HOST_DSR | WEFT_SERVICE_RESET, VIP,
		"10.1.0.3", "C", 8087},
	{SERVICE_DSR_UDP, 81, WEFT_IP_UDP, false, WEFT_SERVICE_DSR, VIP, "10.1.0.2", "B", 0},
	{SERVICE_DSR6, 81, WEFT_IP_TCP, false, WEFT_SERVICE_DSR, VIP6, "fd00::2", "B", 0},
	{SERVICE_DSR6_UDP, 81, WEFT_IP_UDP, false, WEFT_SERVICE_DSR, VIP6, "fd00::2", "B", 0},
	{SERVICE_HOST_DSR_TCP, 82, WEFT_IP_TCP, true, WEFT_SERVICE_HOST_DSR, VIP, "10.1.0.3", "C",
		8082},
	{SERVICE_HOST_DSR6, 82, WEFT_IP_TCP, true, WEFT_SERVICE_HOST_DSR, VIP6, "fd00::3", "C",
		8082},
	{SERVICE_HOST_DSR6_UDP, 82, WEFT_IP_UDP, true, WEFT_SERVICE_HOST_DSR, VIP6, "fd00::3", "C",
		8082},
};

void services_address(const char *text, u8 out[16])
{
	bool v6 = strchr(text, ':');
	memset(out, 0, 16);
	if (!v6)
		out[10] = out[11] = 0xff;
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, out + (v6 ? 0 : 12)), 1);
}

struct weft_mac services_mac(const char *letter)
{
	char words[] = "X>X";
	struct weft_mac mac;
	words[0] = words[2] = letter[0];
	memcpy(&mac, frame_build(words).bytes, sizeof(mac));
	return mac;
}

void world_services(const struct engine_ops *ops, struct engine *engine)
{
	// Ports 1024 to 1279 of the gateway are ours, the next 256 the peer's.
	static const u32 owner[6] = {
		WEFT_BLOCK_NONE, WEFT_BLOCK_NONE, WEFT_BLOCK_NONE, WEFT_BLOCK_NONE, 0, P1};
	for (u32 i = 0; i < 6; i++) {
		struct weft_port_block_row block = {owner[i], 4};
		PUT(port_block, &i, &block);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(services); i++) {
		u32 id = services[i].id;
		struct weft_ring_row ring = {id};
		struct weft_backend_row backend = {WEFT_BACKEND_PRESENT, id};
		struct weft_service_row row = {
			.id = id,
			.flags = services[i].flags,
			.network = WHITE,
			.ring = id,
			.ring_size = services[i].backend ? 1 : 0,
			.seed = 7,
			.connection_limit = 4,
			.idle_ns = 60 * 1000000000ull,
		};
		struct weft_service_row address = {.flags = WEFT_SERVICE_ADDRESS};
		struct weft_service_key key = {
			.scope = WHITE, .port = services[i].port, .protocol = services[i].protocol};
		if (services[i].backend) {
			services_address(services[i].backend, backend.address);
			backend.port = services[i].backend_port;
			backend.mac = services_mac(services[i].mac);
			PUT(backend, &id, &backend);
			PUT(ring, &id, &ring);
		}
		services_address(services[i].vip, key.address);
		for (int outside = 0; outside <= services[i].outside; outside++) {
			struct weft_service_key vip = key;
			key.scope = vip.scope = outside ? SERVICES_UPLINK | WEFT_SCOPE_PORT : WHITE;
			vip.port = vip.protocol = 0;
			PUT(service, &key, &row);
			PUT(service, &vip, &address);
		}
		if (services[i].flags & WEFT_SERVICE_HOST_DSR) {
			struct weft_station_key station = {.service = id, .mac = backend.mac};
			struct weft_station_row is = {id};
			PUT(station, &station, &is);
		}
	}
}
