// SPDX-License-Identifier: BSD-2-Clause
// Services of the modes dsr and host-dsr: each family and protocol, at the balancer and at the
// backend's host, byte for byte, in every engine. Who is where: services.c.
#include "datapath/pipeline/balance.h"
#include "tests/packets/services_rig.h"

#include <stdio.h>
#include <string.h>

enum end { CLIENT, OUTER, ADDRESS, B, C, ROUTER };

static const struct kind {
	bool v6;
	u8 protocol;
	u32 dsr, host_dsr; // its services
} kinds[] = {
	{false, WEFT_IP_TCP, SERVICE_DSR, SERVICE_HOST_DSR_TCP},
	{false, WEFT_IP_UDP, SERVICE_DSR_UDP, SERVICE_HOST_DSR},
	{true, WEFT_IP_TCP, SERVICE_DSR6, SERVICE_HOST_DSR6},
	{true, WEFT_IP_UDP, SERVICE_DSR6_UDP, SERVICE_HOST_DSR6_UDP},
};
static const struct kind *kind;

#define EACH_KIND(which) for (which = kinds; which < kinds + WEFT_ARRAY_SIZE(kinds); which++)

static const char *address(enum end end)
{
	static const char *const at[][2] = {
		[CLIENT] = {"10.1.0.1", "fd00::1"},
		[OUTER] = {"198.51.100.7", "2001:db8::7"},
		[ADDRESS] = {SERVICES_VIP, SERVICES_VIP6},
		[B] = {"10.1.0.2", "fd00::2"},
		[C] = {"10.1.0.3", "fd00::3"},
		[ROUTER] = {"192.0.2.77", "2001:db8::77"},
	};
	return at[end][kind->v6];
}

static char *words_next(void)
{
	static char words[4][160];
	static u32 used;
	return words[used++ % WEFT_ARRAY_SIZE(words)];
}

// A packet of the kind; ip: words of its IP header.
static const char *packet_with(
	const char *ip, const char *macs, enum end from, u16 sport, enum end to, u16 dport)
{
	char *words = words_next();
	snprintf(words, 160, "%s ip%d:%s,%s,%u %s %s:%u,%u data:16", macs, kind->v6 ? 6 : 4,
		address(from), address(to), kind->protocol, ip,
		kind->protocol == WEFT_IP_TCP ? "tcp" : "udp", sport, dport);
	return words;
}

static const char *packet(const char *macs, enum end from, u16 sport, enum end to, u16 dport)
{
	return packet_with("", macs, from, sport, to, dport);
}

static const char *later(const char *macs, enum end from, enum end to)
{
	char *words = words_next();
	snprintf(words, 160, "%s ip4:%s,%s,%u frag:0003 id:9 data:16", macs, address(from),
		address(to), kind->protocol);
	return words;
}

// "Port unreachable" to `to`, about a datagram that it has sent.
static const char *error(
	const char *macs, enum end from, enum end to, u16 sent_from, enum end about, u16 sent_to)
{
	char *words = words_next();
	snprintf(words, 160, "%s ip%d:%s,%s,%u error:%s quote:%s,%s,%u,%u", macs, kind->v6 ? 6 : 4,
		address(from), address(to), kind->v6 ? WEFT_IP_ICMPV6 : WEFT_IP_ICMP,
		kind->v6 ? "1,4" : "3,3", address(to), address(about), sent_from, sent_to);
	return words;
}

// With eBPF the carrier takes TCP apart, and for the XDP build IPv6: the cases are sent live, too.
static bool comes_from_peers(void)
{
	bool carried = kind->protocol == WEFT_IP_TCP || (is_xdp() && kind->v6);
	return !carried || (ops != &engine_ebpf && !is_xdp());
}

static void dsr(void **state)
{
	EACH_KIND(kind)
	{
		start(state);
		for (int i = 0; i < 3; i++)
			goes(12, packet("A>G", CLIENT, 4000, ADDRESS, 81), 13,
				packet("A>B", CLIENT, 4000, ADDRESS, 81));
		goes(13, packet("B>A", ADDRESS, 81, CLIENT, 4000), 12,
			packet("B>A", ADDRESS, 81, CLIENT, 4000));
		assert_int_equal(connections(kind->dsr), 1);
	}
}

