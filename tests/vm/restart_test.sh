#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# VMs do not notice what happens to weftd: TCP through its death by -9, its restart, a stop and a
# start, between taps and over a tagged wire; no packet lost, and weftd knows what it knew.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

vm_image generic
host_new a
host_start a
ctl a network add blue gateway 10.1.0.254
ctl a network add red gateway 10.2.0.254
ctl a port add web type tap network blue
ctl a port add client type tap network blue

# The physical network: a wire to a bridge that weft knows nothing of, where a VM speaks tagged.
on a ip link add wire type veth peer name wire-far
on a ip link add far-bridge type bridge
on a ip tuntap add far-tap mode tap
for dev in wire-far far-tap; do on a ip link set "$dev" master far-bridge up; done
on a ip link set far-bridge up
ctl a port add uplink type device dev wire trunk blue:10,red:20

vm_start web 10.1.0.11/24 --nginx
vm_start client 10.1.0.10/24
VM_WORDS="-netdev tap,id=n0,ifname=far-tap,script=no,downscript=no -device virtio-net-pci,netdev=n0,mac=02:00:00:00:00:03" \
	vm_start far 10.9.0.1/24 --modules 8021q
vm_wait web client far
for net in 1:10 2:20; do
	tag=${net#*:}
	in_vm far "ip link add link eth0 name tag$tag type vlan id $tag && ip link set tag$tag up &&
		ip addr add 10.${net%:*}.0.30/24 dev tag$tag"
done
everything() { # each way there is, at this moment
	pings client 3 10.1.0.11
	pings far 3 10.1.0.11
	pings client 3 10.1.0.254
	pings far 3 10.1.0.254
	pings far 3 10.2.0.254
	fetches_page far web 10.1.0.11
}
everything
expect a '[["client",0],["uplink",10],["web",0]]' '[.[] | [.port, .tag]] | sort' fdb show network blue
expect a '[["uplink",20]]' '[.[] | [.port, .tag]]' fdb show network red

known() { # what weftd knows, without what moves by itself
	ctl a export
	json a 'map(del(.age_seconds)) | sort' fdb show
	json a 'map(with_entries(select(.key | test("^[rt]x_") | not)))' port show
}
session() { # session NAME PORT: a TCP session from this guest to web, longer than what follows
	in_vm web iperf3 -s -D -p "$2"
	in_vm "$1" "iperf3 -c 10.1.0.11 -p $2 -t 100 -b 100M >/root/session 2>&1 &"
}
flows() { # flows NAME: bytes arrive in web and come back, from now on
	local before
	before=$(in_vm "$1" cat /sys/class/net/eth0/statistics/rx_bytes)
	wait_for 5 flowed "$1" $((before + 10000))
}
flowed() {
	[ "$(in_vm "$1" cat /sys/class/net/eth0/statistics/rx_bytes)" -gt "$2" ]
}

vm_count_from_here web client
session client 5201
session far 5202
known >"$WORK/before"
for way in kill stop; do
	if [ $way = kill ]; then
		host_kill a
	else
		ctl a host stop
		wait "${HOST_PID[a]}" || die "weftd ended with status $? after host stop"
	fi
	flows client
	flows far
	pings far 3 10.2.0.254
	host_start a
	flows client
	flows far
	known >"$WORK/after"
	diff "$WORK/before" "$WORK/after" || die "weftd knows something else after $way"
done
everything
for vm in client far; do
	in_vm $vm pidof iperf3 >/dev/null || die "the session of $vm: $(in_vm $vm tail -n 3 /root/session)"
	flows $vm
	in_vm $vm killall -INT iperf3
done
wait_for 10 vm_agrees web
wait_for 10 vm_agrees client

# VMs come and go while weftd is away
words=$(ctl a port show client qemu)
host_kill a
vm_kill client
host_start a
expect a '["waiting",false]' '.[0] | [.state, .carrier]' port show client
host_kill a
guest stop client
VM_WORDS=$words vm_start client 10.1.0.10/24
vm_wait client
pings client 3 10.1.0.11
host_start a
expect a '["up",true,["checksum","tso4","tso6"]]' '.[0] | [.state, .carrier, .offloads]' port show client
everything
