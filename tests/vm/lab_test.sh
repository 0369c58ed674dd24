#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The shipped labs with VMs: pages fetched from VM to VM, on one host and over two; and nothing is left.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

finish() {
	weftlab down "$LAB"
	none_left "$LAB"
}

page_is() { # page_is NODE SERVER ADDRESS
	equal "This is guest $2." "$(in_lab "$1" wget -q -O - "http://$3/")" "the page of $2 in $1"
}

states() { weftlab status -j "$LAB" | jq -c '[.[0].nodes[].state]'; }
state_is() { [ "$(weftlab status -j "$LAB" | jq -r ".[0].nodes[] | select(.name == \"$1\") | .state")" = "$2" ]; }

lab_shipped two-vms
weftlab up "$LAB_FILE"
equal '["up","up","up"]' "$(states)" "states"
page_is client web 10.1.0.11
got=0
in_lab client 'exit 7' || got=$?
equal 7 $got "status of a command in a VM"
# a VM again, whether it runs or not
weftlab restart "$LAB:web"
page_is client web 10.1.0.11
node_kill client
weftlab restart "$LAB:client"
page_is client web 10.1.0.11
equal '["up","up","up"]' "$(states)" "states after restarts"
# a VM dies: the lab says so, and goes down all the same
node_kill client
wait_for 5 state_is client down
finish

# killed, or interrupted, while VMs boot
boots() { grep -q '"guest","name":"client"' "/run/weftlab/$LAB/.journal"; }
for signal in KILL INT; do
	"$BUILD/weftlab" up "$LAB_FILE" >/dev/null 2>&1 &
	helper $!
	wait_for 10 boots
	kill -$signal $!
	wait $! || true
	unset 'HELPERS[-1]'
	[ $signal = INT ] || weftlab down "$LAB"
	none_left "$LAB"
done

lab_shipped two-hosts
weftlab up "$LAB_FILE"
page_is web2 web1 10.1.0.11
page_is web1 web2 10.1.0.12
equal "This is guest web2." "$(in_lab c1 curl -s --max-time 10 http://10.1.0.12/)" "the page of web2 in c1"
in_lab web2 ping -c 3 10.1.0.50 >/dev/null || die "web2 does not reach c1"
# where the time of real requests goes: every point, the guest told from its service, nothing left over
weftlab path "$LAB:c1" 10.1.0.12:80 count 30 -j >"$WORK/path"
equal '["h1 decide","h1 encapsulate","h1 > h2 underlay","h2 decapsulate, decide","h2 hand over to web2","h2 queue of web2","web2 guest","web2 service"]' \
	"$(jq -c '[.steps[1:9][] | .where + " " + (.what | sub("encapsulate: .*"; "encapsulate"))]' "$WORK/path")" "steps"
equal true "$(jq '([.steps[].p50_ns] | add) as $sum | .p50_ns as $whole | ($sum / $whole) > 0.8 and ($sum / $whole) < 1.25' \
	"$WORK/path")" "the steps add up: $(jq -c '[.p50_ns, [.steps[].p50_ns]]' "$WORK/path")"
finish