static void host_dsr_elsewhere(void **state)
{
	EACH_KIND(kind)
	{
		start(state);
		for (int i = 0; i < 3; i++)
			goes(12, packet("A>G", CLIENT, 4000, ADDRESS, 82), P1,
				packet("a>C", CLIENT, 4000, ADDRESS, 82));
		goes(UPLINK, packet("D>U", OUTER, 4000, ADDRESS, 82), P1,
			packet("g>C", OUTER, 4000, ADDRESS, 82));
		assert_int_equal(connections(kind->host_dsr), 2);
		if (!comes_from_peers())
			continue;
		goes(P1, packet("C>A", ADDRESS, 82, CLIENT, 4000), 12,
			packet("C>A", ADDRESS, 82, CLIENT, 4000));
		// from outside the answer comes back here, and goes out as it came in
		for (int i = 0; i < 3; i++)
			goes(P1, packet("C>G", ADDRESS, 82, OUTER, 4000), UPLINK,
				packet("U>D", ADDRESS, 82, OUTER, 4000));
	}
}

// This host has the backend: a balancer elsewhere has chosen it.
static void host_dsr_arrives(void **state)
{
	EACH_KIND(kind)
	{
		if (!comes_from_peers())
			continue;
		start(state);
		knows("A", P1);
		knows("C", 13);
		for (int i = 0; i < 3; i++)
			goes(P1, packet("a>C", CLIENT, 4000, ADDRESS, 82), 13,
				packet("A>C", CLIENT, 4000, C, 8082));
		for (int i = 0; i < 3; i++)
			goes(13, packet("C>A", C, 8082, CLIENT, 4000), P1,
				packet("C>A", ADDRESS, 82, CLIENT, 4000));
		goes(P1, packet("g>C", OUTER, 4000, ADDRESS, 82), 13,
			packet("G>C", OUTER, 4000, C, 8082));
		goes(13, packet("C>G", C, 8082, OUTER, 4000), P1,
			packet("C>G", ADDRESS, 82, OUTER, 4000));
		assert_int_equal(connections(kind->host_dsr), 2);
	}
}

static void host_dsr_here(void **state)
{
	EACH_KIND(kind)
	{
		start(state);
		knows("C", 13);
		goes(12, packet("A>G", CLIENT, 4000, ADDRESS, 82), 13,
			packet("A>C", CLIENT, 4000, C, 8082));
		goes(13, packet("C>A", C, 8082, CLIENT, 4000), 12,
			packet("G>A", ADDRESS, 82, CLIENT, 4000));
		goes(UPLINK, packet("D>U", OUTER, 4000, ADDRESS, 82), 13,
			packet("G>C", OUTER, 4000, C, 8082));
		goes(13, packet("C>G", C, 8082, OUTER, 4000), UPLINK,
			packet("U>D", ADDRESS, 82, OUTER, 4000));
	}
}

// Two backends on one machine: its host tells them apart by the hash, as the balancer did.
static void host_dsr_twins(void **state)
{
	u32 first = 40, id = SERVICE_HOST_DSR, twin = 40, slots[] = {id, twin}, seen[2] = {0, 0};
	struct weft_backend_row backend;
	struct weft_service_row row;
	struct weft_service_key at = {.scope = WHITE, .port = 82, .protocol = WEFT_IP_UDP};
	start(state);
	services_address(VIP, at.address);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_backend, &id, &backend), 0);
	backend.port = 8083;
	PUT(backend, &twin, &backend);
	for (u32 i = 0; i < 2; i++) {
		u32 slot = first + i;
		PUT(ring, &slot, &slots[i]);
	}
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service, &at, &row), 0);
	row.ring = first;
	row.ring_size = 2;
	PUT(service, &at, &row);
	knows("C", 13);
	for (u16 port = 4000; seen[0] < 2 || seen[1] < 2; port++) {
		struct weft_connection_key key = connection_key("10.1.0.1", port, 82, WEFT_IP_UDP);
		u32 slot = (u32)(balance_hash(&key, row.seed, false) >> 32) % 2;
		char in[96], out[96];
		if (seen[slot]++ >= 2)
			continue; // the service's limit
		snprintf(in, sizeof(in), "a>C ip4:10.1.0.1,10.9.0.1,17 udp:%u,82 data:9", port);
		snprintf(out, sizeof(out), "A>C ip4:10.1.0.1,10.1.0.3,17 udp:%u,%u data:9", port,
			8082 + slot);
		goes(P1, in, 13, out);
	}
	memset(&backend, 0, sizeof(backend));
	PUT(backend, &twin, &backend);
}

