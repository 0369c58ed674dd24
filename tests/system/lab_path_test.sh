#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Where the time of a request goes, over two hosts: a delay of the wire shows in the underlay and nowhere else, that of a
# service in the service, the steps add up to what the client sees, and weftctl alone says what weftlab says.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/lab.sh
. "$(dirname "$0")/lab.sh"

lab_file() { # lab_file NAME DELAY
	cat <<END
name: $1
topology:
  nodes:
$(lab_pair '[{name: blue, vni: 100, subnet: 10.1.0.0/24, gateway: 10.1.0.254}]')
    c1: {kind: client, host: h1, network: blue, mtu: 1450, addresses: [10.1.0.1/24, "fd00::1/64"]}
    c2: {kind: client, host: h2, network: blue, mtu: 1450, addresses: [10.1.0.2/24, "fd00::2/64"]}
  links:
    - {endpoints: ["h1:eth1", "h2:eth1"], delay: $2}
END
}

step() { # step WHERE WHAT [KEY]: in ns
	jq --arg where "$1" --arg what "$2" \
		"[.steps[] | select(.where == \$where and (.what | startswith(\$what))) | .${3:-p50_ns}][0] // empty" \
		"$WORK/path"
}
steps() { # their names
	jq -c '[.steps[] | .where + ": " + (.what | sub("encapsulate: .*"; "encapsulate"))]' "$WORK/path"
}
within() { # within WANTED_NS GOT_NS WHAT: 5 % or 5 us, whichever is larger
	awk -v w="$1" -v g="$2" 'BEGIN { d = w > g ? w - g : g - w; exit !(d <= w * .05 || d <= 5000) }' ||
		die "$3: wanted $1 ns, got $2 ns"
}

drawn() { # drawn SVG: well formed, and it names each step of $WORK/path, with its time
	xmllint --noout "$1" || die "no XML: $1"
	xmllint --xpath "//*[local-name()='text']" "$1" | sed 's/<[^>]*>/\n/g; s/&gt;/>/g' >"$WORK/texts"
	jq -r '.steps[] | .where + ": " + .what' "$WORK/path" | sort -u >"$WORK/named"
	grep -Fx -o -f "$WORK/named" "$WORK/texts" | sort -u | diff "$WORK/named" - || die "not in the picture"
	equal "$(jq '.steps | length' "$WORK/path")" "$(grep -c '%$' "$WORK/texts")" "parts in the picture"
}
node_netns() { echo "weft-$LAB-$1"; }
spawn_in() { # spawn_in NODE CMD...: ended with the test
	"$BUILD/weftlab" exec "$LAB:$1" "${@:2}" &
	HELPERS+=($!)
}

lab_own "path-$$"
lab_file "$LAB" 30ms >"$WORK/lab.yaml"
weftlab up "$WORK/lab.yaml"
for address in 10.1.0.2 fd00::2; do
	in_lab c1 ping -c 2 -i 0.05 $address >/dev/null || die "c1 does not reach c2 at $address"
done

weftlab path "$LAB:c1" 10.1.0.2 count 40 --plot "$WORK/way.svg" -j >"$WORK/path"
equal true "$(jq '.requests >= 38' "$WORK/path")" "requests of which the way is known: $(jq -c '[.requests, .seen_otherwise]' "$WORK/path")"
# every point, there and back
equal '["client and its wire","decide","encapsulate","underlay","decapsulate, decide","hand over to c2","guest and its queue","decide","encapsulate","underlay","decapsulate, decide","hand over to c1"]' \
	"$(jq -c '[.steps[].what | sub("encapsulate: .*"; "encapsulate")]' "$WORK/path")" "the steps"
# the wire's delay, each way, is the underlay's alone
for way in 'h1 > h2' 'h2 > h1'; do within 30000000 "$(step "$way" underlay)" "underlay $way"; done
equal true "$(jq '[.steps[] | select(.what != "underlay") | .p50_ns] | max < 5000000' "$WORK/path")" \
	"no other step has the delay: $(jq -c '[.steps[] | [.what, .p50_ns]]' "$WORK/path")"
# the steps add up to what the client saw
adds_up "the steps"
WAY=$(steps)
drawn "$WORK/way.svg"

