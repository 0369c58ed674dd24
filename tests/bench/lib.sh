# SPDX-License-Identifier: BSD-2-Clause
# lib.sh - for the *.bench files: a rig of namespaces, the switches to compare, and their samples
# shellcheck shell=bash
#
# A benchmark sources this, calls rig_up, and prints JSON lines by sample and goal. Everything it
# made goes when it exits, for whatever reason. Settings (run.sh documents them) come in as BENCH_*.

set -euo pipefail

BENCH_NAME=$(basename "$0" .bench)
BUILD=$(realpath -m "${BUILD:-$(dirname "${BASH_SOURCE[0]}")/../../build}")
BENCH_ROUNDS=${BENCH_ROUNDS:-5}
BENCH_SECONDS=${BENCH_SECONDS:-3}
BENCH_SWITCHES=${BENCH_SWITCHES:-bridge weft}
TOOLS=$BUILD/tests
weftd_options=() # more words for weftd

fail() {
	echo "$BENCH_NAME: $*" >&2
	exit 1
}

# --- results ---

# sample METRIC VARIANT VALUE UNIT
sample() {
	jq -nc --arg bench "$BENCH_NAME" --arg metric "$1" --arg variant "$2" --argjson value "$3" \
		--arg unit "$4" '{$bench, $metric, $variant, $value, $unit}'
}

# goal METRIC OP LIMIT VARIANT [REFERENCE]: VARIANT's median (divided by REFERENCE's) OP LIMIT
goal() {
	jq -nc --arg bench "$BENCH_NAME" --arg metric "$1" --arg op "$2" --argjson limit "$3" \
		--arg variant "$4" --arg reference "${5:-}" \
		'{$bench, $metric, goal: {$op, $limit, $variant,
		  reference: (if $reference == "" then null else $reference end)}}'
}

# --- rig ---

# Names of namespaces end in our process id, so that two runs do not meet.
netns() {
	echo "wb$1$$"
}

in_netns() {
	local ns
	ns=$(netns "$1")
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# poll SECONDS COMMAND...: until the command succeeds
poll() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || return 1
		sleep 0.02
	done
}

end_process() {
	kill "$1" 2>/dev/null || return 0
	poll 10 not_running "$1" || kill -9 "$1" 2>/dev/null || true
}

not_running() {
	! kill -0 "$1" 2>/dev/null
}

rig_down() {
	local status=$? file ns
	set +e
	trap '' TERM INT
	for file in "$RIG"/*.pid; do
		[[ -e $file ]] && end_process "$(cat "$file")"
	done
	for ns in "${RIG_NETNS[@]}"; do
		ip netns del "$(netns "$ns")"
	done
	for file in "$RIG"/*/bpf; do
		[[ -d $file ]] && umount "$file"
	done
	rm -rf "$RIG"
	exit "$status"
}

netns_add() {
	ip netns add "$(netns "$1")"
	in_netns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
	ip -n "$(netns "$1")" link set lo up
}

# rig_up NETNS...: the namespaces a benchmark plays in; "sw" is the switch's
rig_up() {
	local ns tool
	[[ $EUID == 0 ]] || fail "must be root: it makes namespaces"
	for tool in tapgen taprelay frame; do
		[[ -x $TOOLS/$tool ]] || fail "no $TOOLS/$tool: build first"
	done
	RIG=$(mktemp -d /tmp/weft-bench-XXXXXX)
	RIG_NETNS=()
	trap rig_down EXIT
	trap 'exit 143' TERM INT
	for ns in "$@"; do
		netns_add "$ns"
		RIG_NETNS+=("$ns")
	done
}

# rig_clear NETNS...: the same namespaces again, empty
rig_clear() {
	local ns
	for ns in "$@"; do
		ip netns del "$(netns "$ns")"
		netns_add "$ns"
	done
}

# add_taps NAME...: persistent taps in the switch's namespace, as an operator makes them for QEMU
add_taps() {
	local tap
	for tap in "$@"; do
		ip -n "$(netns sw)" tuntap add "$tap" mode tap
		ip -n "$(netns sw)" link set "$tap" up
	done
}

# add_guest GUEST TAP ADDRESS: a light VM with a Linux guest's usual virtio offloads
add_guest() {
	"$TOOLS/taprelay" --guest-netns "$(netns "$1")" --switch-netns "$(netns sw)" \
		--switch-tap "$2" --tx csum,tso4,tso6 --rx csum,tso4,tso6 \
		--pid-file "$RIG/relay-$1.pid" --stats-file "$RIG/relay-$1.json"
	ip -n "$(netns "$1")" addr add "$3" dev eth0
}

# add_veth GUEST DEVICE ADDRESS: a container
add_veth() {
	ip -n "$(netns sw)" link add "$2" type veth peer name eth0 netns "$(netns "$1")"
	ip -n "$(netns sw)" link set "$2" up
	ip -n "$(netns "$1")" addr add "$3" dev eth0
	ip -n "$(netns "$1")" link set eth0 up
}

# --- the switches; ports are TYPE:DEVICE with TYPE tap or device ---

