#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# explain and path: what is said is what happens, why, and that nothing changes by asking.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
on a ip link add eth1 type veth peer name far netns "$(netns a)"
on a ip link set eth1 up
on a ip link set far up
on a ip addr add 192.0.2.1/24 dev eth1
on a ip neigh add 192.0.2.2 lladdr 02:00:00:00:02:02 nud permanent dev eth1
host_start a
ctl a host set address 192.0.2.1
ctl a network add blue vni 100 suppress 300s subnet 10.1.0.0/24 gateway 10.1.0.254
ctl a network add red
ctl a peer add h2 address 192.0.2.2
for n in 1 2 3 4; do
	guest_new "g$n"
	guest_veth a "g$n" "v$n"
	on "g$n" ip link set eth0 address "02:00:00:00:00:0$n"
done
on g1 ip addr add 10.1.0.1/24 dev eth0
on g2 ip addr add 10.1.0.2/24 dev eth0
ctl a port add v1 type device network blue
ctl a port add v2 type device network blue
ctl a port add v3 type device trunk blue:10,red:20
ctl a port add v4 type device network red
wait_for 5 json_is a up '.[0].state' peer show h2

# Nobody has spoken: a question is flooded, and what needs its answer waits.
expect a '["flood",["v2","v3",null],["h2"]]' \
	'.[0] | [.verdict, [.flood_to[].port], [.flood_to[].peer | values]]' explain port v1 proto arp ip-dst 10.1.0.2
expect a '[["flood",null],["wait",null]]' '[.[] | [.verdict, .p50_ns]]' path v1 10.1.0.2:80
refused a 1 'nobody is known to have 10.1.0.2' explain port v1 ip-dst 10.1.0.2
expect a '["src","ip_src"]' '.[0].assumed | sort | reverse' explain port v1 dst 02:00:00:00:00:02 ip-dst 10.1.0.2
expect a '["src","ip_src"]' '.[0].assumed' path v1 10.1.0.2
expect a true '.[0].why | endswith("(assumed: src, ip_src)")' path v1 10.1.0.2
expect a '[]' . fdb show

on g1 ping -q -c 2 -W 2 10.1.0.2 >/dev/null
wait_for 5 json_is a 2 length fdb show
wait_for 5 json_is a 2 length neighbour show

# From here on nothing is sent, not even by a kernel that looks after its neighbours: asking changes no row and no counter.
counts() {
	json a 'map([.name, .rx_packets, .rx_dropped, .tx_packets, .macs, .moves, .bindings])' port show
	json a 'map([.mac, .port, .peer])' fdb show
	json a 'map([.ip, .mac])' neighbour show
	json a . drops show
}
on g1 ip neigh flush dev eth0
on g2 ip neigh flush dev eth0
sleep 0.3
before=$(counts)

# forward: who it is from and for comes from what was learned
expect a '["forward","v2",null,"02:00:00:00:00:01","10.1.0.1","02:00:00:00:00:02",[]]' \
	'.[0] | [.verdict,.to_port,.tag,.frame.src,.frame.ip_src,.frame.dst,.assumed]' explain port v1 ip-dst 10.1.0.2
said=$(ctl a explain port v1 ip-dst 10.1.0.2 dport 80)
[[ $said == *'fdb: 02:00:00:00:00:02 is behind port v2, learned'*'forward to port v2, untagged'* ]] || die "$said"
expect a '[["reply","arp","02:00:00:00:00:02"]]' 'map([.verdict,.reply,.reply_mac])' explain port v1 proto arp ip-dst 10.1.0.2
expect a '[["reply","echo"]]' 'map([.verdict,.reply])' explain port v1 ip-dst 10.1.0.254
expect a '[["drop","too_big","too_big",true]]' 'map([.verdict,.reason,.reply,.too_big])' \
	explain port v1 ip-dst 10.1.0.2 proto udp length 3000
expect a '["admit","learn","forward"]' '[.[0].rows[].stage] | unique_by({admit:0,learn:1,forward:2}[.])' \
	explain port v1 ip-dst 10.1.0.2
expect a '{"network":1,"mac":"02:00:00:00:00:02"}' \
	'.[0].rows | map(select(.stage == "forward" and .table == "fdb"))[0].key' explain port v1 ip-dst 10.1.0.2

