#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Drops: by reason, port and hop, with the sentence; those of a device too; gone with their port.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
host_start a
ctl a network add blue
guest_new g1
guest_veth a g1 v1
ctl a port add v1 type device network blue
expect a '[]' . drops show

send() {
	on g1 "$TOOLS/frame" send --dev eth0 --src 02:00:00:00:00:01 --quiet "$@"
}

send --vlan 5 --count 3
expect a '[{"reason":"tag_on_access","port":"v1","peer":null,"hop":"decide","packets":3,"why":"a tagged frame on an access port"}]' \
	. drops show
send # nobody else is in the network
expect a '[["tag_on_access",3],["no_destination",1]]' '[.[] | [.reason,.packets]]' drops show port v1
expect a '[4,4,0]' '.[0] | [.rx_packets, .rx_dropped, .tx_dropped]' port show v1

# the storm limit: a second's worth passes at once
ctl a port add t1 type tap network blue
ctl a port set v1 storm-limit 10
send --count 50
storm=$(json a '.[] | select(.reason == "storm") | .packets' drops show port v1)
[[ $storm -ge 30 && $storm -le 40 ]] || die "$storm of 50 dropped by a limit of 10"

# what the device drops (nobody has the tap open) counts for the port that it leaves by
dropped=$(json a '.[0].tx_dropped' port show t1)
equal $((50 - storm)) "$dropped" "tx_dropped of the tap"
expect a "[[\"device_dropped\",\"t1\",\"port\",$dropped]]" '[.[] | [.reason,.port,.hop,.packets]]' \
	drops show port t1
host_kill a
host_start a
expect a "$dropped" '.[0].tx_dropped' port show t1

# from the first use on: a device's earlier drops are not the port's
ctl a port del v1
on a ip tuntap add dev old mode tap
on a ip link set old up
on a "$TOOLS/frame" send --dev old --src 02:00:00:00:00:02 --count 5 --quiet
earlier=$(on a ip -s -j link show dev old | jq ".[0].stats64.tx.dropped")
[ "$earlier" -gt 0 ] || die "the tap dropped nothing"
ctl a port add old type tap network blue
expect a 0 ".[0].tx_dropped" port show old
ctl a port add v1 type device network blue
send --count 7
expect a 7 ".[0].tx_dropped" port show old
expect a $((dropped + 7)) ".[0].tx_dropped" port show t1

# what a device refuses at the hand-over: here for its length
if [ "$ENGINE" = dpdk ]; then
	on a ip link set v1 mtu 1000
	guest_new g2
	guest_veth a g2 v2
	ctl a port add v2 type device network blue
	on g2 "$TOOLS/frame" send --dev eth0 --src 02:00:00:00:00:03 --quiet --payload-size 1200 --count 4
	expect a '[["device_dropped","port",4]]' '[.[] | select(.reason == "device_dropped") | [.reason,.hop,.packets]]' \
		drops show port v1
	expect a 4 '.[0].tx_dropped' port show v1
	ctl a port del v2
fi

refused a 1 'there is no port v9' drops show port v9
ctl a port del t1
ctl a port del old
expect a '[]' '[.[] | select(.port != "v1")]' drops show
