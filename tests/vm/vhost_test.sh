#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# VMs on vhost-user: with each other and with a VM on a tap, pages, files, TCP; VMs that die and come again on the
# same socket; weftd that dies or is stopped under TCP sessions, whichever side listens on the socket.
set -euo pipefail
ENGINE=dpdk
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
[ -e "$BUILD/weft-dpdk.so" ] || skip "no libdpdk: weft-dpdk.so was not built"

# weft listens for web, and connects to the socket of peer's QEMU.
vm_lab <<END
topology:
  nodes:
    h1:
      kind: host
      engine: dpdk
      dpdk: {memory_mb: 64, pages: small}
      objects:
        networks: [{name: blue, subnet: 10.1.0.0/24, gateway: "10.1.0.254,fd00:1::fe"}]
        ports: [{name: peer, type: vhost-user, network: blue, socket_mode: client, socket: /run/weftlab/vm-$$/peer.sock}]
    web: {kind: vm, host: h1, port_type: vhost-user, network: blue, addresses: [10.1.0.11/24, "fd00:1::11/64"], nginx: true}
    tapped: {kind: vm, host: h1, network: blue, addresses: [10.1.0.12/24, "fd00:1::12/64"], nginx: true}
    peer: {kind: vm, host: h1, addresses: [10.1.0.13/24, "fd00:1::13/64"], nginx: true}
END
declare -A IP=([web]=11 [tapped]=12 [peer]=13)

says() { # says PORT STATE CARRIER
	json_is h1 "[\"$2\",$3]" '.[0] | [.state, .carrier]' port show "$1"
}
pairs() { # pairs COMMAND: for each ordered pair of VMs: COMMAND FROM TO IPV4 IPV6
	local from to
	for from in web tapped peer; do
		for to in web tapped peer; do
			[ $from = $to ] || "$1" $from $to "10.1.0.${IP[$to]}" "fd00:1::${IP[$to]}"
		done
	done
}
reach() {
	pings "$1" 5 "$3"
	fetches_page "$1" "$2" "$3"
}
traffic() {
	local bits
	pings "$1" 3 "$4"
	fetches_page "$1" "$2" "[$4]"
	fetches_file "$1" "$2" "$3"
	bits=$(in_vm "$1" "iperf3 -c $3 -t 2 -J" | jq '.end.sum_received.bits_per_second | floor')
	echo "TCP from $1 to $2: $bits bit/s"
	[ "$bits" -gt 20000000 ] || die "TCP from $1 to $2: $bits bit/s only"
}
everything() {
	pairs reach
	for vm in web tapped peer; do pings $vm 3 10.1.0.254; done
}
ports_up() {
	for vm in web tapped peer; do wait_for 10 says $vm up true; done
}

ports_up
equal '["server","client"]' "$(json h1 'map(select(.name == ("web", "peer")).socket_mode) | sort | reverse' port show)" "who listens"
for vm in web tapped peer; do in_vm $vm 'iperf3 -s -D'; done
everything
pairs traffic
expect h1 true '.[0] | .rx_bytes / .rx_packets > 3000' port show web # superpackets went whole
expect h1 '["checksum","tso4","tso6"]' .[0].offloads port show web # as its driver negotiated
pings web 3 fd00:1::fe
expect h1 '[["peer","learned"],["tapped","learned"],["web","learned"]]' '[.[] | [.port, .kind]] | sort' fdb show network blue

# --- when a VM takes a frame is known, and it touches its NIC at most for a doorbell
ctl h1 host set sample 1
for vm in web peer tapped; do
	from=tapped
	[ $vm != tapped ] || from=web
	seen_by_weft_and_qemu $vm $from "10.1.0.${IP[$vm]}"
	[ $vm != tapped ] || continue # web's doorbells for its requests are counted there
	echo "$vm: touched $PER_PING times for 10 pings"
	[ "$PER_PING" -le 15 ] || die "more than a doorbell for a ping"
done
ctl h1 host set sample 1024

# --- a VM dies, and one comes again on the same socket
for vm in web peer; do
	node_kill $vm
	wait_for 5 says $vm waiting false
	! in_vm tapped ping -c 1 -W 1 "10.1.0.${IP[$vm]}" >/dev/null || die "somebody answers for $vm, which is dead"
	weftlab restart "$LAB:$vm"
	wait_for 10 says $vm up true
	in_vm $vm 'iperf3 -s -D'
done
everything

# --- weftd is away for some seconds, and the sessions of TCP go on after it
session() { # session NAME SERVER PORT: longer than all that follows
	in_vm "$2" "iperf3 -s -D -p $3"
	in_vm "$1" "iperf3 -c 10.1.0.${IP[$2]} -p $3 -t 300 -b 20M >/root/session-$3 2>&1 &"
}
received() { in_vm "$1" cat /sys/class/net/eth0/statistics/rx_bytes; }
flowed() { [ "$(received "$1")" -gt "$2" ]; }
flows() { # flows NAME: bytes arrive there from now on
	local before
	before=$(received "$1")
	wait_for 30 flowed "$1" $((before + 2000000))
}
session web peer 5301
session peer tapped 5302
session tapped web 5303
for vm in web tapped peer; do flows $vm; done
for way in kill stop; do
	if [ $way = kill ]; then
		node_kill h1
	else
		ctl h1 host stop
		wait_for 5 node_ended h1
	fi
	sleep 2
	weftlab restart "$LAB:h1"
	start=$EPOCHREALTIME
	ports_up
	awk -v way=$way -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "after %s all guests are back in %.1f s\n", way, b - a }'
	for vm in web tapped peer; do flows $vm; done
	everything
done
for session in web:5301 peer:5302 tapped:5303; do
	in_vm ${session%:*} "ps | grep -q '[i]perf3 -c .* -p ${session#*:}' && ! grep -i error /root/session-${session#*:}" ||
		die "the session of $session: $(in_vm ${session%:*} "tail -n 3 /root/session-${session#*:}")"
done

# --- VMs come while weftd is away, and wait for it
node_kill h1
node_kill web
words=$(sed -n 's/.*\(-chardev socket,id=web,.*\)/\1/p' "/run/weftlab/$LAB/web/command" 2>/dev/null || true)
[ -n "$words" ] || die "web's QEMU words are gone"
guest start web --image "$BUILD/guest" --netns "weft-$LAB-h1" --memory 128 --ip 10.1.0.11/24 --nginx \
	--qemu-net "${words/,vectors=0/}"
weftlab restart "$LAB:h1"
guest wait web
ports_up
everything
weftlab down "$LAB"
none_left "$LAB"
