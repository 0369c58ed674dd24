#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The main job in one command: two hosts, a VM on each, one network over both; a client on the first fetches a page
# from nginx in the VM on the second. It is the lab two-hosts under a name of its own; KEEP=1 leaves it running.
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
	rm -f "$file"
	weftlab down "$lab" >/dev/null 2>&1 || true
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

say "Two hosts with a weftd each, a VM behind each, a client: topo/labs/two-hosts.yaml"
sed "s/^name: .*/name: $lab/" topo/labs/two-hosts.yaml >"$file"
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

say "Where the time of the client's request goes: every point between the wire and nginx, measured"
"$BUILD/weftlab" path "$lab:c1" 10.1.0.12:80 count 50 --plot

say "Two packets of a ping, from point to point over both hosts"
weftlab trace "$lab" icmp count 2 &
trace=$!
sleep 0.5 # it says nothing before the first packet
weftlab exec "$lab:c1" ping -n -c 1 10.1.0.12 >/dev/null
wait $trace

say "What happened"
on h1 weftctl latency show
on h1 weftctl port show
on h1 weftctl fdb show network blue
on h1 weftctl neighbour show
on h1 weftctl drops show

if [ -n "$KEEP" ]; then
	trap - EXIT
	rm -f "$file"
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
