#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [NAME...] - run tests/bench/NAME.bench (all of them), print a table, leave JSON and a plot
#
# Any executable *.bench is a benchmark: it prints JSON lines, {bench, metric, variant, value, unit}
# for a sample and {bench, metric, goal: {op, limit, variant, reference}} for what it should reach.
#
#   BENCH_ROUNDS    interleaved rounds (5)        BENCH_SECONDS  length of one measurement (3)
#   BENCH_SWITCHES  what to compare (bridge weft), also bridge_nf: a bridge with br_netfilter on
#   BUILD           where the programs are (build)
#   BENCH_LIMIT     seconds that one benchmark may take (900)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
BUILD=$(realpath -m "${BUILD:-$here/../../build}")
export BUILD
export BENCH_ROUNDS=${BENCH_ROUNDS:-5} BENCH_SECONDS=${BENCH_SECONDS:-3}
export BENCH_SWITCHES=${BENCH_SWITCHES:-bridge weft}
limit=${BENCH_LIMIT:-900}
out=$BUILD/bench
failed=()

names=("$@")
if ((${#names[@]} == 0)); then
	for file in "$here"/*.bench; do
		names+=("$(basename "$file" .bench)")
	done
fi
for name in "${names[@]}"; do
	[[ -x $here/$name.bench ]] || {
		echo "no benchmark '$name'; there are:" "$(cd "$here" && echo *.bench)" >&2
		exit 2
	}
done

mkdir -p "$out"
samples=$(mktemp)
load=$(cut -d' ' -f1 /proc/loadavg)
child=
trap 'rm -f "$samples"' EXIT
# timeout(1) hands the signal on to the benchmark, which then cleans up.
trap '[[ -z $child ]] || { kill "$child"; wait "$child"; }; exit 143' TERM INT

for name in "${names[@]}"; do
	echo "== $name" >&2
	timeout --kill-after=60 "$limit" "$here/$name.bench" >"$out/$name.jsonl" &
	child=$!
	wait "$child" || failed+=("$name")
	child=
	cat "$out/$name.jsonl" >>"$samples"
done

jq -s -f "$here/report.jq" "$samples" | jq --arg date "$(date -u +%FT%TZ)" \
	--arg kernel "$(uname -r)" --arg cpu "$(sed -n 's/^model name\s*: //p;T;q' /proc/cpuinfo)" \
	--argjson cpus "$(nproc)" --argjson load "$load" --argjson rounds "$BENCH_ROUNDS" \
	--argjson seconds "$BENCH_SECONDS" --arg failed "${failed[*]}" \
	'{$date, $kernel, $cpu, $cpus, load_before: $load, $rounds, seconds_each: $seconds,
	  failed: ($failed | split(" ")), results: .}' >"$out/results.json"
jq -r '"\(.cpus) x \(.cpu), Linux \(.kernel), load \(.load_before) before, \(.rounds) rounds"' \
	"$out/results.json"
jq .results "$out/results.json" | jq -r -f "$here/table.jq" | column -t -s "$(printf '\t')"
echo "$out/results.json"
"$here/plot.sh" "$out/results.json"
if ((${#failed[@]})); then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
