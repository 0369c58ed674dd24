#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# NIC models: each against a virtio peer, on one port, one after the other: pings, pages, a file
# both ways, and the offloads that QEMU negotiated for this model and not for the one before.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

vm_image generic
host_new a
host_start a
ctl a network add blue
ctl a port add peer type tap network blue
ctl a port add nic type tap network blue
vm_start peer 10.1.0.10/24 --nginx

# The operator's words, with another model; host_mtu is a word of virtio's only.
words_for() {
	ctl a port show nic qemu | sed "s/virtio-net-pci/$1/; $([ "$1" = virtio-net-pci ] || echo 's/,host_mtu=[0-9]*//')"
}

negotiated() {
	[ "$(json a '.[0].offloads' port show nic)" = "$(device_offloads nic)" ]
}

try() { # try MODEL DRIVER OFFLOADS: these at least, or none
	local model=$1 driver=$2 offloads=$3 start=$SECONDS
	VM_WORDS=$(words_for "$model") vm_start nic 10.1.0.11/24 --nginx
	vm_wait peer nic
	equal "$driver" "$(basename "$(in_vm nic readlink /sys/class/net/eth0/device/driver)")" "the driver of $model"
	expect a '["up",true]' '.[0] | [.state, .carrier]' port show nic
	wait_for 5 negotiated
	expect a true ".[0].offloads | . == $offloads or (. != [] and $offloads != [] and $offloads - . == [])" port show nic
	pings nic 10 10.1.0.10
	fetches_page nic peer 10.1.0.10
	fetches_page peer nic 10.1.0.11
	fetches_file nic peer 10.1.0.10
	fetches_file peer nic 10.1.0.11
	guest stop nic
	wait_for 5 json_is a '["waiting",null]' '.[0] | [.state, .offloads]' port show nic
	echo "$model: driver $driver, offloads $offloads, $((SECONDS - start)) s"
}

try virtio-net-pci virtio_net '["checksum","tso4","tso6"]'
try e1000 e1000 '[]'
try vmxnet3 vmxnet3 '["checksum","tso4","tso6"]'
try e1000e e1000e '["checksum"]'
try rtl8139 8139cp '[]'
