#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# weftd takes all descriptors it may have. Where they run out, clients wait until some are free, and nothing else is harmed.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
most=$(ulimit -Hn)
ulimit -Sn 256 # as where a shell has 1024 and a host of VMs needs more
host_start a
ulimit -Sn "$most"
PID=${HOST_PID[a]}
limit() { prlimit --pid "$PID" --nofile="$1:"; }
equal "$most" "$(awk '/^Max open files/ { print $4 }' "/proc/$PID/limits")" "descriptors that weftd may have"
ctl a network add blue

# With so low a limit that COUNT descriptors are free, once no client is there.
leave() { # leave COUNT
	local number left=$1
	wait_for 5 alone
	for ((number = 0; left >= 0; number++)); do
		[ -e "/proc/$PID/fd/$number" ] || left=$((left - 1))
	done
	LIMIT=$((number - 1))
	limit "$LIMIT"
}
sockets() { find "/proc/$PID/fd" -lname 'socket:*' | wc -l; }
alone() { ! grep -q " 03 .* $(socket_of a)\$" "/proc/$PID/net/unix"; } # 03: connected
refusals() { grep -c 'cannot accept a client' "$WORK/a/log"; }
refused_once() { [ "$(refusals)" = 1 ]; }
ticks() { awk '{ print $14 + $15 }' "/proc/$PID/task/$PID/stat"; } # of the thread that accepts, 100 a second

# --- no client has room
asking=()
leave 0
for _ in {1..20}; do
	ctl a --timeout 30 network show blue >/dev/null &
	helper $!
	asking+=($!)
done
wait_for 5 refused_once
spent=$(ticks)
sleep 1
spent=$(($(ticks) - spent))
[ $spent -lt 50 ] || die "weftd spends $spent % of a processor on clients that it has no room for"
equal 1 "$(refusals)" "lines in the log about clients that wait"
for pid in "${asking[@]}"; do [ -d "/proc/$pid" ] || die "a client does not wait"; done
limit $((LIMIT + 1)) # for all of them, one after another
for pid in "${asking[@]}"; do wait "$pid" || die "a client that waited was not served"; done

# --- clients that say nothing have taken all there is, and go
leave 5
before=$(sockets)
python3 -c '
import signal, socket, sys
held = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for one in held:
    one.connect(sys.argv[1])
signal.pause()' "$(socket_of a)" &
idle=$!
helper $idle
taken() { [ "$(sockets)" = $((before + 5)) ]; }
wait_for 5 taken
ctl a --timeout 30 network show blue >/dev/null &
last=$!
helper $last
kill $idle
wait $last || die "a client was not served when others had gone"
limit "$most"
