#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Netdevs by AF_XDP: ports and underlay devices, what stays the host's, what falls back, changes under traffic, death.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/xdp.sh
. "$(dirname "$0")/xdp.sh"
BYTES=20000000

reaches() { # reaches GUEST ADDRESS
	on "$1" ping -q -c 3 -i 0.05 -W 2 "$2" >"$WORK/ping" || die "$1 does not reach $2: $(cat "$WORK/ping")"
}
tags_pass() { # between g3 on the trunk and g1; a frame of g3 without a tag does not
	local frame=88b5$FILL
	listen g1 --match 12:88b5
	send g3 "ffffffffffff020000000003$frame" "ffffffffffff02000000000381000007$frame"
	send g3 "${END}02000000000381000007$frame"
	listened g1
	equal "ffffffffffff020000000003$frame" "$(cat "$WORK/got-g1")" "what g1 got"
	listen g3 --match 16:88b5
	send g1 "ffffffffffff020000000001$frame" "${END}020000000001$frame"
	listened g3
	equal "ffffffffffff02000000000181000007$frame" "$(cat "$WORK/got-g3")" "what g3 got"
}

host_new a
host_start a
ctl a network add blue
for i in 1 2; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.0.0.$i/24"
done
finish_all g1
finish_all g2

# off for virtual devices, unless it is said
ctl a port add c1 type device network blue
driver_is a c1 packet
no_program_on a c1 || die "a veth was taken by AF_XDP, and nobody said so"
ctl a port del c1
ctl a port add c1 type device network blue xdp on
ctl a port add c2 type device network blue xdp on
for port in c1 c2; do
	driver_is a $port xdp
	program_on a $port || die "no XDP program on $port"
	why_says a $port "the other end of $port"
done
reaches g1 10.0.0.2
tcp g1 g2 10.0.0.2
tcp g2 g1 10.0.0.1
udp g1 g2 10.0.0.2
# shellcheck disable=SC2016
refused a 1 '`xdp` is for ports of type device' port add t1 type tap network blue xdp on

# without a descriptor more it says just that, whatever step it is that wants one
guest_new g5
guest_veth a g5 c5
weftd=${HOST_PID[a]}
before=$(prlimit --pid "$weftd" --nofile --output SOFT --noheadings)
least=$(find "/proc/$weftd/fd" -mindepth 1 | wc -l)
refusals=0
for ((limit = least + 3; limit < least + 40; limit++)); do
	prlimit --pid "$weftd" --nofile="$limit:"
	said=$(ctl a port add c5 type device network blue xdp on 2>&1) || true
	prlimit --pid "$weftd" --nofile="$before:"
	[ "$said" ] || said=$(json a '.[0] | .driver + " " + (.why // "")' port show c5)
	ctl a port del c5 2>/dev/null || true
	case $said in "xdp "*) break ;; *LimitNOFILE*) refusals=$((refusals + 1)) ;; *) die "with $limit descriptors: $said" ;; esac
done
between 1 36 $refusals "refusals before there were enough descriptors"

# on and off under traffic: it goes on, and the host's stack hears nothing of it
heard() {
	# shellcheck disable=SC2016
	on a awk '/^Ip:/ && n++ { print $4 }' /proc/net/snmp
}
before=$(heard)
on g1 ping -q -b -i 0.002 -w 60 10.0.0.255 >/dev/null 2>&1 &
helper $!
pinging=$!
tcp g1 g2 10.0.0.2 &
transfer=$!
for _ in {1..10}; do
	ctl a port set c1 xdp off
	driver_is a c1 packet
	no_program_on a c1 || die "the program stayed"
	ctl a port set c1 xdp on
	driver_is a c1 xdp
done
wait $transfer
kill $pinging
equal "$before" "$(heard)" "IP packets that the host's stack has received"
ctl a port set c1 xdp none
driver_is a c1 packet
ctl a port set c1 xdp on

# a trunk with `host on`: its tags are weft's, the rest is the host's. An end in sight is looked at.
guest_new g3
on a ip link add c3 type veth peer name p3
on a ip link set c3 up
on a ip link set p3 up
ctl a port add c3 type device trunk blue:7 host on xdp on
driver_is a c3 xdp
why_says a c3 "ethtool -K p3 tx off txvlan off"
on a ethtool -K p3 tx off txvlan off >/dev/null
expect a null '.[0].why' port show c3
on a ip link set p3 name eth0 netns "$(netns g3)"
finish_all g3
on g3 ip link set eth0 up
on a ip addr add 192.0.2.1/24 dev c3
on g3 ip addr add 192.0.2.3/24 dev eth0
wait_for 5 json_is a up '.[0].state' port show c3
reaches g3 192.0.2.1
tags_pass

