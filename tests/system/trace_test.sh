#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Where the time goes between two hosts: a packet is the same one on both, over the carrier and over weft's own
# encapsulation, over IPv4 and IPv6, with both engines; the delay of a wire is the wire's.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh
# shellcheck source=tests/system/overlay.sh
. tests/system/overlay.sh
# shellcheck source=tests/system/points.sh
. tests/system/points.sh
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
GUESTS=() # taptimes plays both
FAR=(P0 P1 P2 P3 P4 P5 P6)
DELAY_NS=10000000
FRAMES=${FRAMES:-300} # of each kind

V2='tags: ["blue:10"]'

measure() { # measure TAPTIMES-OPTIONS...
	times_start v1@a v2@b --vlan-b 10 "$@"
	trace_start a b
	times_end
	beside v1
	exact "${FAR[@]}"
}

paths() { # the ways that frames from v1 were seen to take, at both ends
	jq -r 'select((.point == "P2" and .host == "a") or (.point == "P5" and .host == "b")) | [.packet, .path] | @tsv' \
		"$WORK/trace" | grep -F -f <(awk '{ print $8 }' "$WORK/points") | cut -f 2 | sort | uniq -c | xargs
}

kinds() { # kinds WHAT PATH: every kind of packet, each by its way
	local kind super="--payload 20000 --gso-size 1300 --count 40 --interval-us 5000"
	for kind in "udp4" "udp6" "tcp4 $super" "tcp6 $super"; do
		echo "$1, $kind"
		# shellcheck disable=SC2086 # words
		measure --count "$FRAMES" --interval-us 1000 --type $kind
		paths
	done
}

pair() { # pair MODE WHAT ADDRESSES...
	host_pair "$1" "${@:3}"
	kinds "$2"
	pair_down
}

pair own own 192.0.2.1 192.0.2.2 24

# --- the delay of a wire moves the link's hop, and no other by more than a twentieth of it
hops() { # each hop's median
	hop P0 P2
	hop P2 P3
	hop P3 P5
	hop P5 P6
}
host_pair own 192.0.2.1 192.0.2.2 24 "delay: 1ms"
measure --count 500 --echo --interval-us 500 # round trips are what the client sees
round_trips v2
measure --count 200 --interval-us 2000
mapfile -t short < <(hops)
pair_down
host_pair own 192.0.2.1 192.0.2.2 24 "delay: $((1 + DELAY_NS / 1000000))ms"
measure --count 200 --interval-us 2000
mapfile -t long < <(hops)
pair_down
echo "medians of P0-P2, P2-P3, P3-P5, P5-P6: ${short[*]}, with 10 ms more on the wire: ${long[*]}"
near "$DELAY_NS" $((long[1] - short[1])) "a wire's delay"
for i in 0 2 3; do near "$DELAY_NS" $((DELAY_NS + long[i] - short[i])) "a wire's delay and another hop"; done

# --- a host of each engine
if [ "$ENGINE" = dpdk ]; then
	for engines in "dpdk ebpf" "ebpf dpdk"; do
		ENGINE=${engines% *} ENGINE_B=${engines#* }
		pair own "$engines" 192.0.2.1 192.0.2.2 24
	done
	ENGINE=dpdk ENGINE_B=dpdk
fi

case " $(modes) " in *" carrier "*) pair carrier carrier 192.0.2.1 192.0.2.2 24 ;; esac
pair own "IPv6 underlay" 2001:db8::1 2001:db8::2 64
