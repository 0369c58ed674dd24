#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The socket: what it answers, what it refuses, and who cannot disturb it; and what keeps weftd from starting.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

host_new a
host_start a
SOCKET=$WORK/a/run/weftd.sock
ctl a network add blue
ctl a port add v1 type tap network blue
IDLE_SECONDS=30 # after which weftd hangs up

http() { # http STATUS JQ-FILTER WANTED CURL-OPTIONS...
	local got
	got=$(curl -s --max-time 20 -o "$WORK/body" -w '%{http_code}' --unix-socket "$SOCKET" "${@:4}") ||
		die "no answer to: ${*:4}"
	equal "$1" "$got" "HTTP status of: ${*:4}"
	[ -z "$2" ] || equal "$3" "$(jq -c -r "$2" "$WORK/body")" "$2 of: ${*:4}"
}
run() { # run STATUS JQ-FILTER WANTED BODY
	http "$1" "$2" "$3" --data-binary "$4" http://weftd/v1/run
}
rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/${HOST_PID[a]}/status"; }
serves() { # at once, whatever the others do
	"$BUILD/weftctl" -s "$SOCKET" --timeout 2 network show blue >/dev/null || die "weftd does not answer $1"
}
connections() { find "/proc/${HOST_PID[a]}/fd" -lname 'socket:*' | wc -l; }
equal 600 "$(stat -c %a "$SOCKET")" "mode of the socket"

# --- clients that say nothing, or half of it, are heard out to the end of their time
open_at=$SECONDS
alone=$(connections)
i=0
for part in 'POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"words' 'GET /v1/po' ''; do
	i=$((i + 1))
	printf '%b' "$part" >"$WORK/part-$i"
	tail -n +1 -f --pid=$$ "$WORK/part-$i" 2>/dev/null |
		curl -s -N --max-time 100 --unix-socket "$SOCKET" telnet://weftd >/dev/null 2>&1 &
	HELPERS+=($!)
done
heard_out() { [ "$(connections)" -ge $((alone + 3)) ]; }
wait_for 10 heard_out

# --- the good answers
http 200 'map(select(.object == "port" and .verb == "add")) | length' 1 http://weftd/v1/commands
http 200 'map(.object) | unique' '["port"]' http://weftd/v1/commands/port
http 200 '.[0] | [.name, .type, .network, .state]' '["v1","tap","blue","waiting"]' http://weftd/v1/port
cp "$WORK/body" "$WORK/port"
http 200 '' '' http://weftd/v1/port/v1
cmp "$WORK/port" "$WORK/body" || die "GET /v1/port/v1 is not GET /v1/port with one port"
equal "$(jq -S . "$WORK/port")" "$(ctl a -j port show | jq -S .)" "weftctl -j port show"
http 200 'map(.name)' '["blue"]' http://weftd/v1/network
run 200 '[.exit, .result[0].name]' '[0,"v1"]' '{"words": ["port", "show"], "json": true}'
run 200 '[.exit, (.text | startswith("NAME"))]' '[0,true]' '{"words": ["port", "show"]}'
run 200 .exit 0 '{"words": ["network", "add", "red", "vni", "7"]}'
run 409 '[.exit, .error.code]' '[1,"exists"]' '{"words": ["network", "add", "red"]}'
http 200 '.words | index("add") != null' true -d '{"words": ["port", "ad"]}' http://weftd/v1/complete
expect a 7 '.[0].vni' network show red

http 200 '' '' http://weftd/metrics
number='-?[0-9]+(\.[0-9]+)?'
label='[a-z_]+="[^"\\]*"'
bad=$(grep -vE "^(# (TYPE|HELP|UNIT) [a-z_]+ .+|# EOF|[a-z_]+(\{$label(,$label)*\})? $number)\$" "$WORK/body" || true)
equal '' "$bad" "lines of /metrics"
equal '# EOF' "$(tail -n 1 "$WORK/body")" "last line of /metrics"
grep -q '^weft_port_up{port="v1"} 0$' "$WORK/body" || die "/metrics lacks the port"
equal "$(grep -c '^# TYPE' "$WORK/body")" "$(grep '^# TYPE' "$WORK/body" | sort -u | wc -l)" "families of /metrics"

