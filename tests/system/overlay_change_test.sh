#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An overlay while things change: routes, addresses, peers that go and come, frames of every size, and rubbish on the
# underlay beside good traffic.
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
BYTES=10000000
all=csum,tso4,tso6

# Two wires between the hosts; the VTEPs' addresses are on neither of them.
cat >"$WORK/lab.yaml" <<END
name: "$$"
topology:
  nodes:
    a:
      kind: host
      engine: $(engine_of a)
      addresses: {eth1: [10.0.1.1/30], eth2: [10.0.2.1/30]}
      objects:
        host: {address: 192.0.2.1}
        networks: [{name: blue, vni: 100, mtu: 1450}]
        peers: [{name: b, address: 192.0.2.2}]
        ports: [{name: v1, type: tap, network: blue}]
    b:
      kind: host
      engine: $(engine_of b)
      addresses: {eth1: [10.0.1.2/30], eth2: [10.0.2.2/30]}
      objects:
        host: {address: 192.0.2.2}
        networks: [{name: blue, vni: 100, mtu: 1450}]
        peers: [{name: a, address: 192.0.2.1}]
        ports: [{name: v2, type: tap, network: blue}]
  links:
    - endpoints: ["a:eth1", "b:eth1"]
    - endpoints: ["a:eth2", "b:eth2"]
END
pair_up "$WORK/lab.yaml"
on a ip addr add 192.0.2.1/32 dev lo
on b ip addr add 192.0.2.2/32 dev lo
route() { # route HOST PEER-ADDRESS WORDS...
	on "$1" ip route replace "$2/32" src "192.0.2.$([ "$1" = a ] && echo 1 || echo 2)" "${@:3}"
}
route a 192.0.2.2 via 10.0.1.2
route b 192.0.2.1 via 10.0.1.1
for i in 1:a 2:b; do
	guest_tap "${i#*:}" "v${i%:*}" "v${i%:*}" "10.1.0.${i%:*}/24" $all $all
	on "v${i%:*}" ip link set eth0 mtu 1450
done
arrives() {
	on v1 ping -n -q -c 1 -W 1 10.1.0.2 >/dev/null
}
wait_for 5 arrives

hops() { # hops HOST PEER: devices of the ways that have a MAC
	json "$1" '[.[0].nexthops[] | select(.mac).device] | sort | join(" ")' peer show "$2"
}
hops_are() {
	[ "$(hops "$1" "$2")" = "$3" ]
}

# --- routes change under a stream: to the other wire, over both, back. Nothing is lost.
wait_for 5 hops_are a b eth1
stream_start routes v1 v2 10.1.0.2 --pps 5000
route a 192.0.2.2 via 10.0.2.2
wait_for 5 hops_are a b eth2
route b 192.0.2.1 via 10.0.2.1
wait_for 5 hops_are b a eth2
route a 192.0.2.2 nexthop via 10.0.1.2 nexthop via 10.0.2.2
wait_for 5 hops_are a b "eth1 eth2"
route a 192.0.2.2 via 10.0.1.2
wait_for 5 hops_are a b eth1
stream_stop routes

# --- weftd is away (dpdk forwards nothing then): after five seconds the carrier takes all, so that a next hop that changes does no harm
if [ "$ENGINE" = ebpf ]; then
	carried() { # carried MORE-THAN
		[ "$(on a ip -j -s link show weft-carrier | jq '.[0].stats64.tx.packets')" -gt "$1" ]
	}
	before=$(on a ip -j -s link show weft-carrier | jq '.[0].stats64.tx.packets')
	stream_start away v1 v2 10.1.0.2 --pps 5000
	node_kill a
	wait_for 10 carried $((before + 1000))
	stream_stop away
	on b ip link set eth1 address 02:00:00:00:77:01
	on a ip neigh flush dev eth1
	wait_for 5 arrives
	weftd_again a
	wait_for 5 hops_are a b eth1
	wait_for 5 arrives
fi

# --- ECMP: flows spread over both wires, each flow on one
route a 192.0.2.2 nexthop via 10.0.1.2 nexthop via 10.0.2.2
wait_for 5 hops_are a b "eth1 eth2"
sent() { # sent DEVICE
	on a ip -j -s link show "$1" | jq '.[0].stats64.tx.packets'
}
before1=$(sent eth1)
before2=$(sent eth2)
for _ in $(seq 32); do # each from another source port
	stream_start flow v1 v2 10.1.0.2 --pps 5000 --count 50
	stream_wait flow
