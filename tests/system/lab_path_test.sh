#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Where the time of a round trip goes, over two hosts of a lab: a delay of the wire shows in the underlay and nowhere
# else, and the steps add up to what the client sees.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/lab.sh
. "$(dirname "$0")/lab.sh"

lab_file() { # lab_file NAME DELAY
	cat <<END
name: $1
topology:
  nodes:
    h1:
      kind: host
      addresses: {eth1: [192.0.2.1/24]}
      objects:
        host: {address: 192.0.2.1}
        networks: [{name: blue, vni: 100, subnet: 10.1.0.0/24, gateway: 10.1.0.254}]
        peers: [{name: h2, address: 192.0.2.2}]
    h2:
      kind: host
      addresses: {eth1: [192.0.2.2/24]}
      objects:
        host: {address: 192.0.2.2}
        networks: [{name: blue, vni: 100, subnet: 10.1.0.0/24, gateway: 10.1.0.254}]
        peers: [{name: h1, address: 192.0.2.1}]
    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24]}
    c2: {kind: client, host: h2, network: blue, mtu: 1450, addresses: [10.1.0.2/24]}
  links:
    - {endpoints: ["h1:eth1", "h2:eth1"], delay: $2}
END
}

step() { # step WHERE WHAT [KEY]: in ns
	jq --arg where "$1" --arg what "$2" \
		"[.steps[] | select(.where == \$where and (.what | startswith(\$what))) | .${3:-p50_ns}][0] // empty" \
		"$WORK/path"
}
within() { # within WANTED_NS GOT_NS WHAT: 5 % or 5 us, whichever is larger
	awk -v w="$1" -v g="$2" 'BEGIN { d = w > g ? w - g : g - w; exit !(d <= w * .05 || d <= 5000) }' ||
		die "$3: wanted $1 ns, got $2 ns"
}

lab_own "path-$$"
lab_file "$LAB" 10ms >"$WORK/lab.yaml"
weftlab up "$WORK/lab.yaml"
in_lab c1 ping -c 3 -i 0.05 10.1.0.2 >/dev/null || die "c1 does not reach c2"

weftlab path "$LAB:c1" 10.1.0.2 count 40 --plot "$WORK/way.svg" -j >"$WORK/path"
equal true "$(jq '.requests >= 38' "$WORK/path")" "requests of which the way is known: $(jq -c '[.requests, .seen_otherwise]' "$WORK/path")"
# every point, there and back
equal '["client and its wire","decide","encapsulate","underlay","decapsulate, decide","hand over to c2","guest","decide","encapsulate","underlay","decapsulate, decide","hand over to c1"]' \
	"$(jq -c '[.steps[].what | sub("encapsulate: .*"; "encapsulate")]' "$WORK/path")" "the steps"
# the wire's delay, each way, is the underlay's alone
for way in 'h1 > h2' 'h2 > h1'; do within 10000000 "$(step "$way" underlay)" "underlay $way"; done
equal true "$(jq '[.steps[] | select(.what != "underlay") | .p50_ns] | max < 5000000' "$WORK/path")" \
	"no other step has the delay: $(jq -c '[.steps[] | [.what, .p50_ns]]' "$WORK/path")"
# the steps add up to what the client saw
within "$(jq .p50_ns "$WORK/path")" "$(jq '[.steps[].p50_ns] | add' "$WORK/path")" "the sum of the steps"
grep -q '<svg ' "$WORK/way.svg" || die "no waterfall"

# the same words at the weftctl of each host
timeout 20 "$BUILD/weftlab" trace "$LAB" icmp count 1 >"$WORK/trace" &
tracer=$!
HELPERS+=("$tracer")
until ! kill -0 "$tracer" 2>/dev/null; do in_lab c1 ping -c 1 -W 1 10.1.0.2 >/dev/null; done
for host in h1 h2; do grep -q "^$host: .* P[0-9] " "$WORK/trace" || die "no point of $host: $(cat "$WORK/trace")"; done

# wrong words
got=0
"$BUILD/weftlab" path "$LAB:c1" 10.1.0.2:0 2>"$WORK/said" || got=$?
equal 2 $got "status of a port 0"
got=0
"$BUILD/weftlab" path "$LAB:c1" 10.1.0.99 count 1 2>"$WORK/said" || got=$?
equal 1 $got "status when nobody answers"
weftlab down "$LAB" >/dev/null
none_left "$LAB"
