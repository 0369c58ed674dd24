# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Machines that serve and clients that ask, on top of lib.sh and traffic.sh.
[ -x "$TOOLS/serve" ] || die "no $TOOLS/serve: run make tests"

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
