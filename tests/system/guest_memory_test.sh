#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A hypervisor that takes memory away which it had shared harms its own guest: weftd lives, says why that port is
# down, and the others go on; the next guest at that port is as good as any.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"

host_new a
host_start a --log-level warn
# The engine's module logs as loud as weftd, and as it is told.
expect a '["warn"]' '[.[] | select(.module == "dpdk").level]' log show
ctl a log set dpdk level info >/dev/null
ctl a log set port level info >/dev/null
ctl a network add blue
ctl a port add bad type vhost-user network blue
for i in 1 2; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.1.0.$i/24"
	ctl a port add "c$i" type device network blue
done
others_go_on() {
	on g1 ping -c 3 -i 0.05 -W 2 10.1.0.2 >/dev/null || die "the other ports do not go on: $1"
}

malformed='[.[] | select(.reason == "rx_malformed" and .hop == "port").packets] | add // 0'

mkfifo "$WORK/orders"
for round in 1 2; do
	before=$(json a "$malformed" drops show port bad) # frames that went with the memory are counted, as many as were on their way
	"$TOOLS/shrink" "$WORK/a/run/vhost/bad.sock" <"$WORK/orders" &
	helper $!
	exec {orders}>"$WORK/orders"
	wait_for 5 json_is a '["up",null]' '.[0] | [.state, .why]' port show bad
	sends() { [ "$(json a '.[0].rx_packets' port show bad)" -gt $((round * 20)) ]; }
	wait_for 5 sends
	# What the guest sends that is no frame is counted, too.
	expect a $((before + 3)) "$malformed" drops show port bad
	echo >&"$orders"
	wait_for 5 json_is a '["waiting",true]' \
		'.[0] | [.state, (.why | test("took away memory that it had shared"))]' port show bad
	others_go_on "round $round"
	exec {orders}>&-
	wait_for 5 json_is a '"no guest is connected to the socket"' '.[0].why | tojson' port show bad
done
grep -q "module=dpdk msg=\"the guest's driver runs" "$WORK/a/log" || die "log set dpdk did not make it speak"
! grep -q 'DPDK is up' "$WORK/a/log" || die "--log-level does not hold for the engine"
grep -q 'msg="port=bad: the guest.s hypervisor took away' "$WORK/a/log" || die "the log does not say why"