// The client's way to the address changed, perhaps because the other balancer is dead.
static void host_dsr_moves_to_another_balancer(void **state)
{
	struct weft_tag_key both = {.port = P2, .tag = WHITE_VNI};
	struct weft_tag_row white = {.network = WHITE};
	start(state);
	PUT(tag, &both, &white);
	knows("C", 13);
	for (int i = 0; i < 3; i++) {
		u32 peer = i % 2 ? P2 : P1;
		PUT(tag, &both,
			&white); // the answer's cached way lives for a second, or until this
		for (int k = 0; k < 2; k++)
			goes(peer, "g>C ip4:198.51.100.7,10.9.0.1,17 udp:4000,82 data:9", 13,
				"G>C ip4:198.51.100.7,10.1.0.3,17 udp:4000,8082 data:9");
		goes(13, "C>G ip4:10.1.0.3,198.51.100.7,17 udp:8082,4000 data:9", peer,
			"C>G ip4:10.9.0.1,198.51.100.7,17 udp:82,4000 data:9");
		assert_int_equal(connections(SERVICE_HOST_DSR), 1);
	}
	ops->table_del(engine, WEFT_TABLE_tag, &both, NULL);
}

// A guest that moves: the balancer's host has it now, and translates itself.
static void host_dsr_comes_here(void **state)
{
	start(state);
	knows("C", P1);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,82 data:9", P1,
		"a>C ip4:10.1.0.1,10.9.0.1,17 udp:4000,82 data:9");
	knows("C", 13);
	for (int i = 0; i < 3; i++)
		goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,82 data:9", 13,
			"A>C ip4:10.1.0.1,10.1.0.3,17 udp:4000,8082 data:9");
	goes(13, "C>A ip4:10.1.0.3,10.1.0.1,17 udp:8082,4000 data:9", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,17 udp:82,4000 data:9");
	assert_int_equal(connections(SERVICE_HOST_DSR), 1);
}

// Of a datagram all pieces go to one backend; its host translates them all.
static void fragments(void **state)
{
	kind = &kinds[1];
	start(state);
	knows("A", P1);
	goes(12, packet_with("frag:2000 id:9", "A>G", CLIENT, 4000, ADDRESS, 81), 13,
		packet_with("frag:2000 id:9", "A>B", CLIENT, 4000, ADDRESS, 81));
	goes(12, later("A>G", CLIENT, ADDRESS), 13, later("A>B", CLIENT, ADDRESS));
	goes(UPLINK, packet_with("frag:2000 id:9", "D>U", OUTER, 4000, ADDRESS, 82), P1,
		packet_with("frag:2000 id:9", "g>C", OUTER, 4000, ADDRESS, 82));
	goes(UPLINK, later("D>U", OUTER, ADDRESS), P1, later("g>C", OUTER, ADDRESS));
	start(state);
	knows("C", 13);
	drops(P1, later("g>C", OUTER, ADDRESS), WEFT_DROP_no_service);
	goes(P1, packet_with("frag:2000 id:9", "g>C", OUTER, 4000, ADDRESS, 82), 13,
		packet_with("frag:2000 id:9", "G>C", OUTER, 4000, C, 8082));
	goes(P1, later("g>C", OUTER, ADDRESS), 13, later("G>C", OUTER, C));
	goes(13, packet_with("frag:2000 id:9", "C>G", C, 8082, OUTER, 4000), P1,
		packet_with("frag:2000 id:9", "C>G", ADDRESS, 82, OUTER, 4000));
	goes(13, later("C>G", C, OUTER), P1, later("C>G", ADDRESS, OUTER));
}

