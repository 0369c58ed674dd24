#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Nobody serves, or who served is dead: clients are told at once, over TCP and UDP, IPv4 and IPv6, from a network and from
# outside.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

VIP=203.0.113.10
VIP6=2001:db8:1::10

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254,fd00::254
machines 3
guest_new out
guest_veth a out up0 198.51.100.7/24
six out 2001:db8:1::7
on out ip route add $VIP dev eth0
ctl a port add up0 type device dev up0
ctl a service add web vip $VIP port 80 proto tcp network blue mode nat uplink up0
ctl a service add dns vip $VIP port 80 proto udp network blue mode nat uplink up0
ctl a service add web6 vip $VIP6 port 80 proto tcp network blue mode nat uplink up0
ctl a service add dns6 vip $VIP6 port 80 proto udp network blue mode nat uplink up0

dropped() { # dropped REASON: packets
	json a '[.[] | select(.reason == "'"$1"'") | .packets] | add // 0' drops show
}
connects() { # connects GUEST ADDRESS WHAT: so does connect() end
	local got
	got=$("$TOOLS/serve" hold --netns "$(netns "$1")" --to "$2" 2>&1 </dev/null || true)
	equal "serve: connect: $3" "$got" "connect from $1 to $2"
}
sends() { # sends GUEST ADDRESS WHAT: so does recv() end, after a datagram was sent
	equal "failed $3" "$("$TOOLS/serve" hold --netns "$(netns "$1")" --to "$2" --udp <<<ask)" "recv by $1 from $2"
}

# --- no backends. The first packet is answered: no second one is counted
connects g3 $VIP "Operation now in progress" # silence, until the time is over
for service in web dns web6 dns6; do ctl a service set $service on-empty reject; done
before=$(dropped no_backend)
refused_all() {
	local guest
	for guest in g3 out; do
		connects $guest $VIP "Connection refused"
		connects $guest $VIP6 "Connection refused"
		sends $guest $VIP ECONNREFUSED
		sends $guest $VIP6 ECONNREFUSED
	done
}
refused_all
counted=$(($(dropped no_backend) - before))
equal 8 $counted "packets that were refused"
for guest in g3 out; do on $guest ethtool -K eth0 tx off >/dev/null; done # whole checksums now
refused_all
for guest in g3 out; do on $guest ethtool -K eth0 tx on >/dev/null; done

# --- explain and trace say so
expect a '["reply","no_backend","reset","web"]' '.[0] | [.verdict, .reason, .reply, .service]' \
	explain port g3 ip-dst $VIP proto tcp dport 80
expect a '["reply","unreachable6"]' '.[0] | [.verdict, .reply]' explain port g3 ip-dst $VIP6 proto udp dport 80
ctl a -j trace "tcp port 80" for 20s >"$WORK/trace" &
TRACE=$!
helper $TRACE
traced() {
	connects g3 $VIP "Connection refused"
	jq -en 'any(inputs; .point == "P5" and .verdict == "reply" and .reason == "no_backend" and .port == "g3")' \
		"$WORK/trace" >/dev/null
}
wait_for 10 traced
kill -TERM $TRACE

# --- the server hangs, and its checks fail: who has a connection to it hears of it with his next packet
server g1
server g2
for i in 1 2; do ctl a backend add web address "10.1.0.1$i" port 8080 mac "$(mac_of "g$i" eth0)"; done
ctl a service set web check http interval 1s rise 1 fall 2 dead reset
health() {
	json a '[.[] | select(.service == "web") | .health] | join(" ")' backend show
}
is_health() {
	[ "$(health)" = "$1" ]
}
wait_for 5 is_health "healthy healthy"

open_connection() {
	coproc HOLD { "$TOOLS/serve" hold --netns "$(netns "$1")" --to $VIP; }
	# shellcheck disable=SC2153 # made by coproc
	HOLDER=$HOLD_PID
	helper "$HOLDER"
	say ask
	SERVER_OF=${HELD%% *}
}
say() { # asks on the connection that is held, and reads what comes
	echo "$1" >&"${HOLD[1]}"
	read -r -t 10 HELD <&"${HOLD[0]}" || die "the connection that is held says nothing"
}
close_connection() {
	eval "exec ${HOLD[1]}>&-"
	wait "$HOLDER" 2>/dev/null || true
}
other() { [ "$1" = g1 ] && echo g2 || echo g1; }

for guest in g3 out; do
	open_connection $guest
	before=$(dropped backend_dead)
	kill -STOP "${SERVER[$SERVER_OF]}"
	if [ "$SERVER_OF" = g1 ]; then dead="unhealthy healthy"; else dead="healthy unhealthy"; fi
	wait_for 8 is_health "$dead"
	say ask
	equal "failed ECONNRESET" "$HELD" "what $guest hears whose backend is dead"
	equal $((before + 1)) "$(dropped backend_dead)" "packets that were answered by a reset"
	close_connection
	equal "$(other "$SERVER_OF")" "$(ask $guest $VIP 1 | jq -r 'keys[] | select(. != "failed") | split(" ")[0]')" "who serves now"
	kill -CONT "${SERVER[$SERVER_OF]}"
	wait_for 5 is_health "healthy healthy"
done

# --- all hang: nobody serves, and that is told, too
for i in 1 2; do kill -STOP "${SERVER[g$i]}"; done
wait_for 8 is_health "unhealthy unhealthy"
connects g3 $VIP "Connection refused"
for i in 1 2; do kill -CONT "${SERVER[g$i]}"; done
wait_for 5 is_health "healthy healthy"
ctl a service set web check none

# --- its time to drain is over; it is deleted
address_of() { echo "10.1.0.1${1#g}"; }
opens() { # opens BACKEND..: of the open connections, as far as they have one
	json a '[.[] | select(.state == "open") | .backend // "none"] | sort | join(" ")' connection show service web
}
is_open() {
	[ "$(opens)" = "$1" ]
}
ctl a connection flush service web
open_connection g3
say ask
equal "$SERVER_OF 10.1.0.13" "$HELD" "who answers on a connection"
is_open "$(address_of "$SERVER_OF")" || die "connections: $(opens)"
ctl a backend set web address "$(address_of "$SERVER_OF")" port 8080 weight 0 drain 1s
wait_for 5 is_open none
say ask
equal "failed ECONNRESET" "$HELD" "what a client hears when the time to drain is over"
close_connection
ctl a backend set web address "$(address_of "$SERVER_OF")" port 8080 weight 1 drain none

ctl a connection flush service web
open_connection out
before=$(dropped backend_dead)
ctl a backend del web address "$(address_of "$SERVER_OF")" port 8080
equal none "$(opens)" "connections of a backend that was deleted"
say ask
equal "failed ECONNRESET" "$HELD" "what a client hears whose backend was deleted"
equal $((before + 1)) "$(dropped backend_dead)" "packets that were answered by a reset"
close_connection
equal "$(other "$SERVER_OF")" "$(ask out $VIP 1 | jq -r 'keys[] | select(. != "failed") | split(" ")[0]')" "who serves now"
