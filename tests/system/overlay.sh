# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Hosts that reach each other over an underlay, on top of lib.sh and traffic.sh.
#
#   vtep a 192.0.2.1 eth1    the host's address, on that device
#   peers_all a b c          each of them knows the others as peers
declare -A VTEP=()

address() { # address HOST DEVICE ADDRESS/LENGTH...: IPv6 holds at once
	local host=$1 device=$2 address words
	shift 2
	for address; do
		words=()
		case $address in
		*:*)
			on "$host" sysctl -q -w "net.ipv6.conf.$device.disable_ipv6=0"
			words=(nodad)
			;;
		esac
		on "$host" ip addr add "$address" dev "$device" "${words[@]}"
	done
}

vtep() { # vtep HOST ADDRESS DEVICE
	VTEP[$1]=$2
	case $2 in
	*:*) address "$1" "$3" "$2/64" ;;
	*) address "$1" "$3" "$2/24" ;;
	esac
	ctl "$1" host set address "$2"
}

peers_all() {
	local a b
	for a; do
		for b; do
			[ "$a" = "$b" ] || ctl "$a" peer add "$b" address "${VTEP[$b]}"
		done
	done
	for a; do
		for b; do
			[ "$a" = "$b" ] || wait_for 5 json_is "$a" up '.[0].state' peer show "$b"
		done
	done
}
