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
$(lab_pair '[{name: blue, vni: 100, subnet: 10.1.0.0/24}, {name: red, vni: 200, subnet: 10.1.0.0/24}]')
    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24, "fd00::1/64"]}
    c2: {kind: client, host: h2, network: blue, mtu: 1450, addresses: [10.1.0.2/24, "fd00::2/64"]}
    r1: {kind: client, host: h1, network: red, mtu: 1450, addresses: [10.1.0.1/24]}
    r2: {kind: client, host: h2, network: red, mtu: 1450, addresses: [10.1.0.2/24]}
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

# fewer than were asked for
status=0
"$BUILD/weftctl" "${SOCKETS[@]}" trace tcp port 81 count 1 for 1s >"$WORK/trace" 2>&1 || status=$?
equal "4 1" "$status $(grep -c '0 of 1 packets came' "$WORK/trace")" "no packet: $(cat "$WORK/trace")"

# whatever is no IP, or is broken, by its Ethernet header; what is dropped, at the point at which that was decided
timeout 20 "$BUILD/weftctl" "${SOCKETS[@]}" trace ether src 02:00:00:00:00:77 count 2 >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until ! kill -0 "$tracer" 2>/dev/null; do
	in_lab c1 /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
s.send(bytes.fromhex("0180c200000e02000000007788cc") + bytes(46))
s.send(bytes.fromhex("ffffffffffff0200000000770800") + bytes(46))'
done
for frame in 'reserved_address 01:80:c2:00:00:0e 0x88cc' 'bad_ipv4 ff:ff:ff:ff:ff:ff 0x0800'; do
	read -r reason dst type <<<"$frame"
	id=$(awk -v dst="$dst" '$3 == "P0" && index($0, dst) { print $2; exit }' "$WORK/trace")
	equal "P0 02:00:00:00:00:77 > $dst ethertype $type" "$(awk -v id="$id" '$2 == id && $3 == "P0" { print $3, $7, $8, $9, $10, $11; exit }' "$WORK/trace")" "$reason: $(cat "$WORK/trace")"
	equal "P1 drop $reason" "$(awk -v id="$id" '$2 == id && $3 != "P0" { print $3, $7, $8; exit }' "$WORK/trace")" "$reason: $(cat "$WORK/trace")"
done
! "$BUILD/weftctl" "${SOCKETS[@]}" trace count 1 count 2 >"$WORK/trace" 2>&1 || die "two counts are taken"
grep -q "'count' is given twice" "$WORK/trace" || die "two counts: $(cat "$WORK/trace")"

# datagrams that are alike have one identity: each is a packet, and counted as seen again
in_lab c1 ping -c 1 -W 2 fd00::2 >/dev/null || die "c1 does not reach c2 by IPv6"
timeout 20 "$BUILD/weftctl" "${SOCKETS[@]}" trace udp dst port 7777 count 3 >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until ! kill -0 "$tracer" 2>/dev/null; do
	in_lab c1 /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("fd00::1", 4000))
s.sendto(b"alike", ("fd00::2", 7777))
time.sleep(0.3)'
done
equal "$(printf 'P0 P1 P2 P3 P4 P5 P6 %.0s' 1 2 3)" "$(awk '$3 ~ /^P/ { printf "%s ", $3 }' "$WORK/trace")" "points of three that are alike: $(cat "$WORK/trace")"
equal 3 "$(grep -c ' P0  *+0 ns' "$WORK/trace")" "each from its own first point: $(cat "$WORK/trace")"
grep -qE '^# 3 packets, [2-9] seen again, 0 postcards lost$' "$WORK/trace" || die "the sum: $(tail -n 1 "$WORK/trace")"

# so close together that the hosts' lines of them mix, and a connection, whose packets all differ
"$BUILD/weftctl" "${SOCKETS[@]}" trace udp dst port 7778 or tcp port 7779 for 3s >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
in_lab c1 sleep 1
in_lab c1 /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("fd00::1", 4000))
for i in range(5):
    s.sendto(b"alike", ("fd00::2", 7778))'
"$BUILD/weftlab" exec "$LAB:c2" /usr/bin/python3 -c 'import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.1.0.2", 7779))
s.listen()
c = s.accept()[0]
c.recv(100)
c.sendall(b"answer")
c.recv(100)' &
HELPERS+=($!)
wait_for 5 in_lab c2 sh -c 'ss -Hltn sport = :7779 | grep -q .'
in_lab c1 /usr/bin/python3 -c 'import socket
s = socket.create_connection(("10.1.0.2", 7779))
s.sendall(b"question")
s.recv(100)
s.close()'
wait "$tracer" || die "trace: $(cat "$WORK/trace")"
equal "$(printf 'P0 P1 P2 P3 P4 P5 P6 %.0s' 1 2 3 4 5)" "$(awk '/ > \[fd00::2\]:7778/ { mine[$2] = 1 } mine[$2] { printf "%s ", $3 }' "$WORK/trace")" \
	"points of five that are alike: $(cat "$WORK/trace")"
awk '$3 == "P0" { last = -1; n++ } $3 ~ /^P/ && $4 ~ /^[+]/ { if ($4 + 0 < last) bad++; last = $4 + 0 } $4 ~ /^-/ { bad++ }
	END { exit !(n > 10 && !bad) }' "$WORK/trace" || die "not in their order: $(cat "$WORK/trace")"
equal 1 "$(awk '/:7779 / && $3 == "P0" { again += seen[$2]++ } END { print !again }' "$WORK/trace")" "packets of a connection that are taken for one: $(cat "$WORK/trace")"

