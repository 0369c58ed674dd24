#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A weftd of another version takes over, its FDB row laid out differently, and gives back again.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" = ebpf ] || skip "needs the ebpf engine: no other one has tables that outlive weftd"
OTHER=$BUILD/upgrade

# Variables of the environment add to the Makefile's own, those of the command line replace them.
layout="-include tests/system/fdb_layout.h"
CPPFLAGS="${CPPFLAGS:-} $layout" BPF_CPPFLAGS="${BPF_CPPFLAGS:-} $layout" CFLAGS=-O1 \
	make -s -j"$(nproc)" -C "$(dirname "$0")/../.." BUILD="$(realpath -m "$OTHER")" \
	"$(realpath -m "$OTHER")/weftd" "$(realpath -m "$OTHER")/weftctl"

host_new a
host_start a
ctl a network add blue
ctl a network add red
for i in 1 2 3; do
	guest_new "c$i"
done
guest_veth a c1 veth1 10.1.0.1/24
guest_veth a c2 veth2 10.1.0.2/24
guest_veth a c3 veth3
ctl a port add c1 type device dev veth1 network blue
ctl a port add c2 type device dev veth2 network blue
ctl a port add c3 type device dev veth3 trunk blue:10,red:20
ctl a fdb add 02:00:00:00:00:99 network red port c3
ctl a fdb add 02:00:00:00:00:98 network blue port c1
for i in {10..59}; do
	tag=$((i % 2 ? 10 : 20))
	"$TOOLS/frame" send --netns "$(netns c3)" --dev eth0 --vlan $tag --src "02:00:00:00:01:$i"
done
wait_for 5 json_is a 50 '[.[] | select(.port == "c3" and .kind == "learned")] | length' fdb show

# Rows without the age, which goes on.
rows() { json a 'map(del(.age_seconds))' fdb show; }
age() { json a '.[] | select(.mac == "02:00:00:00:01:10").age_seconds' fdb show; }
table() { find "$WORK/a/bpf" -name 'fdb-*' -printf '%f\n'; }
counters() {
	json a 'map(select(.name == "c3") | {rx_packets, macs})' port show
	json a 'map({moves, macs})' network show
}

stream_start down c1 c2 10.1.0.2 --pps 20000
stream_start up c2 c1 10.1.0.1 --pps 20000
wait_for 5 json_is a 54 length fdb show
is_aged() { [ "$(age)" -ge 1 ]; }
wait_for 5 is_aged
before=$(rows)
kept=$(counters)
mine=$(table)
old=$(age)
for i in 1 2 3; do
	for build in "$OTHER" "$BUILD"; do
		host_kill a
		BUILD=$build host_start a
		equal "$before" "$(rows)" "rows, round $i, $build"
		equal "$kept" "$(counters)" "counters, round $i, $build"
		[ "$(age)" -ge "$old" ] || die "a row that was $old s old is now $(age)"
		old=$(age)
		case $build in
		"$BUILD") equal "$mine" "$(table)" "the table that is pinned" ;;
		*) [ "$(table)" != "$mine" ] || die "$build has the same layout" ;;
		esac
		equal 1 "$(table | wc -l)" "pinned fdb tables"
	done
done

# The datapath of the other version learns into its own layout, and moves, and this one reads it.
host_stop a
BUILD=$OTHER host_start a
"$TOOLS/frame" send --netns "$(netns c3)" --dev eth0 --vlan 20 --src 02:00:00:00:02:01
"$TOOLS/frame" send --netns "$(netns c1)" --dev eth0 --src 02:00:00:00:01:11 --dst 02:00:00:00:00:01
wait_for 5 json_is a c1 '.[] | select(.mac == "02:00:00:00:01:11").port' fdb show
before=$(rows)
host_stop a
host_start a
equal "$before" "$(rows)" "rows that the other version learned"
expect a '["red","c3",20]' '.[] | select(.mac == "02:00:00:00:02:01") | [.network, .port, .tag]' fdb show
expect a '["blue","c1",0]' '.[] | select(.mac == "02:00:00:00:01:11") | [.network, .port, .tag]' fdb show

stream_stop down
stream_stop up
