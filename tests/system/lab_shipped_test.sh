#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The shipped labs that need no VM do what their files say.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh

finish() {
	weftlab down "$LAB"
	none_left "$LAB"
}

# every file can be read and drawn
for file in topo/labs/*.yaml; do
	weftlab graph "$file" --svg "$WORK/svg" --dot "$WORK/dot" || die "$file"
done

# wan: 20 ms each way
lab_shipped wan
weftlab up "$LAB_FILE"
reaches c1 c2 10.1.0.2 -n 64K
rtt_us=$(jq '.end.streams[0].sender.min_rtt' "$WORK/iperf")
if [ "$rtt_us" -lt 37000 ] || [ "$rtt_us" -gt 200000 ]; then die "round trip over the wan: $rtt_us us"; fi
finish

# leaf-spine: flows from host to host take both spines
lab_shipped leaf-spine
weftlab up "$LAB_FILE"
for to in 2 3 4; do reaches c1 c$to 10.1.0.$to -n 64K; done
reaches c1 c4 10.1.0.4 -P 24 -n 6M
for spine in 1 2; do
	sent=$(in_lab spine$spine ip -s -j link show leaf4 | jq '.[0].stats64.tx.packets')
	[ "$sent" -gt 50 ] || die "spine$spine sent $sent packets only to leaf4"
done
finish

# mixed-engines: superpackets both ways, also those that a tunnel of the kernel leaves uncut
if [ -e "$BUILD/weft-dpdk.so" ]; then
	lab_shipped mixed-engines
	weftlab up "$LAB_FILE"
	reaches c1 c2 10.1.0.2 -n 50M
	reaches c2 c1 10.1.0.1 -n 50M
	finish
fi

# mixed: weft, the kernel's VXLAN and Open vSwitch, each with each
command -v ovs-vswitchd >/dev/null || skip "the lab mixed needs Open vSwitch: make deps"
lab_shipped mixed
weftlab up "$LAB_FILE"
for from in 1 2 3; do
	for to in 1 2 3; do
		[ $from = $to ] || reaches c$from c$to 10.1.0.$to -n 1M
	done
done
equal '["br1","ovs1"]' "$(in_lab h1 weftctl -j fdb show network blue | jq -c '[.[].peer | select(.)] | unique')" "peers that h1 learned from"
equal '[]' "$(in_lab h1 weftctl -j drops show | jq -c .)" "drops of h1"
finish
