# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What weft says of its hops, beside what two guests wrote down themselves, on top of lib.sh or lab.sh.
#
#   times_start A-TAP B-TAP OPTIONS..   taptimes with TAP@HOST: its frames get through
#   trace_start HOST...                 the hosts' traces, as one; packets are being traced (FILTER: these)
#   times_end                           frames go, all that was seen of them is here
#   beside FROM POINTS...               the two, side by side: $WORK/rows, see below
#   exact POINTS...                     what must hold of every row
#   beside_captured FILE                also what libpcap saw (taptimes --captured FILE)
#   captured                            what must hold of that
#
# A row: number, write() begins, ends, read() begins, ends, P0 ... P6, in ns; 0: not seen. After `beside_captured`: when it left
# A's tap and went to B's.
declare -A COLUMN=([writes]=2 [reads]=4 [P0]=6 [P1]=7 [P2]=8 [P3]=9 [P4]=10 [P5]=11 [P6]=12 [leaves]=13 [passes]=14)
# shellcheck disable=SC2034 # of lib.sh
NICE=(nice -n -15) # a weftd that waits for a busy core for a second loses postcards
NEAR=20000 # ns between what two observers say of one moment

[ -x "$BUILD/tests/taptimes" ] || die "no $BUILD/tests/taptimes: run make tests"

