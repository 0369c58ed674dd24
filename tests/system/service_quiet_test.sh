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

# --- what a packet would meet
refused a 2 "service web has port 80 alone" service who web from 198.51.100.7:4242 to-port 9999
ctl a service add inner vip 10.1.0.100 port 80 proto tcp network blue mode nat
ctl a backend add inner address 10.1.0.11 port 8080
refused a 1 "mode dsr translates nothing: the port of 10.1.0.11" service set inner mode dsr
refused a 2 "not a time from 5s" service set web idle 4s
ctl a network set blue connection-limit 10000
ctl a service set dns check udp send ping expect 10.1.0.254 interval 1s rise 1 fall 2
ctl a backend add dns address 10.1.0.11 port 8080
wait_for 10 json_is a '"healthy healthy"' '[.[] | select(.service == "dns").health] | join(" ") | tojson' backend show
dns() { json a ".[0].$1" service who dns from 198.51.100.7:$port; }
port=5000
until [ "$(dns backend)" = 10.1.0.12 ]; do port=$((port + 1)); done
on out /usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('198.51.100.7', $port))
s.settimeout(5)
s.sendto(b'ask', ('$VIP', 53))
s.recv(100)"
equal '10.1.0.12 connection' "$(dns backend) $(dns by)" "who serves a connection"
server_stop g2
# shellcheck disable=SC2016 # of jq
wait_for 10 json_is a '"unhealthy"' '[.[] | select(.service == "dns" and .address == "10.1.0.12").health] | first | tojson' backend show
equal '10.1.0.11 hash' "$(dns backend) $(dns by)" "who serves a datagram whose backend is dead"

# --- a check's Host is what the RFC wants
cat >"$WORK/host.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 8080))
s.listen(16)
while True:
    c = s.accept()[0]
    text = c.recv(1000).decode()
    for line in text.split("\r\n"):
        if line.startswith("Host:"):
            print(line, flush=True)
    c.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    c.close()
END
spawn g2 /usr/bin/python3 "$WORK/host.py" >"$WORK/hosts"
wait_for 10 grep -qx "Host: $VIP" "$WORK/hosts"
ctl a service add six vip 2001:db8::10 port 81 proto tcp network blue mode nat check http interval 1s
ctl a backend add six address fd00::12 port 8080
wait_for 10 grep -qx 'Host: \[2001:db8::10\]:81' "$WORK/hosts"
