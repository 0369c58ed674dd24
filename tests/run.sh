#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the named suites; a line per test, and at the end what passed, failed and was skipped, and why.
# A test is a program or script: exit 0 passed, 77 skipped (its last line says why), else failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
logs=$BUILD/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=() skips=()

run() { # run NAME COMMAND...
	local name=$1 log start status seconds
	shift
	log=$logs/${name//\//-}.log
	start=$EPOCHREALTIME
	timeout --kill-after=10 "${TEST_SECONDS:-300}" "$@" >"$log" 2>&1 </dev/null
	status=$?
	seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	case $status in
	0) passed=$((passed + 1)) && printf 'ok    %-40s %6s s\n' "$name" "$seconds" ;;
	77)
		skipped=$((skipped + 1)) && skips+=("$name: $(tail -n 1 "$log")")
		printf 'skip  %-40s %s\n' "$name" "$(tail -n 1 "$log")"
		;;
	*)
		failed=$((failed + 1)) && failures+=("$name")
		printf 'FAIL  %-40s %6s s  status %s, log %s\n' "$name" "$seconds" "$status" "$log"
		tail -n 25 "$log" | sed 's/^/      | /'
		;;
	esac
}

variant() { # variant NAME MAKE-VARIABLES... -- TARGETS...: the project again, in a tree of its own
	local name=$1
	shift
	make -s -j"$(nproc)" "BUILD=$BUILD/$name" "$@" >"$logs/build-$name.log" 2>&1 && return
	run "build-$name" cat "$logs/build-$name.log"
	run "build-$name" false
	return 1
}

programs() { # every executable of a folder
	find "$1" -maxdepth 1 -type f -perm -u+x 2>/dev/null | sort
}

# What an engine's kind has to do with, and where weftd's answer may differ.
SYSTEM_DPDK=(cpu device drops explain fdb interop isolation lab_shipped limits network overlay peer port restart
	tap underlay vhost_ports)

needs_dpdk() { # needs_dpdk SUITE: else the suite is one skipped test
	[ -e "$BUILD/weft-dpdk.so" ] && return
	run "$1" sh -c 'echo "no libdpdk: weft-dpdk.so was not built"; exit 77'
	return 1
}

suite() {
	local test
	case $1 in
	lint) run lint tests/lint.sh ;;
	unit) for test in $(programs "$BUILD/tests/unit"); do run "unit/${test##*/}" "$test"; done ;;
	packets) run packets "$BUILD/tests/packets" ;;
	packets-clang-19)
		variant clang-19 BPF_CLANG=clang-19 packets-program &&
			run packets-clang-19 "$BUILD/clang-19/tests/packets"
		;;
	asan)
		variant asan CC=clang-14 CFLAGS="-O1 -g" \
			SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" \
			unit-programs packets-program || return
		for test in $(programs "$BUILD/asan/tests/unit"); do run "asan/${test##*/}" "$test"; done
		run asan/packets "$BUILD/asan/tests/packets"
		;;
	fuzz)
		variant fuzzing CC=clang-14 CFLAGS="-O1 -g" \
			SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" \
			fuzz-programs || return
		for test in $(programs "$BUILD/fuzzing/fuzz"); do
			run "fuzz/${test##*/}" "$test" -max_total_time="${FUZZ_SECONDS:-10}" \
				-artifact_prefix="$logs/" -print_final_stats=1
		done
		;;
	system | vm)
		for test in $(programs "$BUILD/tests/$1") tests/"$1"/*_test.sh; do
			run "$1/$(basename "${test%.sh}")" "$test" # one that cannot run has failed
		done
		;;
	system-dpdk)
		needs_dpdk "$1" || return
		for test in "${SYSTEM_DPDK[@]}"; do
			run "$1/${test}_test" env ENGINE=dpdk "tests/system/${test}_test.sh"
		done
		;;
	dpdk)
		needs_dpdk "$1" || return
		for test in $(programs "$BUILD/tests/dpdk" | grep _test); do run "dpdk/${test##*/}" "$test"; done
		;;
	*) echo "no suite $1" >&2 && exit 2 ;;
	esac
}

for name in "$@"; do suite "$name"; done
for reason in "${skips[@]:+${skips[@]}}"; do echo "skipped: $reason"; done
for name in "${failures[@]:+${failures[@]}}"; do echo "failed: $name"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
