#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A port that cannot be attached when weftd starts is tried again, and `why` says meanwhile what is in the way.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$ENGINE" = dpdk ] || skip "needs the dpdk engine: the suite system-dpdk runs it"

host_new a
host_start a
ctl a network add blue

mkdir "$WORK/sockets"
ctl a port add web1 type vhost-user network blue socket "$WORK/sockets/web1.sock"
ctl a port add web2 type vhost-user network blue socket "$WORK/web2.sock"
host_stop a
rm -r "$WORK/sockets"
rm -f "$WORK/web2.sock"
mkdir "$WORK/web2.sock"
host_start a
expect a '["waiting",true]' '.[0] | [.state, (.why | test("cannot be made: check its directory"))]' port show web1
expect a '["waiting",true]' '.[0] | [.state, (.why | test("a file is in the way of the socket"))]' port show web2
mkdir "$WORK/sockets"
wait_for 6 json_is a '["waiting","no guest is connected to the socket"]' '.[0] | [.state, .why]' port show web1
[ -S "$WORK/sockets/web1.sock" ] || die "no socket"
expect a '["waiting",true]' '.[0] | [.state, (.why | test("a file is in the way of the socket"))]' port show web2
rmdir "$WORK/web2.sock"
wait_for 6 json_is a '["waiting","no guest is connected to the socket"]' '.[0] | [.state, .why]' port show web2
equal 1 "$(grep -c 'a file is in the way' "$WORK/a/log")" "lines in the log of what is tried again and again"

# --- a device of DPDK's whose other end is not there yet: a memif's client
host_new b
echo 'dpdk: {pci: true}' >"$WORK/config.yaml"
host_stop a
for host in a b; do
	host_start "$host" --config "$WORK/config.yaml"
done
memif() { # memif ROLE
	echo "net_memif0,role=$1,socket-abstract=no,socket=$WORK/memif"
}
ctl b network add blue
for _ in 1 2; do
	refused a 1 'cannot be started' port add m type pci dev "$(memif client)" network blue
done
ctl b port add m type pci dev "$(memif server)" network blue
ctl a port add m type pci dev "$(memif client)" network blue
wait_for 5 json_is a up '.[0].state' port show m
host_stop a
host_stop b
host_start a --config "$WORK/config.yaml"
expect a '["down",true]' '.[0] | [.state, (.why | test("cannot be started"))]' port show m
host_start b --config "$WORK/config.yaml"
wait_for 6 json_is a '["up",null]' '.[0] | [.state, .why]' port show m