# a trunk: each tag is a network, and what has none is a drop with advice
expect a '["forward","v2","blue"]' '.[0] | [.verdict,.to_port,.network]' explain port v3 vlan 10 ip-dst 10.1.0.2
expect a '["flood",["v4"],"red"]' '.[0] | [.verdict,[.flood_to[].port],.network]' \
	explain port v3 vlan 20 dst ff:ff:ff:ff:ff:ff
expect a '[["v3",20]]' '.[0].flood_to | map([.port,.tag])' explain port v4 dst 02:00:00:00:00:09
expect a '["drop","tag_unknown",true]' '.[0] | [.verdict,.reason,(.hint | contains("trunk +"))]' \
	explain port v3 vlan 11 dst 02:00:00:00:00:02
expect a '["drop","untagged_on_trunk"]' '.[0] | [.verdict,.reason]' explain port v3 ip-dst 10.1.0.2
expect a '["drop","tag_on_access"]' '.[0] | [.verdict,.reason]' explain port v1 vlan 10 ip-dst 10.1.0.2
expect a '["drop","hairpin"]' '.[0] | [.verdict,.reason]' explain port v1 src 02:00:00:00:00:07 dst 02:00:00:00:00:01
expect a '["drop","bad_source"]' '.[0] | [.verdict,.reason]' explain port v1 src 01:00:00:00:00:07 dst 02:00:00:00:00:02
expect a '["drop","reserved_address"]' '.[0] | [.verdict,.reason]' explain port v1 dst 01:80:c2:00:00:0e ethertype 0x88cc
expect a '["drop","not_routed"]' '.[0] | [.verdict,.reason]' explain port v1 ip-dst 10.1.0.254 dport 80

# from a peer; its floods go to no peer
expect a '["forward","v1","blue",100]' '.[0] | [.verdict,.to_port,.network,.vni]' explain peer h2 ip-dst 10.1.0.1
expect a '["v1","v2","v3"]' '[.[0].flood_to[].port] | sort' explain peer h2 dst ff:ff:ff:ff:ff:ff
expect a '["drop","vni_unknown"]' '.[0] | [.verdict,.reason]' explain peer h2 vni 7 ip-dst 10.1.0.1
equal "$before" "$(counts)" "what explaining has changed"

# to a peer
ctl a fdb add 02:00:00:00:00:99 network blue peer h2
far=(dst 02:00:00:00:00:99 ip-dst 10.1.0.9)
expect a '["encap","h2",100,"own","eth1","02:00:00:00:02:02"]' \
	'.[0] | [.verdict,.to_peer,.to_vni,.path,.device,.nexthop_mac]' explain port v1 "${far[@]}" proto udp
tcp=carrier
[ "$ENGINE" = ebpf ] || tcp=own
expect a "[\"encap\",\"h2\",\"$tcp\"]" '.[0] | [.verdict,.to_peer,.path]' explain port v1 "${far[@]}" dport 80
expect a '["drop","hairpin"]' '.[0] | [.verdict,.reason]' explain peer h2 "${far[@]}"
ctl a peer add h3 address 192.0.2.3
expect a '["drop","split_horizon"]' '.[0] | [.verdict,.reason]' explain peer h3 "${far[@]}"
if [ "$ENGINE" = ebpf ]; then
	ctl a network set blue overlay carrier
	expect a carrier '.[0].path' explain port v1 "${far[@]}" proto udp
fi

# what no network claims, where the port says so
ctl a port set v3 host on
expect a '["to_host",null]' '.[0] | [.verdict,.reason]' explain port v3 vlan 11 dst 02:00:00:00:00:02

# the way there, step by step
expect a '[["reply","a"],["forward","a"]]' 'map([.verdict,.host])' path v1 10.1.0.2:80
expect a '[["reply","a"],["forward","a"]]' 'map([.verdict,.host])' path v1 v2
expect a '[["flood","the packet"]]' 'map([.verdict,.what])' path v1 255.255.255.255:67 proto udp # nobody asks for a group
expect a '[["flood","the packet"]]' 'map([.verdict,.what])' path v1 ff02::1
expect a '[["flood","a"],["wait","a"]]' 'map([.verdict,.host])' path v1 10.1.0.9
expect a '[["reply","a"],["forward","a"]]' 'map([.verdict,.host])' path 10.1.0.1 v2
refused a 1 "'v9' is no port, and no address that comes in by a port" path v9 v1
refused a 1 'no address that comes in by a port' path 198.51.100.1 v1
refused a 1 'is no port, and no address' path v1 10.1.0.2:none

