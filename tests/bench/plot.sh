#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# plot.sh RESULTS.json - one panel per metric, bars with min..max, into results.svg and results.png
set -euo pipefail

results=$1
dir=$(dirname "$results")
# Only what compares something deserves a panel.
panels=$(jq -c '[.results[] | select((.variants | length) > 1
	and ([.variants[].median] | add) > 0)]' "$results")
count=$(jq length <<<"$panels")
rm -f "$dir/results.svg" "$dir/results.png"
((count > 0)) || exit 0
columns=$((count < 4 ? count : 4))
rows=$(((count + columns - 1) / columns))

draw() {
	echo "set terminal $1 size $((columns * 280)),$((rows * 240))"
	echo "set output '$2'"
	echo "set multiplot layout $rows,$columns"
	cat <<-'GP'
		set style fill solid 0.7
		set boxwidth 0.6
		set yrange [0:*]
		set xtics scale 0
		set ytics nomirror
		set border 3
		set grid ytics
		unset key
	GP
	jq -r '.[] | . as $r | (.variants | keys_unsorted) as $names
		| "set title \"\($r.bench): \($r.metric)\"",
		  "set ylabel \"\($r.unit)\"",
		  "set xtics \(if ($names | length) > 4 then "rotate by 25 right" else "norotate" end)",
		  "set xrange [-0.5:\(($names | length) - 0.5)]",
		  "$data << EOD",
		  ($names | to_entries[] | . as $n | $r.variants[$n.value]
		   | "\($n.key)\t\"\($n.value)\"\t\(.median)\t\(.min)\t\(.max)"),
		  "EOD",
		  "plot $data using 1:3:4:5:(0.6):($1 + 1):xtic(2) with boxerrorbars linecolor variable"' \
		<<<"$panels"
	echo 'unset multiplot'
}

draw "svg enhanced font 'sans,11'" "$dir/results.svg" | sed 's/_/\\\\_/g' | gnuplot
draw "pngcairo font 'sans,9'" "$dir/results.png" | sed 's/_/\\\\_/g' | gnuplot
echo "$dir/results.svg, $dir/results.png"
