# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Machines that serve and clients that ask, on top of lib.sh and traffic.sh.
[ -x "$TOOLS/serve" ] || die "no $TOOLS/serve: run make tests"

machines() { # machines COUNT: g1 .. on host a, in its network blue, with its gateways as their way out
	local i
	for ((i = 1; i <= $1; i++)); do
		guest_new "g$i"
		guest_veth a "g$i" "v$i" "10.1.0.1$i/24"
		six "g$i" "fd00::1$i"
		ctl a port add "g$i" type device dev "v$i" network blue
		on "g$i" ip route add default via 10.1.0.254
		on "g$i" ip route add default via fd00::254
	done
}

declare -A SERVER=()
server() { # server GUEST OPTIONS...: who answers on port 8080, in place of the one before
	[ -z "${SERVER[$1]:-}" ] || server_stop "$1"
	rm -f "$WORK/serves-$1"
	"$TOOLS/serve" answer --netns "$(netns "$1")" --name "$1" --port 8080 "${@:2}" -- touch "$WORK/serves-$1" &
	SERVER[$1]=$!
	helper $!
	wait_for 5 test -e "$WORK/serves-$1"
}

server_stop() {
	kill -9 "${SERVER[$1]}"
	wait "${SERVER[$1]}" 2>/dev/null || true
	unset "SERVER[$1]"
}

ask() { # ask GUEST ADDRESS COUNT OPTIONS...
	"$TOOLS/serve" ask --netns "$(netns "$1")" --to "$2" --count "$3" "${@:4}" || true
}
answered() { # answered WHO GUEST ADDRESS OPTIONS...: these, and only these, answer; every request is
	local got
	got=$(ask "$2" "$3" 40 "${@:4}")
	equal "$1 failed" "$(jq -r '[keys[] | select(. != "failed")] + ["failed"] | join(", ") | sub(", failed"; " failed")' <<<"$got")" "who answers $2 at $3: $got"
	equal '[40,0]' "$(jq -c '[add, .failed]' <<<"$got")" "answers, failures of $2 at $3"
}
