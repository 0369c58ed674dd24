#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the named suites, two tests at a time and a third while the processors have time for it (JOBS: so many, always);
# a line per test as it ends, and at the end what passed, failed and was skipped, and why. A test is a program or script:
# exit 0 passed, 77 skipped (its last line says why), else failed. SIGINT and SIGTERM end the running tests, which clean up.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
CALM=${JOBS:+0} # unless JOBS says how many: one test more, while in the last 10 s
CALM=${CALM:-40} # something waited for a processor for less than so many %
JOBS=${JOBS:-2}
export BUILD
logs=$BUILD/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=() skips=() unsteady=()
declare -A running=() started=() # names and times, by process
declare -A words=()              # by name

# They measure what another test would disturb: delays, shares of a worker's time; the switch of OVS, a process, loses
# frames that it does not fetch within some 10 ms; and two emulated machines with two processors each are load enough.
ALONE=(vm/kernel61_test system/wire_test system-dpdk/cpu_test {system,system-dpdk}/{interop,latency}_test)

run() { # run NAME COMMAND...: starts it when there is room
	local name=$1 most=$((JOBS - 1))
	shift
	words[$name]=$(printf '%q ' "$@")
	[[ " ${ALONE[*]} " != *" $name "* ]] || most=0
	[ "$most" = 0 ] || ! calm || most=$JOBS
	room_for "$most"
	timeout --kill-after=10 "${TEST_SECONDS:-300}" "$@" >"$(log_of "$name")" 2>&1 </dev/null &
	running[$!]=$name
	started[$!]=$EPOCHREALTIME
	[ "$most" != 0 ] || room_for 0
}

calm() { # tests mostly wait; of one that has just begun the kernel does not know yet
	local share
	share=$(sed -n 's/^some avg10=\([0-9]*\).*/\1/p' /proc/pressure/cpu 2>/dev/null) && [ "${share:-100}" -lt "$CALM" ]
}

room_for() { # room_for MOST: until no more than that are running
	while [ "${#running[@]}" -gt "$1" ]; do reap; done
}

log_of() { echo "$logs/${1//\//-}.log"; }

reap() { # waits for the end of one
	local pid status=0 name log seconds
	wait -n -p pid "${!running[@]}" || status=$?
	name=${running[$pid]}
	log=$(log_of "$name")
	seconds=$(awk -v a="${started[$pid]}" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	unset "running[$pid]" "started[$pid]"
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

# A group of its own each: the terminal's Ctrl-C reaches none, and `timeout` hands on what it gets.
stop() {
	trap '' INT TERM HUP
	[ "${#running[@]}" = 0 ] || kill -TERM "${!running[@]}"
	wait
	echo "stopped: ${running[*]}"
	exit 130
}
trap stop INT TERM HUP

variant() { # variant NAME MAKE-VARIABLES... TARGETS...: the project again, in a tree of its own
	local name=build-$1
	TEST_SECONDS=900 run "$name" make -s -j"$(nproc)" "BUILD=$BUILD/$1" "${@:2}"
	while [[ " ${running[*]} " == *" $name "* ]]; do reap; done
	[[ " ${failures[*]} " != *" $name "* ]]
}

sanitized() { # one tree for sanitizers and fuzzers, with the same BPF programs
	mkdir -p "$BUILD/asan"
	[ ! -d "$BUILD/bpf" ] || cp -au "$BUILD/bpf" "$BUILD/asan/"
	variant asan CC=clang-14 CFLAGS="-O1 -g" \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" \
		unit-programs packets-program dpdk-tests fuzz-programs
}

programs() { # every executable of a folder
	find "$1" -maxdepth 1 -type f -perm -u+x 2>/dev/null | sort
}

# What an engine's kind has to do with, and where weftd's answer may differ. The longest come first: at the
# end of a run nothing is beside them.
SYSTEM_DPDK=(offload overlay_change vhost_ports limits overlay xdp interop restart isolation probe lab_shipped fdb lab_path lab_trace lab_probe path_measure explain
	service_quiet service_load service_flood service_path service refuse keep check pci service_peer underlay tap device cpu peer guest_memory port port_retry
	privileges drops network direct latency trace)

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
			run packets-clang-19 "$BUILD/clang-19/tests/packets" --bpf
		;;
	asan)
		sanitized || return
		for test in $(programs "$BUILD/asan/tests/unit"); do run "asan/${test##*/}" "$test"; done
		run asan/packets "$BUILD/asan/tests/packets"
		# fair_test judges what frames cost: not by a sanitizer's prices
		for test in $(programs "$BUILD/asan/tests/dpdk" | grep _test | grep -v fair_test); do run "asan/${test##*/}" "$test"; done
		;;
	fuzz)
		sanitized || return
		for test in $(programs "$BUILD/asan/fuzz"); do
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

# Many tests watch guests, OVS or a client keep time on a machine with few cores. What failed beside others runs once
# more, alone; what passes then is named, and the log of its failure kept. Many failures are no noise of the machine.
AGAIN_MOST=4
again() {
	local name first=("${failures[@]}")
	failures=() failed=0
	for name in "${first[@]}"; do
		cp "$(log_of "$name")" "$(log_of "$name-first")"
		eval "run '$name' ${words[$name]}"
		room_for 0
		[[ " ${failures[*]} " == *" $name "* ]] || unsteady+=("$name: passed alone; its failure: $(log_of "$name-first")")
	done
}

for name in "$@"; do suite "$name"; done
room_for 0
[ "$failed" = 0 ] || [ "$failed" -gt "$AGAIN_MOST" ] || again
for reason in "${skips[@]:+${skips[@]}}"; do echo "skipped: $reason"; done
for name in "${unsteady[@]:+${unsteady[@]}}"; do echo "unsteady: $name"; done
for name in "${failures[@]:+${failures[@]}}"; do echo "failed: $name"; done
echo "$passed passed (${#unsteady[@]} of them when run again, alone), $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
