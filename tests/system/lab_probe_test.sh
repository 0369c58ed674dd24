#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Probes over a wire that loses and doubles packets: each way's loss is told, whatever comes twice. Over one that lets
# some overtake others: that is told, and nothing is lost.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/lab.sh
. "$(dirname "$0")/lab.sh"

lab_with() { # lab_with NAME WIRE: two hosts and a container behind each
	lab_own "$1-$$"
	cat >"$WORK/lab.yaml" <<-END
		name: $LAB
		topology:
		  nodes:
		$(lab_pair '[{name: blue, vni: 100, subnet: 10.1.0.0/24}]')
		    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24]}
		    c2: {kind: client, host: h2, network: blue, mtu: 1450, addresses: [10.1.0.2/24]}
		  links:
		    - {endpoints: ["h1:eth1", "h2:eth1"], $2}
	END
	weftlab up "$WORK/lab.yaml"
	wait_for 10 in_lab c1 ping -c 1 -W 1 10.1.0.2
}

probe() { # probe WORDS...: the sum of c1's to c2 into $WORK/probed
	"$BUILD/weftctl" -s "$(socket_of h1)" -s "$(socket_of h2)" -j probe c1 c2 guests off interval 1 "$@" >"$WORK/probes" || [ $? = 4 ]
	tail -n 1 "$WORK/probes" >"$WORK/probed"
}

probed() { jq -e "$1" "$WORK/probed" >/dev/null || die "$(cat "$WORK/probed")"; }

lab_with probe 'loss: 10%, duplicate: 30%'
# 10 % there; 9 back, of what came; the rest was sent after the last answer
probe count 1500
probed '.sent == 1500 and .received + .lost == .sent and .lost_forward + .lost_back + .lost_last == .lost and .duplicates > 300 and
	(.lost_forward | . > 90 and . < 220) and (.lost_back | . > 80 and . < 200)'
weftlab down "$LAB" >/dev/null

lab_with order 'delay: 5ms, reorder: 20%'
probe count 300
probed '[.sent, .received, .lost, .duplicates] == [300, 300, 0, 0] and .reordered > 20 and .reordered < 290'
