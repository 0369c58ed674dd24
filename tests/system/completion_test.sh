#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bash completion of weftctl: words come from a live weftd, with and without the bash-completion package.
set -euo pipefail
ENGINE=sim
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

host_new a
host_start a
ctl a network add blue
ctl a network add blank
ctl a network add red
ctl a service add web vip 10.1.0.100 port 80 proto tcp network blue mode nat
WEFT_SOCKET=$WORK/a/run/weftd.sock
export WEFT_SOCKET
PATH=$(realpath "$BUILD"):$PATH

# What bash would offer for this line, sorted; the cursor is at its end.
offered() {
	COMP_LINE=$1
	COMP_POINT=${#1}
	# Words as readline breaks them: ':' is a word of its own.
	mapfile -t COMP_WORDS < <(sed 's/:/\n:\n/g; s/  */\n/g' <<<"$1")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_weftctl
	printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
}
offers() { # offers LINE WANTED
	equal "$2" "$(offered "$1")" "completion of '$1'"
}

both() {
	offers 'weftctl netw' network
	offers 'weftctl network ' 'add del set show'
	offers 'weftctl network set bl' 'blank blue'
	offers 'weftctl -j network set r' red
	offers "weftctl -s $WEFT_SOCKET network set r" red
	offers 'weftctl -s /no/such network set r' ''
	offers 'weftctl port add x type t' tap
	offers 'weftctl service set web on-empty ' 'drop keep reject'
	offers 'weftctl service set web dead re' reset
	offers 'weftctl --t' --timeout
	offers "weftctl -s $WORK/a/lo" "$WORK/a/log"
	offers "weftctl apply $WORK/a/lo" "$WORK/a/log"
	offers 'weftctl nothing ' ''
}

# shellcheck source=ctl/weftctl.bash
. ctl/weftctl.bash
both
set +eu # the package is not written for them
. /usr/share/bash-completion/bash_completion
set -e
both
offers 'weftctl port add x trunk blue:10,r' '10,red' # bash has taken what stands before the ':'
echo "completion works"
