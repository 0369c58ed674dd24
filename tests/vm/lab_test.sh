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

# the lab of the balancer has all of two-hosts, and a client outside
lab_shipped nginx-lb
weftlab up "$LAB_FILE"
page_is web2 web1 10.1.0.11
page_is web1 web2 10.1.0.12
equal "This is guest web2." "$(in_lab c1 curl -s --max-time 10 http://10.1.0.12/)" "the page of web2 in c1"
in_lab web2 ping -c 3 10.1.0.50 >/dev/null || die "web2 does not reach c1"
# where the time of real requests goes: every point, the guest told from its service, nothing left over
weftlab path "$LAB:c1" 10.1.0.12:80 count 30 -j >"$WORK/path"
equal '["h1 decide","h1 encapsulate","h1 > h2 underlay","h2 decapsulate, decide","h2 hand over to web2","h2 queue of web2","web2 guest","web2 service"]' \
	"$(jq -c '[.steps[1:9][] | .where + " " + (.what | sub("encapsulate: .*"; "encapsulate"))]' "$WORK/path")" "steps"
adds_up "the steps"

# --- real nginx behind the balancer, in every mode
loads() { # loads ADDRESS FIRST LAST: a request from each of these ports; pages and "PORT STATUS" are in $WORK/answers
	seq "$2" "$3" | in_lab client timeout 60 xargs -P 4 -I PORT \
		curl -s -m 3 -w 'PORT %{http_code}\n' --local-port PORT "http://$1/" >"$WORK/answers" || true
}
served() { # "NAME NAME ANSWERS"
	sed -n 's/^This is guest \(.*\)\.$/\1/p' "$WORK/answers" | sort -u | paste -sd ' '
	grep -c ' 200$' "$WORK/answers"
}
for host in h1 h2; do wait_for 20 json_is $host '[3,3,3]' '[.[].serving]' service show; done
first=20001
for vip in 203.0.113.10 203.0.113.11 '[2001:db8:113::10]'; do
	loads "$vip" $first $((first + 39))
	first=$((first + 100))
	equal 'web1 web2 web3 40' "$(served | paste -sd ' ')" "who answers at $vip, and how many requests"
done
in_lab client curl -s --max-time 20 http://203.0.113.11/file >"$WORK/file" || die "a large answer"
equal 8388608 "$(stat -c %s "$WORK/file")" "bytes of a large answer"

# a VM dies under load: what fails is what it had, and the others serve all that comes when its checks have failed
loads 203.0.113.10 21001 21200 &
helper $!
wait_for 10 json_is h1 true '.[0].connections_begun > 60' service show web
node_kill web2
wait_for 15 json_is h1 '["unhealthy",0]' '.[0] | [.health, .share_percent]' backend show web address 10.1.0.12 port 80
wait $! || true
unset 'HELPERS[-1]'
failed=$(sed -n 's/ 000$//p' "$WORK/answers" | sort)
[ -n "$failed" ] || die "no request failed: $(served | paste -sd ' ')"
equal '' "$(comm -23 <(echo "$failed") <(json h1 '.[] | select(.backend == "10.1.0.12") | .client_port' connection show service web | sort))" \
	"requests that failed, and were not at the VM that died"
loads 203.0.113.10 22001 22040
equal 'web1 web3 40' "$(served | paste -sd ' ')" "who answers without web2, and how many requests"
finish
