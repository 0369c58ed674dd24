#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Too many connections to one service: SYNs from everywhere, and more clients than there is room for. What others
# have goes on, known connections of the service do, the quota holds, the counters say so, and it ends.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
# shellcheck source=tests/system/web.sh
. "$(dirname "$0")/web.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

SHOP=203.0.113.10
OWN=10.1.0.101
VICTIM=203.0.113.20
LIMIT=500

# --- a table that is full: a sentence of its own for who is refused, and flush makes room
host_new a
echo 'capacity: {connection: 256}' >"$WORK/config"
host_start a --config "$WORK/config"
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254
machines 4
for i in 1 2; do
	web g$i
	server g$i --port 8081
done
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add 203.0.113.0/24 dev eth0
ctl a port add up0 type device dev up0
ctl a service add dns vip $SHOP port 53 proto udp network blue mode nat uplink up0
for i in 1 2; do ctl a backend add dns address 10.1.0.1$i port 8081; done
wait_for 5 json_is a 2 '.[0].serving' service show dns
dropped() { # dropped REASON: at the uplink
	json a "[.[] | select(.reason == \"$1\" and .port == \"up0\") | .packets] | add // 0" drops show
}
dropped_more() { # dropped_more REASON THAN: for wait_for
	[ "$(dropped "$1")" -gt "$2" ]
}
failures() { # failures COUNT OPTIONS...: of so many requests from outside
	ask out $SHOP "$@" | jq .failed
}
refuses() { # refuses REASON OPTIONS...: the next request is lost, for this reason
	local before
	before=$(dropped "$1")
	equal 1 "$(failures 1 "${@:2}")" "failures of a request beyond the limit"
	wait_for 3 dropped_more "$1" "$before"
}
equal 0 "$(failures 100 --udp --port 53)" "failures of 100 flows in a table of 256 rows"
for i in 1 2 3 4 5; do [ "$(failures 10 --udp --port 53)" = 0 ] || break; done
refuses connection_limit --udp --port 53
flushed() { # with dpdk rows are free a moment later, and who asks meanwhile takes some
	ctl a connection flush service dns
	[ "$(failures 60 --udp --port 53)" = 0 ]
}
wait_for 10 flushed
host_stop a
host_start a
ctl a connection flush service dns

# --- a limit of the service: from a port of its own each; flush makes room, or time
ctl a service set dns connection-limit 50 idle 6s
equal 0 "$(failures 50 --udp --port 53)" "failures within the limit"
refuses connection_limit --udp --port 53 --from 5353
expect a '[50,true]' '.[0] | [.connections, .connections_refused > 0]' service show dns
wait_for 15 json_is a 0 '.[0].connections' service show dns
equal 0 "$(failures 50 --udp --port 53)" "failures after they were idle"

# --- the victim: another network, another service, the same uplink
ctl a network add red subnet 10.2.0.0/24 gateway 10.2.0.254
guest_new r1
guest_veth a r1 w1 10.2.0.11/24
on r1 ip route add default via 10.2.0.254
ctl a port add r1 type device dev w1 network red
web r1
guest_new evil
guest_veth a evil up1 198.51.100.66/24
on evil ip route add 203.0.113.0/24 dev eth0
ctl a port add up1 type device dev up1
ctl a service add victim vip $VICTIM port 80 proto tcp network red mode nat uplink up0,up1
ctl a backend add victim address 10.2.0.11 port 8080
ctl a service add shop vip $SHOP port 80 proto tcp network blue mode nat uplink up0,up1 connection-limit $LIMIT
ctl a service add own vip $OWN port 8080 proto tcp network blue mode dsr connection-limit $LIMIT
for i in 1 2; do
	on g$i sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	on g$i ip addr add $OWN/32 dev lo
	ctl a backend add shop address 10.1.0.1$i port 8080
	ctl a backend add own address 10.1.0.1$i port 8080
done
for service in shop own; do wait_for 5 json_is a 2 '.[0].serving' service show $service; done
wait_for 5 json_is a 1 '.[0].serving' service show victim

answers_more() { # answers_more LOAD THAN: whoever serves it
	[ "$(cat "$WORK"/{g1,g2,r1}/web/access | grep -c "^/$1 ")" -gt "$2" ]
}
flood() { # flood SERVICE GUEST ADDRESS PORT COUNTER: until it has counted; meanwhile the loads go on
	local hping load before now
	declare -A before=()
	now=$(json a ".[0].$5" service show "$1")
	# it ends with `timeout`, even if that is killed
	timeout 20 setpriv --pdeathsig KILL nsenter --net="/run/netns/$(netns "$2")" hping3 -q -n -S --flood --rand-source -I eth0 -p "$4" "$3" >"$WORK/hping" 2>&1 &
	hping=$!
	helper $hping
	wait_for 10 counts_more "$1" "$5" "$now"
	for load in "${!LOAD[@]}"; do before[$load]=$(cat "$WORK"/{g1,g2,r1}/web/access | grep -c "^/$load "); done
	for load in "${!LOAD[@]}"; do wait_for 10 answers_more "$load" $((before[$load] + 40)); done
	wait_for 10 counts_more "$1" "$5" $((now + 5000))
	kill -INT $hping 2>/dev/null || die "the flood was over: $(cat "$WORK/hping")"
	wait $hping || true
	now=$(json a '.[0].connections' service show "$1")
	[ "$now" -le $LIMIT ] || die "service $1 has $now connections of $LIMIT"
}
counts_more() { # counts_more SERVICE COUNTER THAN: for wait_for
	[ "$(json a ".[0].$2" service show "$1")" -gt "$3" ]
}
load victim-new out http://$VICTIM -H 'Connection: close'
load victim out http://$VICTIM
load known out http://$SHOP
load known-own g4 http://$OWN:8080
for load in "${!LOAD[@]}"; do wait_for 5 answers_more "$load" 5; done

