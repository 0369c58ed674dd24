#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Device ports: taken and given back as they were, followed by ifindex, `host`, and other weftds.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

# Flags, mtu and alias of a device: what a port must leave as it found it (but up, and the mark).
looks() { # looks HOST DEVICE
	on "$1" ip -d -j link show dev "$2" |
		jq -c '.[0] | [.promiscuity, .mtu, .ifalias // ""]'
}

promisc_on() {
	case $(on "$1" ip link show dev "$2") in *PROMISC*) ;; *) return 1 ;; esac
}

port_is() { # port_is HOST STATE NAME: for wait_for
	json_is "$1" "$2" '.[0].state' port show "$3"
}

host_new a
host_new b
host_start a
host_start b
uuid=$(json a '.[0].uuid' host show)
[ "$uuid" != "$(json b '.[0].uuid' host show)" ] || die "two weftds, one uuid"
ctl a network add blue
ctl b network add blue

# taken: marked, promiscuous, up; the mtu stays; given back
on a ip link add v0 mtu 2000 type veth peer name v1
on a ip link set v1 up
on a ip link set v0 alias 'uplink: rack 3'
before=$(looks a v0)
ctl a port add c1 type device dev v0 network blue
equal "[1,2000,\"weft:$uuid:c1::uplink: rack 3\"]" "$(looks a v0)" "the device"
expect a '["up",2000,true,false]' '.[0] | [.state,.mtu,.carrier,.host]' port show c1
ctl a port del c1
equal "$before" "$(looks a v0)" "the device given back"
# one that was promiscuous stays so
on a ip link set v0 promisc on alias ''
ctl a port add c1 type device dev v0 network blue
host_kill a
host_start a
expect a '["up",2000]' '.[0] | [.state,.mtu]' port show c1
ctl a port del c1
promisc_on a v0 || die "v0 is not promiscuous any more"
on a ip link set v0 promisc off

# carrier, down, up
ctl a port add c1 type device dev v0 network blue
on a ip link set v1 down
wait_for 5 port_is a down c1
expect a 'the device has no carrier: its other end is down' '.[0].why' port show c1
on a ip link set v1 up
wait_for 5 port_is a up c1
on a ip link set v0 down
wait_for 5 port_is a down c1
on a ip link set v0 up
wait_for 5 port_is a up c1

# renamed, vanished, come back under the recorded name
on a ip link set v0 down name w0
on a ip link set w0 up
wait_for 5 json_is a w0 '.[0].dev' port show c1
on a ip link del w0
wait_for 5 port_is a absent c1
expect a '["v0","there is no device v0"]' '.[0] | [.dev,.why]' port show c1
on a ip link add v0 type veth peer name v1
on a ip link set v1 up
wait_for 5 port_is a up c1
# out of the namespace and in again; quickly deleted and made again
on a ip link set v0 netns "$(netns b)"
wait_for 5 port_is a absent c1
refused b 1 "v0 belongs to port c1 of another weftd ($uuid)" port add c1 type device dev v0 network blue
expect b '[]' . port show
on b ip link set v0 netns "$(netns a)"
wait_for 5 json_is a true '.[0].carrier != null' port show c1
on a ip link set v0 up
wait_for 5 port_is a up c1
for _ in 1 2 3; do
	on a ip link del v0
	on a ip link add v0 type veth peer name v1
done
on a ip link set v1 up
wait_for 5 port_is a up c1

# come back in a bridge: not taken until it is out of it
on a ip link add br0 type bridge
on a ip link del v0
wait_for 5 port_is a absent c1
on a ip link add w0 type veth peer name v1
on a ip link set v1 up
on a ip link set w0 master br0 up
on a ip link set w0 down name v0
on a ip link set v0 up
wait_for 5 port_is a down c1
expect a "v0 is in the bridge br0" ".[0].why" port show c1
on a ip link set v0 nomaster
wait_for 5 port_is a up c1

# the mark of a weftd that is gone for good can be taken off
on a ip link set v0 down
host_kill a
on a ip link set v0 netns "$(netns b)"
refused b 1 'belongs to port c1' port add c1 type device dev v0 network blue
rm -rf "$WORK/a/bpf/weft/$uuid"
on b ip link set dev v0 promisc off alias ''
ctl b port add c1 type device dev v0 network blue
ctl b port del c1
on b ip link set v0 netns "$(netns a)"
host_start a

# host: on by itself when the device has an address, and as said
wait_for 5 json_is a false '.[0].host' port show c1
on a ip addr add 192.0.2.1/24 dev v0
wait_for 5 json_is a true '.[0].host' port show c1
on a ip addr del 192.0.2.1/24 dev v0
wait_for 5 json_is a false '.[0].host' port show c1
ctl a port set c1 host on
expect a true '.[0].host' port show c1
ctl a port set c1 host none
expect a false '.[0].host' port show c1

# the same names in two weftds side by side
on b ip link add v0 type veth peer name v1
on b ip link set v1 up
ctl b port add c1 type device dev v0 network blue
wait_for 5 port_is b up c1
ctl b port del c1
expect a '["c1"]' '[.[].name]' port show

# stop: devices and marks stay; purge: nothing stays
ctl a port add t1 type tap network blue
on a ip tuntap add dev mine mode tap
ctl a port add mine type tap network blue
ctl a host stop
wait_for 5 gone "${HOST_PID[a]}"
on a ip link show dev t1 >/dev/null
host_start a
expect a '["c1","t1","mine"]' '[.[].name]' port show
ctl a host purge
wait_for 5 gone "${HOST_PID[a]}"
[ -z "$(on a ip -o link show dev t1 2>/dev/null)" ] || die "a tap stayed"
on a ip link show dev mine >/dev/null
case $(on a ip -d link) in *weft:* | *PROMISC*) die "a mark stayed: $(on a ip -d link)" ;; esac
equal "" "$(find "$WORK/a/bpf" -name 'weft*')" "pins left"
equal "" "$(find "$WORK/a/state" -name '*.db*')" "state left"
host_start a
expect a '[]' . port show
expect a '[]' . network show
