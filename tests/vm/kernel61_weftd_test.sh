#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# weftd itself on Debian's 6.1 kernel: three namespaces of a guest speak through it, one over a
# tagged wire, while it is there, killed, back; and a purge leaves nothing.
# shellcheck disable=SC2016 # the shell of the guest expands
set -euo pipefail
# shellcheck source=tests/vm/kernel61.sh
. "$(dirname "$0")/kernel61.sh"

vm_image_kernel61
vm_start_kernel61 k
k() {
	in_vm k "$@"
}
start() {
	k 'weftd --name k >/dev/console 2>&1 &'
	wait_for 20 k 'weftctl host show >/dev/null 2>&1'
}
k mount -t bpf bpf /sys/fs/bpf
start
guest console k | grep -q "hook clsact" || die "weftd does not run the clsact hook"
k weftctl network add blue gateway 10.1.0.254
k 'for n in 1 2 3; do
	/sbin/ip netns add g$n && /sbin/ip link add p$n type veth peer name e netns g$n &&
		/sbin/ip -n g$n link set e up || exit 1
done'
k weftctl port add p1 type device network blue
k weftctl port add p2 type device network blue
k weftctl port add p3 type device trunk blue:10
k '/sbin/ip -n g1 addr add 10.1.0.1/24 dev e; /sbin/ip -n g2 addr add 10.1.0.2/24 dev e
	/sbin/ip -n g3 link add link e name tag10 type vlan id 10 && /sbin/ip -n g3 link set tag10 up &&
		/sbin/ip -n g3 addr add 10.1.0.3/24 dev tag10'
for port in 1 2 3; do
	k "/sbin/tc filter show dev p$port ingress" | grep -q 'weft_tc.*direct-action' || die "no filter on p$port"
done

speaks() { # speaks COUNT FROM ADDRESS: no ping is lost
	local said
	said=$(k "/sbin/ip netns exec g$2 ping -c $1 -i 0.02 -W 2 $3") || true
	[[ $said == *"$1 packets received, 0% packet loss"* ]] || die "g$2 to $3: $(tail -n 2 <<<"$said")"
}
everybody() {
	speaks 3 1 10.1.0.2
	speaks 3 1 10.1.0.3
	speaks 3 3 10.1.0.2
	speaks 3 1 10.1.0.254
	speaks 3 3 10.1.0.254
}
everybody
k '/sbin/ip netns exec g2 iperf3 -s -D'
for from in 1 3; do
	bits=$(k "/sbin/ip netns exec g$from iperf3 -c 10.1.0.2 -t 1 -J" | jq '.end.sum_received.bits_per_second | floor')
	echo "iperf3 from g$from: $bits bit/s"
	[ "$bits" -gt 20000000 ] || die "iperf3 from g$from: $bits bit/s only"
done

# past the veths' queues, tagged and not; it stays so below
sent() {
	k "cat /sys/class/net/p$1/statistics/tx_packets"
}
for port in 1 2 3; do k weftctl port set "p$port" direct on; done
was=$(($(sent 2) + $(sent 3)))
speaks 20 1 10.1.0.2
speaks 20 1 10.1.0.3
went=$(($(sent 2) + $(sent 3) - was))
[ "$went" -lt 20 ] || die "$went frames went by p2 and p3, which are direct"
shown() {
	k 'weftctl export; weftctl -j fdb show' | sed 's/"age_seconds": *[0-9]*//'
}
before=$(shown)
equal '[["p1",0],["p2",0],["p3",10]]' "$(k weftctl -j fdb show | jq -c '[.[] | [.port, .tag]] | sort')" "who is where"

# killed, and back
k '/sbin/ip netns exec g1 ping -c 10000 -i 0.02 -W 2 10.1.0.2 >/run/ping 2>&1 &'
k 'kill -9 $(pidof weftd)'
everybody
start
equal "$before" "$(shown)" "what weftd knows after its death"
everybody
k "killall -INT ping"
k "grep -o 'seq=[0-9]*' /run/ping" | awk -F = '$2 != NR - 1 { print "lost before " $0; gap = 1 } END { exit gap || NR < 50 }' ||
	die "pings were lost while weftd was away: $(k "tail -n 2 /run/ping")"

# nothing stays
k weftctl host purge
wait_for 10 k '! pidof weftd'
equal '' "$(k 'ls /sys/fs/bpf; /sbin/tc qdisc show | grep clsact')" "what a purge leaves"
