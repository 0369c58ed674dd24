#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# XDP in front of TC: what it takes, what it leaves to TC, that nothing is counted twice, changes under traffic, death.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = ebpf ] || skip "needs the ebpf engine: with dpdk, xdp_test is about AF_XDP"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/xdp.sh
. "$(dirname "$0")/xdp.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
BYTES=20000000 PPS=5000

takes_all() { # takes_all GUEST [DEVICE]: it leaves nothing to be done later, and takes what XDP sends it
	finish_all "$@"
	on "$1" ethtool -K "${2:-eth0}" gro on >/dev/null
}
tags_are() { # tags_are DEVICE on|off: may its driver take them out of the bytes?
	on a ethtool -k "$1" | grep -q "^rx-vlan-offload: $2" || die "$1: not $2: $(on a ethtool -k "$1" | grep rx-vlan)"
}

count_of() { # count_of PORT COUNTER
	json a ".[0].$2" port show "$1"
}

host_new a
host_start a
ctl a network add blue subnet 10.0.0.0/24 gateway 10.0.0.254
for i in 1 2 3; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.0.0.$i/24"
	takes_all "g$i"
done

# off for virtual devices, unless it is said
ctl a port add c1 type device network blue
driver_is a c1 tc
no_program_on a c1 || die "a veth was given XDP, and nobody said so"
ctl a port del c1
for i in 1 2; do
	ctl a port add "c$i" type device network blue xdp on
	driver_is a "c$i" xdp
	program_on a "c$i" || die "no XDP program on c$i"
	why_says a "c$i" "the other end of c$i"
	tags_are "c$i" off
done
ctl a port add c3 type device network blue
# shellcheck disable=SC2016
refused a 1 '`xdp` is for ports of type device' port add t1 type tap network blue xdp on

# between two of them XDP does it all; to the third, and to the gateway, TC does
ten_pings g1 10.0.0.2
ten_pings g1 10.0.0.3
ten_pings g1 10.0.0.254
for to in 2:0 3:10 254:10; do
	rx=$(count_of c1 rx_packets) tx=$(count_of c2 tx_packets)
	behind a c1 'icmp[icmptype] == icmp-echo' ten_pings g1 "10.0.0.${to%:*}"
	equal "${to#*:}" "$FRAMES" "echo requests to 10.0.0.${to%:*} that XDP left to TC"
	between 10 14 $(($(count_of c1 rx_packets) - rx)) "frames counted from g1 to 10.0.0.${to%:*}"
	[ "${to%:*}" != 2 ] || between 10 14 $(($(count_of c2 tx_packets) - tx)) "frames counted to g2"
done
behind a c1 tcp tcp g1 g2 10.0.0.2
equal 0 "$FRAMES" "frames of TCP between two that XDP left to TC"
tcp g2 g1 10.0.0.1
tcp g1 g3 10.0.0.3
tcp g3 g1 10.0.0.1
udp g1 g2 10.0.0.2
udp g1 g3 10.0.0.3

# a drop is XDP's, and counted once
before=$(json a 'map(select(.reason == "tag_on_access" and .port == "c1").packets) | add // 0' drops show)
frame=0200000000090200000000018100006488b5$FILL
behind a c1 'vlan 100' send g1 "$frame" "$frame" "$frame"
equal 0 "$FRAMES" "dropped frames that XDP left to TC"
expect a $((before + 3)) 'map(select(.reason == "tag_on_access" and .port == "c1").packets) | add' drops show

# off and on under traffic: no datagram is lost
stream_start on g1 g2 10.0.0.2 --pps $PPS --size 200
for _ in {1..5}; do
	ctl a port set c2 xdp off
	driver_is a c2 tc
	no_program_on a c2 || die "the program stayed"
	ctl a port set c2 xdp on
	driver_is a c2 xdp
done
stream_stop on

# weftd dies, and XDP goes on; the next one takes it over, and a clean end leaves nothing
ten_pings g1 10.0.0.2
stream_start death g1 g2 10.0.0.2 --pps $PPS --size 200
host_kill a
behind a c1 'icmp[icmptype] == icmp-echo' ten_pings g1 10.0.0.2
equal 0 "$FRAMES" "echo requests that XDP left to TC without weftd"
host_start a
for i in 1 2; do
	driver_is a "c$i" xdp
	program_on a "c$i" || die "no XDP program on c$i"
