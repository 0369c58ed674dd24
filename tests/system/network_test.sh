#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Networks: add, set, show and del, the exact answer, and every refusal with nothing half made.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

host_new a
host_start a

ctl a network add blue vni 100 subnet 10.1.0.0/24 gateway 10.1.0.254
expect a '{"ageing_seconds":300,"bindings":0,"bindings_refused":0,"connection_limit":65536,"connections":0,"connections_refused":0,"fragments_refused":0,"gateway":["10.1.0.254"],"id":1,"inner_tags":false,"learn_refused":0,"mac_limit":16384,"macs":0,"move_limit_per_second":100,"moves":0,"moves_refused":0,"mtu":1500,"name":"blue","overlay":"own","peers":0,"ports":0,"state":"up","subnet":"10.1.0.0/24","suppress_seconds":5,"suppressed":0,"vni":100,"why":null}' \
	'.[0] | to_entries | sort_by(.key) | from_entries' network show blue
equal 1 "$(json a length network show)" "networks"

# set changes the words given, and those only
ctl a network set blue mtu 1400 ageing 5m
expect a '[1400,300,100,["10.1.0.254"]]' '.[0] | [.mtu,.ageing_seconds,.vni,.gateway]' network show blue
ctl a network set blue ageing 0 gateway 10.1.0.1,fd00::1
expect a '[0,["10.1.0.1","fd00::1"]]' '.[0] | [.ageing_seconds,.gateway]' network show blue

# refusals: each leaves everything as it was
before=$(ctl a -j network show)
refused a 1 'network blue exists already' network add blue
refused a 1 "vni 100 is already network blue's" network add red vni 100
refused a 1 'gateway 10.2.0.1 is not in the subnet 10.1.0.0/24' \
	network add red subnet 10.1.0.0/24 gateway 10.2.0.1
refused a 1 'gateway 10.1.0.2 is a second IPv4 address' network add red gateway 10.1.0.1,10.1.0.2
refused a 1 'gateway 224.0.0.1 is not the address of a machine' network add red gateway 224.0.0.1
refused a 1 'gateway ff02::1 is not the address of a machine' network add red gateway ff02::1
refused a 1 'not in the subnet' network set blue subnet 10.9.0.0/16
refused a 1 'there is no network red' network set red mtu 1500
refused a 1 'there is no network red' network del red
refused a 2 'mtu' network add red mtu 67
refused a 2 'vni' network add red vni 16777216
refused a 2 'subnet' network add red subnet 10.1.0.1/24
equal "$before" "$(ctl a -j network show)" "networks after refusals"

# subnet boundaries that are no whole byte
ctl a network add odd subnet 10.1.16.0/20 gateway 10.1.31.254
refused a 1 'not in the subnet' network set odd gateway 10.1.32.1
ctl a network add six subnet fd00:1::/36 gateway fd00:1:fff::1
refused a 1 'not in the subnet' network set six gateway fd00:1:1000::1

# a network in use stays
ctl a port add p1 type tap network odd
ctl a port add p2 type tap trunk odd:5
refused a 1 'network odd is in use by ports: p1, p2' network del odd
expect a '[2,"up"]' '.[0] | [.ports,.state]' network show odd
ctl a port del p1
ctl a port set p2 trunk blue:5
ctl a fdb add 02:00:00:00:00:01 network blue port p2
refused a 1 'network blue is in use by ports: p2; and by static fdb rows: 02:00:00:00:00:01' network del blue
ctl a network del odd
ctl a network del six
equal blue "$(json a '[.[].name] | join(",")' network show)" "networks left"

# the id of a deleted network is used again, with nothing left of the old one
ctl a network add again
expect a '[2,0,0]' '.[0] | [.id,.ports,.macs]' network show again
