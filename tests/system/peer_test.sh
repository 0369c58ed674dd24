#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Peers and the carrier: commands, states, every refusal's sentence; the device made, kept and removed.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
on a ip link add u0 type veth peer name u1
on a ip addr add 192.0.2.1/24 dev u0
on a ip link set u0 up
on a ip link set u1 up
host_start a

carrier_is() { # carrier_is WANTED: its ifindex; empty: there is none
	[ "$1" = "$(carrier)" ]
}
carrier() {
	on a ip -j link show | jq -r '.[] | select(.ifname == "weft-carrier").ifindex'
}
carrier_shows() { # carrier_shows WANTED FILTER
	equal "$1" "$(on a ip -j -d link show weft-carrier | jq -c ".[0] | $2")" "carrier: $2"
}
peer_is() { # peer_is STATE WHY-PATTERN
	equal "$1" "$(json a '.[0].state' peer show h2)" "state of peer h2"
	case $(json a '.[0].why' peer show h2) in
	*$2*) ;;
	*) die "peer h2 says '$(json a '.[0].why' peer show h2)', not '$2'" ;;
	esac
}

# --- a peer may come first; it says what it waits for
ctl a peer add h2 address 192.0.2.2
peer_is waiting "set the host's address"
ctl a host set address 192.0.2.1
peer_is waiting 'no network has a vni'
carrier_is '' || die "a carrier that nobody needs"
ctl a network add blue vni 100
if [ "$ENGINE" = ebpf ]; then
	CARRIER=weft-carrier
	ID=$(carrier)
	[ -n "$ID" ] || die "no carrier"
else
	CARRIER=null # these engines encapsulate themselves
	carrier_is '' || die "a carrier that the engine does not use"
fi
expect a '["h2","192.0.2.2",null,["u0"],1500]' '.[0] | [.name,.address,.networks,.devices,.mtu]' peer show
expect a '["address","bindings","bindings_refused","devices","id","learn_refused","mac_limit","macs","moves","moves_refused","mtu","name","networks","nexthops","rx_bytes","rx_dropped","rx_packets","samples_lost","state","storm_limit_pps","tx_bytes","tx_dropped","tx_packets","why"]' \
	'.[0] | keys' peer show
equal "$CARRIER" "$(json a '.[0].carrier' host show)" "carrier in host show"
expect a '["u0",1500]' '.[0] | [.underlay[],.underlay_mtu]' host show
expect a '[1450,1]' '.[0] | [.mtu,.peers]' network show blue

if [ "$ENGINE" = ebpf ]; then
	# --- the carrier
	carrier_shows '["vxlan",true,4789,false,false]' '.linkinfo | [.info_kind,.info_data.external,.info_data.port,.info_data.learning,.info_data.udp_zero_csum6_rx]'
	carrier_shows '{"low":49152,"high":65535}' .linkinfo.info_data.port_range
	carrier_shows '[65485,"noqueue","none"]' '[.mtu,.qdisc,.inet6_addr_gen_mode]'
	carrier_shows "\"weft:$(json a '.[0].uuid' host show):(carrier)\"" .ifalias
	carrier_shows true '.flags | index("UP") != null'
	for how in host_kill host_stop; do
		$how a
		carrier_is "$ID" || die "the carrier is gone after $how"
		host_start a
		carrier_is "$ID" || die "the carrier was made anew after $how"
	done
	refused a 1 "weft-carrier is weft's own device" port add x type device dev weft-carrier network blue
	on a ip link set weft-carrier name odd
	on a ip link add weft-carrier type dummy 2>/dev/null || on a ip link add weft-carrier type veth peer name p1
	refused a 1 "odd is weft's own device" port add x type device dev odd network blue
	on a ip link del weft-carrier
	on a ip link set odd name weft-carrier

	# --- somebody deletes it, or sets it down
	on a ip link del weft-carrier
	wait_for 5 json_is a '"weft-carrier"' '.[0].carrier | tojson' host show
	! carrier_is "$ID" || die "the old carrier is still there"
	on a ip link set weft-carrier alias somebody-elses
	marked() { on a ip -j -d link show weft-carrier | jq -e '.[0].ifalias | startswith("weft:")' >/dev/null; }
	wait_for 5 marked
	on a ip link set weft-carrier down
	up() { on a ip -j link show up | jq -e '.[] | select(.ifname == "weft-carrier")' >/dev/null; }
	wait_for 5 up

	# --- another UDP port; one that another VXLAN device has
	ctl a host set udp-port 8472
	carrier_shows 8472 .linkinfo.info_data.port
	on a ip link add vx0 type vxlan id 7 dstport 4789
	on a ip link set vx0 up
	ctl a host set udp-port 4789
	carrier_is '' || die "a carrier beside vx0"
	peer_is down "UDP port 4789 is the VXLAN device vx0's"
	expect a '["down",true]' '.[0] | [.state,(.why | contains("vx0"))]' network show blue
	on a ip link del vx0
	wait_for 5 json_is a '"weft-carrier"' '.[0].carrier | tojson' host show
	expect a '["up",null]' '.[0] | [.state,.why]' network show blue
