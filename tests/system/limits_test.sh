#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What one port may do to the others is bounded: addresses, floods, moves, ages, sizes; and what never passes.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
echo 'capacity: {fdb: 64}' >"$WORK/config"
host_start a --config "$WORK/config"
for i in 1 2 3; do
	guest_new "c$i"
	guest_veth a "c$i" "c$i"
done
setup() { # setup NETWORK-WORDS...: a fresh network blue with the ports c1, c2, c3
	local i
	for i in 1 2 3; do
		[ "$(json a length port show)" = 0 ] || ctl a port del "c$i"
	done
	[ "$(json a length network show)" = 0 ] || ctl a network del blue
	ctl a network add blue "$@"
	for i in 1 2 3; do ctl a port add "c$i" type device network blue; done
}
# Frames from COUNT addresses that begin with PREFIX (4 bytes); to an address nobody has, or to DST.
addresses() { # addresses PREFIX COUNT [DST]: into FRAMES
	local i frame
	FRAMES=()
	for ((i = 1; i <= $2; i++)); do
		printf -v frame '%s%s%04x88b5%s' "${3:-020000eeeeee}" "$1" "$i" "$FILL"
		FRAMES+=("$frame")
	done
}
end() { # end GUEST: the frame that ends listening, from an address that is known already
	send "$1" "${END}020000fe000${1#c}88b5$FILL"
}
heard() { wc -l <"$WORK/got-$1"; }
usage() { json a '.[0] | [.macs, .learn_refused]' "$@"; }
dropped() { json a "[.[] | select(.reason == \"$1\").packets] | add // 0" drops show; }
drops_are() { [ "$(dropped "$1")" = "$2" ]; }

# --- addresses behind a port, in a network, in the table: not learned, counted, still flooded
setup
ctl a port set c1 mac-limit 5
addresses 02000001 8
listen c2
send c1 "${FRAMES[@]}"
end c3
listened c2
equal 8 "$(heard c2)" "frames flooded from addresses over the port's limit"
equal '[5,3]' "$(usage port show c1)" "port c1"
expect a 5 '[.[] | select(.port == "c1")] | length' fdb show
listen c3
send c2 --src 02:00:00:00:02:01 --dst 02:00:00:01:00:07
send c2 --src 02:00:00:00:02:01 --dst 02:00:00:01:00:01
end c2
listened c3
equal 1 "$(grep -c ^020000010007 "$WORK/got-c3")" "frames flooded to an address that was not learned"
equal 0 "$(grep -c ^020000010001 "$WORK/got-c3" || true)" "frames flooded to one that was"

setup mac-limit 10
addresses 02000001 8 && send c1 "${FRAMES[@]}"
addresses 02000002 8 && listen c3 && send c2 "${FRAMES[@]}"
end c1
listened c3
equal 8 "$(heard c3)" "frames flooded from addresses over the network's limit"
equal '[10,7]' "$(usage network show blue)" "network blue" # the last one: of the frame that ended it
equal '[8,0]' "$(usage port show c1)" "port c1"
equal '[2,0]' "$(usage port show c2)" "port c2"

setup
addresses 02000001 60 && send c1 "${FRAMES[@]}"
addresses 02000002 60 && listen c3 && send c2 "${FRAMES[@]}"
end c1
listened c3
equal 60 "$(heard c3)" "frames flooded while the table is full"
rows=$(json a length fdb show)
between 56 64 "$rows" "rows in a table of 64"
equal "[$rows,$((121 - rows))]" "$(usage network show blue)" "network blue, table full"
equal "$rows" "$(json a '.[0].tables[] | select(.table == "fdb").used' host show)" "rows in use"
before=$(ctl a export)
full() { ! ctl a fdb add "02:00:00:00:ff:$1" network blue port c1 2>"$WORK/refusal"; }
for i in {10..19}; do # a CPU may have a row to spare
	full "$i" && break
	ctl a fdb del "02:00:00:00:ff:$i" network blue
	addresses "020003$i" 1 && send c1 "${FRAMES[@]}"
done
grep -q 'the fdb table is full' "$WORK/refusal" || die "a full table refuses with '$(cat "$WORK/refusal")'"
equal "$before" "$(ctl a export)" "objects after a refusal"
ctl a fdb flush
ctl a fdb add 02:00:00:00:ff:01 network blue port c1
equal '["c1","static"]' "$(json a '.[] | [.port, .kind]' fdb show)" "a static row after the flush"
equal 0 "$(json a '.[0].macs' network show blue)" "learned rows after the flush"
ctl a fdb del 02:00:00:00:ff:01 network blue

# --- floods: a burst of one second, then the rate; what is addressed to somebody passes
setup
ctl a port set c1 storm-limit 50
send c2 --src 02:00:00:00:02:01 # known from here on
listen c3
listen c2
start=$EPOCHREALTIME
send c1 --src 02:00:00:00:01:01 --count 300
send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:02:01 --count 300
most=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print int(50 + 1 + (b - a) * 50) }')
end c2
listened c3
flooded=$(heard c3)
between 50 "$most" "$flooded" "frames flooded of 300"
drops_are storm $((300 - flooded)) || die "$flooded of 300 were flooded, and $(dropped storm) dropped"
expect a '[["c1","apply"]]' '[.[] | select(.reason == "storm") | [.port, .hop]]' drops show
end c3
listened c2
equal 300 "$(grep -c ^020000000201 "$WORK/got-c2")" "frames to a known address in a storm"
passes_again() {
	before=$(dropped storm)
	send c1 --src 02:00:00:00:01:01
	drops_are storm "$before"
}
wait_for 5 passes_again
ctl a port set c1 storm-limit 0
before=$(dropped storm)
send c1 --src 02:00:00:00:01:01 --count 1000
drops_are storm "$before" || die "a storm limit of 0 drops"