static void options(void **state)
{
	EACH_KIND(kind)
	{
		const char *ip = kind->v6 ? "ext:60" : "opt:2";
		start(state);
		goes(12, packet_with(ip, "A>G", CLIENT, 4000, ADDRESS, 81), 13,
			packet_with(ip, "A>B", CLIENT, 4000, ADDRESS, 81));
		goes(12, packet_with(ip, "A>G", CLIENT, 4000, ADDRESS, 82), P1,
			packet_with(ip, "a>C", CLIENT, 4000, ADDRESS, 82));
		knows("A", P1);
		knows("C", 13);
		if (!comes_from_peers())
			continue;
		goes(P1, packet_with(ip, "g>C", OUTER, 4000, ADDRESS, 82), 13,
			packet_with(ip, "G>C", OUTER, 4000, C, 8082));
		goes(13, packet_with(ip, "C>G", C, 8082, OUTER, 4000), P1,
			packet_with(ip, "C>G", ADDRESS, 82, OUTER, 4000));
	}
}

// Each quotes what its receiver has sent.
static void errors(void **state)
{
	EACH_KIND(kind)
	{
		if (kind->protocol != WEFT_IP_UDP)
			continue;
		start(state);
		goes(12, packet("A>G", CLIENT, 4000, ADDRESS, 81), 13,
			packet("A>B", CLIENT, 4000, ADDRESS, 81));
		goes(12, error("A>G", CLIENT, ADDRESS, 81, CLIENT, 4000), 13,
			error("A>B", CLIENT, ADDRESS, 81, CLIENT, 4000));
		goes(12, error("A>G", ROUTER, ADDRESS, 81, CLIENT, 4000), 13,
			error("A>B", ROUTER, ADDRESS, 81, CLIENT, 4000));
		goes(UPLINK, packet("D>U", OUTER, 4000, ADDRESS, 82), P1,
			packet("g>C", OUTER, 4000, ADDRESS, 82));
		goes(UPLINK, error("D>U", ROUTER, ADDRESS, 82, OUTER, 4000), P1,
			error("g>C", ROUTER, ADDRESS, 82, OUTER, 4000));
		if (!comes_from_peers())
			continue;
		start(state);
		knows("C", 13);
		drops(P1, error("g>C", ROUTER, ADDRESS, 82, OUTER, 4000), WEFT_DROP_no_connection);
		goes(P1, packet("g>C", OUTER, 4000, ADDRESS, 82), 13,
			packet("G>C", OUTER, 4000, C, 8082));
		goes(P1, error("g>C", ROUTER, ADDRESS, 82, OUTER, 4000), 13,
			error("G>C", ROUTER, C, 8082, OUTER, 4000));
		goes(13, error("C>G", C, OUTER, 4000, C, 8082), P1,
			error("C>G", ADDRESS, OUTER, 4000, ADDRESS, 82));
	}
}

int modes_run(struct sequence_arena *arena)
{
#define TEST(function) cmocka_unit_test_prestate(function, arena)
	const struct CMUnitTest tests[] = {
		TEST(dsr),
		TEST(host_dsr_elsewhere),
		TEST(host_dsr_arrives),
		TEST(host_dsr_here),
		TEST(host_dsr_twins),
		TEST(host_dsr_moves_to_another_balancer),
		TEST(host_dsr_comes_here),
		TEST(fragments),
		TEST(options),
		TEST(errors),
	};
	return _cmocka_run_group_tests(arena->name, tests, WEFT_ARRAY_SIZE(tests), NULL, NULL);
}
