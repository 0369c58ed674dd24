#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The balancer: real TCP and UDP to a service, from its network and from outside, through every mode.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

VIP=10.1.0.100

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254,fd00::254
for i in 1 2 3 4; do
	guest_new "g$i"
	guest_veth a "g$i" "v$i" "10.1.0.1$i/24"
	ctl a port add "g$i" type device dev "v$i" network blue
	on "g$i" ip route add default via 10.1.0.254
done
guest_new out
guest_veth a out up0 198.51.100.7/24
ctl a port add up0 type device dev up0

server() { # server GUEST: who answers on port 8080
	rm -f "$WORK/serves-$1"
	"$TOOLS/serve" answer --netns "$(netns "$1")" --name "$1" --port 8080 -- touch "$WORK/serves-$1" &
	helper $!
	wait_for 5 test -e "$WORK/serves-$1"
}
for i in 1 2 3; do server "g$i"; done

ask() { # ask GUEST ADDRESS COUNT OPTIONS...: who answered whom how often
	"$TOOLS/serve" ask --netns "$(netns "$1")" --to "$2" --count "$3" "${@:4}" || true
}

# --- nat, from the network itself
ctl a service add web vip $VIP port 80 proto tcp network blue mode nat
for i in 1 2 3; do ctl a backend add web address "10.1.0.1$i" port 8080 mac "$(mac_of "g$i" eth0)"; done
got=$(ask g4 $VIP 60)
echo "$got"
equal '["failed","g1 10.1.0.14","g2 10.1.0.14","g3 10.1.0.14"]' "$(jq -c keys <<<"$got")" "who answered"
equal 60 "$(jq 'add' <<<"$got")" "answers"
equal 0 "$(jq .failed <<<"$got")" "requests that failed"
ctl a service show
ctl a backend show
