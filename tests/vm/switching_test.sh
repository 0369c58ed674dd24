#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two VMs attached with the operator's words: pages, files, TCP, IPv6, the gateway, the counters; and
# what a port says before, during and after its VM.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

vm_lab <<'END'
topology:
  nodes:
    h1:
      kind: host
      objects:
        networks: [{name: blue, mtu: 1400, subnet: 10.1.0.0/24, gateway: "10.1.0.254,fd00:1::fe"}, {name: red}]
        ports: [{name: later, type: tap, network: red}]
    web: {kind: vm, host: h1, network: blue, addresses: [10.1.0.11/24, "fd00:1::11/64"], nginx: true, memory_mb: 384, append: weft.file_mb=100}
    client: {kind: vm, host: h1, network: blue, addresses: [10.1.0.10/24, "fd00:1::10/64"], gateways: [10.1.0.254], nginx: true}
END

says() { # says PORT STATE CARRIER OFFLOADS
	json_is h1 "[\"$2\",$3,$4]" '.[0] | [.state, .carrier, .offloads]' port show "$1"
}
all='["checksum","tso4","tso6"]'
says later waiting false null || die "a port without a VM: $(ctl h1 -j port show later)"
ctl h1 port del later
for port in web client; do
	wait_for 5 says "$port" up true "$all"
	equal "$all" "$(device_offloads "$port")" "the device of $port"
	equal 1400 "$(in_vm "$port" cat /sys/class/net/eth0/mtu)" "the MTU in $port"
done

# from one VM to the other
vm_count_from_here web client
pings client 20 10.1.0.11
pings client 5 fd00:1::11
fetches_page client web 10.1.0.11
fetches_page client web '[fd00:1::11]'
fetches_file client web 10.1.0.11
iperf() { # iperf WORDS..: more than a broken offload would let through
	local bits
	bits=$(in_vm client "iperf3 -c 10.1.0.11 -t 2 -J $*" | jq '.end.sum_received.bits_per_second | floor')
	echo "iperf3 $*: $bits bit/s"
	[ "$bits" -gt 20000000 ] || die "iperf3 $*: $bits bit/s only"
}
in_vm web iperf3 -s -D
iperf
iperf -R

# who is where, and what crossed
for vm in web client; do
	expect h1 "[\"$vm\",\"learned\"]" ".[] | select(.mac == $(json h1 '.[0].mac | @json' port show "$vm")) | [.port, .kind]" \
		fdb show network blue
	wait_for 10 vm_agrees "$vm"
done
expect h1 true '(.[0].rx_packets - .[0].rx_dropped == .[1].tx_packets) and (.[0].rx_bytes == .[1].tx_bytes) and
	(.[1].rx_packets - .[1].rx_dropped == .[0].tx_packets) and (.[1].rx_bytes == .[0].tx_bytes)' port show
expect h1 true '.[0] | .rx_bytes / .rx_packets > 3000' port show web # superpackets went whole

# the gateway, which is weft itself
pings client 5 10.1.0.254
pings client 5 fd00:1::fe
equal 02:57:65:66:74:01 "$(in_vm client 'ip neigh show 10.1.0.254' | cut -d ' ' -f 5)" "the gateway's address"

# QEMU dies; the next VM on the same tap takes nothing unfinished, whatever the first one took
node_kill client
wait_for 5 says client waiting false null
expect h1 'nobody has the tap open: its VM does not run' '.[0].why' port show client
before=$(json h1 '.[0].rx_packets' port show client)
in_vm web ping -c 2 -W 1 10.1.0.10 >/dev/null && die "somebody answers for a dead VM"
expect h1 true '.[0].tx_dropped > 0' port show client
expect h1 '["port",true]' '.[] | select(.port == "client" and .reason == "device_dropped") | [.hop, .packets > 0]' drops show
vm_start client h1 "$(ctl h1 port show client qemu),guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off" \
	--ip 10.1.0.10/24,fd00:1::10/64 --nginx
wait_for 5 says client up true '[]'
equal '[]' "$(device_offloads client)" "the device of client"
vm_count_from_here web
pings client 10 10.1.0.11
fetches_file client web 10.1.0.11
fetches_file web client 10.1.0.10
wait_for 10 vm_agrees web
expect h1 true ".[0].rx_packets > $before" port show client
