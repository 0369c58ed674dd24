# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the tests on Debian's own kernel share: guests without a NIC and without a host, that run weft
# themselves.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export WEFT_GUEST_DIR=$WORK/guests

vm_cleanup() {
	local status=$? name
	trap - EXIT
	set +e
	for name in $(guest list | cut -d ' ' -f 1); do
		[ "$status" = 0 ] || [ "$status" = 77 ] ||
			{ echo "--- console of guest $name" && guest console "$name" | tail -n 15; }
	done
	guest stop --all
	(exit "$status") # what cleanup takes for the test's
	cleanup
}
trap vm_cleanup EXIT

# With what they run there. Whole paths in the guest: its busybox would run its own `ip`.
vm_image_kernel61() {
	[ -x "$BUILD/tests/packets" ] || die "no $BUILD/tests/packets: run make tests"
	# two of these tests may run at a time, two makes must not
	# by the name that the Makefile has for it: so its objects know what they hang on
	flock "$BUILD/clang-19.lock" make -s "BUILD=${BUILD#"$PWD"/}/clang-19" BPF_CLANG=clang-19 packets-program \
		>"$WORK/make.log" 2>&1 ||
		die "packets by clang-19: $(tail -n 5 "$WORK/make.log")"
	vm_image generic guest-kernel61 -x "$BUILD/tests/packets:/root/packets-clang-14" \
		-x "$BUILD/clang-19/tests/packets:/root/packets-clang-19" \
		-x "$BUILD/tests/system/engine_test:/root/" -x "$BUILD/weftd:/usr/sbin/" \
		-x "$BUILD/weftctl:/usr/bin/" -x /sbin/ip:/sbin/ -x /sbin/tc:/sbin/
}

# On a kernel that has no tcx.
vm_start_kernel61() {
	local name kernel
	for name; do
		guest start "$name" --image "$BUILD/guest-kernel61" --memory 640 \
			--modules tun,veth,vxlan,8021q,sch_ingress,cls_bpf,cls_matchall
	done
	for name; do guest wait "$name"; done
	kernel=$(in_vm "$1" uname -r)
	[[ $kernel == 6.1.* ]] || skip "Debian's kernel is $kernel here, not 6.1"
}