fi

# --- refusals: each leaves everything as it was
ctl a peer set h2 networks blue
before=$(ctl a -j export)
refused a 1 'peer h2 exists already' peer add h2 address 192.0.2.9
refused a 1 "192.0.2.2 is already peer h2's address" peer add h3 address 192.0.2.2
refused a 1 "192.0.2.1 is this host's own address" peer add h3 address 192.0.2.1
refused a 1 'peer h3 has an IPv6 address (2001:db8::3), but this host an IPv4 one' \
	peer add h3 address 2001:db8::3
refused a 1 '224.0.0.5 is not the address of a host' peer add h3 address 224.0.0.5
refused a 1 'there is no network red' peer add h3 address 192.0.2.3 networks red
refused a 1 "peer h2: 192.0.2.2 is this host's own address" host set address 192.0.2.2
refused a 1 'network blue is in use by peers: h2' network del blue
refused a 1 'the largest that works is 1450 (the underlay carries 1500, less 50' network set blue mtu 1500
refused a 1 'there is no peer h9' fdb add 02:00:00:00:00:01 network blue peer h9
refused a 1 'there is no peer h9' drops show peer h9
refused a 2 'address' peer add h3
refused a 2 'udp-port' host set udp-port 0
refused a 2 'overlay' network set blue overlay none-such
equal "$before" "$(ctl a -j export)" "objects after refusals"

# --- MTU: derived, followed by taps, and by what is given more than fits
ctl a port add t1 type tap network blue
expect a 1450 '.[0].mtu' port show t1
on a ip link set u0 mtu 1400
wait_for 5 json_is a 1350 '.[0].mtu' port show t1
wait_for 5 json_is a 1350 '.[0].mtu' network show blue
ctl a port show t1 qemu | grep -q 'host_mtu=1350' || die "QEMU is told another MTU"
ctl a network set blue mtu 1300
on a ip link set u0 mtu 1320
wait_for 5 json_is a 'the underlay has shrunk: the mtu is 1270, not 1300' '.[0].why' network show blue
on a ip link set u0 mtu 1500
wait_for 5 json_is a '[1300,null]' '.[0] | [.mtu,.why] | tojson' network show blue
ctl a network set blue mtu none
ctl a network set blue vni none
expect a 1500 '.[0].mtu' port show t1
carrier_is '' || die "a carrier without any VNI"
ctl a network set blue vni 100

# --- static rows behind a peer; YAML takes it all
ctl a fdb add 02:00:00:00:00:01 network blue peer h2
expect a '["blue","02:00:00:00:00:01",null,"h2","static"]' '.[0] | [.network,.mac,.port,.peer,.kind]' fdb show
refused a 1 'peer h2 is in use by static fdb rows' peer del h2
ctl a export >"$WORK/a/all.yaml"
grep -q '^peers:' "$WORK/a/all.yaml" || die "no peers in the export"
equal 'nothing to change' "$(ctl a apply "$WORK/a/all.yaml")"
before=$(ctl a -j export)
ctl a fdb del 02:00:00:00:00:01 network blue
ctl a peer del h2
expect a '[]' . peer show
ctl a apply "$WORK/a/all.yaml" >/dev/null
equal "$before" "$(ctl a -j export)" "objects after apply"
expect a '[]' . neighbour show

# --- a network's MTU is that of the ways to its own peers
on a ip route add 192.0.2.99/32 dev u0 mtu 600
ctl a network add green vni 999
ctl a peer add small address 192.0.2.99 networks green
wait_for 5 json_is a 550 '.[0].mtu' network show green
expect a 1450 '.[0].mtu' network show blue
ctl a peer set small networks blue
wait_for 5 json_is a 550 '.[0].mtu' network show blue
expect a 1450 '.[0].mtu' network show green
ctl a network set green ageing 100
ctl a peer del small
ctl a network del green

# --- tags as payload and trunk ports exclude each other: they would name other networks there
on a ip link add w0 type veth peer name w1
ctl a network set blue inner-tags on
refused a 1 "carries its machines' tags as they are" port add w0 type device trunk blue:10
ctl a network set blue inner-tags off
ctl a port add w0 type device trunk blue:10
refused a 1 'is on the trunk port w0' network set blue inner-tags on
ctl a port del w0

# --- purge leaves nothing
ctl a host purge
wait "${HOST_PID[a]}" || die "weftd ended with status $? after host purge"
unset "HOST_PID[a]"
carrier_is '' || die "the carrier has survived the purge"
equal 0 "$(on a ip neigh show nud all | grep -c managed)" "managed neighbours after the purge"
[ ! -e "$WORK/a/bpf/weft" ] || die "pins after the purge"