# --- refusals
http 404 '[.exit, .error.code]' '[1,"not_found"]' http://weftd/v1/port/nobody
http 404 .error.code bad_words http://weftd/v1/nothing
http 404 .error.code bad_request http://weftd/v2
http 404 .error.code bad_request http://weftd/
http 404 .error.code bad_request -d '{}' http://weftd/v1/port
http 405 .error.code bad_request http://weftd/v1/run
http 501 '' '' -X PUT -d '{}' http://weftd/v1/run
http 404 '' '' --path-as-is 'http://weftd/v1/port/..%2f..%00%ff'
http 400 '' '' -H "X-Long: $(printf 'x%.0s' {1..20000})" http://weftd/v1/port
for body in '' '{' '[]' '"words"' 'words' '{"words": ["port"], "words": []}' $'{"words": ["\xff"]}' '{"words": ["\u0000"]}'; do
	run 400 '[.exit, .error.code]' '[2,"bad_request"]' "$body"
done
for body in '{}' '{"words": 5}' '{"words": []}' '{"words": [1]}' '{"words": ["port", "show", null]}'; do
	run 400 '[.exit, .error.code]' '[2,"bad_words"]' "$body"
done
head -c 1000000 /dev/zero | tr '\0' '[' >"$WORK/deep"
http 400 .error.code bad_request --data-binary "@$WORK/deep" http://weftd/v1/run
jq -n -c '{words: [range(2000) | "x"]}' >"$WORK/many"
http 400 .error.code bad_words --data-binary "@$WORK/many" http://weftd/v1/run
jq -n -c '{words: ["port", "show", ("x" * 1000000)]}' >"$WORK/long"
http 400 .exit 2 --data-binary "@$WORK/long" http://weftd/v1/run
serves "after refusals"

# --- words, exit codes, and where errors are said
says() { # says EXIT TEXT WORDS...
	local got=0
	"$BUILD/weftctl" -s "$SOCKET" "${@:3}" >"$WORK/out" 2>"$WORK/err" || got=$?
	equal "$1" "$got" "exit status of: ${*:3}"
	equal '' "$(cat "$WORK/out")" "stdout of: ${*:3}"
	grep -qF -- "$2" "$WORK/err" || die "'${*:3}' says '$(cat "$WORK/err")', not '$2'"
}
ctl a port show v1 >/dev/null || die "exit status of port show: $?"
says 1 'network blue exists already' network add blue
says 1 'did you mean v1?' port show v2
says 2 "did you mean 'port'?" prot show
says 2 "did you mean 'show'?" port shwo
says 2 "did you mean 'type'?" port add x tpye tap
says 2 'is not one of tap|device' port add x type tpa
says 2 'no command'
says 2 '' --no-such-option
for words in 'network add blue:1:exists' 'prot show:2:bad_words' 'port show v2:1:not_found'; do
	IFS=: read -r words status code <<<"$words"
	# shellcheck disable=SC2086
	says "$status" '"error"' -j $words
	equal "[[\"error\"],[\"code\",\"hint\",\"message\"],\"$code\"]" \
		"$(jq -c '[keys, (.error | keys), .error.code]' "$WORK/err")" "error object of: $words"
done
kill -STOP "${HOST_PID[a]}"
says 4 'did not answer within 1 seconds' --timeout 1 host show
kill -CONT "${HOST_PID[a]}"
SOCKET=$WORK/nothing says 3 'there is no socket' host show
SOCKET=$WORK/nothing says 3 '"no_daemon"' -j host show
[ -S "$SOCKET" ] || die "the socket is gone"

