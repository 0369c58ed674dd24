#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Answers in lines, by `watch`: weftctl and curl as clients, of one host and of two; clients that hang up, are
# killed, or read nothing; more of them than may be; and a weftd that stops.
set -euo pipefail
ENGINE=sim
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

host_new a
host_start a
host_new b
host_start b
A=$WORK/a/run/weftd.sock
B=$WORK/b/run/weftd.sock
LIMIT=64
# So a process in the background is weftctl or curl itself, and answers to signals.
watch() { exec timeout --foreground 60 "$BUILD/weftctl" "$@"; }
run_curl() { # run_curl BODY CURL-OPTIONS...
	exec curl -s -N --max-time 60 --unix-socket "$A" --data-binary "$1" "${@:2}" http://weftd/v1/run
}
fds() { find "/proc/${HOST_PID[a]}/fd" | wc -l; }
has() { grep -q -- "$1" "$2"; }
ended() { # ended STATUS PID
	local got=0
	wait "$2" || got=$?
	equal "$1" "$got" "exit status of a stream"
}
streams() { grep -l . "$WORK"/many-*.head 2>/dev/null | wc -l; }

# --- a stream may be silent for longer than weftd waits for a client that is to say something
(watch -s "$B" watch peer interval 32s count 1) >"$WORK/silent" 2>&1 &
silent=$!

# --- one look after another, as text and as JSON
begun() { [ "$(fds)" -ge $((quiet + $1)) ]; }
quiet=$(fds)
(watch -s "$A" watch network count 3) >"$WORK/text" 2>&1 &
text=$!
(watch -s "$A" -j watch network count 3) >"$WORK/json" 2>&1 &
json=$!
(run_curl '{"words": ["watch", "network", "count", "3"], "json": true}' -D "$WORK/head") >"$WORK/curl" &
curl=$!
(run_curl '{"words": ["watch", "network", "count", "3"]}') >"$WORK/curl-text" &
curl_text=$!
(run_curl '{"words": ["watch", "network", "count", "3"]}' --http1.0) >"$WORK/curl-old" &
curl_old=$!
wait_for 10 begun 5
ctl a network add blue vni 5
all_have() { [ "$(grep -l -- "$1" "$WORK"/{text,json,curl,curl-text,curl-old} | wc -l)" = 5 ]; }
wait_for 5 all_have blue # at once, and not with the end
for pid in $text $json $curl $curl_text $curl_old; do
	kill -0 "$pid" 2>/dev/null || die "an answer ended before its third look"
done
ctl a network set blue ageing 10
wait_for 5 all_have 'ageing_seconds"*[: ]10'
ctl a network del blue
for pid in $text $json $curl $curl_text $curl_old; do ended 0 "$pid"; done
equal 3 "$(wc -l <"$WORK/text")" "lines of text: $(cat "$WORK/text")"
grep -qE '^[0-9:]{8} network blue new  vni 5 .* state up$' "$WORK/text" || die "text: $(cat "$WORK/text")"
grep -qE '^[0-9:]{8} network blue  ageing_seconds 10$' "$WORK/text" || die "text: $(cat "$WORK/text")"
grep -qE '^[0-9:]{8} network blue gone$' "$WORK/text" || die "text: $(cat "$WORK/text")"
equal '["network","blue","new"]["network","blue","changed"]["network","blue","gone"]' \
	"$(jq -c '[.object, .name, .event]' "$WORK/json" | tr -d '\n')" "objects of weftctl -j"
equal 10 "$(jq 'select(.event == "changed") | .ageing_seconds' "$WORK/json")" "what changed"
equal '[true,0,3,0]' "$(tail -n 1 "$WORK/curl" | jq -c '[.done, .exit, .lines, .dropped]')" "the last line"
equal "$(jq -c 'del(.time_ns)' "$WORK/json")" "$(head -n 3 "$WORK/curl" | jq -c 'del(.time_ns)')" "lines to curl"
for name in curl-text curl-old; do
	equal "$(cut -c 9- "$WORK/text")" "$(head -n 3 "$WORK/$name" | cut -c 9-)" "text of $name"
	equal true "$(tail -n 1 "$WORK/$name" | jq .done)" "last line of $name"
