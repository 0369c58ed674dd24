#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Where the time goes on one host: every point of every packet, held against the guests' own clocks; a reader that is
# late; a million packets and nobody who reads of them; weftd killed meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh
# shellcheck source=tests/system/points.sh
. tests/system/points.sh
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
LOCAL=(P0 P1 P5 P6)

measure() { # measure TAPTIMES-OPTIONS...: from t1 to t2, all is traced
	times_start t1@a t2@a "$@"
	trace_start a
	ctl a latency reset >/dev/null
	times_end
	beside t1
}

shown() { # shown HOP KEY: of what went from t1 to t2
	json a ".[] | select(.from == \"t1\" and .to == \"t2\" and .hop == \"$1\").$2" latency show
}

host_new a
host_start a
ctl a network add blue
for port in t1 t2; do
	ctl a port add $port type tap network blue sample 1
	on a ip link set $port txqueuelen $QUEUE
done

# --- every packet, every point, in their order, between what the guests say; and the histograms say the same
measure --count 4000 --interval-us 250 --captured "$WORK/captured"
exact "${LOCAL[@]}"
beside_captured "$WORK/captured"
captured
near "$(hop P0 P5)" "$(shown residence p50_ns)" "residence in trace and histogram"
near "$(hop P5 P6)" "$(shown queue p50_ns)" "queue in trace and histogram"
between 4000 4100 "$(shown residence count)" "packets in the histogram"
between 4000 4100 "$(shown queue count)" "packets in the queue's histogram"

# --- a reader that is late with every other frame: that is the queue's time, and no other's
# weftd's own wake-up varies with what the reader did before: of that, weft says what libpcap sees.
more() { # more FROM TO: of the odd frames than of the even ones
	echo $(($(hop "$1" "$2" 1) - $(hop "$1" "$2" 0)))
}
measure --count 600 --interval-us 3000 --hold-us 1000 --captured "$WORK/captured"
exact "${LOCAL[@]}"
beside_captured "$WORK/captured"
near "$(hop writes reads 1)" "$(hop P5 P6 1)" "queue of a late reader"
near "$NEAR" $((NEAR + $(more P0 P5) - $(more leaves passes))) "switched, with a late reader"
near "$(hop P1 P5 0)" "$(hop P1 P5 1)" "handed over, with a late reader"

# --- a stage that is busy with every other frame: that is the time it takes to decide, and no other. The reader's own
# wake-up varies: of that, weft says what libpcap and the reader do.
BUSY_NS=200000 # tests/busy/stage_busy.h
host_stop a
WEFTD=$BUILD/tests/busy/weftd host_start a
measure --count 400 --interval-us 1000 --two-ports --captured "$WORK/captured"
exact "${LOCAL[@]}"
beside_captured "$WORK/captured"
near $BUSY_NS "$(more P0 P1)" "a busy stage"
near $BUSY_NS $((BUSY_NS + $(more P1 P5))) "a busy stage and the hand-over"
near $BUSY_NS $((BUSY_NS + $(more P5 P6) - $(more passes reads))) "a busy stage and the queue"
host_stop a
host_start a

# --- round trips are what the client sees
measure --count 2000 --echo --interval-us 300
exact "${LOCAL[@]}"
round_trips t2

# --- what a guest may send: tags, IPv6, superpackets
ctl a port set t2 network none trunk blue:10
for kind in "--type udp6" "--type other" "--type tcp4 --payload 20000 --gso-size 1400" "--type tcp6 --payload 20000 --gso-size 1400"; do
	# shellcheck disable=SC2086 # words
	measure --count 100 --interval-us 1000 --vlan-b 10 $kind
	echo "$kind, to a trunk port"
	exact "${LOCAL[@]}"
done
[ "$(jq -r 'select(.point == "P0" and .port == "t1" and .superpacket).packet' "$WORK/trace" | sort -u | wc -l)" -ge 100 ] ||
	die "superpackets are not told from others"

# --- the same histograms for others to read: buckets that grow to the count, by the same ends
curl -sS --unix-socket "$WORK/a/run/weftd.sock" http://weftd/metrics | grep '^weft_latency_seconds' >"$WORK/metrics"
awk -F '[{} ]' '{
		ends = $2; sub(/,le="[^"]*"/, "", ends)
		if ($1 ~ /_bucket/) { if ($4 < last[ends]) bad++; last[ends] = $4; if ($2 ~ /le="\+Inf"/) whole[ends] = $4 }
		if ($1 ~ /_count/) { rows++; if (whole[ends] != $4) bad++ }
		if ($1 ~ /_sum/ && $4 <= 0) bad++
	}
	END { exit !(rows && !bad) }' "$WORK/metrics" || die "histograms of /metrics: $(cat "$WORK/metrics")"
equal "$(shown residence count)" "$(sed -n 's/^weft_latency_seconds_count{from="t1",from_type="port",to="t2",to_type="port",hop="residence"} //p' "$WORK/metrics")" "count of /metrics"

ctl a -j latency show | jq -e 'length > 0 and all(.count == ([.buckets[][1]] | add) and
	.buckets == (.buckets | sort) and .buckets[-1][0] > .p999_ns)' >/dev/null || die "histograms as JSON: $(ctl a -j latency show)"

