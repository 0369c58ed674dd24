# SPDX-License-Identifier: BSD-2-Clause
# table.jq - results -> rows for column(1), fields separated by tabs

def digits: if . == null then "-" elif . >= 100 then round
	elif . >= 10 then . * 10 | round / 10 else . * 100 | round / 100 end | tostring;

def goal: if .goal == null then "-\t-" else .goal
	| "\(.variant)\(if .reference then "/" + .reference else "" end) \(.op) \(.limit)\t"
	  + (if .met == null then "not measured" elif .met then "met" else "MISSED" end)
	  + (if .value == null then "" else " (\(.value | digits))" end) end;

"BENCH\tMETRIC\tUNIT\tVARIANT\tMEDIAN\tMIN..MAX\tWEFT/IT\tGOAL\tRESULT",
(.[] | . as $r | .variants | to_entries | to_entries[] | .key as $i | .value
 | [(if $i == 0 then $r.bench, $r.metric, $r.unit else "", "", "" end), .key,
    (.value.median | digits), "\(.value.min | digits)..\(.value.max | digits)",
    (.value.weft_ratio | digits), (if $i == 0 then ($r | goal) else "", "" end)] | join("\t"))
