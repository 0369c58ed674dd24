# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the VM tests share: the system tests' library, and guests on the ports of weftd `a`.
#
#   vm_image NAME [-x FILE:DEST..]   make $BUILD/guest-NAME if it is not there, and boot that
#   vm_start PORT IPS [WORDS..]      a guest named as the port; WORDS go to `weft-guest start`
#   vm_wait NAME..                   until they are up
#   in_vm NAME CMD...                one word: a shell command line; several: run as they are
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
command -v qemu-system-x86_64 >/dev/null || skip "needs qemu-system-x86_64: make deps"
export WEFT_GUEST_DIR=$WORK/guests
VM_IMAGE=
declare -A VM_BASE=() # counters of a port and its guest, from which on they must agree

vm_cleanup() {
	local status=$? name
	trap - EXIT
	set +e
	if [ "$status" != 0 ] && [ "$status" != 77 ]; then
		for name in $(vm_names); do
			echo "--- console of guest $name" && guest console "$name" | tail -n 15
		done
		[ ! -S "$WORK/a/run/weftd.sock" ] || { ctl a port show && ctl a drops show; }
	fi
	guest stop --all
	(exit "$status") # what cleanup takes for the test's
	cleanup
}
trap vm_cleanup EXIT

guest() {
	"$BUILD/weft-guest" "$@"
}

vm_names() {
	guest list 2>/dev/null | cut -d ' ' -f 1
}

vm_image() {
	VM_IMAGE=$BUILD/guest-$1
	shift
	topo/guest/build.sh -k generic -o "$VM_IMAGE" -c "$BUILD/guest-cache" "$@"
}

# The operator's words, or those of VM_WORDS.
vm_start() {
	local name=$1 ips=$2 words
	shift 2
	words=${VM_WORDS:-$(ctl a port show "$name" qemu)}
	guest start "$name" --image "$VM_IMAGE" --netns "$(netns a)" --qemu-net "$words" --ip "$ips" "$@"
}

vm_wait() {
	local name
	for name; do guest wait "$name"; done
}

vm_kill() {
	kill -9 "$(guest list | awk -v name="$1" '$1 == name { print $2 }')"
}

in_vm() {
	guest exec --timeout 60 "$@"
}

# pings NAME COUNT ADDRESS: all of them are answered.
pings() {
	local name=$1 count=$2 address=$3 said
	said=$(in_vm "$name" ping -c "$count" -i 0.05 -W 2 "$address") || true
	[[ $said == *"$count packets transmitted, $count packets received"* ]] ||
		die "$name: ping $address: $(tail -n 3 <<<"$said")"
}

# The page of nginx in guest SERVER, fetched in guest NAME.
fetches_page() { # fetches_page NAME SERVER ADDRESS
	equal "This is guest $2." "$(in_vm "$1" wget -q -O - "http://$3/")" "$1: the page of $2"
}

fetches_file() { # fetches_file NAME SERVER ADDRESS: the content arrives as it left
	local wanted
	wanted=$(in_vm "$2" 'sha256sum </srv/file')
	equal "$wanted" "$(in_vm "$1" "wget -q -O - http://$3/file | sha256sum")" "$1: the file of $2"
}

# What the device says itself, in the words of `port show`.
device_offloads() {
	on a ethtool -k "$1" | awk '
		BEGIN { word["tx-checksum-ip-generic:"] = "checksum"; word["tx-tcp-segmentation:"] = "tso4"
			word["tx-tcp6-segmentation:"] = "tso6"; word["tx-udp-segmentation:"] = "uso" }
		$1 in word && $2 == "on" { list = list (list ? "," : "") "\"" word[$1] "\"" }
		END { print "[" list "]" }'
}

# rx_packets rx_bytes tx_packets tx_bytes tx_dropped of a port; then of its guest's NIC, from the port's side.
vm_counts() {
	ctl a -j port show "$1" |
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

# The image of the tests on Debian's own kernel, with what they run there. Whole paths in the guest:
# its busybox would run its own `ip`.
vm_image_kernel61() {
	[ -x "$BUILD/tests/packets" ] || die "no $BUILD/tests/packets: run make tests"
	make -s "BUILD=$BUILD/clang-19" BPF_CLANG=clang-19 packets-program >"$WORK/make.log" 2>&1 ||
		die "packets by clang-19: $(tail -n 5 "$WORK/make.log")"
	vm_image kernel61 -x "$BUILD/tests/packets:/root/packets-clang-14" \
		-x "$BUILD/clang-19/tests/packets:/root/packets-clang-19" \
		-x "$BUILD/tests/system/engine_test:/root/" -x "$BUILD/weftd:/usr/sbin/" \
		-x "$BUILD/weftctl:/usr/bin/" -x /sbin/ip:/sbin/ -x /sbin/tc:/sbin/
}

# Guests without a NIC, on a kernel that has no tcx.
vm_start_kernel61() {
	local name kernel
	for name; do
		guest start "$name" --image "$VM_IMAGE" --memory 640 \
			--modules tun,veth,vxlan,8021q,sch_ingress,cls_bpf,cls_matchall
	done
	vm_wait "$@"
	kernel=$(in_vm "$1" uname -r)
	[[ $kernel == 6.1.* ]] || skip "Debian's kernel is $kernel here, not 6.1"
}