done
grep -qi '^content-type: application/x-ndjson' "$WORK/head" || die "head: $(cat "$WORK/head")"
grep -qi '^transfer-encoding: chunked' "$WORK/head" || die "head: $(cat "$WORK/head")"
grep -qi '^weft-host: a' "$WORK/head" || die "head: $(cat "$WORK/head")"

# --- refusals are whole answers, before any line
refused a 2 'one of host|network' watch nothing
refused a 2 'needs its what' watch
refused a 1 'no workers of its own' watch cpu
equal 409 "$(run_curl '{"words": ["watch", "cpu"]}' -o "$WORK/body" -w '%{http_code}')" "HTTP status of a refusal"
equal wrong_engine "$(jq -r .error.code "$WORK/body")" "code of a refusal"
equal 'true false' "$(curl -s --unix-socket "$A" http://weftd/v1/commands |
	jq -r '[(.[] | select(.object == "watch").stream), (.[] | select(.object == "log" and .verb == "set").stream)] |
		join(" ")')" "what /v1/commands says of streams"

# --- weftctl waits for lines as long as they take; --timeout is for those that do not answer
ctl a --timeout 1 watch network count 3 || die "a silent stream ended with $?"

# --- two hosts at the same time
(watch -s "$A" -s "$B" watch network count 3) >"$WORK/text" 2>&1 &
text=$!
(watch -s "$A" -s "$B" -j watch network count 3) >"$WORK/json" 2>&1 &
json=$!
sleep 0.5
ctl a network add green
ctl b network add red
ended 0 "$text"
ended 0 "$json"
equal 'a: network green new|b: network red new' \
	"$(sed -E 's/^(.: )[0-9:]{8} (network [a-z]+ new).*/\1\2/' "$WORK/text" | sort | paste -sd '|')" "text of two hosts"
equal '["host","a","green"]["host","b","red"]' \
	"$(jq -c '[keys_unsorted[0], .host, .name]' "$WORK/json" | sort | tr -d '\n')" "objects of two hosts"
many() { # many STATUS PATTERN WEFTCTL-OPTIONS...
	local got=0
	"$BUILD/weftctl" "${@:3}" >"$WORK/out" 2>&1 || got=$?
	equal "$1" "$got" "exit status of: ${*:3}"
	grep -qF -- "$2" "$WORK/out" || die "'${*:3}' says '$(cat "$WORK/out")', not '$2'"
}
many 2 'b: this command cannot be given to several hosts' -s "$A" -s "$B" network add both
equal 00 "$(json a 'map(select(.name == "both")) | length' network)$(json b 'map(select(.name == "both")) | length' network)" \
	"networks that no host may have made"
many 1 'b: the sim engine has no workers' -s "$A" -s "$B" watch cpu
many 4 "$WORK/none: no weftd answers" -s "$A" -s "$WORK/none" watch network count 1
many 4 "$WORK/none: no weftd answers" -s "$WORK/none" -s "$A" watch network count 1
many 3 "$WORK/none: no weftd answers" -s "$WORK/none" -s "$WORK/nobody" watch network count 1
many 1 '"host": "b"' -s "$A" -s "$B" -j watch cpu

# --- clients that go: Ctrl-C, kill -9, and a reader that has enough; nothing of them stays
back() { [ "$(fds)" -le "$quiet" ]; }
wait_for 10 back
set -m # a group of its own, as a shell at a terminal gives it
"$BUILD/weftctl" -s "$A" watch network >"$WORK/out" 2>&1 &
pid=$!
set +m
wait_for 5 begun 1
kill -INT -- -"$pid"
ended 130 "$pid"
equal '' "$(cat "$WORK/out")" "what weftctl says when it is interrupted"
wait_for 5 back
"$BUILD/weftctl" -s "$A" watch network >/dev/null 2>&1 &
pid=$!
wait_for 5 begun 1
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
wait_for 5 back
{ timeout 20 "$BUILD/weftctl" -s "$A" watch network || true; } | head -n 1 >"$WORK/out" &
pid=$!
wait_for 5 begun 1
ctl a network add one
ctl a network add two
sleep 1.2
ctl a network add three
wait "$pid"
wait_for 5 back

