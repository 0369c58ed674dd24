# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the system tests share: namespaces, a weftd in each, waiting with a deadline, cleaning up.
#
#   host_new a            a namespace with directories of its own
#   host_start a [ARG..]  weftd in it; host_stop a, host_kill a (-9)
#   clock_ahead SECONDS   weftds that start from now on have a clock of their own; 0: the machine's again
#   on a CMD...           in its network namespace;    ctl a WORDS...  weftctl to its weftd
#
# ENGINE: ebpf, or dpdk; sim runs the control plane without a datapath.
BUILD=${BUILD:-build}
ENGINE=${ENGINE:-ebpf}
WORK=
declare -A HOST_PID=()
HELPERS=() # processes of the test that cleanup ends

die() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

cleanup() {
	local status=$? host pid
	trap - EXIT
	set +e
	for pid in "${HELPERS[@]}" "${HOST_PID[@]}"; do
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	if [ "$status" != 0 ] && [ "$status" != 77 ]; then
		for host in "${!HOST_PID[@]}"; do
			echo "--- log of weftd $host" && tail -n 40 "$WORK/$host/log"
		done
	fi
	for host in "$WORK"/*/; do
		host=$(basename "$host")
		ip netns del "$(netns "$host")" 2>/dev/null
		umount "$WORK/$host/bpf" "$WORK/$host/run" 2>/dev/null
	done
	rm -rf "$WORK"
	exit "$status"
}

[ "$(id -u)" = 0 ] || skip "needs root"
[ -x "$BUILD/weftd" ] || die "no $BUILD/weftd: run make"
WORK=$(mktemp -d /tmp/weft-test.XXXXXX)
trap cleanup EXIT
trap 'trap "" INT TERM HUP; exit 1' INT TERM HUP # `timeout` sends it twice

netns() {
	echo "weft-$$-$1"
}

host_new() {
	local host=$1
	mkdir -p "$WORK/$host"/{state,run,bpf}
	mount -t bpf bpf "$WORK/$host/bpf"
	mount -t tmpfs -o mode=755 run "$WORK/$host/run" # as /run is
	ip netns add "$(netns "$host")"
	on "$host" ip link set lo up
	# No router solicitations and the like between counters and what a test sends.
	on "$host" sysctl -q -w net.ipv6.conf.default.disable_ipv6=1
}

on() {
	local host=$1
	shift
	nsenter --net="/run/netns/$(netns "$host")" "$@"
}

socket_of() {
	echo "$WORK/$1/run/weftd.sock"
}

ctl() {
	local host=$1
	shift
	"$BUILD/weftctl" -s "$(socket_of "$host")" "$@"
}

answers() {
	[ -d "/proc/${HOST_PID[$1]}" ] || die "weftd $1 is gone"
	ctl "$1" host show >/dev/null 2>&1
}

CLOCK=()
clock_ahead() {
	CLOCK=()
	[ "$1" = 0 ] || CLOCK=(unshare --time --monotonic "$1" --boottime "$1")
}

host_start() {
	local host=$1
	shift
	nsenter --net="/run/netns/$(netns "$host")" ${CLOCK[@]+"${CLOCK[@]}"} "${WEFTD:-$BUILD/weftd}" --name "$host" --engine "$ENGINE" --state-dir "$WORK/$host/state" \
		--run-dir "$WORK/$host/run" --bpf-dir "$WORK/$host/bpf" "$@" \
		>>"$WORK/$host/log" 2>&1 &
	HOST_PID[$host]=$!
	wait_for 20 answers "$host"
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

host_kill() {
	local pid=${HOST_PID[$1]}
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	unset "HOST_PID[$1]"
}

host_stop() {
	local pid=${HOST_PID[$1]}
	kill -TERM "$pid"
	wait "$pid" || die "weftd $1 ended with status $?"
	unset "HOST_PID[$1]"
}

# cleanup ends this process.
helper() {
	HELPERS+=("$1")
}

# A process in the background of a host, ended by cleanup; its id is in SPAWNED.
spawn() {
	local host=$1
	shift
	nsenter --net="/run/netns/$(netns "$host")" "$@" &
	SPAWNED=$!
	helper "$SPAWNED"
}

wait_for() { # wait_for SECONDS COMMAND...: until it succeeds
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $deadline ] || die "waited in vain for: $*"
		sleep 0.05
	done
}

equal() { # equal WANTED GOT [WHAT]
	[ "$1" = "$2" ] || die "${3:-value}: wanted '$1', got '$2'"
}

# The value of a jq filter over an answer: json HOST FILTER WORDS...
json() {
	local host=$1 filter=$2
	shift 2
	ctl "$host" -j "$@" | jq -c -r "$filter"
}

json_is() { # json_is HOST WANTED FILTER WORDS...: for wait_for
	local host=$1 wanted=$2
	shift 2
	[ "$(json "$host" "$@" 2>/dev/null)" = "$wanted" ]
}

expect() { # expect HOST WANTED FILTER WORDS...: at once, or soon: workers count in their own time
	local host=$1 wanted=$2 deadline=$((SECONDS + 3))
	shift 2
	until [ "$(json "$host" "$@")" = "$wanted" ] || [ $SECONDS -gt $deadline ]; do
		sleep 0.05
	done
	equal "$wanted" "$(json "$host" "$@")" "$*"
}

# A command that must be refused: refused HOST EXIT PATTERN WORDS...
refused() {
	local host=$1 status=$2 pattern=$3 got=0 said
	shift 3
	said=$(ctl "$host" "$@" 2>&1 >/dev/null) || got=$?
	equal "$status" "$got" "exit status of: $*"
	# shellcheck disable=SC2254
	case $said in
	*$pattern*) ;;
	*) die "'$*' was refused with '$said', not with '$pattern'" ;;
	esac
}
