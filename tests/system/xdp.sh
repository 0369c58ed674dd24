# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# XDP on veths, on top of lib.sh and traffic.sh.

program_on() { # program_on HOST DEVICE: is one there, in native mode?
	[ "$(on "$1" ip -j link show "$2" | jq '.[0].xdp.mode')" = 1 ]
}
no_program_on() { # none, in any mode
	[ "$(on "$1" ip -j link show "$2" | jq '.[0].xdp != null')" = false ]
}
finish_all() { # finish_all GUEST [DEVICE]: it leaves nothing to be done later
	on "$1" ethtool -K "${2:-eth0}" tx off txvlan off >/dev/null
}
driver_is() { # driver_is HOST PORT DRIVER
	expect "$1" "[\"up\",\"$3\"]" '.[0] | [.state,.driver]' port show "$2"
}
why_says() { # why_says HOST PORT PATTERN
	local why
	why=$(json "$1" '.[0].why' port show "$2")
	# shellcheck disable=SC2254
	case $why in *$3*) ;; *) die "why of $2 is '$why', not '$3'" ;; esac
}

# Host a again, and a host b, with XDP on the wire between them (as the configuration $WORK/xdp.yaml says), and h1 behind b
# in network blue. FINISH GUEST [DEVICE]: what makes an end of a veth fit.
underlay_up() { # underlay_up FINISH ADDRESS-BEGIN
	local host
	host_new b
	echo "$ENGINE: {xdp: on}" >"$WORK/xdp.yaml"
	host_stop a
	host_start a --config "$WORK/xdp.yaml"
	host_start b --config "$WORK/xdp.yaml"
	wire a w0 b w0 1600
	for host in a b; do "$1" "$host" w0; done
	on a ip addr add "${2}1/24" dev w0
	on b ip addr add "${2}2/24" dev w0
	ctl a host set address "${2}1"
	ctl b host set address "${2}2"
	ctl a network set blue vni 7 mtu 1500
	ctl b network add blue vni 7 mtu 1500
	ctl a peer add b address "${2}2"
	ctl b peer add a address "${2}1"
	guest_new h1
	guest_veth b h1 c1 10.0.0.11/24
	"$1" h1
	ctl b port add c1 type device network blue xdp on
	wait_for 5 program_on a w0
	wait_for 5 program_on b w0
	expect a '[["w0","xdp",null]]' '.[0].underlay_drivers | map([.device,.driver,.why])' host show
}