# --- more at once than are taken: those that are too many are told, the others go on, and weftd serves
pids=()
for i in {1..100}; do
	(run_curl '{"words": ["watch", "network", "interval", "1s"], "json": true}' -D "$WORK/many-$i.head") \
		>"$WORK/many-$i" &
	pids+=($!)
	helper $!
done
all_answered() { [ "$(streams)" = 100 ]; }
wait_for 30 all_answered
equal $((100 - LIMIT)) "$(grep -l '^HTTP/1.1 409' "$WORK"/many-*.head | wc -l)" "streams that are too many"
equal $LIMIT "$(grep -l '^HTTP/1.1 200' "$WORK"/many-*.head | wc -l)" "streams that are taken"
equal busy "$(cat "$WORK"/many-{?,??,???} | jq -r .error.code | sort -u)" "code of the refusals"
refused a 1 'under way, the most at once' watch network
ctl a network add busy
told() { [ "$(grep -l '"name":"busy"' "$WORK"/many-* | wc -l)" = $LIMIT ]; }
wait_for 5 told
running=" $(jobs -pr | paste -sd ' ') " # those that were refused have ended
{
	for pid in "${pids[@]}"; do [[ $running != *" $pid "* ]] || kill -9 "$pid"; done
	wait "${pids[@]}" || true
} 2>/dev/null
wait_for 10 back
ctl a watch network count 1 || die "no stream is taken after the others went: $?"

# --- a client that reads nothing: weftd drops lines and does not grow
rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/${HOST_PID[a]}/status"; }
{
	echo 'ports:'
	for i in {1..2500}; do echo "- {name: x$i, type: tap, dev: x$i, network: green}"; done
} >"$WORK/ports.yaml"
ctl a apply "$WORK/ports.yaml" >/dev/null
ctl a watch port count 1 >/dev/null # so its memory is no growth below
(run_curl '{"words": ["watch", "port", "count", "4"], "json": true}') >"$WORK/slow" &
pid=$!
helper $!
wait_for 5 begun 1
kill -STOP "$pid"
before=$(rss_kib)
for mac_limit in 11 12; do
	sed "s/}/, mac_limit: $mac_limit}/" "$WORK/ports.yaml" >"$WORK/changed.yaml"
	ctl a apply "$WORK/changed.yaml" >/dev/null
	ctl a watch network count 1 >/dev/null # it serves others meanwhile
done
ctl a watch network count 2
[ $(($(rss_kib) - before)) -lt 65536 ] || die "weftd grew by $(($(rss_kib) - before)) KiB for a client that reads nothing"
kill -CONT "$pid"
ended 0 "$pid"
equal '[true,4,"too_slow",true,5000]' "$(tail -n 1 "$WORK/slow" |
	jq -c '[.done, .exit, .error.code, .dropped > 0, .dropped + .lines]')" "last line after lines that were dropped"

ended 0 "$silent"

# --- weftd stops: each stream is told, and ends
stop=()
for host in b a; do
	(watch -s "$WORK/$host/run/weftd.sock" watch network) >"$WORK/stop-$host" 2>&1 &
	stop+=($!)
done
sleep 0.5
host_stop a
ctl b host stop
for pid in "${stop[@]}"; do ended 4 "$pid"; done
for host in a b; do has 'weftd was stopped before the end' "$WORK/stop-$host" || die "$host: $(cat "$WORK/stop-$host")"; done
wait "${HOST_PID[b]}" || die "weftd b ended with $?"
unset "HOST_PID[b]"

# --- weftd is killed: weftctl says so
host_start b
(watch -s "$B" watch network) >"$WORK/out" 2>&1 &
pid=$!
sleep 0.5
host_kill b
ended 3 "$pid"
has 'went away before the end' "$WORK/out" || die "weftctl says: $(cat "$WORK/out")"
echo "answers in lines work"