# --- two hosts that are no lab's: the same steps; those of the packets alone, when nobody is asked to send any
SOCKETS=(-s "$(socket_of h1)" -s "$(socket_of h2)")
"$BUILD/weftctl" "${SOCKETS[@]}" -j path c1 fd00::2 measure 1s --plot "$WORK/way.svg" >"$WORK/measured" &
measuring=$!
HELPERS+=("$measuring")
"$BUILD/weftctl" "${SOCKETS[@]}" -j path c1 fd00::2 request 15 netns "$(node_netns c1)" >"$WORK/path"
equal "$WAY" "$(steps)" "the steps by weftctl"
equal '[15,"one",0]' "$(jq -c '[.requests, .clock, .clock_error_ns]' "$WORK/path")" "requests and clock"
equal c1 "$(jq -r '[.dry[], .client] | last' "$WORK/path")" "the client"
wait "$measuring" || die "measure: $(cat "$WORK/measured")"
cp "$WORK/measured" "$WORK/path"
equal "$(jq -c '.[1:]' <<<"$WAY")" "$(steps)" "the steps of the packets"
equal true "$(jq '.requests > 5 and (.dry | length) > 2' "$WORK/path")" "requests by chance: $(jq -c '[.requests, .dry]' "$WORK/path")"
drawn "$WORK/way.svg"

# who ends it early hears of what was sent until then, and nothing goes on
pings() { ip netns pids "$(node_netns c1)" | xargs -r ps -o comm= -p | grep -qx ping; }
no_pings() { ! pings; }
"$BUILD/weftctl" "${SOCKETS[@]}" path c1 10.1.0.2 request 2000 netns "$(node_netns c1)" >"$WORK/early" 2>&1 &
early=$!
HELPERS+=("$early")
wait_for 10 pings
in_lab c1 ping -c 5 -i 0.1 10.1.0.2 >/dev/null
kill -INT "$early"
wait "$early" || die "ended early: $(cat "$WORK/early")"
grep -q '^[1-9][0-9]* requests of' "$WORK/early" || die "ended early: $(cat "$WORK/early")"
wait_for 2 no_pings

# the hosts of a lab know each other's probes
"$BUILD/weftctl" "${SOCKETS[@]}" -j probe c1 c2 count 3 | tail -n 1 >"$WORK/probed"
equal '[3,0]' "$(jq -c '[.received, .lost]' "$WORK/probed")" "probes: $(cat "$WORK/probed")"

# --- HTTP: what curl says of each request, and a service that takes 100 ms
spawn_in c2 "$BUILD/tests/webserver" 80 100 >"$WORK/served"
served_median() { tail -n 5 "$WORK/served" | sort -n | sed -n 3p; } # what the service itself says of the last five
wait_for 5 in_lab c1 curl -s --max-time 1 -o /dev/null http://10.1.0.2/
printf '#!/bin/sh\nip netns exec %s "$@" | tee -a %s\n' "$(node_netns c1)" "$WORK/curl" >"$WORK/as-c1"
chmod +x "$WORK/as-c1"
"$BUILD/weftctl" "${SOCKETS[@]}" -j path 10.1.0.1 c2:80 request 5 with "$WORK/as-c1" --plot "$WORK/way.svg" >"$WORK/path"
equal "$(jq -c '[["10.1.0.1: client and its wire"], .[1:7], ["c2: service"], .[7:]] | add' <<<"$WAY")" "$(steps)" "the steps of HTTP"
equal 5 "$(jq .requests "$WORK/path")" "requests of HTTP"
within "$(served_median)" "$(step c2 service)" "the service's time"
within "$(tail -n 5 "$WORK/served" | sort -n | tail -n 1)" "$(step c2 service p99_ns)" "the service's longest"
curl_median() { # curl_median COLUMN [SINCE-COLUMN]: in ns, of "connect,first,total," of each request
	tr , '\n' <"$WORK/curl" | paste - - - - - |
		awk -v at="$1" -v since="${2:-9}" '{ printf "%.0f\n", ($at - $since) * 1e9 }' | sort -n | sed -n 3p
}
within "$(curl_median 1)" "$(jq .connect_p50_ns "$WORK/path")" "connect"
within "$(curl_median 2 1)" "$(jq .p50_ns "$WORK/path")" "first byte"
within "$(curl_median 3)" "$(jq .total_p50_ns "$WORK/path")" "total"
adds_up "HTTP's steps"
drawn "$WORK/way.svg"
grep -q "connect $(jq '.connect_p50_ns / 1000' "$WORK/path" | xargs printf '%.1f') " "$WORK/way.svg" || die "no connect in the picture"

# --- through a service: translated by h1, or where the backend is, its packets are the same ones
STEPS=$(jq -c '[["c1: client and its wire"], .[1:7], ["c2: service"], .[7:]] | add' <<<"$WAY")
for host in h1 h2; do
	ctl $host service add web vip 10.1.0.200 port 80 proto tcp network blue mode nat
	ctl $host backend add web address 10.1.0.2 port 80
