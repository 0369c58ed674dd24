#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# NIC models: one VM with a NIC of each on a port of its own, against a virtio peer: pings, a page
# and a file both ways by each of them, and the offloads that QEMU negotiated for the model.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

models=(virtio-net-pci e1000 vmxnet3 e1000e rtl8139)
declare -A driver=([virtio-net-pci]=virtio_net [e1000]=e1000 [vmxnet3]=vmxnet3 [e1000e]=e1000e [rtl8139]=8139cp)
declare -A offloads=([virtio-net-pci]='["checksum","tso4","tso6"]' [vmxnet3]='["checksum","tso4","tso6"]'
	[e1000e]='["checksum"]' [e1000]='[]' [rtl8139]='[]') # a newer QEMU may add to a list, never to none

vm_image generic
host_new a
host_start a
ctl a network add blue
ctl a port add peer type tap network blue
all=
for model in "${models[@]}"; do
	ctl a port add "$model" type tap network blue
	words=$(ctl a port show "$model" qemu)
	words=${words/virtio-net-pci,/$model,}
	[ "$model" = virtio-net-pci ] || words=${words/,host_mtu=1500/} # a word of virtio's only
	all+=" $words"
done
VM_WORDS=$all vm_start nics 10.9.0.1/24 --nginx
vm_start peer 10.9.0.2/24 --nginx
vm_wait nics peer

# A subnet for each NIC: routes choose the NIC, and each answers for its own address only.
in_vm nics 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore'
net=0
declare -A subnet=()
for model in "${models[@]}"; do
	net=$((net + 1))
	subnet[$model]=10.1.$net
	mac=$(json a '.[0].mac' port show "$model")
	nic=$(in_vm nics "grep -l $mac /sys/class/net/*/address" | cut -d / -f 5)
	equal "${driver[$model]}" "$(basename "$(in_vm nics readlink "/sys/class/net/$nic/device/driver")")" "driver of $model"
	in_vm nics "ip addr add ${subnet[$model]}.11/24 dev $nic && ip link set $nic up"
	in_vm peer ip addr add "${subnet[$model]}.10/24" dev eth0
done
linked() {
	[ "$(in_vm nics 'cat /sys/class/net/eth?/carrier' | tr -d '\n')" = 11111 ]
}
wait_for 15 linked # e1000 reports its link seconds late

crossed() { # crossed PORT: what came in by it
	json a '.[0].rx_bytes' port show "$1"
}
negotiated() {
	[ "$(json a '.[0].offloads' port show "$1")" = "$(device_offloads "$1")" ]
}
for model in "${models[@]}"; do
	before=$(crossed "$model")
	expect a '["up",true]' '.[0] | [.state, .carrier]' port show "$model"
	wait_for 5 negotiated "$model"
	expect a true ".[0].offloads | . as \$shown | ${offloads[$model]} | . == \$shown or (. != [] and . - \$shown == [])" \
		port show "$model"
	pings nics 10 "${subnet[$model]}.10"
	fetches_page nics peer "${subnet[$model]}.10"
	fetches_page peer nics "${subnet[$model]}.11"
	fetches_file nics peer "${subnet[$model]}.10"
	fetches_file peer nics "${subnet[$model]}.11"
	[ $(($(crossed "$model") - before)) -gt 8000000 ] || die "the file did not leave by $model"
	echo "$model: ${driver[$model]}, offloads $(device_offloads "$model")"
done
expect a '[]' '[.[] | select(.rx_dropped > 0) | .name]' port show

guest stop nics
for model in "${models[@]}"; do
	wait_for 5 json_is a '["waiting",false,null]' '.[0] | [.state, .carrier, .offloads]' port show "$model"
done
