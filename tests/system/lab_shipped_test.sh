#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The shipped labs that need no VM do what their files say.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh

finish() {
	weftlab down "$LAB"
	none_left "$LAB"
}

# every file can be read and drawn
for file in topo/labs/*.yaml; do
	weftlab graph "$file" --svg "$WORK/svg" --dot "$WORK/dot" || die "$file"
done

# wan: 20 ms each way
lab_shipped wan
weftlab up "$LAB_FILE"
reaches c1 c2 10.1.0.2 -n 64K
rtt_us=$(jq '.end.streams[0].sender.min_rtt' "$WORK/iperf")
if [ "$rtt_us" -lt 37000 ] || [ "$rtt_us" -gt 200000 ]; then die "round trip over the wan: $rtt_us us"; fi
finish

# leaf-spine: flows from host to host take both spines
lab_shipped leaf-spine
weftlab up "$LAB_FILE"
for to in 2 3 4; do reaches c1 c$to 10.1.0.$to -n 64K; done
reaches c1 c4 10.1.0.4 -P 24 -n 6M
for spine in 1 2; do
	sent=$(in_lab spine$spine ip -s -j link show leaf4 | jq '.[0].stats64.tx.packets')
	[ "$sent" -gt 50 ] || die "spine$spine sent $sent packets only to leaf4"
done
finish

# anycast: one address at two balancers; a connection that moves to the other stays with its backend, also when the
# balancer that had it is gone. Namespaces serve as well as VMs.
hold() { # asks once on the connection that is held, and reads who answers
	echo ask >&"${HOLD[1]}"
	read -r -t 5 HELD <&"${HOLD[0]}" || die "the connection that is held does not answer"
}
lab_shipped anycast
sed -i 's/kind: vm,/kind: client,/; s/gateways: .*nginx: true/mtu: 1450, routes: [{to: default, via: 10.1.0.254}]/' "$LAB_FILE"
weftlab up "$LAB_FILE"
for web in web1 web2; do
	rm -f "$WORK/serves"
	"$BUILD/tests/serve" answer --netns "weft-$LAB-$web" --name $web --port 80 -- touch "$WORK/serves" &
	helper $!
	wait_for 5 test -e "$WORK/serves"
done
for host in lb1 lb2 h3; do wait_for 15 json_is $host 2 '.[0].serving' service show direct; done
for vip in '203.0.113.10 198.51.100.130' '203.0.113.11 10.1.0.254'; do
	got=$("$BUILD/tests/serve" ask --netns "weft-$LAB-client" --to "${vip% *}" --count 40) || die "$vip: $got"
	equal "[\"failed\",\"web1 ${vip#* }\",\"web2 ${vip#* }\"]" "$(jq -c keys <<<"$got")" "who answers at ${vip% *}: $got"
done
for host in lb1 lb2; do expect $host '[true,true]' '[.[].connections_begun > 0]' service show; done
in_lab r1 ip route replace 203.0.113.0/24 via 198.51.100.1
coproc HOLD { "$BUILD/tests/serve" hold --netns "weft-$LAB-client" --to 203.0.113.10 --from 4242; }
# shellcheck disable=SC2153 # made by coproc
helper "$HOLD_PID"
hold
server=$HELD
in_lab r1 ip route replace 203.0.113.0/24 via 198.51.100.3
hold
equal "$server" "$HELD" "who serves by the other balancer"
node_kill lb1
for dev in up0 eth1; do in_lab lb1 ip link set $dev down; done
hold
equal "$server" "$HELD" "who serves when the first balancer is gone"
kill "$HOLD_PID"
expect h3 closed '.[] | select(.client_port == 4242) | .state' connection show
finish

# mixed-engines: superpackets both ways, also those that a tunnel of the kernel leaves uncut
if [ -e "$BUILD/weft-dpdk.so" ]; then
	lab_shipped mixed-engines
	weftlab up "$LAB_FILE"
	reaches c1 c2 10.1.0.2 -n 50M
	reaches c2 c1 10.1.0.1 -n 50M
	finish
fi

# mixed: weft, the kernel's VXLAN and Open vSwitch, each with each
command -v ovs-vswitchd >/dev/null || skip "the lab mixed needs Open vSwitch: make deps"
lab_shipped mixed
weftlab up "$LAB_FILE"
for from in 1 2 3; do
	for to in 1 2 3; do
		[ $from = $to ] || reaches c$from c$to 10.1.0.$to -n 1M
	done
done
equal '["br1","ovs1"]' "$(in_lab h1 weftctl -j fdb show network blue | jq -c '[.[].peer | select(.)] | unique')" "peers that h1 learned from"
equal '[]' "$(in_lab h1 weftctl -j drops show | jq -c .)" "drops of h1"
finish