done
for mode in nat host-dsr; do
	for host in h1 h2; do
		ctl $host service set web mode $mode
		wait_for 10 json_is $host 1 '.[0].serving' service show web
	done
	for from in c1 10.1.0.1; do
		"$BUILD/weftctl" "${SOCKETS[@]}" -j path $from 10.1.0.200:80 request 5 netns "$(node_netns c1)" >"$WORK/path"
		equal "$(jq -c --arg from $from '[.[0] | sub("c1"; $from)] + .[1:]' <<<"$STEPS")" "$(steps)" "from $from through $mode"
		equal 5 "$(jq .requests "$WORK/path")" "requests from $from through $mode"
		within "$(served_median)" "$(step c2 service)" "the service's time from $from through $mode"
		adds_up "the steps from $from through $mode"
	done
done

# --- what the tables of both hosts say, step by step: by names and by addresses, and of a service where each mode translates
dry() { "$BUILD/weftctl" "${SOCKETS[@]}" -j path "$@" >"$WORK/dry" || die "path $*: $(cat "$WORK/dry")"; }
walked() { jq -c '[.[] | .host + ", " + (.what | sub("[: ].*"; "")) + ": " + .verdict]' "$WORK/dry"; }
for from in c1 10.1.0.1; do
	for to in c2 c2:80 10.1.0.2 10.1.0.2:80 fd00::2; do
		[ "$from$to" != 10.1.0.1fd00::2 ] || continue
		dry $from $to
		[[ "$(walked)" =~ ^'["h1, '(ARP|ND)': reply","h1, the: encap","h2, the: forward"]'$ ]] || die "$from to $to: $(cat "$WORK/dry")"
		jq -e '[.[] | has("ask") | not] | all' "$WORK/dry" >/dev/null || die "a step asks on: $(cat "$WORK/dry")"
		jq -r 'last.why' "$WORK/dry" | grep -q 'forward to port c2' || die "where $to is: $(cat "$WORK/dry")"
	done
done
for mode in nat host-dsr; do
	for host in h1 h2; do ctl $host service set web mode $mode; done
	for host in h1 h2; do wait_for 10 json_is $host 1 '.[0].serving' service show web; done
	dry 10.1.0.1 10.1.0.200:80
	equal '["h1, ARP: reply","h1, the: encap","h2, the: forward"]' "$(walked)" "to the service, $mode"
	# who translates says so, and only that one
	equal "$([ $mode = nat ] && echo '[true,false]' || echo '[false,true]')" \
		"$(jq -c '[.[-2:][].why | contains("destination becomes 10.1.0.2 port 80")]' "$WORK/dry")" "who translates, $mode: $(cat "$WORK/dry")"
done
ctl h1 path 10.1.0.1 10.1.0.2 | grep -q 'weftctl explain peer h1 vni 100 .* ip-src 10.1.0.1 ip-dst 10.1.0.2' || die "h1 alone: $(ctl h1 path 10.1.0.1 10.1.0.2)"
"$BUILD/weftctl" "${SOCKETS[@]}" path c1 c2 | grep -qE '^h2 +the packet: forward\. forward to port c2' || die "dry, for people"

# a picture is for a file only if one is named
(cd "$WORK" && "$OLDPWD/$BUILD/weftlab" path "$LAB:c1" 10.1.0.2 count 5 --plot -j >json 2>bars && [ ! -e ./-j ]) || die "path --plot -j"
jq -e '.steps | length > 5' "$WORK/json" >/dev/null || die "the path as JSON: $(cat "$WORK/json")"

