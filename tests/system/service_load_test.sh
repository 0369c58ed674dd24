#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Under load, in every mode: of a backend that is drained or added no request fails, of one that is killed those
# of its own connections, until the check sees it.
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

MODES=(nat inside hostdsr dsr)
declare -A URL=([nat]=http://203.0.113.10 [inside]=http://10.1.0.100 [hostdsr]=http://203.0.113.11 [dsr]=http://10.1.0.101:8080)
declare -A CLIENT=([nat]=out [inside]=g4 [hostdsr]=out [dsr]=g4)

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254
machines 4
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add 203.0.113.0/24 dev eth0
ctl a port add up0 type device dev up0
ctl a service add nat vip 203.0.113.10 port 80 proto tcp network blue mode nat uplink up0
ctl a service add inside vip 10.1.0.100 port 80 proto tcp network blue mode nat
ctl a service add hostdsr vip 203.0.113.11 port 80 proto tcp network blue mode host-dsr uplink up0
ctl a service add dsr vip 10.1.0.101 port 8080 proto tcp network blue mode dsr

for i in 1 2 3; do
	on g$i sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	on g$i ip addr add 10.1.0.101/32 dev lo
	web g$i
done
backends() { # backends VERB GUEST WORDS...: of all services
	local mode
	for mode in "${MODES[@]}"; do ctl a backend "$1" "$mode" address "10.1.0.1${2#g}" port 8080 "${@:3}"; done
}
serving() { # serving COUNT: backends, in each service
	local mode
	for mode in "${MODES[@]}"; do wait_for 5 json_is a "$1" '.[0].serving' service show "$mode"; done
}
backends add g1
backends add g2
serving 2

# Loads that keep their connection, until each of these guests has one; NAMES: those of each guest
declare -A NAMES=()
count=0
who_serves() { # who_serves NAME GUEST...
	local guest
	for guest in "${@:2}"; do
		if serves "$guest" "$1" 0; then WHO=$guest && return; fi
	done
	return 1
}
keep() { # keep MODE GUEST...
	local name
	until covered "$@"; do
		name=$1-$((count++))
		load "$name" "${CLIENT[$1]}" "${URL[$1]}"
		wait_for 5 who_serves "$name" "${@:2}"
		NAMES[$WHO]="${NAMES[$WHO]:-} $name"
	done
}
covered() { # covered MODE GUEST...
	local guest
	for guest in "${@:2}"; do [[ ${NAMES[$guest]:-} == *" $1-"* ]] || return 1; done
}
loads() { # loads GUEST...: those that keep theirs, and one per mode that opens a connection for each request
	local mode
	NAMES=()
	for mode in "${MODES[@]}"; do
		keep "$mode" "$@"
		load "$mode-new" "${CLIENT[$mode]}" "${URL[$mode]}" -H 'Connection: close'
	done
	advance # they are there
}
advance() { # each mode answers 30 new connections more
	local mode before
	declare -A before=()
	for mode in "${MODES[@]}"; do before[$mode]=$(new "$mode"); done
	for mode in "${MODES[@]}"; do wait_for 10 newer "$mode" $((before[$mode] + 30)); done
}
new() {
	cat "$WORK"/g[123]/web/access | grep -c "^/$1-new " || true
}
newer() {
	[ "$(new "$1")" -gt "$2" ]
}
ends() { # ends ERRORS NAMES...: the loads end, without a request that failed, or with some
	local name
	for name in "${@:2}"; do
		load_end "$name"
		[ "$1" != none ] || equal 0 "$(errors "$name")" "failures of load $name ($(cat "$WORK/load-$name"))"
		[ "$1" != some ] || [ "$(errors "$name")" -gt 0 ] || die "no request of load $name has failed"
	done
}

# --- one is drained, another added: no request fails, nothing is dropped
loads g1 g2
drops() { # but for answers to weftd, which asks for the MAC of who is added
	json a '[.[] | select(.reason != "answered_weftd") | {reason, port, packets}]' drops show
}
dropped=$(drops)
backends set g1 weight 0
backends add g3
serving 2
for mode in "${MODES[@]}"; do wait_for 10 serves g3 "$mode-new" 5; done
advance
: >"$WORK/g1/web/access"
advance
for mode in "${MODES[@]}"; do equal 0 "$(served g1 "$mode-new")" "new connections in mode $mode of the drained backend"; done
# shellcheck disable=SC2086 # names
for name in ${NAMES[g1]}; do wait_for 5 serves g1 "$name" 5; done
equal 0 "$(grep -c ' 1$' "$WORK/g1/web/access" || true)" "connections that the drained backend got"
# shellcheck disable=SC2086
ends none ${NAMES[g1]} ${NAMES[g2]} "${MODES[@]/%/-new}"
equal "$dropped" "$(drops)" "drops"

# --- one is killed: only who was connected to it has failures, until the check sees it; then nobody has
backends del g1
for mode in "${MODES[@]}"; do ctl a service set "$mode" check http interval 1s rise 1 fall 1; done
for mode in "${MODES[@]}"; do wait_for 6 json_is a healthy,healthy '[.[].health] | join(",")' backend show "$mode"; done
loads g2 g3
web_kill g3
for mode in "${MODES[@]}"; do wait_for 6 json_is a unhealthy '.[0].health' backend show "$mode" address 10.1.0.13 port 8080; done
serving 1
for name in ${NAMES[g3]}; do wait_for 5 serves g2 "$name" 5; done
for mode in "${MODES[@]}"; do load "$mode-after" "${CLIENT[$mode]}" "${URL[$mode]}" -H 'Connection: close'; done
for mode in "${MODES[@]}"; do wait_for 10 serves g2 "$mode-after" 30; done
# shellcheck disable=SC2086
ends none ${NAMES[g2]} "${MODES[@]/%/-after}"
# shellcheck disable=SC2086
ends some ${NAMES[g3]}
ends either "${MODES[@]/%/-new}"
