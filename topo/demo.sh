#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The main job in one command: two hosts, VMs on both, one network over both; a client on the first fetches a page
# from nginx in a VM on the second. Then a balancer in front of all VMs, of which one is killed under load.
# It is the lab nginx-lb under a name of its own; KEEP=1 leaves it running.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath "${BUILD:-build}")
KEEP=${KEEP:-}
export WEFT_TOPO=$PWD/topo
lab=demo-$$
file=$(mktemp --suffix .yaml)

if [ "$(id -u)" != 0 ]; then
	echo "the demo makes network namespaces and VMs: run it with sudo" >&2
	exit 1
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
weftlab() { "$BUILD/weftlab" "$@"; }
on() { # on NODE CMD...: as the operator would type it, and what it prints
	local node=$1
	shift
	printf '\n%s$ %s\n' "$node" "$*"
	weftlab exec "$lab:$node" "$@"
}
finish() {
	status=$?
	rm -f "$file" "$file".*
	weftlab down "$lab" >/dev/null 2>&1 || true
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

say "Two hosts with a weftd each, three VMs behind them, a client inside and one outside: topo/labs/nginx-lb.yaml"
sed "s/^name: .*/name: $lab/" topo/labs/nginx-lb.yaml >"$file"
weftlab up "$file"
weftlab graph "$lab"

say "What the first host was told: its address, its peer, a network that spans both"
on h1 weftctl host show | sed '/^tables/,$d'
on h1 weftctl peer show
on h1 weftctl network show

say "The client on h1 fetches the page of nginx in the VM on h2"
on c1 curl -s http://10.1.0.12/

say "Round trips from the client: to the gateway that weft answers for, to a VM on its host, to the VM on the other"
percentiles() {
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n | awk '{ t[NR] = $1 }
		END { printf "%d answers: p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, max %.3f ms\n",
			NR, t[int(NR * .5 + .5)], t[int(NR * .9 + .5)], t[int(NR * .99 + .5)], t[NR] }'
}
for target in 10.1.0.254 10.1.0.11 10.1.0.12; do
	printf 'ping %s: ' $target
	weftlab exec "$lab:c1" ping -n -c 200 -i 0.01 $target | percentiles
done

say "The network's MTU follows the underlay; what does not fit is answered, not lost"
weftlab exec "$lab:h1" ip link set c1 mtu 1500
weftlab exec "$lab:c1" ip link set eth0 mtu 1500
on c1 ping -n -c 1 -W 2 -M "do" -s 1472 10.1.0.12 || true

say "Two packets of a ping, from point to point over both hosts"
weftlab trace "$lab" icmp count 2 &
trace=$!
while kill -0 $trace 2>/dev/null; do # it says nothing before the first packet
	weftlab exec "$lab:c1" ping -n -c 1 -W 1 10.1.0.12 >/dev/null
	sleep 0.1
done
wait $trace

say "The balancer: one address for nginx in all three VMs, reached from outside"
until [ "$(weftlab exec "$lab:h1" weftctl -j service show web | jq '.[0].serving')" = 3 ]; do sleep 0.2; done
on client curl -s http://203.0.113.10/
on h1 weftctl service show
on h1 weftctl service who web from 198.51.100.7:20001

say "400 requests, four at a time; meanwhile the VM web2 is killed: its checks fail, and it is out"
ask_all() { # the status of each request, with the client's port that tells it apart: "PORT STATUS"
	seq 20001 20400 | weftlab exec "$lab:client" xargs -P 4 -I PORT \
		curl -s -m 2 -w 'PORT %{http_code}\n' --local-port PORT http://203.0.113.10/
}
connections() { weftlab exec "$lab:h1" weftctl -j connection show service web; }
ask_all >"$file.answers" &
load=$!
until [ "$(weftlab exec "$lab:h1" weftctl -j service show web | jq '.[0].connections_begun')" -gt 120 ]; do sleep 0.1; done
kill -9 "$(weftlab status -j "$lab" | jq '.[0].nodes[] | select(.name == "web2") | .pid')"
wait $load || true # xargs says that a request failed
grep '^This' "$file.answers" | sort | uniq -c
sed -n 's/ 000$//p' "$file.answers" | sort >"$file.failed"
connections | jq -r '.[] | select(.backend == "10.1.0.12") | .client_port' | sort >"$file.dead"
echo "failed: $(wc -l <"$file.failed"), of these not at web2: $(comm -23 "$file.failed" "$file.dead" | wc -l)"
on h1 weftctl service show
on h1 weftctl backend show web
[ -z "$(comm -23 "$file.failed" "$file.dead")" ]

say "What happened"
on h1 weftctl port show
on h1 weftctl fdb show network blue
on h1 weftctl neighbour show
on h1 weftctl drops show
on h1 weftctl latency show

say "Where the time of the client's request goes: every point between the wire and nginx, through the balancer, measured"
"$BUILD/weftlab" path "$lab:client" 203.0.113.10:80 count 50 --plot

if [ -n "$KEEP" ]; then
	trap - EXIT
	rm -f "$file" "$file".*
	cat <<END

It is still running. Look around:
  $BUILD/weftlab status $lab
  $BUILD/weftlab exec $lab:h2 weftctl fdb show
  $BUILD/weftlab exec $lab:web1 wget -q -O - http://10.1.0.12/
Then take it down:
  $BUILD/weftlab down $lab
END
	exit 0
fi
say "Done: everything that the demo made is removed"
