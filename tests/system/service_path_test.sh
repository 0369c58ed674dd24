#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Paths to a service that are narrower than its network: ICMP errors reach the backend that they are about, with its own
# addresses in what they quote; a datagram's fragments reach one backend; real downloads find their path's MTU.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
# shellcheck source=tests/system/web.sh
. "$(dirname "$0")/web.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
/usr/bin/python3 -c 'import scapy.all' || die "no scapy: run make deps"

MTU=1300 # of the last hop, which the client does not tell: it says that it takes 1460 bytes of TCP
here=$(dirname "$0")

narrow() { # narrow ROUTER CLIENT IPV4-PREFIX IPV6-PREFIX: the client is behind the router's eth1
	on "$1" ip link add eth1 mtu $MTU type veth peer name eth0 mtu $MTU netns "$(netns "$2")"
	on "$1" ip link set eth1 up
	on "$2" ip link set eth0 up
	on "$1" ip addr add "$3.1/24" dev eth1
	on "$2" ip addr add "$3.2/24" dev eth0
	on "$1" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth1.disable_ipv6=0
	on "$1" ip addr add "$4::1/64" dev eth1 nodad
	six "$2" "$4::2"
	on "$2" ip route add default via "$3.1" advmss 1460
	on "$2" ip route add default via "$4::1" advmss 1440
}

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254,fd00::254
machines 4
guest_new r
guest_veth a r up0 198.51.100.1/24
six r 2001:db8:1::1
guest_new out
narrow r out 192.0.2 2001:db8:2
on r ip route add 203.0.113.0/24 dev eth0
on r ip route add 2001:db8:113::/64 dev eth0
ctl a port add up0 type device dev up0

service() { # service NAME VIP PROTO MODE PORT BACKEND-BEGIN BACKEND-PORT [WORDS]
	local i
	ctl a service add "$1" vip "$2" proto "$3" mode "$4" port "$5" network blue "${@:8}"
	for i in 1 2 3; do ctl a backend add "$1" address "$6$i" port "$7"; done
	wait_for 5 json_is a 3 '.[0].serving' service show "$1"
}
for proto in tcp udp; do
	service nat-$proto 203.0.113.10 $proto nat 80 10.1.0.1 9000 uplink up0
	service nat6-$proto 2001:db8:113::10 $proto nat 80 fd00::1 9000 uplink up0
	service host-$proto 203.0.113.11 $proto host-dsr 80 10.1.0.1 9000 uplink up0
	service host6-$proto 2001:db8:113::11 $proto host-dsr 80 fd00::1 9000 uplink up0
done
# a client outside comes in by the uplink of the service
expect a '[["the packet","forward",true]]' '[.[] | [.what, .verdict, (.why | contains("destination becomes 10.1.0.") and contains("port 9000"))]]' \
	path 192.0.2.2 203.0.113.10:80
refused a 1 'no address that comes in by a port' path 192.0.2.2 203.0.113.99:80
crafted() { # crafted MODE VIP VIP6
	/usr/bin/python3 "$here/service_path.py" "weft-$$" "$2" "$3" "$1" 198.51.100.1 2001:db8:1::1 "$(mac_of a up0)"
}
crafted nat 203.0.113.10 2001:db8:113::10
crafted host-dsr 203.0.113.11 2001:db8:113::11

# --- the path's MTU, found by the kernels at both ends from real downloads
head -c 300000 /dev/urandom >"$WORK/large"
for i in 1 2 3; do
	mkdir -p "$WORK/g$i/web/large"
	cp "$WORK/large" "$WORK/g$i/web/large/file"
	web g$i
	on g$i ip route flush cache
	on g$i ip -6 route flush cache
done
learned() { # learned GUEST ADDRESS: what it knows of the path there
	on "$1" ip -j route get "$2" | jq '.[0].metrics[0].mtu // 0'
}
downloads() { # downloads CLIENT URL PEER-AT-BACKEND: until each backend has served one, whole
	local i
	for i in {1..60}; do
		on "$1" curl -s --noproxy '*' --max-time 5 -o "$WORK/got" "$2/large/file?$i" || die "download $i from $2 stalls"
		cmp -s "$WORK/got" "$WORK/large" || die "download $i from $2 is not what was served"
		all_learned "$3" && return
	done
	die "from $2 the backends know $(for i in 1 2 3; do learned g$i "$3"; done | xargs), not $MTU"
}
all_learned() {
	local i
	for i in 1 2 3; do [ "$(learned g$i "$1")" = $MTU ] || return 1; done
}
service web 203.0.113.12 tcp nat 80 10.1.0.1 8080 uplink up0
service web6 2001:db8:113::12 tcp nat 80 fd00::1 8080 uplink up0
service direct 203.0.113.13 tcp host-dsr 80 10.1.0.1 8080 uplink up0
service direct6 2001:db8:113::13 tcp host-dsr 80 fd00::1 8080 uplink up0
downloads out http://203.0.113.12 10.1.0.254
downloads out 'http://[2001:db8:113::12]' fd00::254
downloads out http://203.0.113.13 192.0.2.2
downloads out 'http://[2001:db8:113::13]' 2001:db8:2::2

# --- dsr: the client is behind a machine of the network; the error goes to the address of the service
guest_new c
narrow g4 c 10.9.0 fd09
for i in 1 2 3; do
	on g$i sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	on g$i ip addr add 10.1.0.101/32 dev lo
	on g$i sysctl -q -w net.ipv6.conf.lo.disable_ipv6=0
	on g$i ip addr add fd00::101/128 dev lo
	on g$i ip route add 10.9.0.0/24 via 10.1.0.14
	on g$i ip route add fd09::/64 via fd00::14
done
service own 10.1.0.101 tcp dsr 8080 10.1.0.1 8080
service own6 fd00::101 tcp dsr 8080 fd00::1 8080
downloads c http://10.1.0.101:8080 10.9.0.2
downloads c 'http://[fd00::101]:8080' fd09::2
