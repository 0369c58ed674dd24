#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Health checks: a backend that does not answer leaves, whatever the check, and comes back.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

VIP=10.1.0.100

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24
machines 4

serve() { # serve "GUESTS" ADDRESS OPTIONS...: they, and only they, answer g4
	local client=10.1.0.14 guest who=()
	[[ $2 != *:* ]] || client=fd00::14
	for guest in $1; do who+=("$guest $client"); done
	answered "$(printf '%s, ' "${who[@]}" | sed 's/, $//')" g4 "${@:2}"
}
health() { # health SERVICE: of its backends
	json a '[.[] | select(.service == "'"$1"'") | .health] | join(" ")' backend show
}
is_health() {
	[ "$(health "$1")" = "$2" ]
}
wait_health() { # wait_health SERVICE "OF THE BACKENDS"
	wait_for 6 is_health "$1" "$2"
}
why() {
	json a '.[0] | [.health, .state, .health_why] | join(", ")' backend show "$1" address "10.1.0.1$2" port 8080
}

for i in 1 2 3; do server "g$i"; done
ctl a service add web vip $VIP port 80 proto tcp network blue mode nat
ctl a service add dns vip $VIP port 53 proto udp network blue mode nat
ctl a service add six vip fd00::100 port 80 proto tcp network blue mode nat
for i in 1 2 3; do
	for service in web dns; do
		ctl a backend add $service address "10.1.0.1$i" port 8080 mac "$(mac_of "g$i" eth0)"
	done
	ctl a backend add six address "fd00::1$i" port 8080 mac "$(mac_of "g$i" eth0)"
done

# --- words
refused a 1 "network blue has no IPv4 gateway" service set web check tcp
ctl a network set blue gateway 10.1.0.254,fd00::254
refused a 2 "say what is sent" service set dns check udp
refused a 2 "neither a status nor a range" service set web check http status 300-200
refused a 2 "longer than the interval" service set web check http timeout 3s
equal null "$(json a '.[0].health' backend show)" "health without a check"
ctl a service set web check http path / interval 1s rise 1 fall 2
ctl a service set dns check udp send ping expect 10.1.0.254 interval 1s rise 1 fall 2
ctl a service set six check tcp interval 1s rise 1 fall 2
refused a 1 "cannot be without gateway" network set blue gateway none
for service in web dns six; do wait_health $service "healthy healthy healthy"; done
serve "g1 g2 g3" $VIP
expect a '[]' '[.[] | select(.vip | startswith("100."))]' connection show

# --- the server of g2 stops: it is in no ring, and no request goes there
flow_of() { # flow_of GUEST: a port from which it serves the client's datagrams
	local port
	for port in {5001..5099}; do
		if ask g4 $VIP 1 --port 53 --udp --from "$port" | grep -q "\"$1 "; then
			echo "$port"
			return
		fi
	done
}
flow=$(flow_of g2)
server_stop g2
for service in web dns six; do wait_health $service "healthy unhealthy healthy"; done
equal "unhealthy, down, connection refused" "$(why web 2)" "g2 in web"
expect a '["up",2]' '.[0] | [.state, .serving]' service show web
serve "g1 g3" $VIP
serve "g1 g3" fd00::100
serve "g1 g3" $VIP --port 53 --udp
equal 0 "$(ask g4 $VIP 1 --port 53 --udp --from "$flow" | jq .failed)" "answers that a flow of the dead backend misses"

# --- it comes back with errors: well for tcp and udp, not for http
server g2 --status 500
for service in dns six; do wait_health $service "healthy healthy healthy"; done
expect a '"HTTP status 500"' '.[0].health_why | tojson' backend show web address 10.1.0.12 port 8080
equal "healthy unhealthy healthy" "$(health web)" "health with errors"
serve "g1 g3" $VIP
serve "g1 g2 g3" fd00::100

# --- all are dead: all serve, or none. weftd is killed: what it does not know counts as well
ctl a service set web path /x status 201
wait_health web "unhealthy unhealthy unhealthy"
expect a '["up",3]' '.[0] | [.state, .serving]' service show web
serve "g1 g2 g3" $VIP
ctl a service set web on-empty drop
expect a '["waiting",0]' '.[0] | [.state, .serving]' service show web
host_kill a
host_start a
equal "unknown unknown unknown" "$(health web | sed 's/unhealthy/unknown/g')" "health after kill -9"
server g2
ctl a service set web status 200-399 path /
wait_health web "healthy healthy healthy"
serve "g1 g2 g3" $VIP
equal 1 "$(on a ip -o link | grep -c weft-chk)" "devices of checks"
for service in web dns six; do ctl a service set $service check none; done
equal 0 "$(on a ip -o link | grep -c weft-chk || true)" "devices of checks without checks"
