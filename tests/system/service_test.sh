#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The balancer: real TCP and UDP to a service, from its network and from outside, through every mode.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

VIP=10.1.0.100
OUTER=203.0.113.10
OUTER6=2001:db8:1::10

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254,fd00::254
machines 4
guest_new out
guest_veth a out up0 198.51.100.7/24
six out 2001:db8:1::7
on out ip route add $OUTER dev eth0
ctl a port add up0 type device dev up0

for i in 1 2 3; do server "g$i"; done

backends() { # backends SERVICE PORT [ADDRESS-BEGIN]: three of them, and weftd finds their MACs
	local i
	for i in 1 2 3; do ctl a backend add "$1" address "${3:-10.1.0.1}$i" port "$2"; done
	wait_for 5 json_is a 3 '.[0].serving' service show "$1"
}

# --- nat: from the network, from a backend itself, from outside
ctl a service add web vip $VIP port 80 proto tcp network blue mode nat
backends web 8080
answered 'g1 10.1.0.14, g2 10.1.0.14, g3 10.1.0.14' g4 $VIP
answered 'g1 10.1.0.254, g2 10.1.0.11, g3 10.1.0.11' g1 $VIP
ctl a service add shop vip $OUTER port 80 proto tcp network blue mode nat uplink up0
backends shop 8080
answered 'g1 10.1.0.254, g2 10.1.0.254, g3 10.1.0.254' out $OUTER
answered 'g1 10.1.0.14, g2 10.1.0.14, g3 10.1.0.14' g4 $OUTER
equal 'g' "$(on out curl -s --max-time 5 http://$OUTER/ | cut -c1)" "what curl gets"
on out ping -n -q -c 1 -W 2 $OUTER >/dev/null || die "echo to the service from outside"
on g4 ping -n -q -c 1 -W 2 $VIP >/dev/null || die "echo to the service"

# --- UDP, and IPv6
ctl a service add dns vip $OUTER port all proto udp network blue mode nat uplink up0
backends dns 8080
answered 'g1 10.1.0.254, g2 10.1.0.254, g3 10.1.0.254' out $OUTER --udp --port 53
answered 'g1 10.1.0.14, g2 10.1.0.14, g3 10.1.0.14' g4 $OUTER --udp --port 5353
ctl a service add six vip $OUTER6 port 80 proto tcp network blue mode nat uplink up0
backends six 8080 fd00::1
answered 'g1 fd00::254, g2 fd00::254, g3 fd00::254' out $OUTER6
answered 'g1 fd00::14, g2 fd00::14, g3 fd00::14' g4 $OUTER6
on out ping -n -q -c 1 -W 2 $OUTER6 >/dev/null || die "echo to the service from outside"

# --- what each backend has to do, and how it is
ctl a service add told vip $OUTER port 55 proto udp network blue mode nat uplink up0 check udp send who interval 1s
backends told 8080
wait_for 5 json_is a '[true,"healthy",0]' '.[0].served_by[0] | [.packets_per_second == 0, .health, .connections]' service show told
got=$(ask out $OUTER 40 --udp --port 55)
wait_for 5 json_is a true '.[0].served_by | all(.connections_per_second > 0 and .bytes_per_second > .packets_per_second)' service show told
for i in 1 2 3; do
	wait_for 5 json_is a "$(jq --arg who "g$i 10.1.0.254" '.[$who]' <<<"$got")" \
		".[0].served_by[] | select(.address == \"10.1.0.1$i\").connections" service show told
done
expect a '[40,100,true]' '.[0] | [([.served_by[].connections] | add), ([.served_by[].share_percent] | add | round),
	([.served_by[].bytes] | add) == .bytes]' service show told
ctl a service show told | grep -qE '^  10.1.0.13 +8080 ' || die "service show told: $(ctl a service show told)"

# --- host-dsr: the backend sees who asks, and needs no address of the service
ctl a service set shop mode host-dsr
answered 'g1 198.51.100.7, g2 198.51.100.7, g3 198.51.100.7' out $OUTER
ctl a service set web mode host-dsr
answered 'g1 10.1.0.14, g2 10.1.0.14, g3 10.1.0.14' g4 $VIP
answered 'g1 10.1.0.254, g2 10.1.0.11, g3 10.1.0.11' g1 $VIP


