// SPDX-License-Identifier: BSD-2-Clause
// The golden packets. The world they meet (world.c):
//
//   port 1, 2   access blue        port 5   trunk blue:30, native red
//   port 3      trunk blue:10, red:20   port 6   access green, alone in it
//   port 4      access red         port 7   trunk red:40, host on
//   port 8      access blue, learns no address
//   blue: gateway 10.1.0.254 and fd00::fe, MTU 1500;  red: MTU 9000, no gateway;  green
#include "tests/packets/packets.h"

#define DROP(why) .action = WEFT_ACTION_drop, .reason = WEFT_DROP_##why
#define FORWARD   .action = WEFT_ACTION_forward
#define FLOOD     .action = WEFT_ACTION_flood
#define REPLY     .action = WEFT_ACTION_reply
#define TO_HOST   .action = WEFT_ACTION_to_host

enum { BLUE = 1, RED = 2, GREEN = 3 };

#define CUT_L3 "a test run wants a whole IP header"

#define UDP4 "ip4:10.1.0.1,10.1.0.2,17 udp:1000,2000 data:20"

// clang-format off
const struct packet_case packet_cases[] = {
	// forward and flood, tags on the way out
	{"unicast, access to access", 1, "A>B " UDP4, {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B " UDP4}}, .after = {{BLUE, "A", 1}}, .in_bench = true},
	{"unicast, access to trunk", 1, "A>B " UDP4, {{BLUE, "B", 3, 10}}, FORWARD,
		.out = {{3, "A>B tag:10 " UDP4}}},
	{"unicast, trunk to access", 3, "A>B tag:10 " UDP4, {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B " UDP4}}, .after = {{BLUE, "A", 3, 10}}},
	{"unicast, trunk to trunk, another tag", 3, "A>B tag:10 " UDP4, {{BLUE, "B", 5, 30}}, FORWARD,
		.out = {{5, "A>B tag:30 " UDP4}}},
	{"unicast, priority kept on retag", 3, "A>B tci:a00a " UDP4, {{BLUE, "B", 5, 30}}, FORWARD,
		.out = {{5, "A>B tci:a01e " UDP4}}},
	{"unicast, native to tagged", 5, "A>B " UDP4, {{RED, "B", 3, 20}}, FORWARD,
		.out = {{3, "A>B tag:20 " UDP4}}, .after = {{RED, "A", 5}}},
	{"unicast, tagged to native", 3, "A>B tag:20 " UDP4, {{RED, "B", 5}}, FORWARD,
		.out = {{5, "A>B " UDP4}}},
	{"broadcast floods the network, tags and all", 1, "A>* " UDP4, {}, FLOOD,
		.out = {{2, "A>* " UDP4}, {3, "A>* tag:10 " UDP4}, {5, "A>* tag:30 " UDP4},
			{8, "A>* " UDP4}}},
	{"multicast floods", 4, "A>M " UDP4, {}, FLOOD,
		.out = {{3, "A>M tag:20 " UDP4}, {5, "A>M " UDP4}, {7, "A>M tag:40 " UDP4}}},
	{"unknown unicast floods", 3, "A>C tag:20 " UDP4, {}, FLOOD,
		.out = {{4, "A>C " UDP4}, {5, "A>C " UDP4}, {7, "A>C tag:40 " UDP4}}},
	{"flood from a tagged member retags each copy", 5, "A>* tci:601e " UDP4, {}, FLOOD,
		.out = {{1, "A>* " UDP4}, {2, "A>* " UDP4}, {8, "A>* " UDP4}, {3, "A>* tci:600a " UDP4}}},
	{"RARP is an ordinary broadcast and teaches", 2, "C>* type:8035 data:46", {}, FLOOD,
		.out = {{1, "C>* type:8035 data:46"}, {3, "C>* tag:10 type:8035 data:46"},
			{5, "C>* tag:30 type:8035 data:46"}, {8, "C>* type:8035 data:46"}},
		.after = {{BLUE, "C", 2}}},
	{"an unknown type is forwarded", 1, "A>B type:88b5 data:46", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B type:88b5 data:46"}}},
	{"an 802.3 length is forwarded", 1, "A>B type:0040 data:64", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B type:0040 data:64"}}},
	{"padding after IP stays", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:2 pad:16",
		{{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:2 pad:16"}}},

	// learning
	{"a known address on another port moves", 2, "A>* " UDP4, {{BLUE, "A", 1}}, FLOOD,
		.out = {{1, "A>* " UDP4}, {3, "A>* tag:10 " UDP4}, {5, "A>* tag:30 " UDP4}, {8, "A>* " UDP4}},
		.after = {{BLUE, "A", 2}}},
	{"a static address does not move", 2, "A>B " UDP4, {{BLUE, "A", 1, .fixed = true}, {BLUE, "B", 1}},
		FORWARD, .out = {{1, "A>B " UDP4}}, .after = {{BLUE, "A", 1}}},
	{"an aged row is no row", 1, "A>B " UDP4, {{BLUE, "B", 2, .age_seconds = 301}}, FLOOD,
		.out = {{2, "A>B " UDP4}, {3, "A>B tag:10 " UDP4}, {5, "A>B tag:30 " UDP4}, {8, "A>B " UDP4}}},
	{"a row just within its age holds", 1, "A>B " UDP4, {{BLUE, "B", 2, .age_seconds = 290}}, FORWARD,
		.out = {{2, "A>B " UDP4}}},
	{"an aged source is learned anew, elsewhere", 2, "A>B " UDP4,
		{{BLUE, "A", 1, .age_seconds = 301}, {BLUE, "B", 1}}, FORWARD, .out = {{1, "A>B " UDP4}},
		.after = {{BLUE, "A", 2}}},
	{"the same address in two networks is two", 4, "A>B " UDP4, {{BLUE, "A", 1}, {RED, "B", 5}},
		FORWARD, .out = {{5, "A>B " UDP4}}, .after = {{BLUE, "A", 1}, {RED, "A", 4}}},
	{"a port that learns nothing still forwards", 8, "D>B " UDP4, {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "D>B " UDP4}}, .after = {{BLUE, "D", .absent = true}}},

	// a network is a hard wall
	{"an address known in another network only", 4, "A>B " UDP4, {{BLUE, "B", 2}}, FLOOD,
		.out = {{3, "A>B tag:20 " UDP4}, {5, "A>B " UDP4}, {7, "A>B tag:40 " UDP4}}},
	{"tagged frame on an access port", 1, "A>B tag:20 " UDP4, {{RED, "B", 4}}, DROP(tag_on_access), .in_bench = true},
	{"even with its own network's tag elsewhere", 1, "A>B tag:10 " UDP4, {{BLUE, "B", 2}},
		DROP(tag_on_access)},
	{"unknown tag on a trunk", 3, "A>B tag:99 " UDP4, {{BLUE, "B", 2}}, DROP(tag_unknown),
		.after = {{BLUE, "A", .absent = true}}},
	{"untagged on a trunk without native", 3, "A>B " UDP4, {{BLUE, "B", 2}}, DROP(untagged_on_trunk)},
	{"tag 0 is untagged: access", 1, "A>B tag:0 " UDP4, {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B " UDP4}}},
	{"tag 0 is untagged: trunk without native", 3, "A>B tag:0 " UDP4, {}, DROP(untagged_on_trunk)},
	{"tag 0 keeps its priority when a tag follows", 1, "A>B tci:e000 " UDP4, {{BLUE, "B", 3, 10}},
		FORWARD, .out = {{3, "A>B tci:e00a " UDP4}}},
	{"a tag inside tag 0", 1, "A>B tag:0 tag:20 " UDP4, {{RED, "B", 4}}, DROP(tag_nested)},
	{"a tag inside a known tag", 3, "A>B tag:10 tag:20 " UDP4, {{BLUE, "B", 2}}, DROP(tag_nested)},
	{"802.1ad", 3, "A>B qinq:10 " UDP4, {{BLUE, "B", 2}}, DROP(tag_8021ad)},
	{"802.1ad inside 802.1Q", 3, "A>B tag:10 qinq:20 " UDP4, {}, DROP(tag_nested)},

	{"a row whose port has left the network", 1, "A>B " UDP4, {{BLUE, "B", 4}}, FLOOD,
		.out = {{2, "A>B " UDP4}, {3, "A>B tag:10 " UDP4}, {5, "A>B tag:30 " UDP4}, {8, "A>B " UDP4}}},
	{"a row whose tag is another network's", 1, "A>B " UDP4, {{BLUE, "B", 3, 20}}, FLOOD,
		.out = {{2, "A>B " UDP4}, {3, "A>B tag:10 " UDP4}, {5, "A>B tag:30 " UDP4}, {8, "A>B " UDP4}}},
	{"a row whose port is gone", 1, "A>B " UDP4, {{BLUE, "B", 99}}, FLOOD,
		.out = {{2, "A>B " UDP4}, {3, "A>B tag:10 " UDP4}, {5, "A>B tag:30 " UDP4}, {8, "A>B " UDP4}}},

	// what no switch forwards
	{"802.1D reserved address", 1, "A>R type:88cc data:46", {}, DROP(reserved_address),
		.after = {{BLUE, "A", .absent = true}}},
	{"802.1D reserved address on a port of the host", 7, "A>R type:88cc data:46", {}, TO_HOST},
	{"untagged on a port of the host", 7, "A>B " UDP4, {}, TO_HOST},
	{"unknown tag on a port of the host", 7, "A>B tag:99 " UDP4, {}, TO_HOST},
	{"known tag on a port of the host", 7, "A>B tag:40 " UDP4, {{RED, "B", 4}}, FORWARD,
		.out = {{4, "A>B " UDP4}}},
	{"hairpin", 1, "A>B " UDP4, {{BLUE, "B", 1}}, DROP(hairpin), .after = {{BLUE, "A", 1}}, .in_bench = true},
	{"alone in the network", 6, "A>* " UDP4, {}, DROP(no_destination), .after = {{GREEN, "A", 6}}},
	{"multicast source", 1, "M>B " UDP4, {{BLUE, "B", 2}}, DROP(bad_source)},
	{"zero source", 1, "Z>B " UDP4, {{BLUE, "B", 2}}, DROP(bad_source)},
	{"the gateway's address as source", 1, "G>B " UDP4, {{BLUE, "B", 2}}, DROP(bad_source)},
	{"destination port without device", 1, "A>B " UDP4, {{BLUE, "B", WORLD_NO_DEVICE}}, DROP(port_absent)},

	// MTU
	{"exactly the MTU", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1472", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1472"}}},
	{"one byte over the MTU", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1473", {{BLUE, "B", 2}},
		DROP(too_big)},
	{"a tag does not count", 3, "A>B tag:10 ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1472",
		{{BLUE, "B", 2}}, FORWARD, .out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1472"}}},
	{"over the MTU in a flood", 1, "A>* ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1473", {}, DROP(too_big)},
	{"another network, another MTU", 4, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1900",
		{{RED, "B", 5}}, FORWARD, .out = {{5, "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1900"}}},

	// malformed
	{"shorter than Ethernet", 1, "A>B cut:13", {}, DROP(truncated),
		.sim_only = "no device and no test run takes it"},
	{"nothing after Ethernet, IPv4", 1, "A>B type:0800", {}, DROP(truncated),
		.no_test_run = CUT_L3},
	{"IPv4 header cut", 1, "A>B " UDP4 " cut:30", {}, DROP(truncated),
		.no_test_run = CUT_L3},
	{"IPv4 version 5", 1, "A>B " UDP4 " set:14=55", {}, DROP(bad_ipv4), .in_bench = true},
	{"IPv4 header length 4", 1, "A>B " UDP4 " set:14=44", {}, DROP(bad_ipv4)},
	{"IPv4 total length under the header", 1, "A>B " UDP4 " set:16=0013", {}, DROP(bad_ipv4)},
	{"IPv4 total length zero", 1, "A>B " UDP4 " set:16=0000", {}, DROP(bad_ipv4)},
	{"IPv4 total length over the frame", 1, "A>B " UDP4 " set:16=0200", {}, DROP(bad_ipv4)},
	{"UDP header past the IPv4 end", 1, "A>B " UDP4 " set:16=0018", {}, DROP(truncated)},
	{"UDP length under 8", 1, "A>B " UDP4 " set:38=0007", {}, DROP(bad_udp)},
	{"UDP length over the packet", 1, "A>B " UDP4 " set:38=00ff", {}, DROP(bad_udp)},
	{"TCP", 1, "A>B ip4:10.1.0.1,10.1.0.2,6 tcp:1,2 data:5", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,6 tcp:1,2 data:5"}}},
	{"TCP data offset under 5", 1, "A>B ip4:10.1.0.1,10.1.0.2,6 tcp:1,2 data:5 set:46=40", {},
		DROP(bad_tcp)},
	{"TCP data offset past the end", 1, "A>B ip4:10.1.0.1,10.1.0.2,6 tcp:1,2 data:5 set:46=f0", {},
		DROP(bad_tcp)},
	{"IPv4 options", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 opt:10 udp:1,2 data:4", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 opt:10 udp:1,2 data:4"}}},
	{"first fragment", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 frag:2000 udp:1,2 data:24", {{BLUE, "B", 2}},
		FORWARD, .out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 frag:2000 udp:1,2 data:24"}}},
	{"later fragment has no L4", 1, "A>B ip4:10.1.0.1,10.1.0.2,17 frag:2001 data:3", {{BLUE, "B", 2}},
		FORWARD, .out = {{2, "A>B ip4:10.1.0.1,10.1.0.2,17 frag:2001 data:3"}}},
	{"IPv6", 1, "A>B ip6:fd00::1,fd00::2,17 udp:1,2 data:9", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip6:fd00::1,fd00::2,17 udp:1,2 data:9"}}},
	{"IPv6 header cut", 1, "A>B ip6:fd00::1,fd00::2,17 udp:1,2 data:9 cut:53", {}, DROP(truncated),
		.no_test_run = CUT_L3},
	{"IPv6 version 4", 1, "A>B ip6:fd00::1,fd00::2,17 udp:1,2 data:9 set:14=40", {}, DROP(bad_ipv6)},
	{"IPv6 payload over the frame", 1, "A>B ip6:fd00::1,fd00::2,17 udp:1,2 data:9 set:18=0100", {},
		DROP(bad_ipv6)},
	{"IPv6 hop-by-hop", 1, "A>B ip6:fd00::1,fd00::2,17 ext:0 udp:1,2 data:9", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip6:fd00::1,fd00::2,17 ext:0 udp:1,2 data:9"}}},
	{"IPv6 extension header past the end", 1, "A>B ip6:fd00::1,fd00::2,17 ext:0 cut:58 set:18=0004", {},
		DROP(truncated)},
	{"IPv6 extension header longer than the packet", 1,
		"A>B ip6:fd00::1,fd00::2,59 ext:60 data:8 set:55=40", {}, DROP(truncated)},
	{"IPv6 extension header past the parse window", 1,
		"A>B ip6:fd00::1,fd00::2,17 ext:60 data:600 set:55=40", {{BLUE, "B", 2}}, FORWARD,
		.out = {{2, "A>B ip6:fd00::1,fd00::2,17 ext:60 data:600 set:55=40"}}},
	{"ARP", 1, "A>* arp:1,10.1.0.1,10.1.0.2,Z pad:18", {}, FLOOD,
		.out = {{2, "A>* arp:1,10.1.0.1,10.1.0.2,Z pad:18"}, {3, "A>* tag:10 arp:1,10.1.0.1,10.1.0.2,Z pad:18"},
			{5, "A>* tag:30 arp:1,10.1.0.1,10.1.0.2,Z pad:18"}, {8, "A>* arp:1,10.1.0.1,10.1.0.2,Z pad:18"}}},
	{"ARP cut", 1, "A>* arp:1,10.1.0.1,10.1.0.2,Z cut:41", {}, DROP(truncated)},
	{"ARP for another protocol", 1, "A>* arp:1,10.1.0.1,10.1.0.2,Z set:16=86dd", {}, DROP(bad_arp)},
	{"ARP with long addresses", 1, "A>* arp:1,10.1.0.1,10.1.0.2,Z set:18=08", {}, DROP(bad_arp)},
	{"ND cut", 1, "A>S ip6:fd00::1,ff02::1:ff00:fe,58 ns:fd00::5 cut:70 set:18=0010", {}, DROP(truncated)},

	// what the gateway answers
	{"ARP for the gateway", 1, "A>* arp:1,10.1.0.1,10.1.0.254,Z pad:18", {}, REPLY,
		.out = {{1, "G>A arp:2,10.1.0.254,10.1.0.1,A"}}, .after = {{BLUE, "A", 1}}},
	{"the same from a trunk", 3, "A>* tag:10 arp:1,10.1.0.1,10.1.0.254,Z pad:18", {}, REPLY,
		.out = {{3, "G>A tag:10 arp:2,10.1.0.254,10.1.0.1,A"}}},
	{"ARP for that address in another network", 4, "A>* arp:1,10.1.0.1,10.1.0.254,Z", {}, FLOOD,
		.out = {{3, "A>* tag:20 arp:1,10.1.0.1,10.1.0.254,Z"}, {5, "A>* arp:1,10.1.0.1,10.1.0.254,Z"},
			{7, "A>* tag:40 arp:1,10.1.0.1,10.1.0.254,Z"}}},
	{"ND for the gateway", 1, "A>S ip6:fd00::1,ff02::1:ff00:fe,58 ns:fd00::fe", {}, REPLY,
		.out = {{1, "G>A ip6:fd00::fe,fd00::1,58 na:fd00::fe,G,e000"}}},
	{"duplicate address detection for the gateway", 1, "A>S ip6:::,ff02::1:ff00:fe,58 ns:fd00::fe", {},
		REPLY, .out = {{1, "G>N ip6:fd00::fe,ff02::1,58 na:fd00::fe,G,a000"}}},
	{"echo to the gateway", 1, "A>G ip4:10.1.0.1,10.1.0.254,1 echo:8,77 data:57", {}, REPLY,
		.out = {{1, "G>A ip4:10.1.0.254,10.1.0.1,1 echo:0,77 data:57"}}},
	{"ICMPv6 echo to the gateway", 1, "A>G ip6:fd00::1,fd00::fe,58 icmp6:128,9 data:1", {}, REPLY,
		.out = {{1, "G>A ip6:fd00::fe,fd00::1,58 icmp6:129,9 data:1 set:21=40"}}},
	{"anything else to the gateway", 1, "A>G " UDP4, {}, DROP(not_routed), .after = {{BLUE, "A", 1}}},
	{"a fragment of an echo", 1, "A>G ip4:10.1.0.1,10.1.0.254,1 frag:2000 echo:8,77 data:8", {},
		DROP(not_routed)},
};
// clang-format on

const size_t packet_case_count = WEFT_ARRAY_SIZE(packet_cases);