tap_at() { echo "${1%@*}@$(netns "${1#*@}")"; }

times_start() {
	rm -f "$WORK/ready"
	nice -n -15 "$BUILD/tests/taptimes" --a "$(tap_at "$1")" --b "$(tap_at "$2")" --ready "$WORK/ready" "${@:3}" \
		>"$WORK/times" 2>"$WORK/times-said" &
	TIMES=$!
	helper "$TIMES"
	wait_for 20 times_ready
}

times_ready() {
	[ -e "/proc/$TIMES" ] || die "taptimes: $(cat "$WORK/times-said")"
	[ -e "$WORK/ready" ]
}

sockets_of() { # the words by which weftctl reaches these hosts
	local host
	for host in "$@"; do echo "-s $(socket_of "$host")"; done
}

trace_start() {
	: >"$WORK/trace"
	# shellcheck disable=SC2046 # words
	nice -n -15 "$BUILD/weftctl" $(sockets_of "$@") -j trace ${FILTER:+"$FILTER"} >"$WORK/trace" 2>"$WORK/trace-said" &
	TRACE=$!
	helper "$TRACE"
	wait_for 10 trace_sees "$@"
}

trace_sees() { # all hosts
	local host
	[ -e "/proc/$TRACE" ] || die "trace: $(cat "$WORK/trace-said")"
	[ $# -gt 1 ] || { grep -q '"point"' "$WORK/trace" && return; }
	for host in "$@"; do grep -q "\"host\":\"$host\"" "$WORK/trace" || return; done
}

seen_all() { # the trace has come to where the last frame was taken, or says no more: then that is missing
	local last
	last=$(awk -v near="$NEAR" '{ printf "%.0f\n", $(NF - 1) - near }' "$WORK/times" | sort -n | tail -n 1)
	tail -n 50 "$WORK/trace" | jq -e -n --argjson last "$last" \
		'[inputs | select(.point == "P6").time_ns] | max >= $last' >/dev/null && return
	[ $(($(date +%s) - $(stat -c %Y "$WORK/trace"))) -gt 2 ]
}

times_end() {
	kill -USR1 "$TIMES"
	wait "$TIMES" || die "taptimes: $(cat "$WORK/times-said"); $(awk '!$5' "$WORK/times" | wc -l) frames did not come"
	wait_for 10 seen_all
	kill -TERM "$TRACE"
	wait "$TRACE" || true
	! grep -q . "$WORK/trace-said" || die "trace: $(cat "$WORK/trace-said")"
}

# One line per packet that left the port FROM, by time; then those of the frames that were written meanwhile.
beside() {
	jq -r 'select(.point) | [.packet, .point, .time_ns, .port // .peer] | @tsv' "$WORK/trace" |
		awk -v from="$1" '
			$2 == "P0" && $4 == from { mine[$1] = 1 }
			!(($1, $2) in at) { at[$1, $2] = $3 }
			END {
				for (id in mine) {
					for (i = 0; i < 7; i++) printf "%.0f ", at[id, "P" i]
					print id
				}
			}' | sort -n >"$WORK/points"
	awk -v points="$WORK/points" -v near="$NEAR" -v back="${2:-0}" '
		function next_point() { there = (getline line <points) > 0; if (there) split(line, p, " ") }
		BEGIN { next_point() }
		{
			while (there && p[1] < $(2 + back) - near) next_point()
			mine = there && p[1] <= $(3 + back) + near
			printf "%d", $1
			for (i = 2; i <= 5; i++) printf " %.0f", $(i + back)
			for (i = 1; i <= 7; i++) printf " %.0f", mine ? p[i] : 0
			print ""
			if (mine) next_point()
		}' "$WORK/times" >"$WORK/rows"
}

exact() { # what is missing, out of order, or not between what the guests say
	local names="$*" columns=() point
	for point in "$@"; do columns+=("${COLUMN[$point]}"); done
	awk -v columns="${columns[*]}" -v near="$NEAR" -v names="$names" '
		BEGIN { n = split(columns, c, " ") }
		{
			whole = 1
			for (i = 1; i <= n; i++) whole = whole && $c[i]
			if (!whole) { missing++; if (missing < 4) print "not whole: " $0; next }
			for (i = 2; i <= n; i++)
				if ($c[i] < $c[i - 1]) { wrong++; print "out of order: " $0 }
			if (c[n] == 12 && ($12 < $4 - near || $12 > $5 + near)) { wrong++; print "P6 is elsewhere: " $0 }
		}
		END {
			printf "%d frames, %d without every one of %s\n", NR, missing, names
			exit wrong || NR == 0 || (missing > 1 && missing * 1000 > NR) # of a few hundred one is not 0.1 %
		}' "$WORK/rows" >"$WORK/exact" || die "$(head -n 20 "$WORK/exact"; tail -n 1 "$WORK/exact"; told)"
	told
	tail -n 1 "$WORK/exact"
}

told() { # all that the trace says of the first frame that is not whole: its verdicts say whether P6 was to be expected
	local packet
	packet=$(awk 'NR == FNR { if (/^not whole/ && !in_ns) in_ns = $8; next } $1 == in_ns { print $8 }' \
		"$WORK/exact" "$WORK/points")
	[ -z "$packet" ] || jq -c --arg packet "$packet" \
		'select(.packet == $packet) | [.host, .point, .time_ns, .verdict, .path]' "$WORK/trace"
}

round_trips() { # round_trips B-PORT: after `beside` of A's port and taptimes --echo; what the client saw is the way there, the
	# other guest's time, and the way back. From its call of write() to that of read(): what the calls take is not on the way.
	cp "$WORK/rows" "$WORK/rows-there"
	beside "$1" 4
	paste -d ' ' "$WORK/times" "$WORK/rows-there" "$WORK/rows" | tr '\t' ' ' >"$WORK/both"
	# times: 1 to 9; the way there: 10 to 21, its points from 15; back: 22 to 33, its points from 27
	near "$(awk '$9 { printf "%.0f\n", $8 - $2 }' "$WORK/both" | median)" \
		"$(awk '$15 && $21 && $27 && $33 {
			way = $21 - $15; guest = $27 - $21; back = $33 - $27
			printf "%.0f\n", way + guest + back
		}' "$WORK/both" | median)" "round trips"
}

beside_captured() { # beside_captured FILE
	awk 'NR == FNR { seen[$1] = $2 " " $3; next } { print $0, seen[$1] }' "$1" "$WORK/rows" >"$WORK/rows-captured"
	mv "$WORK/rows-captured" "$WORK/rows"
}

captured() { # libpcap saw frames leave the guest at P0, and pass on between P5 and P6
	awk -v near="$NEAR" '
		{
			off = $6 - $13
			if (off < -near || off > near || $14 < $11 - near || $14 > $12 + near)
				if (elsewhere++ < 4) print "captured elsewhere: " $0
		}
		END { printf "%d frames, %d captured elsewhere\n", NR, elsewhere; exit NR == 0 || elsewhere * 100 > NR }
	' "$WORK/rows" >"$WORK/exact" || die "$(cat "$WORK/exact")"
	tail -n 1 "$WORK/exact"
	near "$NEAR" $((NEAR + $(hop leaves P0))) "libpcap and P0"
}

hop() { # hop FROM TO [PARITY]: the median, of all rows, or of the odd (1) or even (0) ones
	awk -v from="${COLUMN[$1]}" -v to="${COLUMN[$2]}" -v parity="${3:-any}" '
		$from && $to && (parity == "any" || $1 % 2 == parity) { printf "%.0f\n", $to - $from }' "$WORK/rows" |
		median
}

median() { sort -n | awk '{ at[NR] = $1 } END { printf "%.0f\n", at[int((NR + 1) / 2)] }'; }

near() { # near WANTED GOT WHAT: within 5 %, or 5 us
	awk -v wanted="$1" -v got="$2" '
		BEGIN { off = got - wanted; off = off < 0 ? -off : off; exit !(off <= 5000 || off <= wanted / 20) }' ||
		die "$3: wanted $1 ns, got $2 ns"
	echo "$3: $1 ns, weft says $2 ns"
}
