#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One service on two hosts, a backend on each: asked from both, and from outside; nat and host-dsr.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
VIP=203.0.113.10

host_new a
host_new b
wire a wa b wb 1600
on a ip addr add 192.0.2.1/24 dev wa
on b ip addr add 192.0.2.2/24 dev wb
for h in a b; do
	host_start $h
	[ $h = a ] && here=1 there=2 || here=2 there=1
	ctl $h host set address "192.0.2.$here"
	ctl $h peer add other address "192.0.2.$there"
	ctl $h network add blue vni 100 mtu 1500 subnet 10.1.0.0/24 gateway 10.1.0.254
done
guest() { # guest HOST NUMBER
	guest_new "g$2"
	guest_veth "$1" "g$2" "v$2" "10.1.0.1$2/24"
	on "g$2" ip route add default via 10.1.0.254
	ctl "$1" port add "g$2" type device dev "v$2" network blue
}
guest a 1
guest b 2
guest a 4
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add $VIP dev eth0
ctl a port add up0 type device dev up0
server g1
server g2

# MACs are found on both hosts, behind the peer, too
ctl a service add web vip $VIP port 80 proto tcp network blue mode nat uplink up0
ctl b service add web vip $VIP port 80 proto tcp network blue mode nat
for h in a b; do
	for i in 1 2; do ctl $h backend add web address 10.1.0.1$i port 8080; done
	wait_for 5 json_is $h 2 '.[0].serving' service show web
done
# who serves whom does not hang on the host that is asked
for port in 1001 1002 1003 1004; do
	equal "$(json a '.[0].backend' service who web from 192.0.2.9:$port)" \
		"$(json b '.[0].backend' service who web from 192.0.2.9:$port)" "backend of port $port"
done

answered 'g1 10.1.0.14, g2 10.1.0.14' g4 $VIP

# a probe to the service takes the way to who serves its sender there: behind this host, or the peer; by the hash, or a connection
for h in a b; do ctl $h host set probe-key "a secret of both"; done
probe() { # probe PORT: what it says of the service, and how many came back
	ctl a -j probe g4 $VIP:80 from-port "$1" count 3 interval 5 guests off >"$WORK/probed" || die "probe: $(tail -n 1 "$WORK/probed")"
	jq -c -s 'last | [.service, .backend, .backend_port, .by, .received]' "$WORK/probed"
}
for i in 1 2; do
	port=4500
	until [ "$(json a '.[0].backend' service who web from 10.1.0.14:$port)" = 10.1.0.1$i ]; do port=$((port + 1)); done
	equal "[\"web\",\"10.1.0.1$i\",8080,\"hash\",3]" "$(probe $port)" "a probe to the service"
	on g4 curl -s -o /dev/null --local-port $port --max-time 5 http://$VIP/ || die "no answer to port $port"
done
jq -e -s 'last.forward_link | .count > 0' "$WORK/probed" >/dev/null || die "not by the peer: $(tail -n 1 "$WORK/probed")"
[[ $(ctl a probe g4 $VIP:80 from-port "$port" count 1 guests off) == *"service web: backend 10.1.0.12 port 8080 serves, by the hash"* ]] || die "probe as text"

answered 'g1 10.1.0.254, g2 10.1.0.254' out $VIP
answered 'g1 10.1.0.12, g2 10.1.0.254' g2 $VIP
for h in a b; do ctl $h service set web mode host-dsr; done
answered 'g1 10.1.0.14, g2 10.1.0.14' g4 $VIP
answered 'g1 198.51.100.7, g2 198.51.100.7' out $VIP
answered 'g1 10.1.0.12, g2 10.1.0.254' g2 $VIP

# a host that lacks the service says so: whom a balancer elsewhere sends there gets no answer, from inside and from outside
lacks() { [ "$(json b '[.[] | select(.reason == "no_service").packets] | add // 0' drops show)" -gt "$1" ]; }
for i in 1 2; do ctl b backend del web address 10.1.0.1$i port 8080; done
ctl b service del web
dropped=0
for client in "g4 10.1.0.14" "out 198.51.100.7"; do
	port=4200
	until [ "$(json a '.[0].backend' service who web from "${client#* }:$port")" = 10.1.0.12 ]; do port=$((port + 1)); done
	! on "${client% *}" curl -s --local-port $port --max-time 1 http://$VIP/ || die "$client: an answer, and no service there"
	wait_for 5 lacks "$dropped"
	dropped=$(json b '[.[] | select(.reason == "no_service").packets] | add' drops show)
done
ctl b service add web vip $VIP port 80 proto tcp network blue mode host-dsr
for i in 1 2; do ctl b backend add web address 10.1.0.1$i port 8080; done
wait_for 5 json_is b 2 '.[0].serving' service show web
answered 'g1 10.1.0.14, g2 10.1.0.14' g4 $VIP

# a backend that has moved behind another MAC is followed; at once where no claim is held against it for a time
for h in a b; do ctl $h network set blue suppress 0; done
on g2 ip link set eth0 address 02:00:00:00:00:22
on g2 ping -n -q -c 1 -W 1 10.1.0.99 >/dev/null || true # it asks, and so says who it is
for h in a b; do
	wait_for 5 json_is $h 02:00:00:00:00:22 '.[0].mac' backend show web address 10.1.0.12 port 8080
done
answered 'g1 10.1.0.14, g2 10.1.0.14' g4 $VIP

# an ICMP error comes to any balancer, as routers choose: it reaches the backend whose connection it is about, which knows the
# client; by the host that has it, and by one that must send it on
guest_new rtr
guest_veth b rtr up0 198.51.100.1/24
ctl b port add up0 type device dev up0
ctl b service set web uplink up0
cat >"$WORK/error.py" <<'END'
import sys
from scapy.all import ICMP, IP, TCP, Ether, Raw, sendp
mac, vip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
quote = bytes(IP(src=vip, dst="198.51.100.7", flags="DF", id=7) / TCP(sport=80, dport=port, seq=1, flags="A") / Raw(b"q" * 40))[:48]
sendp(Ether(dst=mac) / IP(src="198.51.100.1", dst=vip) / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(quote), iface="eth0", verbose=0)
END
for i in 1 2; do
	port=4300
	until [ "$(json a '.[0].backend' service who web from 198.51.100.7:$port)" = 10.1.0.1$i ]; do port=$((port + 1)); done
	equal "g$i 198.51.100.7" "$(on out curl -s --local-port $port --max-time 5 http://$VIP/)" "who serves port $port"
	spawn "g$i" tcpdump -l -nni eth0 -c 1 icmp >"$WORK/error$i" 2>"$WORK/tcpdump$i"
	wait_for 5 grep -q listening "$WORK/tcpdump$i"
	on rtr /usr/bin/python3 "$WORK/error.py" "$(mac_of b up0)" $VIP $port
	wait_for 5 grep -q "198.51.100.1 > 10.1.0.1$i: ICMP 198.51.100.7 unreachable - need to frag (mtu 1300)" "$WORK/error$i"
done
