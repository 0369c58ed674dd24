#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A network is a hard wall: every kind of frame into every kind of port, and each copy accounted for.
#
# The test has a model of its own of where a frame belongs and where its copies leave, with which tag.
# What comes out of the ports must be that, frame by frame and byte by byte, and nothing else.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

host_new a
host_start a
ctl a network add blue
ctl a network add red

# PLACE[port,tag]: the network there; tag 0 is untagged. The ports ending in z only end the passes,
# by a frame that every port of their network gets.
declare -A PLACE=()
PORTS=()
port() { # port NAME WORDS...: PLACE follows the words
	local name=$1 words=("${@:2}") i pair
	PORTS+=("$name")
	guest_new "$name"
	guest_veth a "$name" "$name"
	ctl a port add "$name" type device dev "$name" "${words[@]}"
	place "$name" "${words[@]}"
}
place() {
	local name=$1 key pair
	for key in "${!PLACE[@]}"; do
		case $key in "$name",*) unset "PLACE[$key]" ;; esac
	done
	shift
	while [ $# -gt 1 ]; do
		case $1 in
		network | native) PLACE[$name,0]=$2 ;;
		trunk) for pair in ${2//,/ }; do PLACE[$name,${pair#*:}]=${pair%:*}; done ;;
		esac
		shift 2
	done
}
change() { # change NAME WORDS...
	ctl a port set "$@"
	place "$@"
}
port access1 network blue
port access2 network red
port access3 network blue
port trunk1 trunk blue:10,red:20
port trunk2 trunk blue:20
port native1 trunk red:20 native blue
port native2 trunk blue:10 native red
tested=("${PORTS[@]}")
port bluez network blue
port redz network red

