#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A backend that says nothing for longer than the FDB remembers is served; who fills a network's quota makes no backend
# unwell; and `service who` says what a packet would meet.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
VIP=203.0.113.10

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254,fd00::254
machines 2
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add $VIP dev eth0
ctl a port add up0 type device dev up0
for i in 1 2; do server g$i; done

# --- where the backend is, is known, though its MAC was given and it is silent
ctl a network set blue ageing 5s
ctl a service add web vip $VIP port 80 proto tcp network blue mode host-dsr uplink up0
ctl a backend add web address 10.1.0.11 port 8080 mac "$(mac_of g1 eth0)"
serves() { [ "$(on out curl -s --max-time 1 http://$VIP/)" = "g1 198.51.100.7" ]; }
knows() { json a '.[].mac' fdb show | grep -q "$(mac_of g1 eth0)"; }
wait_for 10 serves
ctl a fdb flush network blue >/dev/null
wait_for 10 knows
serves || die "who is known is not served: $(ctl a explain port up0 ip-src 198.51.100.7 ip-dst $VIP dport 80)"
# while nobody knows it, nothing is sent to where nobody translates
ctl a network set blue ageing 300s
on g1 ip link set eth0 down
ctl a fdb flush network blue >/dev/null
expect a '["drop","backend_unresolved"]' '.[0] | [.verdict,.reason]' explain port up0 ip-src 198.51.100.7 ip-dst $VIP dport 80
on g1 ip link set eth0 up
on g1 ip route add default via 10.1.0.254
wait_for 10 knows
wait_for 5 serves

# --- the network's connections are used up, and its backends are well
ctl a service set web mode nat
ctl a backend add web address 10.1.0.12 port 8080
ctl a service set web check http interval 1s rise 1 fall 2
ctl a service add dns vip $VIP port 53 proto udp network blue mode nat uplink up0
ctl a backend add dns address 10.1.0.12 port 8080
wait_for 10 json_is a '"healthy healthy"' '[.[] | select(.service == "web").health] | join(" ") | tojson' backend show
ctl a network set blue connection-limit 40
ask out $VIP 60 --port 53 --udp >/dev/null &
helper $!
wait_for 20 json_is a true '.[] | select(.name == "dns").connections_refused > 3' service show
sent=$(json a .[0].tx_packets port show g1)
wait_for 20 json_is a true ".[0].tx_packets > $((sent + 20))" port show g1 # by then it was checked several times
json_is a true '.[0].connections >= 40' network show blue || die "the network is not full: $(ctl a network show blue)"
equal 'healthy healthy' "$(json a '[.[] | select(.service == "web").health] | join(" ")' backend show)" "health in a full network"