# --- a million packets, each of them another one, while weftctl is stopped: postcards are lost and counted, packets are
# not, and weftd does not grow
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${HOST_PID[a]}/status"; }
MANY=1000000
ctl a port set t2 network blue trunk none
times_start t1@a t2@a --count $MANY --interval-us 0 --counts
trace_start a
kill -STOP "$TRACE"
before=$(rss)
kill -USR1 "$TIMES"
wait "$TIMES" || die "packets were lost: $(cat "$WORK/times")"
equal "$MANY	$MANY" "$(cat "$WORK/times")" "packets sent and taken"
grown=$(($(rss) - before))
[ $grown -lt 8192 ] || die "weftd has grown by $grown KB"
read_all() { # what waited for weftctl has come: its end may not wait
	local size=$WRITTEN
	WRITTEN=$(stat -c %s "$WORK/trace")
	[ "$size" = "$WRITTEN" ]
}
WRITTEN=0
kill -CONT "$TRACE"
wait_for 10 read_all
host_stop a # who traces is told the end
wait "$TRACE" || true
jq -c 'select(.packet == null)' "$WORK/trace"
jq -e -s --argjson many $MANY '.[] | select(.packet == null) | .cards_lost > 0 and
	.packets <= $many + 1000 and .cards_lost >= 2 * $many - 4 * .packets' "$WORK/trace" >/dev/null ||
	die "the lost postcards do not add up"

[ "$ENGINE" = ebpf ] || exit 0 # what follows is about rests, and a datapath that goes on without weftd
host_start a

# --- many frames to a tap, few of them timed: weft rests in between, and what is timed has its points. Who asks for many
# gets them, and while somebody traces nothing rests.
MANY=2000000
flood() { # flood SAMPLE: from t1 to t2
	for port in t1 t2; do ctl a port set $port sample "$1"; done
	ctl a latency reset >/dev/null
	on a "$TOOLS/tapgen" flood --a t1 --b t2 --count $MANY --seconds 20 >"$WORK/flood" || die "the flood: $(cat "$WORK/flood")"
	equal "$(shown residence count)" "$(shown queue count)" "packets timed, and taken"
}
flood 1024
between $((MANY / 1024 / 20)) $((MANY * 6 / 10240)) "$(shown residence count)" "packets timed with rests"
flood 100
between $((MANY / 110)) $((MANY / 90)) "$(shown residence count)" "packets timed of a hundred"
times_start t1@a t2@a --count 10 --payload 200
FILTER="greater 200" trace_start a # of the flood none
kill "$TIMES"
wait "$TIMES" || true
flood 1024
between $((MANY / 1200)) $((MANY / 850)) "$(shown residence count)" "packets timed during a trace"
kill "$TRACE"
wait "$TRACE" || true

# --- kill -9 during a trace: it ends by itself; histograms go on without weftd, P6's as well, and survive
PATH=$PATH:/usr/sbin
PINS=$(echo "$WORK"/a/bpf/weft/*)

observed_map() {
	local program
	program=$(bpftool -j link show pinned "$(find "$PINS/links" -type f | head -n 1)" | jq .prog_id)
	bpftool -j map show | jq --argjson mine "$(bpftool -j prog show id "$program" | jq .map_ids)" \
		'.[] | select(.name == "weft_observed" and (.id | IN($mine[]))).id'
}

observed() { # the number of packets that were followed to a tap's reader
	bpftool -j map lookup id "$MAP" key 0 0 0 0 | jq .formatted.value.flights
}

nothing_is_observed() {
	local before
	before=$(observed)
	some_frames
	[ "$(observed)" = "$before" ]
}

some_frames() {
	"$BUILD/tests/taptimes" --a "t1@$(netns a)" --b "t2@$(netns a)" --count 100 --counts >/dev/null
}

taken_link() { bpftool -j link show pinned "$PINS/observe/taken" | jq .id; }

times_start t1@a t2@a --count 10
for port in t1 t2; do ctl a port set $port sample 0; done
ctl a host set sample 0
MAP=$(observed_map)
trace_start a
host_kill a
kill "$TIMES" "$TRACE" 2>/dev/null || true # the trace ends with weftd
before=$(observed)
some_frames
[ "$(observed)" -gt "$before" ] || die "tracing is over at once: the test sees nothing"
wait_for 10 nothing_is_observed

host_start a
[ ! -e "$PINS/observe/taken" ] || die "taps' readers are observed, and nobody samples"
ctl a port set t1 sample 1
before=$(shown queue count)
link=$(taken_link)
host_kill a
some_frames
equal "$link" "$(taken_link)" "the link without weftd"
host_start a
after=$(shown queue count)
[ "$after" -ge $((before + 100)) ] || die "the histogram of the queue: $before packets, then $after"
[ "$(taken_link)" != "$link" ] || die "the program that sees readers was not replaced"
some_frames
[ "$(shown queue count)" -ge $((after + 100)) ] || die "readers are not seen any more"
ctl a host purge
wait "${HOST_PID[a]}" || die "weftd ended with status $? after host purge"
[ ! -e "$PINS/observe/taken" ] || die "purge leaves the program that sees readers"