"$BUILD/weftctl" "${SOCKETS[@]}" -j path c1 '[fd00::2]:7777' proto udp >"$WORK/path"
jq -e '[.[-2].verdict, .[-1].verdict, (.[-1].why | contains("port c2"))] == ["encap", "forward", true]' "$WORK/path" >/dev/null || die "the walk of UDP: $(cat "$WORK/path")"
[ "$ENGINE" != ebpf ] || jq -e '.[-2].why | contains("by weft itself")' "$WORK/path" >/dev/null || die "the walk of UDP: $(cat "$WORK/path")"
[ "$ENGINE" != ebpf ] || "$BUILD/weftctl" "${SOCKETS[@]}" path c1 '[fd00::2]:7777' | grep -q 'TCP keeps to the carrier' || die "the walk of TCP"

# who ends it by Ctrl-C is told the sum; of one host, too
in_lab c1 ping -n -i 0.05 -c 60 10.1.0.2 >/dev/null &
pinging=$!
HELPERS+=("$pinging")
for sockets in "${SOCKETS[*]}" "${SOCKETS[*]:0:2}"; do
	# shellcheck disable=SC2086 # words
	timeout -s INT 1.5 "$BUILD/weftctl" $sockets trace icmp >"$WORK/trace" || true
	tail -n 1 "$WORK/trace" | grep -qE '^# [1-9][0-9]* packets, 0 seen again, 0 postcards lost$' || die "the sum after SIGINT: $(tail -n 3 "$WORK/trace")"
done
kill "$pinging"
wait "$pinging" || true
"$BUILD/weftctl" "${SOCKETS[@]}" trace help | grep -q '^trace \[FILTER\]' || die "help of two hosts"

# segments that the receiving host's kernel merges are said to be in another one, not lost; what hosts sum up comes last
in_lab c1 ethtool -K eth0 tso off gso off >/dev/null
"$BUILD/weftlab" exec "$LAB:c2" iperf3 -s -1 >/dev/null &
HELPERS+=($!)
wait_for 5 in_lab c2 sh -c 'ss -Hltn sport = :5201 | grep -q .'
"$BUILD/weftctl" "${SOCKETS[@]}" trace tcp dst port 5201 or icmp for 3s >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until grep -q ' P5 ' "$WORK/trace"; do in_lab c1 ping -c 1 -W 1 10.1.0.2 >/dev/null; done
in_lab c1 iperf3 -c 10.1.0.2 -n 2M >/dev/null
until ! kill -0 "$tracer" 2>/dev/null; do in_lab c1 ping -n -c 20 -i 0.01 10.1.0.2 >/dev/null; done
wait "$tracer" || die "trace: $(cat "$WORK/trace")"
awk '$3 ~ /^P/ { points[$2] = points[$2] $3; merged[$2] += $4 == "merged" }
	$3 == "P0" && / tcp / { tcp[$2] = 1 }
	END { for (id in tcp) count[points[id] ~ /P5/ ? "whole" : merged[id] ? "merged" : "lost"]++
		print count["whole"] + 0, count["merged"] + 0, count["lost"] + 0 }' "$WORK/trace" >"$WORK/segments"
awk -v ebpf="$([ "$ENGINE" = ebpf ] && echo 1 || echo 0)" '{ exit !($1 > 50 && (!ebpf || $2 > 50) && $3 == 0) }' "$WORK/segments" ||
	die "segments that arrived, were merged, vanished: $(cat "$WORK/segments"); $(tail -n 4 "$WORK/trace")"
equal '# #' "$(tail -n 2 "$WORK/trace" | awk '{ print $2 }' | xargs)" "the sums: $(tail -n 4 "$WORK/trace")"

# tenants with the same addresses: what is measured, and walked, is of who asks alone
in_lab r1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "r1 does not reach r2"
in_lab c1 ping -n -i 0.01 -c 400 10.1.0.2 >/dev/null &
pinging=$!
HELPERS+=("$pinging")
for ends in "r1 r2" "r1 10.1.0.2"; do
	# shellcheck disable=SC2086 # words
	"$BUILD/weftctl" "${SOCKETS[@]}" -j path $ends request 8 netns "weft-$LAB-r1" >"$WORK/path" || die "path $ends: $(cat "$WORK/path")"
	equal '[8,0]' "$(jq -c '[.requests, .seen_otherwise]' "$WORK/path")" "requests of red alone, $ends"
	grep -q 'hand over to r2' "$WORK/path" || die "who is asked: $(cat "$WORK/path")"
	! grep -q 'hand over to c' "$WORK/path" || die "the other tenant's: $(cat "$WORK/path")"
	jq -e '.dry | last.why | contains("port r2")' "$WORK/path" >/dev/null || die "the walk: $(jq -c .dry "$WORK/path")"
done
kill "$pinging"
wait "$pinging" || true
denied() { # denied SENTENCE WORDS...
	"$BUILD/weftctl" "${SOCKETS[@]}" path "${@:2}" >"$WORK/said" 2>&1 && die "path ${*:2} was done"
	grep -q "$1" "$WORK/said" || die "path ${*:2}: $(cat "$WORK/said")"
}
denied 'nobody behind port r2 whom c1 could ask' c1 r2
denied 'c1 is in network blue, and r2 is not' c1 r2 request 1 netns "weft-$LAB-c1"
denied 'name the port that it is behind' 10.1.0.1 10.1.0.2 measure 1s

weftlab down "$LAB" >/dev/null
none_left "$LAB"
