#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports without a netdev, as far as weftd goes: words, refusals, restart, files. No guest is there.
set -euo pipefail
ENGINE=sim
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

keeps() { # keeps CAPABILITY...: by number
	local mask=0 capability
	for capability; do mask=$((mask | 1 << capability)); done
	equal "$(printf %016x $mask)" "$(awk '/^CapEff/ { print $2 }' "/proc/${HOST_PID[a]}/status")" capabilities
}

host_new a
host_start a
# chown, dac_override, net_admin, net_raw, ipc_lock, perfmon, bpf
keeps 0 1 12 13 14 38 39
ctl a network add blue mtu 1400
ctl a network add red
run=$WORK/a/run

ctl a port add web1 type vhost-user network blue mac 02:00:00:00:00:01
expect a "[\"vhost-user\",null,\"access\",1400,false,\"waiting\",\"server\",\"$run/vhost/web1.sock\",0]" \
	'.[0] | [.type,.dev,.mode,.mtu,.carrier,.state,.socket_mode,.socket,.queues_used]' port show web1
case $(ctl a port show web1 qemu) in
"-chardev socket,id=web1,path=$run/vhost/web1.sock,reconnect=1 "*",share=on "*) ;;
*) die "words: $(ctl a port show web1 qemu)" ;;
esac
case $(ctl a port show web1 libvirt) in *"<interface type='vhostuser'>"*) ;; *) die "no XML" ;; esac

# a trunk, QEMU's own socket, and what `apply` says of them
ctl a port add web2 type vhost-user trunk blue:10,red:20 mode client socket /run/web2.sock queues 4
ctl a export >"$WORK/objects"
ctl a port del web2
ctl a apply "$WORK/objects"
expect a '["client","/run/web2.sock",4,["blue:10","red:20"],"trunk"]' \
	'.[0] | [.socket_mode,.socket,.queues,.tags,.mode]' port show web2
equal "nothing to change" "$(ctl a diff "$WORK/objects")" "what a second apply would change"

# pairs of queues: as many as the engine drives, and the words say so
ctl a port add web3 type vhost-user network blue queues 16
ctl a port del web3
# shellcheck disable=SC2016
refused a 1 'a vhost-user port has at most 16 `queues`' port add web3 type vhost-user network blue queues 17
ctl a port add help | grep -q 'queues 1..256 .*vhost-user 16 at most' || die "the help does not say how many queues"

# with an owner; where the directory is, everybody may look
ctl a port add web3 type vhost-user network blue owner nobody
equal 755 "$(stat -c %a "$run/vhost")" "mode of the directory"
refused a 1 "the socket is QEMU's" port add x type vhost-user network blue mode client owner nobody
refused a 1 "is port web2 already" port add x type vhost-user network blue socket /run/web2.sock

refused a 1 'the sim engine has no workers' cpu show

# a network interface card
ctl a port add nic type pci dev 01:00.0 trunk blue:5
expect a '["0000:01:00.0","down",null]' '.[0] | [.dev,.state,.socket]' port show nic
refused a 1 'which qemu does not open' port show nic qemu

# they are there again after a restart, and a network's mtu is in the words
before=$(json a '.' export)
host_stop a
host_start a
equal "$before" "$(json a '.' export)" "objects after a restart"
expect a '["waiting","waiting","waiting","down"]' '[.[] | .state]' port show
ctl a network set blue mtu 1300
case $(ctl a port show web1 qemu) in *,host_mtu=1300\ *) ;; *) die "the old mtu" ;; esac

# an engine without them keeps them, and says why they are down
host_stop a
ENGINE=ebpf
host_start a
keeps 12 13 38 39
expect a '["down","ports of type vhost-user need the dpdk engine; this weftd runs ebpf"]' \
	'.[0] | [.state,.why]' port show web1
refused a 1 'need the dpdk engine' port add x type vhost-user network blue
ctl a port del web1
ctl a port del nic
