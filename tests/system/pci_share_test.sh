#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What NICs that DPDK drives leave to the other ports: frames, as many as dpdk.memory_mb says.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"

configure() { # configure MEMORY_MB
	echo "dpdk: {pci: true, memory_mb: $1}" >"$WORK/config.yaml"
	host_start a --config "$WORK/config.yaml"
}
reaches() {
	on g1 ping -n -q -c 3 -i 0.05 -W 2 10.1.0.2 >"$WORK/ping" || die "$1: g1 does not reach g2: $(cat "$WORK/ping")"
}
# A tap's driver holds a frame per descriptor, as a NIC does.
fill() { # fill FROM TO: all there is room for, and no more
	local i
	for i in $(seq "$1" "$2"); do
		ctl a port add "n$i" type pci dev "net_tap$i,iface=nic$i" network blue
	done
	refused a 1 'raise dpdk.memory_mb by 16' port add more type pci dev net_tap99,iface=nic99 network blue
	wait_for 5 json_is a "[$(seq -s, 1 "$2" | sed 's/[0-9]*/"up"/g')]" '[.[] | select(.type == "pci").state]' port show
}

host_new a
for i in 1 2; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.1.0.$i/24"
done

configure 64
ctl a network add blue
for i in 1 2; do
	ctl a port add "c$i" type device network blue
done
reaches "no NIC"
fill 1 3
reaches "three NICs"
ctl a port del n2
ctl a port add n2 type pci dev net_tap2,iface=nic2 network blue
host_stop a
configure 160
fill 4 9
reaches "nine NICs"
