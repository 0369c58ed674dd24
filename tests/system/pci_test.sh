#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC that DPDK drives as the underlay: the overlay to a kernel's VXLAN device, the host's own traffic by the twin, MTU,
# kill -9, what is left behind. The NIC is net_af_packet on a veth whose own kernel does not answer.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
# shellcheck source=tests/system/web.sh
. "$(dirname "$0")/web.sh"
BYTES=20000000
NIC=net_af_packet0,iface=nic0

reaches() { # reaches GUEST ADDRESS [PING-OPTIONS]
	on "$1" ping -n -q -c 3 -i 0.05 -W 2 "${@:3}" "$2" >"$WORK/ping" || die "$1 does not reach $2: $(cat "$WORK/ping")"
}
twin() { # twin FILTER [NAME]: of what `ip link` says of it
	on a ip -j link show "${2:-weft-up0}" 2>/dev/null | jq -r ".[0]$1"
}
twin_is() { # twin_is WANTED FILTER [NAME]: for wait_for
	[ "$(twin "${@:2}")" = "$1" ]
}
received() {
	on a cat /proc/net/snmp | awk '/^Ip: [0-9]/ { print $4 }'
}
no_link() { # no_link DEVICE
	! on a ip link show "$1" >/dev/null 2>&1
}

echo 'dpdk: {pci: true}' >"$WORK/config.yaml"
host_new a
guest_new b
guest_new g1
on a ip link add nic0 type veth peer name eth0 netns "$(netns b)"
on a sysctl -q -w net.ipv4.conf.nic0.rp_filter=1 net.ipv4.conf.nic0.arp_ignore=8
on a ip link set nic0 up
on b ethtool -K eth0 tx off sg off >/dev/null # a wire has whole frames
on b ip link set eth0 up
on b ip addr add 192.0.2.2/24 dev eth0
on b ip link add vx100 type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
on b ip addr add 10.1.0.2/24 dev vx100
on b ip link set vx100 up
guest_veth a g1 c1 10.1.0.1/24
on g1 ip link set eth0 mtu 1450

# --- words
host_start a --config "$WORK/config.yaml"
ctl a host set address 192.0.2.1
ctl a network add blue vni 100
refused a 1 "goes there, and no network's" port add up0 type pci dev $NIC underlay on network blue
refused a 1 'at most 10 characters' port add uplink-eleven type pci dev $NIC underlay on
refused a 1 'DPDK has no driver' port add up0 type pci dev net_nothing underlay on
no_link weft-up0 || die "a port that was refused left its twin"
on a ip tuntap add weft-up0 mode tap
refused a 1 'ip link del weft-up0' port add up0 type pci dev $NIC underlay on
on a ip link del weft-up0

# --- the kernel has the NIC as weft-up0
ctl a port add up0 type pci dev $NIC underlay on
expect a '["up",null,"weft-up0","underlay",1500]' '.[0] | [.state,.why,.twin,.mode,.mtu]' port show
equal "$(mac_of a nic0)" "$(twin .address)" "the twin's MAC"
wait_for 5 twin_is UP .operstate
refused a 1 "weft's own device" port add x type device dev wire-up0 network blue
on a ip addr add 192.0.2.1/24 dev weft-up0
reaches a 192.0.2.2
ctl a peer add b address 192.0.2.2
ctl a port add c1 type device network blue
wait_for 5 json_is a up '.[0].state' peer show b
expect a '[["weft-up0"],[{"device":"weft-up0","driver":"pci","why":null}]]' '.[0] | [.underlay,.underlay_drivers]' host show
reaches g1 10.1.0.2
tcp g1 b 10.1.0.2
tcp b g1 10.1.0.1
tcp a b 192.0.2.2
tcp b a 192.0.2.1
[ "$(json a '.[0].rx_packets' port show up0)" -gt 1000 ] || die "the host's own frames are not counted"

