#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the named suites, two tests at a time and three more while the processors have time for them (JOBS: so many, always);
# a line per test as it ends, and at the end what passed, failed and was skipped, and why. A test is a program or script:
# exit 0 passed, 77 skipped (its last line says why), else failed. SIGINT and SIGTERM end the running tests, which clean up.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
CALM=${JOBS:+0} # unless JOBS says how many: up to three tests more, while in the last 10 s
CALM=${CALM:-40} # something waited for a processor for less than so many %
JOBS=${JOBS:-2}
more_at=0 # when the last of those began: what it takes shows later
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
	local name=$1 alone=
	shift
	[[ " ${ALONE[*]} " != *" $name "* ]] || alone=yes
	if [ "$alone" ]; then all_end; else until room; do reap; done; fi
	[ "$(tests_now)" -lt "$JOBS" ] || more_at=$SECONDS
	begin "$name" "$@"
	[ ! "$alone" ] || all_end
}

begin() {
	words[$1]=$(printf '%q ' "${@:2}")
	timeout --kill-after=10 "${TEST_SECONDS:-300}" "${@:2}" >"$(log_of "$1")" 2>&1 </dev/null &
	running[$!]=$1
	started[$!]=$EPOCHREALTIME
}

tests_now() {
	printf '%s\n' "${running[@]}" | grep -cv -e '^build-' -e '^$'
}

room() { # for one more: tests mostly wait
	local share now
	now=$(tests_now)
	[ "$now" -ge "$JOBS" ] || return 0
	[ "$now" -lt $((JOBS + 3)) ] && [ $((SECONDS - more_at)) -ge 2 ] || return
	share=$(sed -n 's/^some avg10=\([0-9]*\).*/\1/p' /proc/pressure/cpu 2>/dev/null) && [ "${share:-100}" -lt "$CALM" ]
}

all_end() {
	while [ "${#running[@]}" -gt 0 ]; do reap; done
}

log_of() { echo "$logs/${1//\//-}.log"; }

reap() { # waits for the end of one, or a second
	local pid status=0 name log seconds tick
	sleep 1 &
	tick=$!
	wait -n -p pid "${!running[@]}" "$tick" || status=$?
	[ "$pid" != "$tick" ] || return 0
	kill "$tick" 2>/dev/null
	wait "$tick" 2>/dev/null
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

# The project again, each in a tree of its own: built beside the first tests, from what they leave of the processors.
declare -A built=()
build() { # build NAME MAKE-WORDS...
	[ -z "${built[$1]:-}" ] || return
	built[$1]=yes
	TEST_SECONDS=900 begin "build-$1" nice -n 19 flock "$BUILD/$1.lock" make -s -j"$(nproc)" "BUILD=$BUILD/$1" "${@:2}"
}

is_built() { # is_built NAME: once it has ended
	while [[ " ${running[*]} " == *" build-$1 "* ]]; do reap; done
	[[ " ${failures[*]} " != *" build-$1 "* ]]
}

build_clang_19() {
	build clang-19 BPF_CLANG=clang-19 packets-program
}

build_asan() { # one tree for sanitizers and fuzzers, with the same BPF programs
	mkdir -p "$BUILD/asan"
	[ ! -d "$BUILD/bpf" ] || cp -au "$BUILD/bpf" "$BUILD/asan/"
	build asan CC=clang-14 CFLAGS="-O1 -g" \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" \
		unit-programs packets-program dpdk-programs fuzz-programs
}

programs() { # every executable of a folder
	find "$1" -maxdepth 1 -type f -perm -u+x 2>/dev/null | sort
}

# What an engine's kind has to do with, and where weftd's answer may differ. The longest come first: at the
# end of a run nothing is beside them.
SYSTEM_DPDK=(offload overlay_change vhost_ports limits overlay xdp interop restart isolation probe lab_shipped fdb lab_path lab_trace lab_probe path_measure explain
	service_quiet service_load service_flood service_path service refuse keep check pci pci_share service_peer underlay tap device cpu peer guest_memory port port_retry
	privileges descriptors drops network direct latency trace)

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
		build_clang_19
		is_built clang-19 &&
			run packets-clang-19 "$BUILD/clang-19/tests/packets" --bpf
		;;
	asan)
		build_asan
		is_built asan || return
		for test in $(programs "$BUILD/asan/tests/unit"); do run "asan/${test##*/}" "$test"; done
		run asan/packets "$BUILD/asan/tests/packets"
		# fair_test judges what frames cost: not by a sanitizer's prices
		for test in $(programs "$BUILD/asan/tests/dpdk" | grep _test | grep -v fair_test); do run "asan/${test##*/}" "$test"; done
		;;
	fuzz)
		build_asan
		is_built asan || return
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
		all_end
		[[ " ${failures[*]} " == *" $name "* ]] || unsteady+=("$name: passed alone; its failure: $(log_of "$name-first")")
	done
}

[[ " $* " != *" packets-clang-19 "* ]] || build_clang_19
[[ " $* " != *" asan "* ]] || build_asan
for name in "$@"; do suite "$name"; done
all_end
[ "$failed" = 0 ] || [ "$failed" -gt "$AGAIN_MOST" ] || again
for reason in "${skips[@]:+${skips[@]}}"; do echo "skipped: $reason"; done
for name in "${unsteady[@]:+${unsteady[@]}}"; do echo "unsteady: $name"; done
for name in "${failures[@]:+${failures[@]}}"; do echo "failed: $name"; done
echo "$passed passed (${#unsteady[@]} of them when run again, alone), $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
