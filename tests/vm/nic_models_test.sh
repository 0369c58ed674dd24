#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# NIC models: a VM with each against a virtio peer: pings, a page and a file both ways, the offloads that QEMU
# negotiated for the model, when the VM takes frames, and how often it touches its NIC for them.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

models=(virtio e1000 vmxnet3 e1000e rtl8139)
declare -A driver=([virtio]=virtio_net [e1000]=e1000 [vmxnet3]=vmxnet3 [e1000e]=e1000e [rtl8139]=8139cp)
declare -A offloads=([virtio]='["checksum","tso4","tso6"]' [vmxnet3]='["checksum","tso4","tso6"]'
	[e1000e]='["checksum"]' [e1000]='[]' [rtl8139]='[]') # a newer QEMU may add to a list, never to none
declare -A address=() touched=()

{
	cat <<-'END'
		topology:
		  nodes:
		    h1:
		      kind: host
		      objects:
		        host: {sample: 1}
		        networks: [{name: blue}]
		        ports: [{name: virtio, type: tap, network: blue}]
		    peer: {kind: vm, host: h1, network: blue, addresses: [10.1.0.10/24], nginx: true}
	END
	for model in "${models[@]}"; do
		address[$model]=10.1.0.$((11 + ${#address[@]}))
		[ "$model" = virtio ] ||
			echo "    $model: {kind: vm, nic: $model, host: h1, network: blue, addresses: [${address[$model]}/24], nginx: true}"
	done
} >"$WORK/topology"
vm_image generic guest-generic
vm_lab <"$WORK/topology"
# Not of the lab: its doorbell must come to QEMU's device, not to an eventfd, to be seen.
vm_start virtio h1 "$(ctl h1 port show virtio qemu memory 128 | sed 's/virtio-net-pci,/&ioeventfd=off,/')" \
	--memory 128 --ip "${address[virtio]}/24" --nginx

crossed() { # crossed PORT: what came in by it
	json h1 '.[0].rx_bytes' port show "$1"
}
negotiated() {
	[ "$(json h1 '.[0].offloads' port show "$1")" = "$(device_offloads "$1")" ]
}
for model in "${models[@]}"; do
	before=$(crossed "$model")
	equal "${driver[$model]}" "$(basename "$(in_vm "$model" readlink /sys/class/net/eth0/device/driver)")" "driver of $model"
	expect h1 '["up",true]' '.[0] | [.state, .carrier]' port show "$model"
	wait_for 5 negotiated "$model"
	expect h1 true ".[0].offloads | . as \$shown | ${offloads[$model]} | . == \$shown or (. != [] and . - \$shown == [])" \
		port show "$model"
	pings "$model" 10 10.1.0.10
	fetches_page "$model" peer 10.1.0.10
	fetches_page peer "$model" "${address[$model]}"
	fetches_file "$model" peer 10.1.0.10
	fetches_file peer "$model" "${address[$model]}"
	seen_by_weft_and_qemu "$model" peer "${address[$model]}"
	touched[$model]=$PER_PING
	[ $(($(crossed "$model") - before)) -gt 8000000 ] || die "the file did not leave by $model"
	echo "$model: ${driver[$model]}, offloads $(device_offloads "$model"), touched $PER_PING times for 10 pings"
done
[ "${touched[virtio]}" -ge 10 ] || die "virtio is touched ${touched[virtio]} times for 10 pings: these are not all"
[ $((touched[virtio] * 2)) -lt "${touched[vmxnet3]}" ] || die "virtio is touched no less often than vmxnet3"
for model in e1000 rtl8139; do
	[ $((touched[vmxnet3] * 2)) -lt "${touched[$model]}" ] || die "vmxnet3 is touched no less often than $model"
done
expect h1 '[]' '[.[] | select(.rx_dropped > 0) | .name]' port show

for model in "${models[@]}"; do
	guest stop "$model"
	wait_for 5 json_is h1 '["waiting",false,null]' '.[0] | [.state, .carrier, .offloads]' port show "$model"
done