# wrong words
got=0
"$BUILD/weftlab" path "$LAB:c1" 10.1.0.2:0 2>"$WORK/said" || got=$?
equal 2 $got "status of a port 0"
got=0
"$BUILD/weftlab" path "$LAB:c1" 10.1.0.99 count 1 2>"$WORK/said" || got=$?
equal 4 $got "status when nobody answers"
grep -q 'no request from c1 to 10.1.0.99 got an answer' "$WORK/said" || die "when nobody answers: $(cat "$WORK/said")"
refuses() { # refuses STATUS SENTENCE WORDS...
	got=0
	"$BUILD/weftctl" "${SOCKETS[@]}" path "${@:3}" >"$WORK/said" 2>&1 || got=$?
	equal "$1" $got "status of path ${*:3}"
	grep -q "$2" "$WORK/said" || die "path ${*:3}: $(cat "$WORK/said")"
}
refuses 1 'has a port nobody' nobody 10.1.0.2 request 1
refuses 1 'address of nobody' c1 nobody request 1
refuses 1 'is no port, and no address' c1 10.1.0.2:0 request 1
refuses 2 'is not one of tcp' c1 c2 proto icmp
refuses 1 'is no port, and no address' c1 c2:http
refuses 4 'no request from c1 to 10.1.0.99 got an answer' c1 10.1.0.99 request 300 netns "$(node_netns c1)" # ended early
[ "$(wc -l <"$WORK/said")" -lt 10 ] || die "much is said of pings that nobody answers: $(cat "$WORK/said")"
# names of ports are a host's own
ctl h2 port add c1 type tap network blue
refuses 1 'hosts h1 and h2 both have a port c1' c1 c2 request 1
refuses 1 'hosts h1 and h2 both have a port c1' c2:80 c1
ctl h2 port del c1
# words that lead through another shell, where `*` would be the names of files
mkdir "$WORK/home"
touch "$WORK/home/one" "$WORK/home/two"
printf '#!/bin/sh\ncd %s && sh -c "ip netns exec %s $*"\n' "$WORK/home" "$(node_netns c1)" >"$WORK/as-ssh"
chmod +x "$WORK/as-ssh"
"$BUILD/weftctl" "${SOCKETS[@]}" -j path c1 c2:80 request 3 with "$WORK/as-ssh" >"$WORK/path" || die "through another shell: $(cat "$WORK/path")"
equal 3 "$(jq .requests "$WORK/path")" "requests through another shell"
refuses 1 'namespace nowhere' c1 10.1.0.2 request 1 netns nowhere
refuses 1 "'nobody' is no port, and no address" c1 nobody
refuses 1 'weft itself answers for 10.1.0.254' c1 10.1.0.254 request 2 netns "$(node_netns c1)"
SOCKETS+=("${SOCKETS[@]:0:2}")
refuses 2 'one socket twice' c1 c2
SOCKETS=("${SOCKETS[@]:0:4}")
refuses 1 'is no port, and no address or address:port' c1 10.1.0.2:99999
refuses 1 'has a port 10.1.0.77, or knows where that comes in' 10.1.0.77 10.1.0.2
SOCKETS+=(-s "$WORK/nobody.sock")
refuses 4 'nobody.sock' c1 c2
refuses 4 'nobody.sock' c1 c2 request 2 netns "$(node_netns c1)"
SOCKETS=("${SOCKETS[@]:0:4}")
# a service that closes one connection of three without an answer: the others are measured, and it is said
cat >"$WORK/flaky.py" <<'END'
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.1.0.2", int(sys.argv[1])))
s.listen(16)
n = 0
while True:
    c, _ = s.accept()
    n += 1
    c.recv(1000)
    if n % 3:
        c.sendall(sys.argv[2].encode() + b"\r\nContent-Length: 2\r\n\r\nok")
    c.close()
END
spawn_in c2 /usr/bin/python3 "$WORK/flaky.py" 81 "HTTP/1.0 200 OK"
wait_for 5 in_lab c2 sh -c 'ss -Hltn sport = :81 | grep -q .'
in_lab c1 env HTTP_PROXY=http://127.0.0.1:9 ALL_PROXY=http://127.0.0.1:9 "$BUILD/weftctl" "${SOCKETS[@]}" -j path c1 c2:81 request 9 >"$WORK/path" 2>"$WORK/said" && die "no status says that requests were not answered: $(jq -c "[.sent, .requests, .seen_otherwise]" "$WORK/path") $(cat "$WORK/said")"
grep -q '3 of 9 requests got no answer' "$WORK/said" || die "what is said of lost requests: $(cat "$WORK/said")"
equal '[9,6]' "$(jq -c '[.sent, .requests + .seen_otherwise]' "$WORK/path")" "requests of which six were answered"
# one that answers, but by errors
spawn_in c2 /usr/bin/python3 "$WORK/flaky.py" 82 "HTTP/1.0 503 Service Unavailable"
wait_for 5 in_lab c2 sh -c 'ss -Hltn sport = :82 | grep -q .'
refuses 4 '2 of 2 answers were HTTP errors, the first was 503' c1 c2:82 request 2 netns "$(node_netns c1)"
grep -q '^2 requests of' "$WORK/said" || die "no way of answers that are errors: $(cat "$WORK/said")"
refuses 2 'from every packet' c1 10.1.0.2 measure 1s sample 2
weftlab down "$LAB" >/dev/null
none_left "$LAB"
