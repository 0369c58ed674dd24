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
refusals() { grep -c 'cannot accept a client: Too many open files; weftd may have ' "$WORK/a/log"; }
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

# --- a port finds none: one sentence says what is lacking, whatever else the kernel may be about to refuse
on a ip link add v1 type veth peer name v2
leave 1 # for the client
lacks="Too many open files; weftd may have $LIMIT descriptors and uses them all: start it with more, by LimitNOFILE="
refused a 1 "cannot open /dev/net/tun: $lacks" port add t1 type tap network blue
refused a 1 "v1 cannot be attached: $lacks" port add v1 type device network blue
equal '' "$(on a ip -o link show t1 2>/dev/null)" "the tap of a port that was refused"
limit "$most"
ctl a port add t1 type tap network blue
ctl a port add v1 type device network blue
