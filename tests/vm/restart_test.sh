#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# VMs do not notice what happens to weftd: TCP through its death by -9, its restart, a stop and a
# start, between taps and over a tagged wire; no packet lost, and weftd knows what it knew.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# The physical network: a wire to a bridge that weft knows nothing of, where a VM speaks tagged.
vm_lab <<'END'
topology:
  nodes:
    h1:
      kind: host
      objects:
        networks: [{name: blue, gateway: 10.1.0.254}, {name: red, gateway: 10.2.0.254}]
        ports: [{name: uplink, type: device, dev: wire, tags: ["blue:10", "red:20"]}]
    web: {kind: vm, host: h1, network: blue, addresses: [10.1.0.11/24], nginx: true}
    client: {kind: vm, host: h1, network: blue, addresses: [10.1.0.10/24]}
    physical: {kind: bridge}
  links:
    - endpoints: ["h1:wire", "physical:h1"]
END
in_lab physical ip tuntap add far mode tap
in_lab physical ip link set far master br0 up
vm_start far physical "-netdev tap,id=n0,ifname=far,script=no,downscript=no -device virtio-net-pci,netdev=n0,mac=02:00:00:00:00:03" \
	--ip 10.9.0.1/24 --modules 8021q
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
expect h1 '[["client",0],["uplink",10],["web",0]]' '[.[] | [.port, .tag]] | sort' fdb show network blue
expect h1 '[["uplink",20]]' '[.[] | [.port, .tag]]' fdb show network red

known() { # what weftd knows, without what moves by itself
	ctl h1 export
	json h1 'map(del(.age_seconds)) | sort' fdb show
	json h1 'map(with_entries(select(.key | test("^[rt]x_") | not)))' port show
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
		node_kill h1
	else
		ctl h1 host stop
		wait_for 5 node_ended h1
		equal 'msg="stopped"' "$(tail -n 1 "/run/weftlab/$LAB/h1/weftd.log" | grep -o 'msg=.*')" "weftd's last word"
	fi
	flows client
	flows far
	pings far 3 10.2.0.254
	weftlab restart "$LAB:h1"
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
words=$(ctl h1 port show client qemu)
node_kill h1
node_kill client
weftlab restart "$LAB:h1"
expect h1 '["waiting",false]' '.[0] | [.state, .carrier]' port show client
node_kill h1
vm_start client h1 "$words" --ip 10.1.0.10/24
pings client 3 10.1.0.11
weftlab restart "$LAB:h1"
expect h1 '["up",true,["checksum","tso4","tso6"]]' '.[0] | [.state, .carrier, .offloads]' port show client
everything
