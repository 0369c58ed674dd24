# SPDX-License-Identifier: BSD-2-Clause
# overlay.sh - for the overlay-*.bench files: two hosts h1 and h2 over a wire, and what carries a network
# between them. `bridge` is a Linux bridge with the kernel's VXLAN device on each.
# shellcheck shell=bash
#
# shellcheck source=tests/bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
BENCH_SWITCHES=${BENCH_OVERLAYS:-bridge weft carrier}

# overlay_up NETNS...: the two hosts, and further namespaces
overlay_up() {
	rig_up h1 h2 "$@"
	host_pair h1 h2
}

# host_pair HOST HOST: a wire between them, taps ta and tb
host_pair() {
	local i=0 host
	ip -n "$(netns "$1")" link add u mtu 1500 type veth peer name u netns "$(netns "$2")"
	for host in "$@"; do
		ip -n "$(netns "$host")" addr add 192.0.2.$((++i))/24 dev u
		ip -n "$(netns "$host")" link set u up
	done
	add_host_tap "$1" ta
	add_host_tap "$2" tb
}

add_host_tap() { # add_host_tap HOST TAP
	ip -n "$(netns "$1")" tuntap add "$2" mode tap
	ip -n "$(netns "$1")" link set "$2" mtu 1450 up
}

# wire segments|nic|keeps: what the underlay device does. `segments`: takes single frames only. `nic`: so it does, and
# what it receives is merged before anybody looks (GRO), as a NIC's driver does. `keeps`: superpackets pass.
wire() {
	local i state=on gro=off
	[[ $1 == keeps ]] || state=off
	[[ $1 != nic ]] || gro=on
	for i in 1 2; do
		in_netns h$i ethtool -K u tx $state tso $state gso $state gro $gro >/dev/null
	done
}

add_host_guest() { # add_host_guest HOST GUEST TAP ADDRESS
	"$TOOLS/taprelay" --guest-netns "$(netns "$2")" --switch-netns "$(netns "$1")" \
		--switch-tap "$3" --tx csum,tso4,tso6 --rx csum,tso4,tso6 \
		--pid-file "$RIG/relay-$2.pid" --stats-file "$RIG/relay-$2.json"
	ip -n "$(netns "$2")" link set eth0 mtu 1450
	ip -n "$(netns "$2")" addr add "$4" dev eth0
}

bridge_up() {
	local i sw
	for i in 1 2; do
		sw=$(netns h$i)
		ip -n "$sw" link add br0 mtu 1450 type bridge
		for key in iptables ip6tables arptables; do
			in_netns h$i sysctl -qw "net.bridge.bridge-nf-call-$key=0" 2>/dev/null || true
		done
		ip -n "$sw" link add vx0 mtu 1450 type vxlan id 100 local 192.0.2.$i remote 192.0.2.$((3 - i)) dstport 4789
		ip -n "$sw" link set vx0 master br0 up
		ip -n "$sw" link set br0 up
	done
	ip -n "$(netns h1)" link set ta master br0
	ip -n "$(netns h2)" link set tb master br0
}

bridge_down() {
	local i
	for i in 1 2; do
		ip -n "$(netns h$i)" link del vx0
		ip -n "$(netns h$i)" link del br0
	done
}

weft_both() { # weft_both own|carrier
	local i
	for i in 1 2; do
		[[ -e $RIG/weftd-w$i.pid ]] || weftd_start w$i h$i
		weft w$i host set address 192.0.2.$i
		weft w$i network add bench vni 100 overlay "$1"
		weft w$i peer add other address 192.0.2.$((3 - i))
	done
	weft w1 port add ta type tap network bench
	weft w2 port add tb type tap network bench
	for i in 1 2; do
		poll 5 peer_up w$i || fail "weft w$i does not reach its peer"
	done
}

peer_up() {
	weft "$1" -j peer show | jq -e '.[0] | .state == "up" and .nexthops[0].mac'
}

weft_up() {
	weft_both own
}

carrier_up() {
	weft_both carrier
}

networks_down() {
	local i
	weft w1 port del ta
	weft w2 port del tb
	for i in 1 2; do
		weft w$i peer del other
		weft w$i network del bench
	done
}

weft_down() {
	networks_down
}

carrier_down() {
	networks_down
}
