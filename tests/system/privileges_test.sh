#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# No thread of weftd keeps more of root than docs/dpdk.md says: workers and who makes the sockets of checks nothing, the others what is needed.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

set_of() { # set_of CAPABILITY...: by number, as in /proc
	local mask=0 capability
	for capability; do mask=$((mask | 1 << capability)); done
	printf %016x $mask
}
none=$(set_of)
# net_admin, net_raw, perfmon, bpf
needed=$(set_of 12 13 38 39)
# and chown, dac_override, ipc_lock
[ "$ENGINE" != dpdk ] || needed=$(set_of 0 1 12 13 14 38 39)

check_threads() { # check_threads WHEN
	local task name wanted
	for task in "/proc/${HOST_PID[a]}/task"/*; do
		name=$(cat "$task/comm")
		wanted=$needed
		[[ $name != weft-worker && $name != weft-checks ]] || wanted=$none
		equal "$wanted $wanted 1" \
			"$(awk '/^Cap(Prm|Eff)/ { printf "%s ", $2 } /^NoNewPrivs/ { print $2 }' "$task/status")" \
			"what the thread $name may do $1"
	done
}

host_new a
host_start a
ctl a network add blue
check_threads "after the first start"
if [ "$ENGINE" = dpdk ]; then
	ctl a port add web1 type vhost-user network blue
	ctl a port add web2 type vhost-user network blue mode client socket "$WORK/nobody.sock"
	[ "$(find "/proc/${HOST_PID[a]}/task" -mindepth 1 -maxdepth 1 | wc -l)" -gt 3 ] || die "the library has no threads"
	check_threads "with guests' ports"
fi
ctl a port add t1 type tap network blue
check_threads "with a tap"

# Ports that are there already are attached while weftd starts.
host_stop a
host_start a
check_threads "after a start with ports"
expect a '[]' '[.[] | select(.state == "down" and .type != "tap")]' port show
