# SPDX-License-Identifier: BSD-2-Clause
# vhost.sh - for the benchmarks of vhost-user switches: the contenders, and two guests on core 1
# shellcheck shell=bash
#
#   BENCH_VHOST  what to compare (limit ovs weft): limit is a bare forwarder that looks at nothing
#   BENCH_NEAR, BENCH_NEAR_SECONDS  cores are near if a cache line takes at most so many ns (60); how
#                long to wait for that (60)
#   BENCH_HUGE   huge pages of 2 MiB to reserve and give back (768); 0: memory without huge pages
#
# The switch polls on core 0 and has both guests' sockets; OVS connects to them, the others listen.
# Each contender runs alone, started anew in each round.

# shellcheck source=tests/bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BENCH_SWITCHES=${BENCH_VHOST:-limit ovs weft}
BENCH_NEAR=${BENCH_NEAR:-60}
BENCH_NEAR_SECONDS=${BENCH_NEAR_SECONDS:-60}
BENCH_HUGE=${BENCH_HUGE:-768}
DPDK_TOOLS=$TOOLS/dpdk/tools
OVS_DPDK=${OVS_DPDK:-/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk}
HUGE_FILE=/proc/sys/vm/nr_hugepages
SWITCH_SECONDS=20
ovs_settings=() # more of OVS's other_config
weft_settings=  # more of weftd's dpdk
weft_capacity=  # of weftd's tables
vugen_options=()

# --- memory ---

# huge_pages CHANGE: others may have reserved some too
huge_pages() {
	local before
	before=$(<"$HUGE_FILE")
	echo $((before + $1 > 0 ? before + $1 : 0)) >"$HUGE_FILE"
}

eal_memory() {
	((BENCH_HUGE)) && echo --in-memory || echo '--no-huge --no-shconf -m 512'
}

# --- rig ---

vhost_down() {
	local status=$?
	set +e
	huge_pages "-$BENCH_HUGE"
	(exit "$status")
	rig_down
}

vhost_rig() {
	local tool
	for tool in vugen vuforward flowpcap; do
		[[ -x $DPDK_TOOLS/$tool ]] || fail "no $DPDK_TOOLS/$tool: install libdpdk-dev, make tests"
	done
	rig_up sw
	huge_pages "$BENCH_HUGE"
	trap vhost_down EXIT
	((BENCH_HUGE)) || vugen_options+=(--no-huge)
	leave_out_missing
}

# Contenders that this machine does not have are named, not measured.
leave_out_missing() {
	local switch present=
	for switch in $BENCH_SWITCHES; do
		if ! declare -F "${switch%%_*}_works" >/dev/null || "${switch%%_*}_works"; then
			present+="$switch "
		fi
	done
	BENCH_SWITCHES=${present% }
	[[ $BENCH_SWITCHES ]] || fail 'nothing to measure'
}

# start NAME COMMAND...: in the switch's namespace, until stop NAME
start() {
	local name=$1
	shift
	nsenter --net="/run/netns/$(netns sw)" "$@" >"$RIG/$name.log" 2>&1 &
	echo $! >"$RIG/$name.pid"
}

stop() {
	local name
	for name in "$@"; do
		[[ -e $RIG/$name.pid ]] || continue
		end_process "$(cat "$RIG/$name.pid")"
		rm -f "$RIG/$name.pid"
	done
}

# started NAME COMMAND...: until the command succeeds or NAME has died
started() {
	local name=$1 deadline=$((SECONDS + SWITCH_SECONDS))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) && ! not_running "$(cat "$RIG/$name.pid")" || return 1
		sleep 0.02
	done
}

# A host may put our two cores side by side or far apart, and move them every few seconds. Apart, a ring
# costs three times as much, the guests are the bottleneck, and all switches look alike.
cores_near() {
	core_ns=$("$TOOLS/corepair" 0 1)
	jq -en "$core_ns <= $BENCH_NEAR" >/dev/null
}

# guests RUN [SETTING]...: what vugen prints for it, with near cores before and after if they can be had
guests() {
	local try result
	for ((try = 0; try < 4; try++)); do
		poll "$BENCH_NEAR_SECONDS" cores_near || true
		result=$(timeout --foreground $((BENCH_SECONDS + 45)) "$DPDK_TOOLS/vugen" \
			"${vugen_options[@]}" "${guest_options[@]}" "${sockets[@]}" "$@" 2>>"$RIG/vugen.log") ||
			fail "vugen: $(tail -n 1 "$RIG/vugen.log")"
		cores_near && break
	done
	echo "$core_ns" >>"$RIG/core_ns"
	echo "$result"
}

# cores_sample SWITCH: the worst that its runs had
cores_sample() {
	sample 'core to core, worst' "$1" "$(sort -n "$RIG/core_ns" | tail -n 1)" ns
	rm "$RIG/core_ns"
}

