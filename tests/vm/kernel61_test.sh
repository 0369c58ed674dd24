#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's 6.1 kernel, which has no tcx: the golden packets, built by both compilers (live by one of them, some of them by the other), and the
# engine's own test pass in a guest that runs it.
set -euo pipefail
# shellcheck source=tests/vm/kernel61.sh
. "$(dirname "$0")/kernel61.sh"

vm_image_kernel61
passes() { # passes VM PROGRAM WORDS...
	local start=$SECONDS status=0 program=$2
	guest exec --timeout 280 "$1" "/root/$program $(printf "%q " "${@:3}") >/root/log 2>&1" || status=$?
	in_vm "$1" cat /root/log >"$WORK/$2.log"
	[ $status = 0 ] || die "$2 ended with status $status: $(grep -vE '^\[ +(RUN|OK) |level=info' "$WORK/$2.log")"
	grep -q 'hook clsact' "$WORK/$2.log" || die "$2 did not run the clsact hook"
	echo "$2: $(grep -c '^\[ *OK \]' "$WORK/$2.log") passed in $((SECONDS - start)) s"
}

vm_start_kernel61 engine packets
passes engine engine_test --few &
engine=$!
helper $engine
passes packets packets-clang-14 --live
passes packets packets-clang-19 --test-run '*IPv4*'
wait $engine
