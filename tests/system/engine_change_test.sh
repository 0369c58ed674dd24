#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Another engine on the same state: what the one before left on devices and pins ends, and ports come up.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/xdp.sh
. "$(dirname "$0")/xdp.sh"
[ -e "$BUILD/weft-dpdk.so" ] || skip "no libdpdk: weft-dpdk.so was not built"

pinned() { [ -e "$WORK/a/bpf/weft" ]; } # by which the eBPF datapath is on devices, without weftd too
pings() { # both ways: each request has one answer
	local pair
	for pair in 'g1 10.0.0.2' 'g2 10.0.0.1'; do
		on "${pair% *}" ping -q -n -c 10 -i 0.02 -W 2 "${pair#* }" >"$WORK/ping" || die "no way: $pair: $(cat "$WORK/ping")"
		! grep -q duplicates "$WORK/ping" || die "twice: $pair: $(cat "$WORK/ping")"
	done
}

host_new a
ENGINE=ebpf host_start a
ctl a network add blue
for i in 1 2; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.0.0.$i/24"
	finish_all "g$i"
	ctl a port add "c$i" type device network blue
done
ctl a port set c2 xdp on
expect a '["tc","xdp"]' 'map(.driver)' port show
pinned || die "the eBPF datapath has no pins"
pings
for engine in dpdk ebpf dpdk ebpf; do
	if [ $engine = dpdk ]; then host_stop a; else host_kill a; fi
	ENGINE=$engine host_start a
	case $engine in
	dpdk) ! pinned || die "pins are left: $(find "$WORK/a/bpf")" ;;
	ebpf) pinned || die "the eBPF datapath has no pins" ;;
	esac
	expect a '["up","up"]' 'map(.state)' port show
	expect a "[\"$([ "$engine" = dpdk ] && echo packet || echo tc)\",\"xdp\"]" 'map(.driver)' port show
	pings
done
