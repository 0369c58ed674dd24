# SPDX-License-Identifier: BSD-2-Clause
# report.jq - samples and goals (slurped JSON lines) -> one result per metric: medians, ranges, goal

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# Two variants compared round by round: the machine drifts more between rounds than within one.
def paired($a; $b): [$a.samples, $b.samples] | transpose
	| map(select(.[0] != null and (.[1] // 0) > 0) | .[0] / .[1])
	| if length > 0 then median else null end;

# The figure a goal is about: a median, or the ratio of two.
def goal_value($variants):
	(if $variants[.variant] then $variants[.variant].median else null end) as $value
	| if .reference == null then $value
	  elif $value == null or ($variants[.reference].median // 0) == 0 then null
	  else paired($variants[.variant]; $variants[.reference]) end;

def judge($variants):
	goal_value($variants) as $value
	| . + {value: $value,
	       met: (if $value == null then null
		     elif .op == "<=" then $value <= .limit
		     else $value >= .limit end)};

def result($goals):
	(reduce .[] as $s ({}; .[$s.variant] += [$s.value])
	 | map_values({median: median, min: min, max: max, samples: .})
	 | . as $all | map_values(. as $one | .weft_ratio = (
		if $all.weft and $one.median > 0 then paired($all.weft; $one) else null end))) as $variants
	| {bench: .[0].bench, metric: .[0].metric, unit: .[0].unit, variants: $variants,
	   ratio: (if ($variants.bridge.median // 0) > 0 and $variants.weft
		   then paired($variants.weft; $variants.bridge) else null end),
	   goal: ([$goals[] | .goal | judge($variants)] | first // null)};

# Metrics in the order in which they were measured.
. as $all
| [.[] | select(has("goal"))] as $goals
| [.[] | select(has("value"))]
| (map([.bench, .metric]) | reduce .[] as $id ([]; if any(.[]; . == $id) then . else . + [$id] end))
  as $order
| [$order[] as $id | map(select([.bench, .metric] == $id))
   | result([$goals[] | select([.bench, .metric] == $id)])]