# A bridge as ip(8) makes it, but br_netfilter is off: built in, it is on by default and adds a third
# to the cost of a small packet. The switch bridge_nf leaves it on.
bridge_netfilter() {
	local key
	for key in iptables ip6tables arptables; do
		in_netns sw sysctl -qw "net.bridge.bridge-nf-call-$key=$1" 2>/dev/null || true
	done
}

bridge_join() {
	local port sw
	sw=$(netns sw)
	ip -n "$sw" link add br0 type bridge
	ip -n "$sw" link set br0 up
	for port in "$@"; do
		ip -n "$sw" link set "${port#*:}" master br0
	done
}

bridge_up() {
	bridge_netfilter 0
	bridge_join "$@"
}

bridge_down() {
	ip -n "$(netns sw)" link del br0
}

bridge_nf_up() {
	bridge_netfilter 1
	bridge_join "$@"
}

bridge_nf_down() {
	bridge_down
}

# The limit: a bare redirect between two devices, taps without a queueing discipline as weft has them.
redirect_up() {
	local port devices=()
	for port in "$@"; do
		devices+=("${port#*:}")
		[[ ${port%:*} != tap ]] || tc -n "$(netns sw)" qdisc replace dev "${port#*:}" root noqueue
	done
	nsenter --net="/run/netns/$(netns sw)" "$TOOLS/redirect" "${devices[@]}" >"$RIG/redirect.log" &
	echo $! >"$RIG/redirect.pid"
	poll 5 grep -q ready "$RIG/redirect.log" || fail "redirect does not start"
}

redirect_down() {
	local port
	end_process "$(cat "$RIG/redirect.pid")"
	rm "$RIG/redirect.pid"
	for port in "$@"; do
		tc -n "$(netns sw)" qdisc del dev "${port#*:}" root 2>/dev/null || true
	done
}

# weft INSTANCE WORDS...
weft() {
	local instance=$1
	shift
	"$BUILD/weftctl" -s "$RIG/$instance/run/weftd.sock" "$@"
}

# weftd_start INSTANCE NETNS: a weftd with directories and a bpffs of its own
weftd_start() {
	local dir=$RIG/$1
	[[ -x $BUILD/weftd ]] ||
		fail "no $BUILD/weftd: build it, or set BENCH_SWITCHES=bridge"
	mkdir -p "$dir/state" "$dir/run" "$dir/bpf"
	mount -t bpf bpf "$dir/bpf"
	weftd_run "$@"
}

# weftd_run INSTANCE NETNS: the same one again
weftd_run() {
	local dir=$RIG/$1
	# nsenter becomes weftd: a function in the background would put a shell before it
	nsenter --net="/run/netns/$(netns "$2")" "$BUILD/weftd" --state-dir "$dir/state" \
		--run-dir "$dir/run" --bpf-dir "$dir/bpf" "${weftd_options[@]}" >>"$dir/log" 2>&1 &
	echo $! >"$RIG/weftd-$1.pid"
	poll 10 weft "$1" host show || {
		cat "$dir/log" >&2
		fail "weftd does not answer"
	}
}

weft_up() {
	local port
	[[ -e $RIG/weftd-main.pid ]] || weftd_start main sw
	weft main network add bench
	for port in "$@"; do
		weft main port add "${port#*:}" type "${port%:*}" network bench
	done
}

weft_down() {
	local port
	for port in "$@"; do
		weft main port del "${port#*:}"
	done
	weft main network del bench
}

# compare FUNCTION PORT...: run FUNCTION SWITCH with the ports on each switch in turn, all rounds;
# every other round in the opposite order, so that a drift of the machine hits both.
compare() {
	local function=$1 round switches switch
	shift
	switches=$BENCH_SWITCHES
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		for switch in $switches; do
			"${switch}_up" "$@" >&2
			"$function" "$switch"
			"${switch}_down" "$@" >&2
		done
		switches=$(tr ' ' '\n' <<<"$switches" | tac | xargs)
	done
}

# --- traffic ---

# A broadcast frame gets through: the switch's ports are up.
path_works() {
	"$TOOLS/frame" recv --netns "$(netns "$2")" --dev eth0 --timeout 100 --quiet -- \
		"$TOOLS/frame" send --netns "$(netns "$1")" --dev eth0
}

server_listens() {
	in_netns "$1" ss -Hltn 'sport = :5201' | grep -q .
}

# iperf FROM TO ADDRESS: one TCP stream, Gbit/s received
iperf() {
	local server
	poll 10 path_works "$1" "$2" || fail "no path from $1 to $2"
	in_netns "$2" iperf3 -s -1 >/dev/null &
	server=$!
	echo "$server" >"$RIG/iperf.pid"
	poll 5 server_listens "$2" || fail "iperf3 does not listen"
	in_netns "$1" timeout $((BENCH_SECONDS + 10)) iperf3 -c "$3" -t "$BENCH_SECONDS" -J |
		jq '.end.sum_received.bits_per_second / 1e9 * 100 | round / 100'
	wait "$server"
	rm "$RIG/iperf.pid"
}