# --- the contenders; each sets sockets, guest_options and switch_pid ---

limit_up() {
	local options=()
	((BENCH_HUGE)) || options+=(--no-huge)
	sockets=("$RIG/limit-a" "$RIG/limit-b")
	guest_options=()
	rm -f "${sockets[@]}"
	start limit "$DPDK_TOOLS/vuforward" "${options[@]}" "${sockets[@]}"
	started limit grep -q ready "$RIG/limit.log" || fail "vuforward: $(cat "$RIG/limit.log")"
	switch_pid=$(cat "$RIG/limit.pid")
}

limit_down() {
	stop limit
}

ovs_works() {
	[[ -x $OVS_DPDK ]] && return
	echo "ovs is left out: no $OVS_DPDK (openvswitch-switch-dpdk)" >&2
	return 1
}

vsctl() {
	ovs-vsctl --no-syslog --db="unix:$RIG/ovs/db.sock" --timeout=20 "$@"
}

appctl() {
	ovs-appctl --target="$RIG/ovs/vswitchd.ctl" --timeout=10 "$@"
}

# Everything of it is below $RIG; its bridge's own device is in the switch's namespace.
ovs_start() {
	local dir=$RIG/ovs
	rm -rf "$dir"
	mkdir "$dir"
	export OVS_RUNDIR=$dir OVS_DBDIR=$dir OVS_LOGDIR=$dir
	ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
	start ovsdb ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" \
		--unixctl="$dir/ovsdb.ctl" -vsyslog:off
	started ovsdb test -S "$dir/db.sock" || fail "ovsdb-server: $(cat "$RIG/ovsdb.log")"
	vsctl --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true \
		other_config:dpdk-extra="--no-pci --no-telemetry $(eal_memory)" \
		other_config:dpdk-lcore-mask=0x1 other_config:pmd-cpu-mask=0x1
	for setting in "${ovs_settings[@]}"; do
		vsctl --no-wait set Open_vSwitch . "other_config:$setting"
	done
	start ovs "$OVS_DPDK" "unix:$dir/db.sock" --disable-system --unixctl="$dir/vswitchd.ctl" \
		-vsyslog:off -vconsole:warn --log-file="$dir/log"
	started ovs appctl version || fail "ovs-vswitchd: $(tail -n 3 "$RIG/ovs.log")"
	switch_pid=$(cat "$RIG/ovs.pid")
}

ovs_up() {
	ovs_start
	sockets=("$RIG/ovs-a" "$RIG/ovs-b")
	guest_options=(--server)
	rm -f "${sockets[@]}"
	vsctl add-br br0 -- set bridge br0 datapath_type=netdev other_config:mac-table-size=200000 \
		-- add-port br0 a -- set interface a type=dpdkvhostuserclient \
		"options:vhost-server-path=${sockets[0]}" \
		-- add-port br0 b -- set interface b type=dpdkvhostuserclient \
		"options:vhost-server-path=${sockets[1]}"
}

ovs_down() {
	stop ovs ovsdb
}

weft_works() {
	local status=0
	weft_start || status=1
	((status == 0)) ||
		echo "weft is left out: weftd --engine dpdk does not start: $(tail -n 1 "$RIG/weftd.log")" >&2
	stop weftd
	rm -rf "$RIG/main"
	return "$status"
}

weft_start() {
	local dir=$RIG/main
	mkdir -p "$dir/state" "$dir/run"
	printf 'dpdk: {cores: "0"%s}\ncapacity: {%s}\n' "${weft_settings:+, $weft_settings}" "$weft_capacity" >"$dir/config.yaml"
	start weftd "$BUILD/weftd" --engine dpdk --config "$dir/config.yaml" \
		--state-dir "$dir/state" --run-dir "$dir/run" --bpf-dir "$dir"
	started weftd weft main host show
}

weft_up() {
	local port socket
	weft_start || fail "weftd: $(tail -n 3 "$RIG/weftd.log")"
	switch_pid=$(cat "$RIG/weftd.pid")
	weft main network add blue
	sockets=()
	guest_options=()
	for port in a b; do
		weft main port add "$port" type vhost-user network blue
		socket=$(weft main -j port show "$port" | jq -r '.. | .socket? // empty' | head -n 1)
		sockets+=("${socket:-$RIG/main/run/vhost/$port.sock}")
	done
}

weft_down() {
	stop weftd
	rm -rf "$RIG/main"
}

# switch_cpu SECONDS: of one core, by all threads of the switch
switch_cpu() {
	local before after
	before=$(cpu_ticks "$switch_pid")
	sleep "$1"
	after=$(cpu_ticks "$switch_pid")
	jq -n "($after - $before) / $1 / $(getconf CLK_TCK)"
}

cpu_ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
