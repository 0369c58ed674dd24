# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Two hosts a and b as a lab, with light VMs v1 and v2 on their taps, on top of lib.sh, traffic.sh and lab.sh. The lab
# is named like this process, so that its nodes' namespaces are those that `on` enters.
#
#   pair_up FILE        the lab; v1 and v2 are namespaces, not attached yet
#   host_pair MODE ADDRESS-A ADDRESS-B PREFIX-LENGTH [WIRE]   pair_up of two hosts that know each other; V2: how v2 is
#                       in the network; WIRE: a line of the link
#   pair_down           and everything is gone, the GUESTS too
#   weftd_again a       after node_kill a: start it again
#   engine_of a         what its weftd runs; lab files say it. ENGINE_B: of b, if not that of a
#   modes               `overlay` of networks: an engine with an overlay of its own knows one way
GUESTS=(v1 v2)
ENGINE_B=${ENGINE_B:-$ENGINE}
unset WEFTLAB_ENGINE

engine_of() {
	[ "$1" = b ] && echo "$ENGINE_B" || echo "$ENGINE"
}

modes() {
	case "$ENGINE $ENGINE_B" in
	*ebpf*) echo own carrier ;;
	*) echo own ;;
	esac
}

pair_up() {
	lab_own $$
	weftlab up "$1"
	for guest in "${GUESTS[@]}"; do guest_new "$guest"; done
	on a ip link set v1 txqueuelen "$QUEUE"
	on b ip link set v2 txqueuelen "$QUEUE"
}

V2='network: blue'

host_pair() {
	local networks="[{name: blue, vni: 100, overlay: $1, gateway: [10.1.0.254]}, {name: red, vni: 200, overlay: $1}]"
	cat >"$WORK/lab.yaml" <<-END
		name: "$$"
		topology:
		  nodes:
		    a:
		      kind: host
		      engine: $(engine_of a)
		      addresses: {eth1: ["$2/$4"]}
		      objects:
		        host: {address: "$2"}
		        networks: $networks
		        peers: [{name: b, address: "$3"}]
		        ports: [{name: v1, type: tap, network: blue}]
		    b:
		      kind: host
		      engine: $(engine_of b)
		      addresses: {eth1: ["$3/$4"]}
		      objects:
		        host: {address: "$3"}
		        networks: $networks
		        peers: [{name: a, address: "$2"}]
		        ports: [{name: v2, type: tap, $V2}]
		  links:
		    - endpoints: ["a:eth1", "b:eth1"]
		      ${5:-}
	END
	pair_up "$WORK/lab.yaml"
	wait_for 5 json_is a up '.[0].state' peer show b
	wait_for 5 json_is b up '.[0].state' peer show a
}

pair_down() {
	local guest
	for guest in "${GUESTS[@]}"; do
		ip netns del "$(netns "$guest")"
		rm -rf "${WORK:?}/$guest"
	done
	weftlab down "$LAB" >/dev/null
	none_left "$LAB"
}

weftd_again() {
	weftlab restart "$LAB:$1" >/dev/null
}