# --- dsr: the backends own the address, and answer by themselves
ctl a service add own vip 10.1.0.101 port 8080 proto tcp network blue mode dsr
for i in 1 2 3; do
	on "g$i" sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	on "g$i" ip addr add 10.1.0.101/32 dev lo
done
backends own all
answered 'g1 10.1.0.14, g2 10.1.0.14, g3 10.1.0.14' g4 10.1.0.101 --port 8080

# --- explain and trace name the service and who serves
expect a '["shop",true]' '.[0] | [.service, (.why | contains("service shop, to backend 10.1.0.1"))]' \
	explain port up0 ip-src 198.51.100.7 ip-dst $OUTER proto tcp sport 4999 dport 80
ctl a -j trace "tcp port 80" for 20s >"$WORK/trace" &
TRACE=$!
helper $TRACE
traced() {
	ask g4 $VIP 1 >/dev/null
	jq -en 'any(inputs; .point == "P1" and .service == "web" and (.backend | startswith("backend 10.1.0.1")))' "$WORK/trace" >/dev/null &&
		jq -en 'any(inputs; .point == "P0" and (.becomes_dst // "" | startswith("10.1.0.1")))' "$WORK/trace" >/dev/null
}
wait_for 10 traced
kill -TERM $TRACE

# --- one connection: drained, weftd killed and back, then its backend is deleted
hold() { # asks once on the connection that is held, and reads who answers
	echo ask >&"${HOLD[1]}"
	read -r -t 5 HELD <&"${HOLD[0]}" || die "the connection that is held does not answer"
}
who() { # who GUEST-ADDRESS: the backend of the tuple, and why
	json a '.[0] | [.backend, .by] | join(" ")' service who shop from "$1:4242"
}
foretold=$(who 198.51.100.7)
coproc HOLD { "$TOOLS/serve" hold --netns "$(netns out)" --to $OUTER --from 4242; }
# shellcheck disable=SC2153 # made by coproc
helper "$HOLD_PID"
hold
server=${HELD%% *}
equal "10.1.0.1${server#g} hash" "$foretold" "who was foretold to serve"
equal "10.1.0.1${server#g} connection" "$(who 198.51.100.7)" "who serves"
equal '["open",4242]' "$(json a '[.[] | select(.client_port == 4242)][0] | [.state, .client_port]' connection show service shop)"
ctl a backend set shop address "10.1.0.1${server#g}" port 8080 weight 0
hold
others=$(for i in 1 2 3; do [ "g$i" = "$server" ] || echo "g$i 198.51.100.7"; done | paste -sd, | sed 's/,/, /')
answered "$others" out $OUTER
expect a '["down",0]' '.[0] | [.state, .share_percent]' backend show shop address "10.1.0.1${server#g}" port 8080
host_kill a
[ "$ENGINE" != ebpf ] || hold # it forwards without weftd
host_start a
hold
equal "10.1.0.1${server#g} connection" "$(who 198.51.100.7)" "who serves after kill -9"
equal "$server 198.51.100.7" "$HELD" "who serves the connection that is held"
ctl a backend set shop address "10.1.0.1${server#g}" port 8080 drain 1s
wait_for 5 json_is a 0 '[.[] | select(.client_port == 4242)] | length' connection show service shop
ctl a backend del shop address "10.1.0.1${server#g}" port 8080
expect a '[2,2]' '.[0] | [.backends, .serving]' service show shop
answered "$others" out $OUTER
ctl a connection flush service shop
expect a '[0,0]' '[([.[] | select(.service == "shop")] | length), 0]' connection show
expect a 0 '.[0].connections' service show shop

# --- nothing is left
ctl a -j export | jq 'del(.services[] | select(.name == "shop")) | del(.backends[] | select(.service == "shop"))' >"$WORK/file"
ctl a apply "$WORK/file"
expect a '["web","dns","six","told","own"]' '[.[].name]' service show
! on out timeout 1 "$TOOLS/serve" ask --netns "$(netns out)" --to $OUTER >/dev/null || die "a deleted service answers"
