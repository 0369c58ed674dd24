#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The FDB: learned, static, moved, aged, flushed, limited; and what deleting its owners leaves.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
host_start a
ctl a network add blue
ctl a network add red ageing 2
for i in 1 2 3; do
	guest_new "g$i"
	guest_veth a "g$i" "v$i"
done
ctl a port add v1 type device network blue
ctl a port add v2 type device network blue
ctl a port add v3 type device trunk blue:10,red:20

mac() {
	printf '02:00:00:00:%02x:%02x' $(($1 / 256)) $(($1 % 256))
}

say() { # say GUEST MAC [OPTION...]: one broadcast from this address
	local guest=$1 from=$2
	shift 2
	on "$guest" "$TOOLS/frame" send --dev eth0 --src "$from" --quiet "$@"
}

rows() { # the FDB without ages
	ctl a -j fdb show "$@" | jq -c '[.[] | [.network, .mac, .port, .tag, .kind]]'
}

# learned, with the tag where it came with one; sorted by network and address
say g2 "$(mac 2)"
say g1 "$(mac 1)"
say g3 "$(mac 3)" --vlan 10
say g3 "$(mac 4)" --vlan 20
equal '[["blue","02:00:00:00:00:01","v1",0,"learned"],["blue","02:00:00:00:00:02","v2",0,"learned"],["blue","02:00:00:00:00:03","v3",10,"learned"],["red","02:00:00:00:00:04","v3",20,"learned"]]' "$(rows)"
equal '[["blue","02:00:00:00:00:03","v3",10,"learned"]]' "$(rows network blue port v3)"
expect a '[["age_seconds","kind","mac","network","peer","port","state","tag","why"],"up",null,true]' \
	'.[0] | [keys, .state, .why, (.age_seconds < 60)]' fdb show
expect a '[1,1,2]' '[.[].macs]' port show
expect a '[3,1]' '[.[].macs]' network show

# aged: gone from show, then from the table and the counts
wait_for 10 json_is a '[]' . fdb show network red
wait_for 10 json_is a '[3,0]' '[.[].macs]' network show
expect a '[1,1,1]' '[.[].macs]' port show

# moved: counted, and the counts follow
say g2 "$(mac 1)"
equal '[["blue","02:00:00:00:00:01","v2",0,"learned"],["blue","02:00:00:00:00:02","v2",0,"learned"]]' "$(rows port v2)"
expect a '[[0,0],[2,1],[1,0]]' '[.[] | [.macs, .moves]]' port show
ctl a network set blue move-limit 1
say g1 "$(mac 1)"
say g2 "$(mac 1)"
expect a '[2,1]' '.[0] | [.moves, .moves_refused]' network show blue
ctl a network set blue move-limit 100

# static: takes the place of a learned row, never moves, never ages, survives weftd
ctl a fdb add "$(mac 1)" network blue port v2
expect a '[["v2","static",null,"up",null,0]]' '[.[] | [.port,.kind,.age_seconds,.state,.why,.tag]]' \
	fdb show "$(mac 1)" network blue
expect a '[0,1,1]' '[.[].macs]' port show
say g1 "$(mac 1)"
equal '[["blue","02:00:00:00:00:01","v2",0,"static"]]' "$(rows "$(mac 1)" network blue)"
ctl a fdb add "$(mac 9)" network red port v3
equal '[["red","02:00:00:00:00:09","v3",20,"static"]]' "$(rows network red)"
ctl a port set v3 trunk red:21,blue:10
equal '[["red","02:00:00:00:00:09","v3",21,"static"]]' "$(rows network red)"
ctl a fdb set "$(mac 1)" network blue port v1
equal '[["blue","02:00:00:00:00:01","v1",0,"static"]]' "$(rows "$(mac 1)" network blue)"
before=$(rows)
host_kill a
host_start a
equal "$before" "$(rows)" "rows after kill -9"
refused a 1 'port v1 is not in network red' fdb add "$(mac 8)" network red port v1
refused a 1 'there is no port v9' fdb add "$(mac 8)" network red port v9
refused a 1 'there is no network pink' fdb add "$(mac 8)" network pink port v1
refused a 1 'exists already' fdb add "$(mac 1)" network blue port v2
refused a 1 "the address of weft's gateways" fdb add 02:57:65:66:74:01 network blue port v1
refused a 2 '' fdb add 01:00:5e:00:00:01 network blue port v1
refused a 1 'network blue has no fdb row 02:00:00:00:00:77' fdb del "$(mac 119)" network blue
refused a 1 'there is no network pink' fdb show network pink
refused a 1 'there is no port v9' fdb flush port v9
equal "$before" "$(rows)" "rows after refusals"

# del takes both kinds; flush takes the learned ones
ctl a fdb del "$(mac 1)" network blue
ctl a fdb del "$(mac 2)" network blue
equal '[["blue","02:00:00:00:00:03","v3",10,"learned"],["red","02:00:00:00:00:09","v3",21,"static"]]' "$(rows)"
say g1 "$(mac 1)"
say g2 "$(mac 2)"
ctl a fdb flush port v1
equal '[["blue","02:00:00:00:00:02","v2",0,"learned"],["blue","02:00:00:00:00:03","v3",10,"learned"]]' "$(rows network blue)"
ctl a fdb flush network blue
equal '[["red","02:00:00:00:00:09","v3",21,"static"]]' "$(rows)"
expect a '[0,0,0]' '[.[].macs]' port show
expect a '[0,0]' '[.[].macs]' network show
ctl a fdb del "$(mac 9)" network red

# limits: of a port, of a network
ctl a port set v1 mac-limit 3
for i in 1 2 3 4 5; do say g1 "$(mac $i)"; done
expect a '[3,2]' '.[0] | [.macs, .learn_refused]' port show v1
ctl a network set blue mac-limit 4
say g2 "$(mac 21)"
say g2 "$(mac 22)"
expect a '[4,1]' '.[0] | [.macs, .learn_refused]' network show blue

# who goes takes the rows along: a port that changes its network, one that is deleted, one that vanishes
ctl a port set v2 network red
equal '[]' "$(rows port v2)"
expect a '[3,0]' '[.[].macs]' network show
ctl a port del v1
equal '[]' "$(rows)"
expect a '[0,0]' '[.[].macs]' network show
ctl a port add v1 type device network red
expect a '[0,0,0,0]' '.[0] | [.rx_packets, .rx_dropped, .macs, .learn_refused]' port show v1
say g1 "$(mac 1)"
equal '[["red","02:00:00:00:00:01","v1",0,"learned"]]' "$(rows)"
on a ip link del v1
wait_for 5 json_is a '[]' . fdb show
expect a '[0,0]' '[.[].macs]' network show