# a silent port's address is a guess, and nobody's: not 10.1.0.2 and .1
expect a '[["ip_src","src"],"10.1.0.7"]' '.[0] | [(.assumed | sort),.frame.ip_src]' \
	explain port v3 vlan 10 dst 02:00:00:00:00:02 ip-dst 10.1.0.3
# and who was heard with an address of the link alone has none that talks to others
for guest in g1 g2; do
	on $guest sysctl -q -w net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.disable_ipv6=0
done
wait_for 5 on g1 ping -c 1 -W 1 fe80::ff:fe00:2%eth0 >/dev/null
expect a '[["ip_src"],"02:00:00:00:00:01","fd00::8"]' '.[0] | [.assumed,.frame.src,.frame.ip_src]' \
	explain port v1 dst 02:00:00:00:00:02 ip-dst fd00::9
expect a '[[],"fe80::ff:fe00:1"]' '.[0] | [.assumed,.frame.ip_src]' explain port v1 ip-dst fe80::ff:fe00:2

# a port whose device has gone
ctl a fdb add 02:00:00:00:00:55 network blue port v2
on a ip link del v2
wait_for 5 json_is a absent '.[0].state' port show v2
expect a '["drop","port_absent",true]' '.[0] | [.verdict,.reason,(.note | contains("v2 is absent"))]' \
	explain port v1 dst 02:00:00:00:00:55

# words
refused a 1 'there is no port v9' explain port v9 dst 02:00:00:00:00:01
refused a 2 "needs 'port NAME'" explain dst 02:00:00:00:00:01
refused a 2 'where to?' explain port v1
refused a 2 "unknown word 'colour'" explain port v1 colour red
refused a 2 'is not a MAC address' explain port v1 dst nobody
refused a 2 'is no name that it knows' explain port v1 proto nonsense ip-dst 10.1.0.1
refused a 2 'tcp-flags are of TCP' explain port v1 proto udp tcp-flags syn ip-dst 10.1.0.1
refused a 2 'the headers alone have' explain port v1 dst 02:00:00:00:00:01 ip-dst 10.1.0.1 dport 80 length 40
refused a 2 'ARP is for IPv4' explain port v1 proto arp ip-dst fd00::1

refused a 1 "'tcp prot 80' is no filter" trace tcp prot 80 count 1

# captures
head -c 1000 /dev/urandom >"$WORK/garbage"
refused a 1 'this is no capture file' explain port v1 pcap "$WORK/garbage"
: >"$WORK/empty"
refused a 1 'this is no capture file: it is empty' explain port v1 pcap "$WORK/empty"
refused a 1 'cannot read /no/such' explain port v1 pcap /no/such
# pcap's file header: microseconds, version 2.4, snap length 65535, Ethernet; then frames of g1 to all
hex() { xxd -r -p; }
{
	echo d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
	for n in 1 2 3; do
		echo 00000000 00000000 3c000000 3c000000 ffffffffffff 02000000000"$n" 88b5 "${FILL:0:92}"
	done
} | tr -d ' \n' | hex >"$WORK/three"
refused a 2 'a capture has frames of its own' explain port v1 pcap "$WORK/three" dst 02:00:00:00:00:01
expect a '[["flood","02:00:00:00:00:01"],["flood","02:00:00:00:00:02"],["flood","02:00:00:00:00:03"]]' \
	'map([.verdict,.frame.src])' explain port v1 pcap "$WORK/three"
equal 3 "$(ctl a explain port v1 pcap - <"$WORK/three" | grep -c verdict)" "verdicts of a capture on standard input"
head -c 130 "$WORK/three" >"$WORK/cut"
refused a 1 'is broken behind packet 1' explain port v1 pcap "$WORK/cut"