# --- the model
declare -A KNOWN=() # KNOWN[network,mac]: "port tag" where it was learned
SENT=0
expected() { # expected PORT FRAME: it leaves there, and the sentence says so
	echo "$2" >>"$WORK/expected-$1"
}
retagged() { # retagged DST SRC PRIORITY TAG REST: the frame as it leaves
	if [ "$4" = 0 ]; then
		echo "$1$2$5"
	else
		printf '%s%s8100%04x%s\n' "$1" "$2" $(($3 | $4)) "$5"
	fi
}
# A frame of NETWORK from PORT, to DST.
deliver() {
	local from=$1 network=$2 dst=$3 src=$4 priority=$5 rest=$6 key known=${KNOWN[$2,$3]:-}
	if [ -n "$known" ]; then
		[ "${known% *}" = "$from" ] || expected "${known% *}" "$(retagged "$dst" "$src" "$priority" "${known#* }" "$rest")"
		return
	fi
	for key in "${!PLACE[@]}"; do
		[ "${PLACE[$key]}" = "$network" ] || continue
		[ "${key%,*}" = "$from" ] || expected "${key%,*}" "$(retagged "$dst" "$src" "$priority" "${key#*,}" "$rest")"
	done
}
# What may stand between source and EtherType, and the VID (and priority) by which it is judged;
# "-": no network can claim it.
tags=(
	": 0" "81000000: 0" "8100e000: 57344" "8100000a: 10" "81000014: 20" "8100a00a: 40970" "81001014: 4116"
	"8100001e: 30" "81000ffe: 4094" "81000fff: 4095"
	"8100000a81000014: -" "810000148100000a: -" "8100000a8100000a: -" "810000008100000a: -" "8100000a81000000: -"
	"8100000081000000: -" "8100000a8100001481000014: -" "88a8000a: -" "88a80014: -" "88a80000: -" "88a8000a81000014: -"
	"88a800148100000a: -" "8100000a88a80014: -" "8100001488a8000a: -" "8100000088a80014: -" "9100000a: raw" "9200001481000014: raw"
)
BLUE=0200000b0001  # learned in blue
RED=0200000d0001   # learned in red
BOTH=0200000bd001  # in both, at different places
LOST=0200000e0001  # nowhere
destinations=(ffffffffffff 01005e000001 333300000001 "$LOST" "$BLUE" "$RED" "$BOTH")

learn() { # learn PORT TAG MAC: a frame from it, which the model does not expect anywhere (yet)
	local frame
	frame=$(retagged 0257656674ff "$3" 0 "$2" "88b5ffffffff$FILL")
	KNOWN[${PLACE[$1,$2]},$3]="$1 $2"
	send_from "$1" "$frame"
	deliver "$1" "${PLACE[$1,$2]}" 0257656674ff "$3" 0 "88b5ffffffff$FILL"
}
send_from() {
	local port=$1
	shift
	send "$port" "$@"
	SENT=$((SENT + $#))
}
build() { # build PORT SOURCE: its frames, and what the model expects of them
	local port=$1 src=$2 entry tag judged dst rest network
	for entry in "${tags[@]}"; do
		tag=${entry%:*} judged=${entry#*: }
		for dst in "${destinations[@]}"; do
			SERIAL=$((SERIAL + 1))
			printf -v rest '88b5%08x%s' $SERIAL "$FILL"
			FRAMES+=("$dst$src$tag$rest")
			case $judged in
			-) continue ;;
			raw) # an EtherType like any other: untagged
				network=${PLACE[$port,0]:-}
				[ -z "$network" ] || deliver "$port" "$network" "$dst" "$src" 0 "$tag$rest"
				continue
				;;
			esac
			network=${PLACE[$port,$((judged & 4095))]:-}
			[ -z "$network" ] || deliver "$port" "$network" "$dst" "$src" $((judged & 61440)) "$rest"
		done
	done
}

# --- one pass: listen everywhere, send everything, compare
SERIAL=0
received_all() {
	json_is a "$SENT" '[.[].rx_packets] | add' port show
}
pass() { # pass WHAT, with the learned rows of KNOWN_AT: "PORT TAG MAC"
	local port place i=0 before
	KNOWN=()
	before=$(json a '[.[].rx_packets] | add' port show)
	SENT=$before
	ctl a fdb flush
	for port in "${tested[@]}"; do
		: >"$WORK/expected-$port"
		listen "$port"
	done
	for place in "${KNOWN_AT[@]}"; do
		# shellcheck disable=SC2086
		learn $place
	done
	for port in "${tested[@]}"; do
		FRAMES=()
		build "$port" "020000000$((++i))01"
		send_from "$port" "${FRAMES[@]}"
	done
	wait_for 10 received_all
	send_from bluez "${END}02000000fe0188b5$FILL"
	send_from redz "${END}02000000fe0288b5$FILL"
	listened "${tested[@]}"
	for port in "${tested[@]}"; do
		diff <(sort "$WORK/expected-$port") <(sort "$WORK/got-$port") >"$WORK/difference" ||
			die "$1, port $port: expected (<) and got (>): $(head -n 20 "$WORK/difference")"
	done
	echo "$1: $((SENT - before)) frames in, $(cat "$WORK"/got-* | wc -l) out"
}

KNOWN_AT=("access1 0 $BLUE" "access2 0 $RED" "access1 0 $BOTH" "trunk1 20 $BOTH")
pass "as made"
KNOWN_AT=("trunk1 10 $BLUE" "native1 20 $RED" "native2 10 $BOTH" "native2 0 $BOTH")
pass "behind trunks"
expect a '[]' '[.[] | select(.reason == "storm")]' drops show

# --- ports that change their networks: the tags swapped, access and trunk exchanged
change trunk1 trunk -blue:10,-red:20,+blue:20,+red:10
place trunk1 trunk blue:20,red:10
change access3 network red
change native1 native none trunk -red:20,+blue:20
place native1 trunk blue:20
change access1 network none trunk blue:10,red:20
KNOWN_AT=("trunk1 20 $BLUE" "trunk1 10 $RED" "access3 0 $BOTH" "native1 20 $BOTH")
pass "changed"

# --- frames from a port that goes to and fro are in one network or in the other
change access1 trunk none network blue
listen bluez --match 0:ffffffffffff
listen redz --match 0:ffffffffffff
stopped() { [ -e "$WORK/stop" ]; }
{
	until stopped; do
		FRAMES=()
		for _ in {1..20}; do
			SERIAL=$((SERIAL + 1))
			printf -v frame 'ffffffffffff02000000010188b5%08x%s' $SERIAL "$FILL"
			FRAMES+=("$frame")
		done
		send_from access1 "${FRAMES[@]}"
	done
} &
helper $!
writer=$!
for _ in {1..25}; do
	ctl a port set access1 network red
	ctl a port set access1 network blue
done
touch "$WORK/stop"
wait "$writer"
send_from trunk2 "${END}02000000fe0381000014""88b5$FILL" # blue
send_from trunk1 "${END}02000000fe048100000a""88b5$FILL" # red
listened bluez redz
for port in bluez redz; do
	[ "$(wc -l <"$WORK/got-$port")" -gt 20 ] || die "$port got only $(wc -l <"$WORK/got-$port") frames"
done
equal '' "$(sort "$WORK/got-bluez" "$WORK/got-redz" | uniq -d | head)" "frames that came to both networks"