# Superpackets are charged by their segments. Behind c4 nothing is learned: all that goes there is flooded.
SEGMENTS=40
for i in 4 5; do
	ctl a port add "c$i" type tap network blue
	on a ip link set "c$i" txqueuelen $QUEUE
done
ctl a port set c4 storm-limit 2000
ctl a port set c5 mac-limit 0
before=$(dropped storm)
on a "$TOOLS/tapgen" gso --a c4 --b c5 --count 200 --gso-size 1000 --segments $SEGMENTS >"$WORK/gso"
read -r whole most <<<"$(jq -r "[.whole, (2000 + 2000 * .seconds) / $SEGMENTS + 1 | floor] | join(\" \")" "$WORK/gso")"
between 45 "$most" "$whole" "superpackets of $SEGMENTS segments under a limit of 2000 frames"
drops_are storm $((before + 200 - whole)) || die "$whole of 200 passed, dropped: $(($(dropped storm) - before))"
ctl a port del c4
ctl a port del c5

# --- moves: a few are followed, a storm is not, and it harms nobody
setup move-limit 2
start=$EPOCHREALTIME
for ((i = 0; i < 20; i++)); do
	send c1 --src 02:00:00:00:05:01
	send c2 --src 02:00:00:00:05:01
done
most=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print int(2 + 1 + (b - a) * 2) }')
read -r moves refused <<<"$(json a '.[0] | "\(.moves) \(.moves_refused)"' network show blue)"
between 2 "$most" "$moves" "moves made of 39 under a limit of 2"
between 1 37 "$refused" "moves refused of 39 under a limit of 2"
equal "$moves" "$(json a '[.[].moves] | add' port show)" "moves of the ports"
equal "$refused" "$(json a '[.[].moves_refused] | add' port show)" "refused moves of the ports"
expect a '[1]' '[.[] | select(.mac == "02:00:00:00:05:01")] | [length]' fdb show
equal 1 "$(json a '.[0].macs' network show blue)" "learned rows after the moves"
equal 1 "$(json a '[.[].macs] | add' port show)" "learned rows of the ports after the moves"

# --- ageing: a row lives as long as its address speaks, and is gone for the datapath and for show
setup ageing 2
row() { json a '[.[] | select(.mac == "02:00:00:00:02:01")] | length' fdb show; }
forgotten() { [ "$(row)" = 0 ]; }
deadline=$((SECONDS + 4))
while [ $SECONDS -lt $deadline ]; do
	send c2 --src 02:00:00:00:02:01
	equal 1 "$(row)" "row of an address that speaks"
	sleep 0.2
done
last=$EPOCHREALTIME
listen c3
send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:02:01
end c1
listened c3
equal 0 "$(heard c3)" "frames flooded to a live row"
wait_for 10 forgotten
awk -v a="$last" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a < 0.9 }' || die "the row went early"
listen c3
send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:02:01
end c1
listened c3
equal 1 "$(heard c3)" "frames flooded to an aged row"
wait_for 10 json_is a 0 '.[0].macs' network show blue # the room is given back
ctl a network set blue ageing 0
send c2 --src 02:00:00:00:02:01
sleep 2.5
equal 1 "$(row)" "row of a network without ageing"

# --- what never passes, and what just does
setup mtu 1400
send c2 --src 02:00:00:00:02:01
send c1 --src 02:00:00:00:01:01
send c1 --src 02:00:00:00:01:02
listen c2
send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:01:02
for last in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do
	send c1 --src 02:00:00:00:01:01 --dst "01:80:c2:00:00:0$last"
done
send c1 --src 02:00:00:00:01:01 --dst 01:80:c2:00:00:10
for size in 1400 1401; do
	send c1 --src 02:00:00:00:01:01 --payload-size $size
	send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:02:01 --payload-size $size
done
for source in 00:00:00:00:00:00 ff:ff:ff:ff:ff:ff 01:00:00:00:00:01 02:57:65:66:74:01; do
	send c1 --src $source --dst 02:00:00:00:02:01
done
send c1 --src 02:00:00:00:01:01 --dst 02:00:00:00:02:01 --vlan 0xe000 --payload 77
end c1
listened c2
equal '0180c2000010 020000000201 020000000201 ffffffffffff' \
	"$(cut -c1-12 "$WORK/got-c2" | sort | xargs)" "destinations that passed"
grep -q '^02000000020102000000010188b577' "$WORK/got-c2" || die "a priority-tagged frame did not arrive untagged"
for drop in hairpin:1 reserved_address:16 too_big:2 bad_source:4; do
	drops_are ${drop%:*} ${drop#*:} || die "$(dropped ${drop%:*}) drops of $drop"
done
expect a '["apply","decide","decide","decide"]' '[.[].hop] | sort' drops show
expect a 23 '.[0].rx_dropped' port show c1

# Superpackets are as large as their segments.
for i in 4 5; do
	ctl a port add "c$i" type tap network blue
	on a ip link set "c$i" txqueuelen $QUEUE
done
on a "$TOOLS/tapgen" gso --a c4 --b c5 --count 50 --gso-size 1360 --segments 40 >"$WORK/gso"
equal 50 "$(jq .whole "$WORK/gso")" "superpackets of the largest segments"
on a "$TOOLS/tapgen" gso --a c4 --b c5 --count 50 --gso-size 1361 --segments 40 >"$WORK/gso" || true
equal 0 "$(jq .received "$WORK/gso")" "superpackets of segments that are too large"
drops_are too_big 52 || die "$(dropped too_big) too_big"
