#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What NICs that DPDK drives leave to the other ports: frames, as many as dpdk.memory_mb says, and the worker's time while
# they are quiet.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"

configure() { # configure MEMORY_MB
	echo "dpdk: {pci: true, memory_mb: $1, spin_us: 2000}" >"$WORK/config.yaml"
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

# --- a quiet NIC without interrupts costs looks, not a worker that spins for spin_us after each
configure 64
ctl a network add blue
ctl a port add quiet type pci dev net_null0,no-rx=1 network blue
spent() { # seconds of the worker: all, awake; how often it has slept
	curl -sS --unix-socket "$WORK/a/run/weftd.sock" http://weftd/metrics |
		awk '/^weft_worker_seconds_total/ { all += $2; if (!/sleep/) awake += $2 } /^weft_worker_wake_seconds_count/ { n = $2 }
			END { print all, awake, n }'
}
slept() { # slept TIMES: since it was asked first
	read -r all awake times < <(spent)
	[ "$times" -ge $((times0 + $1)) ]
}
read -r all0 awake0 times0 < <(spent)
wait_for 20 slept 300
awk -v all="$all" -v all0="$all0" -v awake="$awake" -v awake0="$awake0" 'BEGIN { exit !(awake - awake0 < (all - all0) / 2) }' ||
	die "awake for $awake0 to $awake s of $all0 to $all"
ctl a port del quiet

# --- frames
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
