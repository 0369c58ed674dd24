# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Two hosts a and b as a lab, with light VMs v1 and v2 on their taps, on top of lib.sh, traffic.sh and lab.sh. The lab
# is named like this process, so that its nodes' namespaces are those that `on` enters.
#
#   pair_up FILE        the lab; v1 and v2 are namespaces, not attached yet
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
