#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# weft-wire: every frame passes unchanged; delay, loss, order and rate are what was asked for; the
# same seed is the same fate; nothing stays behind, however it ends.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
for tool in weft-wire tests/wirekinds tests/wirestream; do
	[ -x "$BUILD/$tool" ] || die "no $BUILD/$tool: run make tests"
done

WIRE=
wire_start() { # wire_start WORDS...: between eth0 of a and eth0 of b; it is ready on return
	rm -f "$WORK/ready"
	mkfifo "$WORK/ready"
	: >"$WORK/counters"
	"$BUILD/weft-wire" "eth0@$(netns a)" "eth0@/run/netns/$(netns b),mac=02:00:00:00:00:0b" "$@" \
		ready-fd 9 9>"$WORK/ready" >>"$WORK/counters" &
	WIRE=$!
	helper $WIRE
	read -r -t 5 <"$WORK/ready" || die "no wire with '$*'"
}

wire_end() { # wire_end [SIGNAL] [STATUS]
	local status=0
	[ "${1:-TERM}" = none ] || kill "-${1:-TERM}" "$WIRE"
	wait_for 5 ended "$WIRE"
	wait "$WIRE" 2>/dev/null || status=$?
	equal "${2:-0}" "$status" "status of the wire"
	wait_for 5 devices_gone
}

devices_gone() { # nothing but lo is left in a and in b
	[ "$(ip -n "$(netns a)" -br link show | wc -l)$(ip -n "$(netns b)" -br link show | wc -l)" = 11 ]
}

counters_written() {
	[ "$(wc -l <"$WORK/counters")" -gt "$1" ]
}

wire_counters() { # into $WORK/counters.json; every packet must be accounted for
	local lines
	lines=$(wc -l <"$WORK/counters")
	kill -USR1 "$WIRE"
	wait_for 5 counters_written "$lines"
	tail -n 1 "$WORK/counters" >"$WORK/counters.json"
	jq -e '.[] | .packets + .duplicated ==
		.delivered + .lost + .overflow + .full + .down + .refused + .queued' \
		"$WORK/counters.json" >/dev/null || die "the counters do not add up: $(cat "$WORK/counters")"
}

counted() {
	jq -r "$1" "$WORK/counters.json"
}

stream() { # stream NAME OPTIONS...: into $WORK/NAME.json
	"$TOOLS/wirestream" --netns "$(netns a)" --dev eth0 --netns "$(netns b)" --dev eth0 "${@:2}" \
		>"$WORK/$1.json" || die "stream $1"
}

holds() { # holds NAME FILTER: for each direction
	jq -e "[.[] | $2] | all" "$WORK/$1.json" >/dev/null || die "$1: not '$2': $(cat "$WORK/$1.json")"
}

likely() { # likely N P GOT WHAT: a binomial count within its 99.99 % bounds
	awk -v n="$1" -v p="$2" -v got="$3" 'BEGIN {
		d = got - n * p; exit (d < 0 ? -d : d) > 3.89 * sqrt(n * p * (1 - p)) + 0.5 }' ||
		die "$4: $3 of $1 with probability $2"
}

link_is() { # link_is HOST PATTERN
	ip -n "$(netns "$1")" -br link show eth0 | grep -q "$2"
}

guest_new a
guest_new b

# every kind of frame, byte by byte, both ways
wire_start mtu 9000
"$TOOLS/wirekinds" "$(netns a)" eth0 "$(netns b)" eth0 || die "some frames did not pass"
equal 9000 "$(ip -n "$(netns a)" -j link show eth0 | jq '.[0].mtu')" mtu
equal 02:00:00:00:00:0b "$(ip -n "$(netns b)" -j link show eth0 | jq -r '.[0].address')" mac
# a cable: an end that is down takes the carrier from the other
on b ip link set eth0 down
wait_for 5 link_is a NO-CARRIER
on b ip link set eth0 up
wait_for 5 link_is a LOWER_UP
# killed: no device stays
wire_end KILL 137

