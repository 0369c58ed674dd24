#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports of type vhost-user come and go 1,000 times, of both modes: no descriptor and no memory is lost, no socket left.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"
CYCLES=1000
WARM=100 # after which everything that grows once has grown
KIB=2048 # of growth that is noise

host_new a
host_start a
ctl a network add blue
ctl a port add stays type vhost-user network blue

descriptors() { find "/proc/${HOST_PID[a]}/fd" -mindepth 1 | wc -l; }
rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/${HOST_PID[a]}/status"; }
threads() { find "/proc/${HOST_PID[a]}/task" -mindepth 1 -maxdepth 1 | wc -l; }
cycle() { # cycle NUMBER
	if [ $(($1 % 2)) = 0 ]; then
		ctl a port add comes type vhost-user network blue queues $((1 + $1 % 4))
	else
		ctl a port add comes type vhost-user network blue mode client socket "$WORK/nobody.sock"
	fi
	ctl a port del comes
}

for ((i = 0; i < WARM; i++)); do cycle $i; done
before=$(descriptors)
running=$(threads)
kib=$(rss_kib)
for ((; i < CYCLES; i++)); do cycle $i; done
is_before() { [ "$(descriptors)" = "$before" ]; }
wait_for 5 is_before
equal "$running" "$(threads)" "threads after $CYCLES cycles"
more=$(($(rss_kib) - kib))
echo "after $CYCLES cycles: $before descriptors as before, $more KiB more"
[ $more -lt $KIB ] || die "$more KiB are lost in $((CYCLES - WARM)) cycles"
equal stays.sock "$(ls "$WORK/a/run/vhost")" "sockets"
expect a '["stays"]' 'map(.name)' port show