# --- clients that misbehave, many at once, three times: weftd serves the others and does not grow
raw() { # raw: standard input as it is
	curl -s --max-time 5 --unix-socket "$SOCKET" telnet://weftd >/dev/null 2>&1 || true
}
flood() {
	local i waiting=() urls=()
	for i in {1..40}; do
		head -c 100000 /dev/urandom | raw &
		waiting+=($!)
		printf 'POST /v1/run HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n' | raw &
		waiting+=($!)
		printf 'GET http://\0\xff/ HTTP/9.9\r\n: \r\n\r\n' | raw &
		waiting+=($!)
		{ printf '{"words": [' && sleep 1; } | curl -s --max-time 1 --unix-socket "$SOCKET" -T - -X POST \
			http://weftd/v1/run >/dev/null &
		waiting+=($!)
	done
	for i in 1 2; do # more than one request may have
		head -c 20000000 /dev/zero | curl -s --unix-socket "$SOCKET" -T - -X POST http://weftd/v1/run >/dev/null &
		waiting+=($!)
		http 413 '' '' --data-binary "@$WORK/large" http://weftd/v1/run
	done
	for i in {1..200}; do urls+=(-o /dev/null http://weftd/v1/commands); done
	curl -s --parallel --parallel-immediate --parallel-max 200 --unix-socket "$SOCKET" -w '%{http_code}\n' \
		"${urls[@]}" 2>/dev/null >"$WORK/codes"
	equal 200 "$(grep -c '^200$' "$WORK/codes")" "answers to 200 connections"
	serves "beside the flood"
	wait "${waiting[@]}" || true
}
head -c 20000000 /dev/zero >"$WORK/large"
small() { [ "$(rss_kib)" -lt 32768 ]; }
for i in 1 2 3; do
	flood
	serves "after flood $i"
	wait_for 10 small # what it held for clients that are gone goes back to the host
done
idle=()
mkfifo "$WORK/silence"
for _ in {1..200}; do
	curl -s --max-time 100 --unix-socket "$SOCKET" telnet://weftd <>"$WORK/silence" >/dev/null 2>&1 &
	HELPERS+=($!)
	idle+=($!)
done
many() { [ "$(connections)" -gt 200 ]; }
wait_for 10 many
serves "beside 200 idle connections"
kill "${idle[@]}"

# --- what keeps weftd from starting: a sentence, and nothing made
host_new b
mkdir "$WORK/b/plain"
B=("$BUILD/weftd" --name b --engine ebpf --state-dir "$WORK/b/state" --run-dir "$WORK/b/run"
	--bpf-dir "$WORK/b/bpf")
INSIDE=(nsenter "--net=/run/netns/$(netns b)")
made() { # all there is of b, but for the lock files and an empty state file
	find "$WORK/b" -not -name '*.debug' -not -name 'weft.db*' -not -name weftd.lock | sort
	"${INSIDE[@]}" ip -o link | cut -d: -f2
}
refuses() { # refuses PATTERN WEFTD-OPTIONS...: b does not start, says why, and leaves nothing
	local status=0 before
	before=$(made)
	timeout 20 "${INSIDE[@]}" "${B[@]}" "${@:2}" >"$WORK/out" 2>"$WORK/err" || status=$?
	equal 1 "$status" "exit status of a weftd that must say: $1"
	equal 1 "$(grep -c '^weftd: ' "$WORK/err")" "sentences of: $(cat "$WORK/err")"
	grep '^weftd: ' "$WORK/err" | grep -qE -- "$1" || die "weftd says '$(cat "$WORK/err")', not '$1'"
	equal "$before" "$(made)" "what there is after: $1"
}
# where pins would not last
refuses 'not on a BPF filesystem: mount one' --bpf-dir "$WORK/b/plain"
refuses 'absolute|not on a BPF filesystem' --bpf-dir /proc/self/nothing
INSIDE=(ip netns exec "$(netns b)")
refuses 'nsenter --net=/run/netns/NAME' --bpf-dir /sys/fs/bpf
# shellcheck disable=SC2016
INSIDE=(unshare --mount --propagation private nsenter "--net=/run/netns/$(netns b)"
	sh -c 'mount -t bpf bpf "$0" && exec "$@"' "$WORK/b/plain")
refuses 'private mount namespace.*nsenter' --bpf-dir "$WORK/b/plain"
INSIDE=(nsenter "--net=/run/netns/$(netns b)")

# directories and sockets that are somebody's
refuses "another weftd \(pid ${HOST_PID[a]}\) holds the run directory" --run-dir "$WORK/a/run"
refuses "another weftd \(pid ${HOST_PID[a]}\) holds the state directory" --state-dir "$WORK/a/state"
serves "after another weftd wanted its directories"
mkdir "$WORK/c"
"$BUILD/weftd" --name c --engine sim --state-dir "$WORK/c" --run-dir "$WORK/b/run/c" >"$WORK/c/log" 2>&1 &
OTHER=$!
helper $OTHER
wait_for 10 test -S "$WORK/b/run/c/weftd.sock"
mv "$WORK/b/run/c/weftd.sock" "$WORK/b/run/weftd.sock"
refuses 'another program serves the socket'
kill $OTHER
wait $OTHER || die "weftd c: $(cat "$WORK/c/log")"
rm -r "$WORK/b/run/c" "$WORK/b/run/weftd.sock"
touch "$WORK/b/run/weftd.sock"
refuses 'weftd.sock exists and is no socket'
rm "$WORK/b/run/weftd.sock"
touch "$WORK/b/file"
refuses 'cannot make the run directory' --run-dir "$WORK/b/file"
refuses 'cannot make the state directory' --state-dir "$WORK/b/file/state"

# settings
refuses "cannot read $WORK/nothing" --config "$WORK/nothing"
echo 'capacty: {fdb: 64}' >"$WORK/config"
refuses "did you mean 'capacity'" --config "$WORK/config"
echo 'capacity: {fdb: none}' >"$WORK/config"
refuses 'capacity of table fdb must be a number' --config "$WORK/config"
refuses 'there is no engine' --engine pigeon
refuses 'log level' --log-level loud

# a state file that is damaged, somebody's, or too new; it stays as it is
INSIDE=(nsenter "--net=/run/netns/$(netns b)")
host_start b
ctl b network add blue
ctl b port add v9 type tap network blue
host_kill b
host_start b
host_stop b
good=$WORK/b/plain/good
cp "$WORK/b/state/weft.db" "$good"
[ ! -e "$WORK/b/state/weft.db-wal" ] || die "weftd left its log"
refuses_state() { # refuses_state PATTERN
	sha256sum "$WORK/b/state/weft.db" >"$WORK/sum"
	refuses "$1.*$2"
	sha256sum --quiet -c "$WORK/sum" || die "the state file was changed after: $1"
}
head -c 30000 /dev/urandom >"$WORK/b/state/weft.db"
refuses_state 'weft.db is damaged: file is not a database' 'put a copy of it back'
head -c 3000 "$good" >"$WORK/b/state/weft.db"
refuses_state 'weft.db is damaged' 'put a copy of it back'
cp "$good" "$WORK/b/state/weft.db"
printf 'spoilt' | dd of="$WORK/b/state/weft.db" bs=1 seek=4096 conv=notrunc status=none
refuses_state 'weft.db is damaged' 'put a copy of it back'
cp "$good" "$WORK/b/state/weft.db" # SQLite's header: 60 the version, 68 whose file it is
printf '\0\0\3\347' | dd of="$WORK/b/state/weft.db" bs=1 seek=60 conv=notrunc status=none
refuses_state 'made by a newer weft \(its version is 999' 'upgrade weft'
cp "$good" "$WORK/b/state/weft.db"
printf 'ABCD' | dd of="$WORK/b/state/weft.db" bs=1 seek=68 conv=notrunc status=none
refuses_state 'not one of weft' 'put a copy of it back'
sed 's/{"name":"v9"/?"name":"v9"/' "$good" >"$WORK/b/state/weft.db" # an object, no JSON any more
refuses_state 'holds a port v9 that weftd cannot read' 'put a copy of it back'

# without its state, weftd b is another weftd: what it had made is not taken over
rm "$WORK"/b/state/weft.db*
host_start b
equal '[]' "$(json b . port show)" "ports of a weftd whose state was moved away"
ctl b network add blue
refused b 1 'belongs to port v9 of another weftd' port add v9 type tap network blue
host_stop b
cp "$good" "$WORK/b/state/weft.db"
host_start b
expect b '["v9","waiting"]' '.[0] | [.name, .state]' port show
host_stop b

# --- the clients that said half of it have been hung up on; weftd is as it was
hung_up() { [ "$(connections)" = "$alone" ]; }
wait_for $((open_at + IDLE_SECONDS + 15 - SECONDS)) hung_up
serves "at the end"
expect a '["v1"]' 'map(.name)' port show
