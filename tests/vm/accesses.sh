# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What a packet costs at the boundary of a VM, whatever the clock says: how often the guest touches a register of its
# NIC, and how often it is interrupted. Under KVM each is an exit; under TCG it is a function call, so times do not
# rank the models, and these counts do. Needs BUILD and WEFT_GUEST_DIR.
#
#   accesses_trace NAME true|false   QEMU writes them down, or no more
#   accesses_mark NAME               where its log ends now
#   accesses_since NAME MARK         "ACCESSES INTERRUPTS" since that
#   vhost_kicks PID                  doorbells of vhost-user guests that a dpdk weftd has ever got
#
# A doorbell whose eventfd takes it (ioeventfd, as always with vhost-user) never gets to QEMU's device: not seen by
# accesses_since. Reads of virtio's interrupt status are not counted: they are of INTx, which a vhost-user NIC has
# under TCG only. The interrupts are of the whole VM, without its timer.

accesses_trace() {
	local event
	for event in memory_region_ops_read memory_region_ops_write apic_deliver_irq; do
		"$BUILD/weft-guest" qmp "$1" "{\"execute\": \"trace-event-set-state\",
			\"arguments\": {\"name\": \"$event\", \"enable\": $2}}" >/dev/null
	done
}

accesses_mark() {
	stat -c %s "$WEFT_GUEST_DIR/$1/qemu.log"
}

accesses_since() {
	tail -c "+$(($2 + 1))" "$WEFT_GUEST_DIR/$1/qemu.log" | awk '
		/memory_region_ops_/ && /virtio-net|e1000|vmxnet3|rtl8139|pcnet|msix/ && !/virtio-pci-isr/ { accesses++ }
		/apic_deliver_irq/ { interrupts++ }
		END { print accesses + 0, interrupts + 0 }'
}

# weftd never reads a guest's eventfd, so it counts; all others it empties.
vhost_kicks() {
	local count kicks=0
	while read -r count; do
		kicks=$((kicks + 16#$count))
	done < <(cat "/proc/$1/fdinfo"/* 2>/dev/null | awk '
		/^eventfd-count:/ { count = $2 }
		/^eventfd-id:/ && !seen[$2]++ { print count }')
	echo "$kicks"
}
