#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The life of a tap port: made, adopted, opened, closed, renamed, vanished, come back, given back.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

tap_info() { # tap_info HOST DEVICE FILTER
	on "$1" ip -d -j link show dev "$2" | jq -r ".[0] | $3"
}

alias_is() { # alias_is HOST DEVICE WANTED
	[ "$(tap_info "$1" "$2" '.ifalias // ""')" = "$3" ]
}

# A guest without a kernel: holds the tap open, with the offloads given.
open_tap() { # open_tap HOST TAP
	spawn "$1" "$BUILD/tests/frame" recv --tap "$2" --count 1 --match 0:0000000000ff --timeout 60000 \
		--quiet
	READER=$SPAWNED
}

close_tap() {
	kill "$READER"
	wait "$READER" 2>/dev/null || true
}

port_is() { # port_is STATE NAME: for wait_for
	json_is a "$1" '.[0].state' port show "$2"
}

host_new a
host_start a
uuid=$(json a '.[0].uuid' host show)
ctl a network add blue mtu 1400
ctl a network add red mtu 9000

# made by weft: persistent, one queue, vnet_hdr, quiet, mtu from the network, marked
ctl a port add web1 type tap network blue owner nobody group "$(id -gn nobody)"
equal "tap,true,true,null,1400,weft:$uuid:web1,none,nobody,$(id -gn nobody)" "$(tap_info a web1 \
	'[.linkinfo.info_data.type, .linkinfo.info_data.persist, .linkinfo.info_data.vnet_hdr,
	.linkinfo.info_data.multi_queue // null, .mtu, .ifalias, .inet6_addr_gen_mode,
	.linkinfo.info_data.user, .linkinfo.info_data.group] | map(tostring) | join(",")' |
	sed 's/,false,/,null,/')" "the tap"
expect a '["waiting",false,1400,null]' '.[0] | [.state,.carrier,.mtu,.offloads]' port show web1
ctl a network set blue mtu 1450
equal 1450 "$(tap_info a web1 .mtu)" mtu
expect a 1450 '.[0].mtu' port show web1
ctl a port set web1 network red
equal 9000 "$(tap_info a web1 .mtu)" mtu
ctl a port set web1 network blue
ctl a port add many type tap network blue queues 2
equal true "$(tap_info a many '.linkinfo.info_data.multi_queue')" multi_queue
ctl a port del many

# opened and closed
open_tap a web1
wait_for 5 port_is up web1
expect a '[true,["checksum","tso4","tso6"]]' '.[0] | [.carrier,.offloads]' port show web1
close_tap
wait_for 5 port_is waiting web1
on a ip link set web1 down
wait_for 5 port_is down web1
expect a 'web1 was set down: ip link set dev web1 up' '.[0].why' port show web1
on a ip link set web1 up
wait_for 5 port_is waiting web1

# renamed while it lives: the port follows
on a ip link set web1 down
on a ip link set web1 name other
on a ip link set other up
wait_for 5 json_is a other '.[0].dev' port show web1
refused a 1 'other is port web1 already' port add x type tap dev other network blue
refused a 1 'web1 is port web1 already' port add x type tap dev web1 network blue
# and is found by its mark when weftd was away
host_kill a
host_start a
expect a '["other","waiting"]' '.[0] | [.dev,.state]' port show web1
on a ip link set other down
on a ip link set other name web1
wait_for 5 json_is a web1 '.[0].dev' port show web1
on a ip link set web1 up

# vanished: absent, not made again while weftd runs, back when somebody makes one
on a ip link del web1
wait_for 5 port_is absent web1
expect a '["there is no device web1",null,null,"web1"]' '.[0] | [.why,.mtu,.carrier,.dev]' port show web1
ctl a port set web1 storm-limit 5
expect a '["absent",5]' '.[0] | [.state,.storm_limit_pps]' port show web1
on a ip tuntap add dev web1 mode tap
wait_for 5 port_is waiting web1
wait_for 5 alias_is a web1 "weft:$uuid:web1:adopted"
equal 1450 "$(tap_info a web1 .mtu)" mtu
ctl a port del web1
alias_is a web1 "" || die "the alias stayed"
on a ip link del web1

# a tap that weft made is made again when it is missing at start (a reboot)
ctl a port add web1 type tap network blue
host_kill a
on a ip link del web1
host_start a
expect a '["waiting",1450]' '.[0] | [.state,.mtu]' port show web1
alias_is a web1 "weft:$uuid:web1" || die "no mark"
ctl a port del web1
[ -z "$(on a ip -o link show dev web1 2>/dev/null)" ] || die "the tap stayed"

# killed before it was set up: done at the next start; later it is the operator's
ctl a port add web1 type tap network blue
host_kill a
on a ip link set web1 down alias "weft:$uuid:web1:new"
host_start a
expect a waiting ".[0].state" port show web1
alias_is a web1 "weft:$uuid:web1" || die "no mark"
host_kill a
on a ip link set web1 down
host_start a
expect a down ".[0].state" port show web1
ctl a port del web1

# adopted: kept, alias given back; not made by weft when it is missing at start
on a ip tuntap add dev mine mode tap
on a ip link set mine alias 'rack 3: "left"'
ctl a port add mine type tap network blue
alias_is a mine "weft:$uuid:mine:adopted:rack 3: \"left\"" || die "alias $(tap_info a mine .ifalias)"
host_kill a
host_start a
expect a waiting '.[0].state' port show mine
host_kill a
on a ip link del mine
host_start a
expect a '["absent","there is no device mine"]' '.[0] | [.state,.why]' port show mine
on a ip tuntap add dev mine mode tap
wait_for 5 port_is waiting mine
ctl a port del mine
on a ip link show dev mine >/dev/null
alias_is a mine "" || die "the alias stayed"

# adopted while a guest holds it open
open_tap a mine
ctl a port add mine type tap network blue
wait_for 5 port_is up mine
ctl a port del mine
kill -0 "$READER" || die "the guest lost its tap"
close_tap

# created, but renamed: still deleted with its port
ctl a port add web1 type tap network blue
on a ip link set web1 down
on a ip link set web1 name other
wait_for 5 json_is a other '.[0].dev' port show web1
ctl a port del web1
[ -z "$(on a ip -o link show dev other 2>/dev/null)" ] || die "the tap stayed"