done
driver_is a c3 tc
stream_stop death
behind a c1 'icmp[icmptype] == icmp-echo' ten_pings g1 10.0.0.2
equal 0 "$FRAMES" "echo requests that XDP left to TC after a restart"
ctl a port set c1 mac-limit 100 # a change of another word
driver_is a c1 xdp

# what cannot be is done by TC, and says why
guest_new g4
guest_veth a g4 c4 10.0.0.4/24
on g4 ip link set eth0 mtu 9000
on a ip link set c4 mtu 9000
ctl a port add c4 type device network blue xdp on
driver_is a c4 tc
why_says a c4 'by TC alone, not by XDP: its driver refused the program: a smaller MTU'
tags_are c4 on
ten_pings g4 10.0.0.1
on g4 ip link set eth0 mtu 1500
on a ip link set c4 mtu 1500
ctl a port set c4 xdp off
on a ip link set dev c4 xdp obj "$BUILD/bpf/weft_steer.bpf.o" sec xdp
ctl a port set c4 xdp on
driver_is a c4 tc
why_says a c4 'somebody else'
on a ip link set dev c4 xdp off
ctl a port del c4
no_program_on a c4 || die "the program of a deleted port stayed"

# a service: from an uplink to the machine that serves and back, in XDP alone
guest_new out
guest_veth a out up0 198.51.100.7/24
takes_all out
on out ip route add 203.0.113.10 dev eth0
server g2
for i in 1 2; do on "g$i" ip route add default via 10.0.0.254; done
ctl a port add up0 type device dev up0 xdp on
driver_is a up0 xdp
ctl a service add shop vip 203.0.113.10 port 80 proto tcp network blue mode nat uplink up0
ctl a backend add shop address 10.0.0.2 port 8080
wait_for 5 json_is a 1 '.[0].serving' service show shop
for mode in nat host-dsr; do
	ctl a service set shop mode $mode
	answered "g2 $([ $mode = nat ] && echo 10.0.0.254 || echo 198.51.100.7)" out 203.0.113.10
	behind a up0 tcp answered "g2 $([ $mode = nat ] && echo 10.0.0.254 || echo 198.51.100.7)" out 203.0.113.10
	equal 0 "$FRAMES" "frames to the service that XDP left to TC, mode $mode"
done

# what is the host's goes on to it, and is counted once
on a ip addr add 198.51.100.1/24 dev up0
ten_pings out 198.51.100.1
rx=$(count_of up0 rx_packets)
ten_pings out 198.51.100.1
between 10 14 $(($(count_of up0 rx_packets) - rx)) "frames counted to the host"

# what XDP takes is observed, too
ctl a latency reset
ctl a port set c1 sample 1
ten_pings g1 10.0.0.2
observed() {
	ctl a -j latency show port c1 |
		jq -e 'any(.[]; .from == "c1" and .to == "c2" and .hop == "residence" and .count >= 10 and .min_ns > 0)' >/dev/null
}
observed || die "latency of c1: $(ctl a -j latency show port c1)"

# the underlay: as the configuration says
underlay_up takes_all 192.0.2.
ten_pings h1 10.0.0.1
inner_echo='udp port 4789 and udp[28:2] == 0x800 and udp[39] == 1' # a guest's first multicast is flooded, by TC
behind a w0 "$inner_echo" ten_pings g1 10.0.0.11
equal 0 "$FRAMES" "frames between hosts that XDP left to TC"
behind a w0 "$inner_echo" ten_pings g3 10.0.0.11
[ "$FRAMES" -ge 10 ] || die "$FRAMES frames between hosts were seen of ten that TC sends"
tcp h1 g1 10.0.0.1
tcp g1 h1 10.0.0.11
udp g1 h1 10.0.0.11
udp h1 g3 10.0.0.3

# nothing of it stays
ctl a host purge >/dev/null
for device in c1 c2 up0 w0; do
	no_program_on a $device || die "an XDP program stayed on $device"
	tags_are $device on
done