done
one=$(($(sent eth1) - before1))
two=$(($(sent eth2) - before2))
between 300 10000 $one "packets of 32 flows on eth1"
between 300 10000 $two "packets of 32 flows on eth2"
echo "ECMP: $one packets on eth1, $two on eth2"
route a 192.0.2.2 via 10.0.1.2

# --- a way that is gone: the next one carries on
route a 192.0.2.2 via 10.0.2.2 metric 200
on a ip link set eth1 down
wait_for 5 hops_are a b eth2
route b 192.0.2.1 via 10.0.2.1
wait_for 5 arrives
on a ip link set eth1 up

# --- the VTEP's address changes
on a ip addr add 192.0.2.11/32 dev lo
on b ip route replace 192.0.2.11/32 via 10.0.2.1 src 192.0.2.2
ctl a host set address 192.0.2.11
ctl b peer set a address 192.0.2.11
wait_for 5 arrives
tcp v1 v2 10.1.0.2

# --- a peer vanishes, its address too: it is said, and it comes back by itself
on b ip link set eth2 down
! on v1 ping -n -q -c 2 -i 0.2 -W 1 10.1.0.2 >/dev/null || die "an answer from behind a dead wire"
on b ip link set eth2 up
route b 192.0.2.11 via 10.0.2.1
wait_for 20 arrives
ctl a peer del b
! on v1 ping -n -q -c 2 -i 0.2 -W 1 10.1.0.2 >/dev/null || die "an answer from a peer that was deleted"
expect a '[]' '[.[] | select(.peer)]' fdb show
expect a '[]' '[.[] | select(.peer)]' neighbour show
ctl a peer add b address 192.0.2.2
wait_for 5 arrives

# --- frames of every size arrive, whatever the two ends believe their MTU to be
on a ip link set v1 mtu 9000
on b ip link set v2 mtu 9000
for mtu in 1200 1400 1449 1450 1451 1500 2000 4000 9000; do
	on v1 ip link set eth0 mtu "$mtu"
	on v2 ip link set eth0 mtu "$mtu"
	on v1 ip route flush cache
	on v2 ip route flush cache
	tcp v1 v2 10.1.0.2
	tcp v2 v1 10.1.0.1
done
for guest in v1 v2; do on $guest ip link set eth0 mtu 1450; done

# --- no more reordering with weft's own path than without: a stream of small writes beside datagrams. dpdk has but one
# path; TCP that fills its queues loses segments there, which the same counter counts.
reordered() { # reordered MODE
	ctl a network set blue overlay "$1"
	ctl b network set blue overlay "$1"
	on v2 nstat -n >/dev/null
	stream_start small v1 v2 10.1.0.2 --pps 3000
	for _ in 1 2 3; do tcp v1 v2 10.1.0.2 >/dev/null; done
	stream_stop small
	on v2 nstat -a -s -z 2>/dev/null | awk '$1 == "TcpExtTCPOFOQueue" { print $2 }'
}
if [ "$ENGINE" = ebpf ]; then
	carrier=$(reordered carrier)
	own=$(reordered own)
	echo "segments out of order: carrier $carrier, own $own"
	[ "$own" -le $((carrier + 2)) ] || die "weft's own path puts TCP out of order: $own segments, $carrier without"
fi

# --- rubbish on the underlay: nothing is lost beside it, nobody dies
guest_new x
GUESTS+=(x)
on a ip link add evil type veth peer name eth0 netns "$(netns x)"
on a ip addr add 198.51.100.1/24 dev evil
on a ip link set evil up
on x ip link set eth0 up
stream_start beside v2 v1 10.1.0.1 --pps 5000
for from in 192.0.2.2 203.0.113.9; do
	"$TOOLS/malform" --netns "$(netns x)" --dev eth0 --to-mac "$(mac_of a evil)" --from-mac "$(mac_of x eth0)" \
		--from $from --to 192.0.2.11 --count 10000 --pps 20000 --seed "${from//./}" >"$WORK/malform"
	equal 10000 "$(jq .sent "$WORK/malform")" "malformed frames sent"
done
stream_stop beside
[ "$(json a '[.[] | select(.port == null and .peer == null).packets] | add // 0' drops show)" -gt 5000 ] ||
	die "the malformed frames are not in: $(ctl a drops show)"
ctl a drops show
pair_down