# --- first fragments without an end: they fill their network's part of the table, and no other's, and are forgotten
server r1 --port 8081
ctl a service add wide vip $VICTIM port 53 proto udp network red mode nat uplink up0
ctl a backend add wide address 10.2.0.11 port 8081
ctl a service set dns connection-limit 500
wait_for 5 json_is a 1 '.[0].serving' service show wide
cat >"$WORK/pieces.py" <<'END'
import socket, struct, sys
def flood(to):  # what has no second piece; the kernel fills in the header's checksum
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for number in range(1, 6001):
        raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, number, 0x2000, 64, 17, 0, socket.inet_aton("198.51.100.7"),
            socket.inet_aton(to)) + struct.pack("!HHHH8x", 9999, 53, 100, 0), (to, 0))
def ask(to):  # a datagram in three pieces
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(1)
    udp.sendto(bytes(4000), (to, 53))
    return udp.recv(100)
if sys.argv[1] == "flood":
    flood(sys.argv[2])
ask(sys.argv[3])
END
pieces() { on out /usr/bin/python3 "$WORK/pieces.py" "$@" 2>"$WORK/pieces"; }
pieces ask none $SHOP || die "no answer to a datagram in pieces: $(cat "$WORK/pieces")"
pieces flood $SHOP $VICTIM || die "no answer to another network's datagram in pieces: $(cat "$WORK/pieces")"
expect a '[["blue",true],["red",true]]' '[.[] | [.name, if .name == "red" then .fragments_refused == 0 else .fragments_refused > 0 end]]' network show
wait_for 10 pieces ask none $SHOP
ctl a backend del wide address 10.2.0.11 port 8081
ctl a service del wide

# --- what must have its rows is dropped; what the hash can serve alone is served without
flood shop evil $SHOP 80 connections_refused
equal 0 "$(dropped connection_rate)" "drops for a rate that is not limited"
json a '[.[] | select(.reason == "connection_limit" and .port == "up1") | .packets][0] > 5000' drops show | grep -q true || die "no drops for connection_limit at up1"
load own-new g4 http://$OWN:8080 -H 'Connection: close'
wait_for 5 answers_more own-new 5
flood own g3 $OWN 8080 connections_bypassed
load_end own-new
equal 0 "$(errors own-new)" "failures of new connections that no row has"

room() {
	[ "$(json a '.[0].connections' service show shop)" -lt 10 ]
}

# --- a rate: so many, and no more; once the flood's rows are gone, which else go meanwhile
wait_for 20 room
ctl a connection flush service own
ctl a service set shop rate-limit 100 connection-limit 65536
flooded=$(json a '.[0].connections' service show shop)
refused=$(json a '.[0].connections_refused' service show shop)
start=$EPOCHREALTIME
hping() {
	timeout 3 nsenter --net="/run/netns/$(netns evil)" hping3 -q -n -S --flood --rand-source -I eth0 -p 80 $SHOP >"$WORK/hping" 2>&1
}
hping || true
got=$(($(json a '.[0].connections' service show shop) - flooded))
seconds=$(jq -n "$EPOCHREALTIME - $start | ceil")
between 100 $(((seconds + 2) * 100)) "$got" "connections in $seconds s at 100 per second"
json a '[.[] | select(.reason == "connection_rate" and .port == "up1") | .packets][0] > 5000' drops show | grep -q true || die "no drops for connection_rate at up1"
refused=$(($(json a '.[0].connections_refused' service show shop) - refused))
[ $refused -gt 5000 ] || die "$refused connections counted as refused for their rate"

# --- it ends: nobody answered the handshakes of the flood, so their rows go by themselves
for load in "${!LOAD[@]}"; do
	load_end "$load"
	equal 0 "$(errors "$load")" "failures of load $load during the floods ($(cat "$WORK/load-$load"))"
done
ctl a service set shop rate-limit 0 connection-limit $LIMIT
wait_for 20 room
load shop-new out http://$SHOP -H 'Connection: close'
wait_for 5 answers_more shop-new 20
load_end shop-new
equal 0 "$(errors shop-new)" "failures of new connections after the flood"
