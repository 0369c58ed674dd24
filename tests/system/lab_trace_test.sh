#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The trace of several hosts: one list in the order of time, the same packets of all; what the receiving host's kernel merges
# into another segment is said to be there.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/lab.sh
. "$(dirname "$0")/lab.sh"

lab_own "trace-$$"
cat >"$WORK/lab.yaml" <<END
name: $LAB
topology:
  nodes:
    h1:
      kind: host
      addresses: {eth1: [192.0.2.1/24]}
      objects:
        host: {address: 192.0.2.1}
        networks: [{name: blue, vni: 100, subnet: 10.1.0.0/24}]
        peers: [{name: h2, address: 192.0.2.2}]
    h2:
      kind: host
      addresses: {eth1: [192.0.2.2/24]}
      objects:
        host: {address: 192.0.2.2}
        networks: [{name: blue, vni: 100, subnet: 10.1.0.0/24}]
        peers: [{name: h1, address: 192.0.2.1}]
    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24]}
    c2: {kind: client, host: h2, network: blue, mtu: 1450, addresses: [10.1.0.2/24]}
  links:
    - {endpoints: ["h1:eth1", "h2:eth1"]}
END
weftlab up "$WORK/lab.yaml"
in_lab c1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "c1 does not reach c2"
SOCKETS=(-s "$(socket_of h1)" -s "$(socket_of h2)")

# the same words at the weftctl of each host
timeout 20 "$BUILD/weftlab" trace "$LAB" icmp or icmp6 count 1 >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until ! kill -0 "$tracer" 2>/dev/null; do in_lab c1 ping -c 1 -W 1 10.1.0.2 >/dev/null; done
grep -q ' P6 .*not observed .*c[12]' "$WORK/trace" || die "P6 of a container: $(cat "$WORK/trace")"
# of both hosts in the order of time, from the first point that one of them saw; the same packet of all
equal 'P0 P1 P2 P3 P4 P5 P6' "$(awk '$3 ~ /^P/ { print $3 }' "$WORK/trace" | xargs)" "points of one packet: $(cat "$WORK/trace")"
equal 1 "$(awk '$3 ~ /^P/ { print $2 }' "$WORK/trace" | sort -u | wc -l)" "packets: $(cat "$WORK/trace")"
awk '$4 ~ /^[+-]/ { if (!($2 in last)) bad += $4 != "+0"; else bad += $4 + 0 < last[$2]; last[$2] = $4 + 0; lines++ }
	END { exit !(lines && !bad) }' "$WORK/trace" || die "not in the order of time: $(cat "$WORK/trace")"
for host in h1 h2; do grep -q "^$host: .* P[0-9] " "$WORK/trace" || die "no point of $host: $(cat "$WORK/trace")"; done

timeout 20 "$BUILD/weftlab" trace "$LAB" icmp count 1 -j >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until ! kill -0 "$tracer" 2>/dev/null; do in_lab c1 ping -c 1 -W 1 10.1.0.2 >/dev/null; done
jq -e -s '[.[] | select(.point == "P6").since_ns] | length > 0 and all(. == null)' "$WORK/trace" >/dev/null || die "the trace as JSON: $(cat "$WORK/trace")"

# segments that the receiving host's kernel merges are said to be in another one, not lost; what hosts sum up comes last
in_lab c1 ethtool -K eth0 tso off gso off >/dev/null
"$BUILD/weftlab" exec "$LAB:c2" iperf3 -s -1 >/dev/null &
HELPERS+=($!)
wait_for 5 in_lab c2 sh -c 'ss -Hltn sport = :5201 | grep -q .'
"$BUILD/weftctl" "${SOCKETS[@]}" trace tcp dst port 5201 or icmp for 3s >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until grep -q ' P5 ' "$WORK/trace"; do in_lab c1 ping -c 1 -W 1 10.1.0.2 >/dev/null; done
in_lab c1 iperf3 -c 10.1.0.2 -n 1M >/dev/null
until ! kill -0 "$tracer" 2>/dev/null; do in_lab c1 ping -n -c 20 -i 0.01 10.1.0.2 >/dev/null; done
wait "$tracer" || die "trace: $(cat "$WORK/trace")"
awk '$3 ~ /^P/ { points[$2] = points[$2] $3; merged[$2] += $4 == "merged" }
	$3 == "P0" && / tcp / { tcp[$2] = 1 }
	END { for (id in tcp) count[points[id] ~ /P5/ ? "whole" : merged[id] ? "merged" : "lost"]++
		print count["whole"] + 0, count["merged"] + 0, count["lost"] + 0 }' "$WORK/trace" >"$WORK/segments"
awk -v ebpf="$([ "$ENGINE" = ebpf ] && echo 1 || echo 0)" '{ exit !($1 > 50 && (!ebpf || $2 > 50) && $3 == 0) }' "$WORK/segments" ||
	die "segments that arrived, were merged, vanished: $(cat "$WORK/segments"); $(tail -n 4 "$WORK/trace")"
equal '# #' "$(tail -n 2 "$WORK/trace" | awk '{ print $2 }' | xargs)" "the sums: $(tail -n 4 "$WORK/trace")"

weftlab down "$LAB" >/dev/null
none_left "$LAB"