# --- services from outside by the NIC; what is not theirs is still the host's and the overlay's
served() { # by nginx in g1; the answer comes from the address of the service
	equal g1 "$(on b curl -s --noproxy '*' --max-time 5 http://203.0.113.10/)" "what the service says"
}
ctl a network set blue gateway 10.1.0.254
web g1
ctl a service add web vip 203.0.113.10 port 80 proto tcp network blue mode nat uplink up0
ctl a backend add web address 10.1.0.1 port 8080
wait_for 5 json_is a 1 '.[0].serving' service show web
on b ip route add 203.0.113.0/24 via 192.0.2.1
served
expect a '["forward","web"]' '.[0] | [.verdict,.service]' explain port up0 ip-src 192.0.2.2 ip-dst 203.0.113.10 dport 80
expect a to_host '.[0].verdict' explain port up0 ip-src 192.0.2.2 ip-dst 203.0.113.11 dport 80
reaches a 192.0.2.2
reaches b 192.0.2.1
tcp b a 192.0.2.1
tcp b g1 10.1.0.1
ctl a port add null type pci dev net_null1 network blue
refused a 1 'and of type pci with' service add other vip 203.0.113.11 port 80 proto tcp network blue mode nat uplink null
ctl a port del null

# --- a tunnel of the host's own, whose superpackets nobody here could cut
for host in a:2:1 b:1:2; do
	IFS=: read -r name other own <<<"$host"
	on "$name" ip link add vx9 type vxlan id 9 local "192.0.2.$own" remote "192.0.2.$other" dstport 8472
	on "$name" ip addr add "10.9.0.$own/24" dev vx9
	on "$name" ip link set vx9 up
done
tcp a b 10.9.0.2
on a ip link del vx9
expect a 0 '[.[] | select(.reason == "rx_malformed").packets] | add // 0' drops show

# --- what the host sends, it does not hear again by the wire
before=$(received)
on a ping -q -b -c 2 -i 0.01 -W 0.1 192.0.2.255 >"$WORK/ping" 2>&1 && die "somebody answers: $(cat "$WORK/ping")"
equal $((before + 2)) "$(received)" "datagrams that the host has received: its stack loops each back"

# --- the twin has carrier when the NIC has, and the NIC has the twin's MTU
ctl a port add up1 type pci dev net_tap0,iface=nic1 underlay on
wait_for 5 twin_is UP .operstate weft-up1
on a ip link set nic1 down
wait_for 5 twin_is LOWERLAYERDOWN .operstate weft-up1
expect a '["down","the NIC has no link"]' '.[] | select(.name == "up1") | [.state,.why]' port show
on a ip link set nic1 up
wait_for 5 twin_is UP .operstate weft-up1
ctl a port del up1
no_link weft-up1 || die "a deleted port left its twin"
ctl a port add up2 type pci dev net_null0,no-rx=1 underlay on
on a ip link set weft-up2 mtu 9000
wait_for 5 json_is a '["up",9000]' '.[] | select(.name == "up2") | [.state,.mtu]' port show
equal 9000 "$(mtu_of a wire-up2)" "the wire's MTU"
on a ip addr add 198.51.100.1/24 dev weft-up2 # peers may send there, though no way leads out there
wait_for 5 json_is a '["weft-up0","weft-up2"]' '.[0].underlay | sort' host show
on a ip link set weft-up0 mtu 9000 # net_af_packet takes 1500 at most
wait_for 5 twin_is 1500 .mtu
wait_for 5 twin_is UP .operstate

# --- after kill -9 the twin is taken over; what has no port any more goes
index=$(twin .ifindex)
host_kill a
uuid=$(twin .ifalias | cut -d: -f2)
on a ip link add weft-old type veth peer name wire-old
on a ip link set weft-old alias "weft:$uuid:old:twin"
host_start a --config "$WORK/config.yaml"
equal "$index" "$(twin .ifindex)" "the twin's ifindex"
no_link weft-old || die "the twin of no port is still there"
reaches a 192.0.2.2
wait_for 5 json_is a up '.[0].state' peer show b
reaches g1 10.1.0.2
tcp g1 b 10.1.0.2
served
expect a '["up",9000]' '.[] | select(.name == "up2") | [.state,.mtu]' port show

# --- somebody deletes it: there is a new one
on a ip link del weft-up0
new_twin() { [ "$(twin .ifindex)" != "$index" ] && twin_is UP .operstate; }
wait_for 5 new_twin
on a ip addr add 192.0.2.1/24 dev weft-up0
wait_for 5 json_is a up '.[0].state' peer show b
reaches g1 10.1.0.2
served

# --- without weftd nobody carries its frames; another engine has no such port
host_stop a
twin_is LOWERLAYERDOWN .operstate || die "the twin has carrier, and there is no weftd"
ENGINE=ebpf host_start a
expect a down '.[] | select(.name == "up0").state' port show
no_link weft-up0 || die "the twin is there, and nobody drives the NIC"
