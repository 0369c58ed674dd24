#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two hosts, one network: every kind of traffic over the carrier and over weft's own encapsulation, over an
# IPv4 and an IPv6 underlay; while weftd is away; while peers and underlays come and go.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh
# shellcheck source=tests/system/overlay.sh
. tests/system/overlay.sh
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
BYTES=50000000
[ "$ENGINE" = ebpf ] || BYTES=20000000
SEGMENT=1398
all=csum,tso4,tso6

purged() { # nothing of weft is left after a purge
	local name
	for name in a b; do
		ctl $name host purge
		wait_for 5 node_ended $name
		equal '' "$(on $name ip -br link show type vxlan)" "VXLAN devices after purge"
	done
	pair_down
}

attach_both() { # attach_both OFFLOADS-1 OFFLOADS-2 MTU
	guest_tap a v1 v1 10.1.0.1/24 "$1" "$1"
	guest_tap b v2 v2 10.1.0.2/24 "$2" "$2"
	on v1 ip link set eth0 address 02:00:00:00:00:01 mtu "$3"
	on v2 ip link set eth0 address 02:00:00:00:00:02 mtu "$3"
	six v1 fd00::1
	six v2 fd00::2
}

detach_both() {
	guest_tap_end v1
	guest_tap_end v2
}

# Superpackets arrive uncut where both guests have them. dpdk cuts what it sends to a peer, and merges nothing that a wire
# has cut.
whole_tcp() { # whole_tcp HOST FROM TO ADDRESS OFFLOADS-FROM OFFLOADS-TO
	local before
	before=$(relay_stats "$3" .to_guest.frames)
	tcp "$2" "$3" "$4"
	if ! has "$5" tso4 || ! has "$6" tso4 || [ "$(engine_of "$1")" != ebpf ]; then return; fi
	if [ "$ENGINE $ENGINE_B" != "ebpf ebpf" ] && wire_cuts; then return; fi
	[ $(($(relay_stats "$3" .to_guest.frames) - before)) -lt $((BYTES / SEGMENT / 3)) ]
}

wire_cuts() {
	on a ethtool -k eth1 | grep -q 'tcp-segmentation-offload: off'
}

traffic() { # traffic WHAT OFFLOADS-1 OFFLOADS-2 MTU
	attach_both "$2" "$3" "$4"
	whole_tcp a v1 v2 10.1.0.2 "$2" "$3" || die "$1: superpackets were cut: $(relay_stats v2 .)"
	whole_tcp b v2 v1 10.1.0.1 "$3" "$2" || die "$1: superpackets were cut: $(relay_stats v1 .)"
	udp v1 v2 10.1.0.2 --size 1300
	has "$2" csum && udp v1 v2 10.1.0.2 --size 1300 --batch 40
	tcp v1 v2 fd00::2
	udp v2 v1 fd00::1 --size 1300
	healthy v1 v2
	echo "$1: v1 $(relay_stats v1 .), v2 $(relay_stats v2 .)"
	detach_both
}

nothing_dropped() {
	local host
	for host in a b; do
		equal 0 "$(json $host '[.[] | select(.hop != "port" and .reason != "no_destination").packets] | add // 0' drops show)" \
			"drops of $host: $(ctl $host drops show)"
	done
}

for mode in $(modes); do
	host_pair "$mode" 192.0.2.1 192.0.2.2 24
	expect a 1450 '.[0].mtu' network show blue
	equal 1450 "$(mtu_of a v1)" "the tap's MTU"
	traffic "$mode, all offloads" $all $all 1450
	traffic "$mode, none to all" none $all 1450
	for host in a b; do # a wire that segments: a NIC without tunnel offloads
		on $host ethtool -K eth1 tso off gso off tx off >/dev/null
	done
	traffic "$mode, a wire without offloads" $all $all 1450
	nothing_dropped

	# --- where everybody is, and who answers for whom
	attach_both $all $all 1450
	on v1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "$mode: no echo"
	mac=$(mac_of v2 eth0)
	expect a '[null,"b","learned"]' "[.[] | select(.mac == \"$mac\")][0] | [.port, .peer, .kind]" fdb show network blue
	expect a '["b"]' '[.[] | select(.ip == "10.1.0.2").peer]' neighbour show network blue
	flooded=$(json b '.[0].tx_packets' port show v2)
	before=$(json a '.[0].suppressed' network show blue)
	on v1 ip neigh flush dev eth0
	on v1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "$mode: no echo after the question was answered by weft"
	[ "$(json a '.[0].suppressed' network show blue)" -gt "$before" ] || die "$mode: weft answered no question"
	echo "$mode: frames to v2 while v1 asked: $(($(json b '.[0].tx_packets' port show v2) - flooded))"
	on v1 ping -c 1 -W 2 10.1.0.254 >/dev/null || die "$mode: the gateway does not answer on a"
	on v2 ping -c 1 -W 2 10.1.0.254 >/dev/null || die "$mode: the gateway does not answer on b"

	# --- weftd dies and comes back. With ebpf under a stream: nothing is lost, and questions are answered. The questions
	# are about another address than the stream's: forgetting that one throws away what waits for its answer in v1.
	# With dpdk the switch itself was away, and goes on.
	on v2 ip addr add 10.1.0.3/24 dev eth0
	answered() { on v1 ping -c 2 -i 0.1 -W 2 10.1.0.3 >/dev/null; }
	for host in a b a; do
		if [ "$(engine_of $host)" != ebpf ]; then
			node_kill $host
			weftd_again $host
			wait_for 10 answered
			continue
		fi
		stream_start restart v1 v2 10.1.0.2 --pps 5000
		node_kill $host
		on v1 ip neigh flush to 10.1.0.3 dev eth0
		answered || die "$mode: no echo while weftd $host is dead"
		weftd_again $host
		stream_stop restart
	done

	# --- a frame that does not fit is answered, whatever its sender leaves undone
	on v1 ip link set eth0 mtu 9000
	on a ip link set v1 mtu 9000
	for to in 10.1.0.2 fd00::2; do
		on v1 ip route flush cache
		got=$(on v1 ping -M "do" -c 2 -i 0.2 -s 1500 -W 1 $to 2>&1) || true
		[[ $got == *1450* ]] || die "$mode: no word of the MTU from $to: $got"
	done
	on v1 ip route flush cache
	tcp v1 v2 10.1.0.2
	on v1 ip route flush cache
	tcp v1 v2 fd00::2
	on a ip link set v1 mtu 1450
	detach_both
	purged
	echo "$mode: done"
done

# --- IPv6 outside
host_pair own 2001:db8::1 2001:db8::2 64
expect a 1430 '.[0].mtu' network show blue
traffic "IPv6 underlay" $all $all 1430
nothing_dropped
pair_down
