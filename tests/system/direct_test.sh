#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports with `direct`: a container's veth is passed by on the way to it, whatever it carries, and only while that works.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
# shellcheck source=tests/system/xdp.sh
. "$(dirname "$0")/xdp.sh"
BYTES=20000000 PPS=5000

direct_is() { # direct_is PORT VALUE
	wait_for 5 json_is a "[\"up\",$2]" '.[0] | [.state,.direct]' port show "$1"
}
passes_by() { # passes_by PORT GUEST ADDRESS: what GUEST sends to ADDRESS
	behind a "$1" 'icmp[icmptype] == icmp-echo' ten_pings "$2" "$3"
	equal 0 "$FRAMES" "echo requests from $2 to $3 seen at $1"
}
takes_queue() { # the ordinary way
	behind a "$1" 'icmp[icmptype] == icmp-echo' ten_pings "$2" "$3"
	equal 10 "$FRAMES" "echo requests from $2 to $3 seen at $1"
}

host_new a
host_start a
ctl a network add blue subnet 10.0.0.0/24 gateway 10.0.0.254 inner-tags on
for i in 1 2; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.0.0.$i/24"
done

# only for veths, and for an engine that has such a way
# shellcheck disable=SC2016
refused a 1 '`direct` is for ports of type device: a tap is no veth' port add t1 type tap network blue direct on
if [ "$ENGINE" != ebpf ]; then
	# shellcheck disable=SC2016
	refused a 1 'engine has no such way: leave `direct` out' port add c1 type device network blue direct on
	exit 0
fi
on a ip link add br0 type bridge
# shellcheck disable=SC2016
refused a 1 '`direct` is for veths, and br0 is none' port add br0 type device network blue direct on

# off unless it is said; either way all gets through
for i in 1 2; do
	ctl a port add "c$i" type device network blue
	direct_is "c$i" false
done
takes_queue c2 g1 10.0.0.2
for i in 1 2; do
	ctl a port set "c$i" direct on
	direct_is "c$i" true
done
passes_by c2 g1 10.0.0.2
passes_by c1 g2 10.0.0.1
tcp g1 g2 10.0.0.2
tcp g2 g1 10.0.0.1
udp g1 g2 10.0.0.2
ten_pings g1 10.0.0.254

# tags stay what they are
mac=$(mac_of g2 eth0)
tagged=${mac//:/}02000000000981003007""88b5$FILL
listen g2
behind a c2 'vlan 7' send g1 "$tagged"
equal 0 "$FRAMES" "tagged frames seen at c2"
send g1 "${END}020000000009""88b5$FILL"
listened g2
equal 1 "$(grep -c "$tagged" "$WORK/got-g2")" "tagged frames that g2 got: $(cat "$WORK/got-g2")"

# a second machine behind the same veth has an address of its own: it is not taken for the first
on g2 ip link add link eth0 name mac0 type macvlan mode bridge
guest_new g3
on g2 ip link set mac0 netns "$(netns g3)" name eth0
on g3 ip addr add 10.0.0.3/24 dev eth0
on g3 ip link set eth0 up
takes_queue c2 g1 10.0.0.3
tcp g1 g3 10.0.0.3
tcp g3 g1 10.0.0.1

# on and off under traffic, and weftd's death
stream_start change g1 g2 10.0.0.2 --pps $PPS --size 200
for _ in {1..5}; do
	ctl a port set c2 direct off
	direct_is c2 false
	ctl a port set c2 direct on
	direct_is c2 true
done
host_kill a
passes_by c2 g1 10.0.0.2
host_start a
direct_is c2 true
stream_stop change
passes_by c2 g1 10.0.0.2

# the other end goes away and comes back, with another address
on g2 ip link set eth0 down
expect a '["down",false]' '.[0] | [.state,.direct]' port show c2
on g2 ip link set eth0 address 02:00:00:00:02:02
on g2 ip link set eth0 up
on g1 ip neigh flush dev eth0
direct_is c2 true
passes_by c2 g1 10.0.0.2

# what would be passed by, or cannot be reached so, goes the ordinary way, and it is said
on g2 ip link set eth0 down
on g2 ip link set dev eth0 xdp obj "$BUILD/bpf/weft_steer.bpf.o" sec xdp
on g2 ip link set eth0 up
direct_is c2 false
why_says a c2 'not direct: its other end runs an XDP program'
on g2 ip link set dev eth0 xdp off
on g2 ip link set eth0 down
on g2 ip link set eth0 up
direct_is c2 true
on a ip link add c4 type veth peer name d4
on a ip link set d4 up
ctl a port add c4 type device network blue direct on
direct_is c4 false
why_says a c4 'not direct: its other end is in the same network namespace'
guest_new g4
on a ip link set d4 netns "$(netns g4)" name eth0
on g4 ip addr add 10.0.0.4/24 dev eth0
on g4 ip link set eth0 up
direct_is c4 true
passes_by c4 g1 10.0.0.4

# a service, from outside and back
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add 203.0.113.10 dev eth0
server g2
for i in 1 2; do on "g$i" ip route add default via 10.0.0.254; done
ctl a port add up0 type device dev up0 direct on
ctl a service add shop vip 203.0.113.10 port 80 proto tcp network blue mode nat uplink up0
ctl a backend add shop address 10.0.0.2 port 8080
wait_for 5 json_is a 1 '.[0].serving' service show shop
for mode in nat host-dsr; do
	ctl a service set shop mode $mode
	for device in c2 up0; do
		behind a $device 'tcp and src port 80 or dst port 8080' \
			answered "g2 $([ $mode = nat ] && echo 10.0.0.254 || echo 198.51.100.7)" out 203.0.113.10
		equal 0 "$FRAMES" "frames of the service that went the ordinary way by $device, mode $mode"
	done
done

# from another host, over the overlay
host_new b
host_start b
wire a w0 b w0 1600
on a ip addr add 192.0.2.1/24 dev w0
on b ip addr add 192.0.2.2/24 dev w0
for host in a b; do ctl $host host set address "192.0.2.$([ $host = a ] && echo 1 || echo 2)"; done
ctl b network add blue vni 7 mtu 1500 inner-tags on
ctl a network set blue vni 7 mtu 1500
ctl a peer add b address 192.0.2.2
ctl b peer add a address 192.0.2.1
guest_new h1
guest_veth b h1 c1 10.0.0.11/24
ctl b port add c1 type device network blue direct on
passes_by c2 h1 10.0.0.2
tcp h1 g2 10.0.0.2
tcp g2 h1 10.0.0.11
udp h1 g2 10.0.0.2