# what cannot be is taken by packet sockets, and says why
guest_new g4
guest_veth a g4 c4 10.0.0.4/24
on g4 ip link set eth0 mtu 9000
on a ip link set c4 mtu 9000
ctl a port add c4 type device network blue xdp on
driver_is a c4 packet
why_says a c4 "by packet sockets, not by AF_XDP: its MTU"
reaches g4 10.0.0.1
on g4 ip link set eth0 mtu 1500
on a ip link set c4 mtu 1500
ctl a port set c4 xdp off
expect a null '.[0].why' port show c4

# a device that is given more queues: each has a socket soon, and with too many it says so
guest_new g6
on a ip link add c6 numrxqueues 18 numtxqueues 18 type veth peer name eth0 netns "$(netns g6)" numtxqueues 18
on g6 ethtool -L eth0 tx 1
on a ethtool -L c6 rx 1 tx 1
on a ip link set c6 up
on g6 ip link set eth0 up
ctl a port add c6 type device network blue xdp on
driver_is a c6 xdp
flows=()
for port in {10..49}; do # of UDP, from these and to one
	flows+=("ffffffffffff02000000000608004500003000000000401100000a0000060a00000110${port}1389001c0000$FILL")
done
all_heard() {
	local before
	before=$(json a '.[0].rx_packets' port show c6)
	send g6 "${flows[@]}"
	for _ in {1..10}; do
		! json_is a $((before + 40)) '.[0].rx_packets' port show c6 || return 0
		sleep 0.02
	done
	return 1
}
for queues in 4 16 18; do
	on a ethtool -L c6 rx "$queues" tx "$queues"
	on g6 ethtool -L eth0 tx "$queues"
	wait_for 5 all_heard
	driver_is a c6 "$([ $queues = 18 ] && echo packet || echo xdp)"
done
why_says a c6 "more than 16 queues"
ctl a port del c6

# somebody else's program: not for a new port, and not in the place of an old one, which lives on
on a ip link set dev c4 xdp obj "$BUILD/bpf/weft_steer.bpf.o" sec xdp
ctl a port set c4 xdp on
driver_is a c4 packet
why_says a c4 "somebody else"
reaches g4 10.0.0.1
ctl a port set c4 xdp off
ctl a port del c4
refused a 1 "ip link set dev c4 xdp off" port add c4 type device network blue xdp on
on a ip link set dev c4 xdp off
ctl a port add c4 type device network blue xdp on
driver_is a c4 xdp
finish_all g4
reaches g4 10.0.0.1

# however weftd ends, nothing of it stays, and it starts again
host_kill a
for port in c1 c2 c3 c4; do
	wait_for 5 no_program_on a $port
done
reaches g3 192.0.2.1
host_start a
for port in c1 c2 c3 c4; do driver_is a $port xdp; done
reaches g1 10.0.0.2
reaches g3 192.0.2.1
tags_pass
ctl a port del c4
no_program_on a c4 || die "the program of a deleted port stayed"

# the underlay: as the configuration says; a device of it that becomes a port is weft's own, and goes back
underlay_up finish_all 198.51.100.
reaches h1 10.0.0.1
tcp h1 g1 10.0.0.1
tcp g1 h1 10.0.0.11
reaches_host() { on a ping -q -c 1 -W 1 198.51.100.2 >/dev/null; }
wait_for 5 reaches_host
for word in on off; do
	ctl a port add w0 type device trunk blue:7 host on xdp $word
	driver_is a w0 "$([ $word = on ] && echo xdp || echo packet)"
	reaches g1 10.0.0.11
	wait_for 5 reaches_host
	ctl a port del w0
	wait_for 5 program_on a w0
	reaches g1 10.0.0.11
done
# a program of somebody else there: packet sockets do
host_stop a
wait_for 5 no_program_on a w0
on a ip link set dev w0 xdp obj "$BUILD/bpf/weft_steer.bpf.o" sec xdp
host_start a --config "$WORK/xdp.yaml"
reaches g1 10.0.0.11
expect a '[["w0","packet",true]]' '.[0].underlay_drivers | map([.device,.driver,(.why | contains("somebody else"))])' host show
# and from there to a port
on a ip link set dev w0 xdp off
ctl a port add w0 type device trunk blue:7 host on
driver_is a w0 packet
reaches g1 10.0.0.11
wait_for 5 reaches_host
