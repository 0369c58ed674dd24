# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the VM tests share, on top of the system tests' libraries:
#
#   vm_image KERNEL NAME [-x FILE:DEST..]   $BUILD/NAME, made if it is not there or not as it should be
#   vm_lab                    the lab whose topology is on standard input, as LAB
#   guest WORDS..             weft-guest to the VMs of LAB
#   in_vm NAME CMD..          one word: a shell command line; several: run as they are
#   vm_start NAME NODE QEMU-WORDS [WORDS..]   a VM of LAB that its file cannot describe: in the
#                             namespace of a node, its NIC by those words; WORDS: those of `weft-guest start`
#   node_kill NODE            its weftd or QEMU dies by -9
#   seen_by_weft_and_qemu NAME FROM ADDRESS   pings, and what must be known of them
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh
# shellcheck source=tests/vm/accesses.sh
. tests/vm/accesses.sh
command -v qemu-system-x86_64 >/dev/null || skip "needs qemu-system-x86_64: make deps"
declare -A VM_BASE=() # counters of a port and its VM, from which on they must agree

vm_image() {
	topo/guest/build.sh -k "$1" -o "$BUILD/$2" -c "$BUILD/guest-cache" "${@:3}"
}

vm_lab() {
	lab_own "vm-$$"
	export WEFT_GUEST_DIR=/run/weftlab/$LAB
	vm_image cloud guest # weftlab itself makes none when there is one
	(echo "name: $LAB" && cat) >"$WORK/lab.yaml"
	weftlab up "$WORK/lab.yaml"
}

guest() {
	"$BUILD/weft-guest" "$@"
}

in_vm() {
	guest exec "$@"
}

vm_start() {
	guest start "$1" --image "$BUILD/guest" --netns "weft-$LAB-$2" --qemu-net "$3" "${@:4}"
	guest wait "$1"
}

# pings NODE COUNT ADDRESS: all of them are answered.
pings() {
	local said
	said=$(in_vm "$1" ping -c "$2" -i 0.05 -W 2 "$3") || true
	[[ $said == *"$2 packets transmitted, $2 packets received"* ]] ||
		die "$1: ping $3: $(tail -n 3 <<<"$said")"
}

# The page of nginx in VM SERVER, fetched in VM NAME.
fetches_page() { # fetches_page NAME SERVER ADDRESS
	equal "This is guest $2." "$(in_vm "$1" wget -q -O - "http://$3/")" "$1: the page of $2"
}

fetches_file() { # fetches_file NAME SERVER ADDRESS: the content arrives as it left
	local wanted
	wanted=$(in_vm "$2" 'sha256sum </srv/file')
	equal "$wanted" "$(in_vm "$1" "wget -q -O - http://$3/file | sha256sum")" "$1: the file of $2"
}

# What the device of a port says itself, in the words of `port show`.
device_offloads() {
	in_lab h1 ethtool -k "$1" | awk '
		BEGIN { word["tx-checksum-ip-generic:"] = "checksum"; word["tx-tcp-segmentation:"] = "tso4"
			word["tx-tcp6-segmentation:"] = "tso6"; word["tx-udp-segmentation:"] = "uso" }
		$1 in word && $2 == "on" { list = list (list ? "," : "") "\"" word[$1] "\"" }
		END { print "[" list "]" }'
}

# rx_packets rx_bytes tx_packets tx_bytes tx_dropped of a port; then of its VM's NIC, from the port's side.
vm_counts() {
	ctl h1 -j port show "$1" |
		jq -r '.[0] | [.rx_packets, .rx_bytes, .tx_packets, .tx_bytes, .tx_dropped] | join(" ")' || return
	in_vm "$1" 'cd /sys/class/net/eth0/statistics; cat tx_packets tx_bytes rx_packets rx_bytes' | paste -s -d " "
}

# A NIC passes only the multicast that its guest asked for, unless told to pass all.
vm_count_from_here() {
	local name
	for name; do
		in_vm "$name" ip link set eth0 promisc on
		wait_for 10 vm_base_settles "$name"
	done
}

vm_base_settles() {
	local now
	now=$(vm_counts "$1")
	VM_BASE[$1]=$now
	sleep 0.2
	[ "$(vm_counts "$1")" = "$now" ]
}

# Since vm_count_from_here: all that the guest sent came in by the port, all that the port sent
# reached the guest or is counted as dropped by the device. Bytes only where nothing was dropped.
vm_agrees() {
	awk -v base="${VM_BASE[$1]}" -v now="$(vm_counts "$1")" 'BEGIN {
		split(base, b, /[ \n]/); n = split(now, v, /[ \n]/)
		if (n != 9) exit 1
		for (i = 1; i <= n; i++) v[i] -= b[i]
		exit !(v[1] == v[6] && v[2] == v[7] && v[3] == v[8] + v[5] && (v[5] || v[4] == v[9]))
	}'
}

# Pings of VM FROM to VM NAME: weft knows when NAME has taken them (P6), in `latency show` and in a trace. How often
# NAME touched its NIC for each is in PER_PING, in tenths: what QEMU's device answered and, of vhost-user, doorbells.
# h1 must sample each packet.
seen_by_weft_and_qemu() {
	local mark kicks tracer count=20 seen
	ctl h1 latency reset >/dev/null
	timeout 20 "$BUILD/weftctl" -s "/run/weftlab/$LAB/h1/run/weftd.sock" -j trace icmp count $count >"$WORK/trace" &
	tracer=$!
	helper $tracer
	wait_for 5 grep -q tracing "$WORK/trace"
	accesses_trace "$1" true
	mark=$(accesses_mark "$1")
	kicks=$(vhost_kicks "$(pid_of h1)")
	pings "$2" $count "$3"
	read -ra seen < <(accesses_since "$1" "$mark")
	# shellcheck disable=SC2034 # for the tests
	PER_PING=$(((seen[0] + $(vhost_kicks "$(pid_of h1)") - kicks) * 10 / count))
	accesses_trace "$1" false
	wait $tracer || die "the trace of pings to $1 ended with status $?"
	unset 'HELPERS[-1]'
	jq -es --arg to "$1" 'any(.point == "P6" and .port == $to)' "$WORK/trace" >/dev/null ||
		die "no P6 of $1 in the trace: $(cat "$WORK/trace")"
	expect h1 true "any(.hop == \"queue\" and .from == \"$2\" and .to == \"$1\" and .count > 0 and .p50_ns > 0)" latency show
}
