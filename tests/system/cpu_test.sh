#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the workers of the dpdk engine say of themselves: they sleep when there is nothing to do, and the port
# that costs the most is named first.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh

host_new a
host_start a
if [ "$ENGINE" != dpdk ]; then
	refused a 1 "has no workers of its own" cpu show
	refused a 1 "has no workers of its own" cpu show ports
	exit
fi

ctl a network add blue
# There when weftd starts: the library's thread starts with it.
ctl a port add guest type vhost-user network blue
host_stop a
host_start a
for i in 1 2 3; do
	guest_new "g$i"
	guest_veth a "g$i" "c$i" "10.1.0.$i/24"
	on "g$i" ip link set eth0 address "02:00:00:00:00:0$i"
	ctl a port add "c$i" type device dev "c$i" network blue
done

worker_state() { # S: it sleeps
	local task
	for task in "/proc/${HOST_PID[a]}/task"/*; do
		[ "$(cat "$task/comm")" != weft-worker ] || awk '{ print $3 }' "$task/stat"
	done
}

# Workers go before others on their cores, and the rest of weftd does not.
nice_of() { # nice_of NAME: of the threads of that name
	ps -L -o ni=,comm= -p "${HOST_PID[a]}" | awk -v name="$1" '$2 == name { print $1 }' | sort -u
}
own=$(nice)
equal "$((own < -10 ? own : -10))" "$(nice_of weft-worker)" "the worker's nice value"
for thread in weftd eal-intr-thread vhost-events; do
	equal "$own" "$(nice_of $thread)" "the nice value of $thread"
done

sleeps() { [ "$(worker_state)" = S ]; }
wait_for 5 sleeps
equal 1 "$(json a length cpu show)" "workers"

# It wakes for a frame, and sleeps again.
before=$(json a '.[0].sleeps' cpu show)
on g1 ping -c 3 -i 0.2 -W 2 10.1.0.2 >/dev/null || die "no echo from a worker that slept"
wait_for 5 sleeps
[ "$(json a '.[0].sleeps' cpu show)" -gt "$before" ] || die "the worker did not sleep between frames"
expect a true '.[0] | .wake_p50_ns > 0 and .wake_p99_ns >= .wake_p50_ns' cpu show
equal true "$(json a '.[0] | .busy_percent + .idle_percent + .sleep_percent | . > 99.7 and . < 100.3' cpu show)" \
	"the shares of its life add up"

# The noisy neighbour.
stream_start noise g2 g3 10.1.0.3 --pps 10000 --count 20000
stream_wait noise
expect a c2 '.[0].port' cpu show ports
equal true "$(json a '.[0] | .packets >= 20000 and .share_percent > 50 and .ns_per_packet > 0' cpu show ports)" \
	"the cost of c2: $(ctl a cpu show ports)"
equal true "$(json a '.[0] | .hit_percent > 95 and .receive_ns > 0 and .send_ns > 0' cpu show)" \
	"where the time goes: $(ctl a cpu show)"

# The same for Prometheus, in its grammar.
curl -sS --unix-socket "$WORK/a/run/weftd.sock" http://weftd/metrics >"$WORK/metrics"
label='[a-z_]+="[^"\\]*"'
bad=$(grep -vE "^(# (TYPE|HELP|UNIT) [a-z_]+ .+|# EOF|[a-z_]+(\{$label(,$label)*\})? -?[0-9]+(\.[0-9]+)?)\$" "$WORK/metrics" || true)
equal '' "$bad" "lines of /metrics"
equal "$(grep -c '^# TYPE' "$WORK/metrics")" "$(grep '^# TYPE' "$WORK/metrics" | sort -u | wc -l)" "families of /metrics"
metric() { # metric NAME{LABELS}: its value
	awk -v name="$1" '$1 == name { print $2 }' "$WORK/metrics"
}
for state in busy idle sleep; do
	awk -v s="$(metric "weft_worker_seconds_total{worker=\"0\",state=\"$state\"}")" 'BEGIN { exit !(s > 0 && s < 600) }' ||
		die "seconds $state: $(grep weft_worker "$WORK/metrics")"
done
packets=$(metric 'weft_worker_packets_total{worker="0"}')
[ "$packets" -ge 20000 ] || die "packets of the worker: $packets"
[ "$(metric 'weft_worker_flow_lookups_total{worker="0",result="hit"}')" -ge 19000 ] || die "hits of the flow cache"
[ "$(metric 'weft_worker_flow_lookups_total{worker="0",result="miss"}')" -ge 1 ] || die "misses of the flow cache"
[ "$(metric 'weft_worker_wake_seconds_count{worker="0"}')" -ge 1 ] || die "sleeps"
awk -v p50="$(metric 'weft_worker_wake_seconds{worker="0",quantile="0.5"}')" \
	-v p99="$(metric 'weft_worker_wake_seconds{worker="0",quantile="0.99"}')" 'BEGIN { exit !(p50 > 0 && p99 >= p50 && p99 < 10) }' ||
	die "wake-ups: $(grep weft_worker_wake "$WORK/metrics")"
awk -v c="$(metric 'weft_port_cost_seconds_total{port="c2"}')" 'BEGIN { exit !(c > 0) }' || die "the cost of c2"
