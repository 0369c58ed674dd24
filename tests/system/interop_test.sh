#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# On the wire with others: a Linux bridge with kernel VXLAN and Open vSwitch as VTEPs beside weft, both ways, TCP with
# offloads, packets of exactly the MTU, superpackets; and behind a trunk port of weft.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
modes="own carrier"
[ "$ENGINE" = ebpf ] || modes=own # another engine has no carrier
[ -x /usr/sbin/ovs-vswitchd ] || skip "needs ovs-vswitchd: make deps"
BYTES=30000000
LAB=$$ # so that a node's namespace is the one that `on` enters

lab() {
	WEFTLAB_ENGINE=$ENGINE nice -n -15 "$BUILD/weftlab" "$@" # the switch of OVS waits for a core like dpdk's
}
lab_cleanup() {
	local status=$?
	trap - EXIT
	if [ "$status" != 0 ]; then
		lab exec $LAB:h1 weftctl drops show || true
		lab exec $LAB:h1 weftctl fdb show || true
	fi
	lab down $LAB >/dev/null 2>&1 || true
	(exit "$status")
	cleanup
}
trap lab_cleanup EXIT

cat >"$WORK/lab.yaml" <<END
name: "$LAB"
topology:
  nodes:
    underlay: {kind: bridge}
    h1:
      kind: host
      addresses: {eth1: [192.0.2.1/24]}
      objects:
        host: {address: 192.0.2.1}
        networks: [{name: blue, vni: 100}, {name: red, vni: 200}]
        peers: [{name: br1, address: 192.0.2.2}, {name: ovs1, address: 192.0.2.3}]
        ports: [{name: up, type: device, dev: trunk, tags: ["blue:10"]}]
    h2: # knows VLANs only: its tag 10 is h1's VNI 100
      kind: host
      objects:
        networks: [{name: green, mtu: 1450}]
        ports: [{name: up, type: device, dev: trunk, tags: ["green:10"]}]
    br1:
      kind: bridge
      addresses: {eth1: [192.0.2.2/24]}
      vxlan: [{vni: 100, local: 192.0.2.2, remotes: [192.0.2.1]}]
    ovs1:
      kind: ovs
      addresses: {eth1: [192.0.2.3/24]}
      vxlan: [{vni: 100, local: 192.0.2.3, remotes: [192.0.2.1]}]
    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24, "fd00::1/64"]}
    c2: {kind: client, addresses: [10.1.0.2/24, "fd00::2/64"]}
    c3: {kind: client, addresses: [10.1.0.3/24, "fd00::3/64"]}
    c4: {kind: client, host: h2, network: green, mtu: 1450, addresses: [10.1.0.4/24]}
  links:
    - endpoints: ["h1:eth1", "underlay:h1"]
    - endpoints: ["br1:eth1", "underlay:br1"]
    - endpoints: ["ovs1:eth1", "underlay:ovs1"]
    - {endpoints: ["c2:eth0", "br1:c2"], mtu: 1450}
    - {endpoints: ["c3:eth0", "ovs1:c3"], mtu: 1450}
    - endpoints: ["h1:trunk", "h2:trunk"]
END
lab up "$WORK/lab.yaml"
on c3 ethtool -K eth0 tx off >/dev/null # Open vSwitch's userspace datapath completes no checksums

weft() { # weft WORDS...: to h1's weftd
	lab exec $LAB:h1 weftctl "$@"
}

pings() { # pings FROM ADDRESS PING-OPTIONS...
	on "$1" ping -n -q -c 3 -i 0.1 -W 2 "${@:3}" "$2" >"$WORK/ping" 2>&1 || die "$1 does not reach $2: $(cat "$WORK/ping")"
}

for mode in $modes; do
	weft network set blue overlay "$mode"
	# Open vSwitch, a process, has packet sockets of some 90 frames: they must last while another runs on its core.
	for other in c2:10.1.0.2:10000:fd00::2 c3:10.1.0.3:2000:fd00::3; do
		IFS=: read -r guest four pps six <<<"$other"
		pings c1 "$four"
		pings "$guest" 10.1.0.1
		pings c1 "$six"
		pings c1 "$four" -M "do" -s 1422 # exactly 1450
		pings "$guest" 10.1.0.1 -M "do" -s 1422
		tcp c1 "$guest" "$four"
		tcp "$guest" c1 10.1.0.1
		tcp c1 "$guest" "$six"
		udp c1 "$guest" "$four" --pps "$pps" --count 3000 --size 1300
		udp "$guest" c1 10.1.0.1 --pps "$pps" --count 3000 --size 1300
		pings c4 "$four"
		tcp c4 "$guest" "$four"
		tcp "$guest" c4 10.1.0.4
		echo "$mode: $guest and c1, c4 understand each other"
	done
done

# --- each side knows where the other's stations are
mac=$(mac_of c1 eth0)
on br1 bridge fdb show | grep -q "^$mac dev vxlan100 dst 192.0.2.1" || die "the kernel's bridge has not learned $mac"
equal '["br1","ovs1"]' "$(weft -j fdb show | jq -c "[.[] | select(.mac == \"$(mac_of c2 eth0)\" or .mac == \"$(mac_of c3 eth0)\").peer] | sort")" \
	"where weft has c2 and c3"

# --- weft relays nothing from peer to peer: the two others have no tunnel to each other
! on c2 ping -n -q -c 2 -i 0.2 -W 1 10.1.0.3 >/dev/null 2>&1 || die "weft carried a frame from peer to peer"

# --- a VNI that weft has, and c2's VTEP does not: nothing leaks
equal 0 "$(weft -j drops show | jq '[.[] | select(.reason == "vni_unknown" or .reason == "bad_vxlan").packets] | add // 0')" "bad frames from the others"
on br1 ip link add vx999 type vxlan id 999 local 192.0.2.2 remote 192.0.2.1 dstport 4789 2>/dev/null ||
	die "no second VXLAN device on br1"
on br1 ip addr add 10.9.0.2/24 dev vx999
on br1 ip link set vx999 up
! on br1 ping -n -q -c 2 -i 0.2 -W 1 10.9.0.1 >/dev/null 2>&1 || die "somebody answers in VNI 999"
unknown() {
	[ "$(weft -j drops show | jq '[.[] | select(.reason == "vni_unknown" and .peer == "br1").packets] | add // 0')" -ge 2 ]
}
wait_for 5 unknown
