#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The underlay: the ways to a peer follow the kernel's routes, neighbours, devices and MTUs.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

# a has two devices, both to the router r; peers are addresses on r or behind it.
host_new a
host_new r
for i in 0 1; do
	on a ip link add "e$i" address "02:00:00:00:0a:0$i" type veth peer name "e$i" netns "$(netns r)"
	on r ip link set "e$i" address "02:00:00:00:0b:0$i" up
	on a ip link set "e$i" up
	on a ip addr add "10.0.$i.1/24" dev "e$i"
	on r ip addr add "10.0.$i.254/24" dev "e$i"
done
on a ip addr add 192.0.2.1/32 dev lo
on a ip addr add fd02::1/128 dev lo
on r ip addr add 192.0.2.2/32 dev lo

underlay() { # underlay WANTED FILTER PEER: until it is so
	wait_for 15 json_is a "$1" ".[0] | $2" peer show "$3"
}

rows() { # next hops in the engine's table, those of all peers
	wait_for 5 json_is a "$1" '.[0].tables[] | select(.table == "nexthop").used' host show
}

MACS='[.nexthops[].mac] | map(.[-2:])'

host_start a
ctl a network add blue vni 100
ctl a peer add h2 address 192.0.2.2
ctl a host set address 192.0.2.9
underlay 'no device of this host has its address 192.0.2.9' .why h2
ctl a host set address 192.0.2.1
underlay '[[],[],null,"down","no route to 192.0.2.2"]' '[.devices,.nexthops,.mtu,.state,.why]' h2
rows 0

# through a router, then through both of its devices; the kernel keeps the neighbour alive
on a ip route add 192.0.2.0/24 via 10.0.0.254
underlay '[["e0"],[{"device":"e0","gateway":"10.0.0.254","mac":"02:00:00:00:0b:00"}],1500,"up"]' \
	'[.devices,.nexthops,.mtu,.state]' h2
managed() { # managed COUNT ADDRESS: how many of them
	[ "$(on a ip neigh show to "$2" | grep -c managed)" = "$1" ]
}
wait_for 5 managed 1 10.0.0.254
on a ip route replace 192.0.2.0/24 nexthop via 10.0.0.254 nexthop via 10.0.1.254
underlay '[["e0","e1"],["00","01"],null]' "[.devices,($MACS),.why]" h2
rows 2

# on link; the other peer keeps its ways
ctl a peer add direct address 10.0.1.254
underlay '[["e1"],[{"device":"e1","gateway":null,"mac":"02:00:00:00:0b:01"}],null]' \
	'[.devices,.nexthops,.why]' direct
ctl a peer set direct address 10.0.0.254
underlay '["e0"]' .devices direct
rows 3
ctl a peer del direct

# unequal weights, as nexthop objects and as a route of its own
on a ip nexthop add id 1 via 10.0.0.254 dev e0
on a ip nexthop add id 2 via 10.0.1.254 dev e1
on a ip nexthop add id 3 group 1,3/2,1
on a ip route add 192.0.2.2 nhid 3
rows 4
on a sysctl -q -w net.ipv4.nexthop_compat_mode=0 # the route does not tell its next hops
on a ip nexthop replace id 3 group 1,2/2,1
underlay 1 '.nexthops | length' h2
on a sysctl -q -w net.ipv4.nexthop_compat_mode=1
on a ip route del 192.0.2.2
on a ip nexthop flush >/dev/null
underlay '["00","01"]' "$MACS" h2

# a neighbour that is another machine now, one that is gone, and one that answers again
on r ip link set e1 address 02:00:00:00:0b:11
on a ip neigh flush dev e1
underlay '["00","11"]' "$MACS" h2
on r ip link set e1 down
underlay '[["00",null],"up",null]' "[($MACS),.state,.why]" h2
rows 1
on r ip link set e0 down
underlay '[[null,null],"down","e0 is down"]' "[($MACS),.state,.why]" h2
on r ip link set e0 up arp off
underlay '[[null,null],"the neighbour 10.0.0.254 on e0 does not answer"]' "[($MACS),.why]" h2
on r ip link set e0 arp on
on r ip link set e1 up
underlay '[["00","11"],"up",null]' "[($MACS),.state,.why]" h2

# a static neighbour is its owner's
on a ip neigh replace 10.0.1.254 dev e1 lladdr 02:00:00:00:0b:12 nud permanent
underlay '["00","12"]' "$MACS" h2
on a ip route replace 192.0.2.0/24 via 10.0.0.254
underlay '["00"]' "$MACS" h2
equal 1 "$(on a ip neigh show 10.0.1.254 dev e1 nud permanent | wc -l)" "static neighbour"
on a ip neigh del 10.0.1.254 dev e1

# mtu: the smaller one of device and route
on a ip link set e0 mtu 1600
underlay 1600 .mtu h2
on a ip route replace 192.0.2.0/24 via 10.0.0.254 mtu 1400
underlay 1400 .mtu h2
on a ip link set e0 mtu 1300
underlay 1300 .mtu h2
on a ip link set e0 mtu 1500
on a ip route replace 192.0.2.0/24 via 10.0.0.254
underlay 1500 .mtu h2

# weftd comes back: what was managed stays so; what is not needed any more is given back
host_kill a
on a ip route replace 192.0.2.0/24 via 10.0.1.254
host_start a
underlay '["11"]' "$MACS" h2
wait_for 5 managed 1 10.0.1.254
wait_for 5 managed 0 10.0.0.254

# a device that is not Ethernet is a way, but none that weft can take itself
on a ip route replace 192.0.2.0/24 dev lo
why=null # the carrier goes there; another engine has none
[ "$ENGINE" != dpdk ] || why='"the way leads over lo, which is no plain Ethernet device: the dpdk engine cannot send there"'
underlay '[["lo"],[{"device":"lo","gateway":null,"mac":null}],'"$why"']' '[.devices,.nexthops,.why]' h2
rows 0
on a ip route del 192.0.2.0/24
underlay 'no route to 192.0.2.2' .why h2

# IPv6, and an IPv4 route through an IPv6 gateway
for i in 0 1; do
	for host in a r; do
		on "$host" sysctl -q -w "net.ipv6.conf.e$i.accept_dad=0" "net.ipv6.conf.e$i.disable_ipv6=0"
	done
	on a ip addr add "fd00:$i::1/64" dev "e$i" nodad
	on r ip addr add "fd00:$i::254/64" dev "e$i" nodad
done
on a ip route replace 192.0.2.0/24 via inet6 fd00:1::254
underlay '[["fd00:1::254"],["11"],null]' "[[.nexthops[].gateway],($MACS),.why]" h2
ctl a peer del h2
ctl a host set address fd02::1
ctl a peer add h6 address fd02::2
underlay 'no route to fd02::2' .why h6
on a ip -6 route add fd02::2 mtu 1350 nexthop via fd00:0::254 nexthop via fd00:1::254
underlay '[["e0","e1"],["fd00::254","fd00:1::254"],["00","11"],1350,null]' \
	"[.devices,[.nexthops[].gateway],($MACS),.mtu,.why]" h6
rows 2

# purged: the neighbours are the kernel's own again
managed 1 fd00:1::254 || die "fd00:1::254 is not kept alive"
ctl a host purge
wait_for 5 managed 0 fd00:1::254
wait_for 5 managed 0 fd00:0::254