# TCP is fast because superpackets pass whole, in a tunnel too where taps can do that (kernel 6.17)
tcp() { # tcp ADDRESS NAME: a second from a to b; the mean size of a packet on the wire is in MEAN_BYTES
	local before=$WORK/before.json
	wire_counters
	cp "$WORK/counters.json" "$before"
	spawn b iperf3 -s -1 >/dev/null
	wait_for 5 listens
	on a iperf3 -c "$1" -t 1 -J >"$WORK/$2.json"
	wire_counters
	MEAN_BYTES=$(jq -s '(.[1].a_to_b.bytes - .[0].a_to_b.bytes) /
		(.[1].a_to_b.packets - .[0].a_to_b.packets) | floor' "$before" "$WORK/counters.json")
	jq -e '.end.sum_received.bits_per_second > 5e8' "$WORK/$2.json" >/dev/null ||
		die "TCP $2: $(jq -c .end.sum_received "$WORK/$2.json")"
}
listens() {
	on b ss -Hltn 'sport = 5201' | grep -q 5201
}
wire_start
on a ip addr add 10.0.0.1/24 dev eth0
on b ip addr add 10.0.0.2/24 dev eth0
tcp 10.0.0.2 plain
[ "$MEAN_BYTES" -gt 9000 ] || die "no superpackets: $MEAN_BYTES bytes"
jq -e '.end.sum_received.bits_per_second > 1e9' "$WORK/plain.json" >/dev/null || die "TCP is slow"
on a ip link add vx type vxlan id 5 remote 10.0.0.2 dstport 4789
on b ip link add vx type vxlan id 5 remote 10.0.0.1 dstport 4789
on a ip addr add 10.0.1.1/24 dev vx && on a ip link set vx up
on b ip addr add 10.0.1.2/24 dev vx && on b ip link set vx up
tcp 10.0.1.2 vxlan
[ "$(printf '%s\n' 6.17 "$(uname -r)" | sort -V | head -n 1)" != 6.17 ] || [ "$MEAN_BYTES" -gt 9000 ] ||
	die "no superpackets in VXLAN: $MEAN_BYTES bytes"
on a ip link del vx
on b ip link del vx
# with no impairment a frame passes at once
stream plain --count 500 --spacing 500
holds plain '.lost == 0 and .duplicates == 0 and .early == 0 and .p50_us < 500'
# an end is deleted: the wire says so and takes the other end with it
on a ip link del eth0
wire_end none 1

# a namespace is deleted: the wire does not keep it, nor itself
guest_new c
"$BUILD/weft-wire" "eth0@$(netns a)" "eth0@$(netns c)" >"$WORK/counters" 2>"$WORK/orphan" &
WIRE=$!
helper $WIRE
wait_for 5 grep -q ready "$WORK/counters"
ip netns add "$(netns c)-other"
ip netns del "$(netns c)-other"
wire_counters # it is none of the wire's business
ip netns del "$(netns c)"
wire_end none 1
grep -q "$(netns c) is gone" "$WORK/orphan" || die "the wire said '$(cat "$WORK/orphan")'"

# delays: constant, then uniform around the delay, of packets too far apart to push one another;
# a true sample exceeds that Kolmogorov-Smirnov limit once in a thousand
wire_start delay 10ms
stream constant --count 300 --spacing 2000
holds constant '.lost == 0 and .early == 0 and .min_us > 9990 and .p50_us < 10500'
wire_end
wire_start delay 10ms jitter 3ms seed 7
stream uniform --count 400 --spacing 6500 --least 7000 --most 13000
holds uniform '.lost == 0 and .early == 0 and .min_us > 6990 and .ks * (.arrived | sqrt) < 1.949'
wire_end

# fates: as probable as asked for, and the same for the same seed, whatever the timing
fates() { # fates NAME SEED STREAM-OPTIONS...
	wire_start delay 50ms jitter 5ms loss 2% duplicate 1% reorder 1.5% seed "$2"
	stream "$1" --count 20000 "${@:3}"
	wire_counters
	wire_end
}
fates first 7 --burst 20 --spacing 1000
for way in a_to_b b_to_a; do
	lost=$(jq ".$way.lost" "$WORK/first.json")
	likely 20000 0.02 "$lost" "lost $way"
	likely $((20000 - lost)) 0.01 "$(jq ".$way.duplicates" "$WORK/first.json")" "duplicated $way"
	likely $((20000 - lost)) 0.015 "$(jq ".$way.early" "$WORK/first.json")" "reordered $way"
	equal "$(jq -c ".$way | [.lost, .duplicates, .early]" "$WORK/first.json")" \
		"$(counted ".$way | [.lost, .duplicated, .reordered] | tojson")" "counted $way"
done
hashes() {
	jq -c '.[] | [.lost_hash, .duplicate_hash, .early_hash]' "$WORK/$1.json"
}
fates again 7 --burst 15 --spacing 600
equal "$(hashes first)" "$(hashes again)" "the fates with the same seed"
fates other 8 --burst 20 --spacing 1000
equal 12 "$( (hashes first && hashes other) | jq '.[]' | sort -u | wc -l)" \
	"different fates in two directions with two seeds"

# rate: of the bytes on the line, superpackets by their segments; the queue is bounded
wire_start rate 20mbit queue 50ms
stream rate --count 1600 --spacing 500 --size 1514
holds rate '.bps > 19e6 and .bps < 21e6 and .max_us > 45000 and .p50_us < 60000'
wire_counters
[ "$(counted '.a_to_b.overflow')" -gt 0 ] || die "an overloaded line lost nothing"
wire_end
wire_start rate 100mbit
stream rate_super --count 500 --spacing 1000 --segments 60 --gso-size 500
holds rate_super '.bps > 95e6 and .bps < 105e6'
wire_end

# wrong words: the sentence names the word, status 2, and nothing is left
wrong() { # wrong PATTERN WORDS...
	local status=0 said pattern=$1
	shift
	said=$(timeout 5 "$BUILD/weft-wire" "$@" 2>&1) || status=$?
	equal 2 "$status" "status of weft-wire $*"
	equal 1 "$(wc -l <<<"$said")" "lines said to $*"
	[[ $said == "weft-wire: "*"$pattern"* ]] || die "weft-wire $*: '$said', not '$pattern'"
}
A=eth0@$(netns a) B=eth0@$(netns b)
wrong 'two ends' "$A"
wrong "'eth0': expected an end" eth0 "$B"
wrong 'device name' "a-name-of-16-chr@$(netns a)" "$B"
wrong 'device name' "eth%d@$(netns a)" "$B"
wrong 'mac=' "$A,mtu=9" "$B"
wrong 'unicast' "$A,mac=01:00:00:00:00:01" "$B"
wrong 'unicast' "$A,mac=02:00:00:00:00:1" "$B"
wrong 'both ends' "$A" "$A"
wrong "unknown word 'dealy'" "$A" "$B" dealy 1ms
wrong 'delay: expected a time' "$A" "$B" delay
wrong "not '10'" "$A" "$B" delay 10
wrong "not '-1ms'" "$A" "$B" delay -1ms
wrong "not '1e3ms'" "$A" "$B" delay 1e3ms
wrong "not '1..5ms'" "$A" "$B" delay 1..5ms
wrong "not '61s'" "$A" "$B" delay 61s
wrong 'twice' "$A" "$B" delay 1ms delay 1ms
wrong 'jitter: ' "$A" "$B" delay 1ms jitter 2ms
wrong "loss: expected 0% to 100% such as 0.5%, not '1'" "$A" "$B" loss 1
wrong "not '101%'" "$A" "$B" loss 101%
wrong 'reorder: ' "$A" "$B" reorder 1%
wrong 'queue: ' "$A" "$B" queue 1ms
wrong "not '0bit'" "$A" "$B" rate 0bit
wrong "not '100m'" "$A" "$B" rate 100m
wrong 'mtu: ' "$A" "$B" mtu 67
wrong "not '0x10'" "$A" "$B" seed 0x10
wrong 'ready-fd: ' "$A" "$B" ready-fd 77
devices_gone || die "wrong words left a device behind"
"$BUILD/weft-wire" --help | grep -q 'jitter.*uniform' || die "--help does not tell the distribution"

# what cannot be done leaves nothing either
cannot() { # cannot PATTERN WORDS...
	local status=0 said pattern=$1
	shift
	said=$(timeout 5 "$BUILD/weft-wire" "$@" 2>&1) || status=$?
	equal 1 "$status" "status of weft-wire $*"
	[[ $said == *"$pattern"* ]] || die "weft-wire $*: '$said', not '$pattern'"
}
cannot 'network namespace' "$A" eth0@none-such-$$
cannot 'network namespace' "$A" eth0@/etc/passwd
devices_gone || die "a failure left a device behind"
on b ip tuntap add eth0 mode tap
cannot "eth0 exists already in /run/netns/$(netns b)" "$A" "$B"
on b ip link del eth0
devices_gone || die "a failure left a device behind"
