#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# weftd dies and comes back: no packet lost, nothing forgotten, nothing half made, and purge is whole.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
KILLS=10
ROUNDS=5

host_new a
host_start a
ctl a network add blue
ctl a network add red
for i in 1 2; do
	guest_new "c$i"
	guest_veth a "c$i" "veth$i" "10.1.0.$i/24"
	ctl a port add "c$i" type device dev "veth$i" network blue
	guest_new "v$i"
	ctl a port add "v$i" type tap network blue
	guest_tap a "v$i" "v$i" "10.1.0.1$i/24" csum,tso4 csum,tso4
done
ctl a fdb add 02:00:00:00:00:99 network blue port v1

# what must not change by itself: objects, learned rows, counters
objects() { ctl a -j export; }
rows() { ctl a -j fdb show | jq -c 'map(del(.age_seconds))'; }
counters() {
	ctl a -j drops show
	ctl a -j port show | jq -c 'map(del(.carrier, .state, .why, .offloads))'
	ctl a -j network show
}
counter() { json a ".[0].$2" port show "$1"; }

for i in 1 2; do
	stream_start "c$i" "c$i" "v$i" "10.1.0.1$i" --count 10
	stream_start "v$i" "v$i" "c$((3 - i))" "10.1.0.$((3 - i))" --count 10
done
for name in c1 c2 v1 v2; do stream_wait $name; done
"$TOOLS/frame" send --netns "$(netns c1)" --dev eth0 --count 3 --vlan 7
wait_for 5 json_is a 3 '[.[] | select(.reason == "tag_on_access").packets][0]' drops show

restart() { # restart HOW: a command that ends weftd
	"$@" a
	host_start a
}
ask_to_stop() {
	ctl a host stop
	wait "${HOST_PID[a]}" || die "weftd ended with status $? after host stop"
}

# --- dpdk forwards while weftd lives: a stream's packets are lost with it. Objects, what was learned and drops are not, and
# forwarding resumes.
arrives() { on c1 ping -n -q -c 1 -W 1 10.1.0.11 >/dev/null && on v2 ping -n -q -c 1 -W 1 10.1.0.2 >/dev/null; }
if [ "$ENGINE" != ebpf ]; then
	for how in host_kill host_stop ask_to_stop; do
		ctl a network add "n-$how"
		before=$(objects && rows && ctl a -j drops show)
		restart $how
		equal "$before" "$(objects && rows && ctl a -j drops show)" "objects, addresses and drops after $how"
		wait_for 10 arrives
		equal '[["02:00:00:00:00:99","v1"]]' "$(rows | jq -c '[.[] | select(.kind == "static") | [.mac, .port]]')" "static rows after $how"
	done
fi

survives() {
	# --- with nobody sending, everything is as it was, to the last digit
	for how in host_kill host_stop ask_to_stop; do
		before=$(objects && rows && counters)
		restart $how
		equal "$before" "$(objects && rows && counters)" "state after $how"
	done
	equal 4 "$(rows | jq '[.[] | select(.kind == "learned")] | length')" "learned rows"

	# --- under traffic, and right after a command was acknowledged
	stream_start down c1 v1 10.1.0.11 --pps 20000
	stream_start up v2 c2 10.1.0.2 --pps 20000
	sent=0
	for ((i = 1; i <= KILLS; i++)); do
		ctl a network add "n$i"
		before=$(objects)
		restart host_kill
		equal "$before" "$(objects)" "objects after kill $i"
		equal "n$i" "$(json a '.[0].name' network show "n$i")" "the network acknowledged last"
		now=$(counter c1 rx_packets)
		[ "$now" -gt "$sent" ] || die "rx_packets of c1 went from $sent to $now over kill $i"
		sent=$now
	done
	for how in host_stop ask_to_stop; do
		restart $how
		[ "$(counter c1 rx_packets)" -gt "$sent" ] || die "rx_packets of c1 fell below $sent: $how"
	done
	stream_stop down
	stream_stop up
	[ "$(counter c1 rx_packets)" -ge "$(stream_sent down)" ] || die "c1 sent more than its rx_packets"
	[ "$(counter v1 tx_packets)" -ge "$(stream_sent down)" ] || die "v1 got more than its tx_packets"
	expect a 3 '[.[] | select(.reason == "tag_on_access").packets][0]' drops show
	expect a 0 '[.[] | select(.reason != "tag_on_access").packets] | add // 0' drops show
	expect a 0 '[.[] | select(.name | startswith("v")).tx_dropped] | add' port show
}
[ "$ENGINE" != ebpf ] || survives

# --- kill -9 in the middle of commands
STEADY=4 # ports that stay
commands() { # ports come and go; what was acknowledged is written down, what was begun too
	local i
	for ((i = 0; ; i++)); do
		command_try add "p$i" type tap network red
		[ $((i % 3)) = 0 ] || command_try del "p$((i - 1))"
	done
}
command_try() { # until somebody is there to say yes or no
	echo "begin $1 $2" >>"$WORK/commands"
	until ctl a port "$@" >/dev/null 2>"$WORK/refusal"; do
		grep -qE 'exists already|there is no port' "$WORK/refusal" && break
		sleep 0.01
	done
	echo "done $1 $2" >>"$WORK/commands"
}
acknowledged() { # ports that must be there: added for certain, and no deletion begun
	awk '$1 == "done" && $2 == "add" { there[$3] = 1 } $1 == "begin" && $2 == "del" { delete there[$3] }
		END { for (port in there) print port }' "$1" | sort
}
deleted() { # ports that must be gone
	awk '$1 == "done" && $2 == "del" { print $3 }' "$1" | sort
}
made() { # the taps that exist with a mark of port NAME on device NAME
	on a ip -j -d link | jq -r --arg uuid "$(json a '.[0].uuid' host show)" '.[] |
		select(.linkinfo.info_kind == "tun" and .ifalias == "weft:" + $uuid + ":" + .ifname).ifname' | sort
}
taps() {
	on a ip -j -d link | jq -r '.[] | select(.linkinfo.info_kind == "tun").ifname' | sort
}
pinned() { find "$WORK/a/bpf" -path '*/links/*' | wc -l; }

: >"$WORK/commands"
commands &
writer=$!
helper $writer
more_done() { [ "$(grep -c '^done' "$WORK/commands")" -ge $((i * 6)) ]; }
for ((i = 1; i <= ROUNDS; i++)); do
	wait_for 20 more_done
	sleep "0.$((RANDOM % 200 + 100))"
	host_kill a
	cp "$WORK/commands" "$WORK/commands-$i"
	kill -STOP $writer
	host_start a
	wanted=$(acknowledged "$WORK/commands-$i")
	ports=$(json a '.[].name' port show | sort)
	equal '' "$(comm -23 <(echo "$wanted") <(echo "$ports"))" "acknowledged and not there, kill $i"
	equal '' "$(comm -12 <(deleted "$WORK/commands-$i") <(echo "$ports"))" "deleted and there, kill $i"
	more=$(($(wc -l <<<"$ports") - $(wc -w <<<"$wanted") - STEADY))
	[ "$more" -le 1 ] || die "$more ports nobody asked for after kill $i: $ports"
	equal "$(json a '.[] | select(.type == "tap").name' port show | sort)" "$(taps)" "taps after kill $i"
	equal "$(taps)" "$(made)" "marks after kill $i"
	[ "$ENGINE" != ebpf ] || equal "$(wc -l <<<"$ports")" "$(pinned)" "pinned links after kill $i"
	expect a '[]' 'map(select(.state != "up" and .state != "waiting") | {name, state, why})' port show
	kill -CONT $writer
done
kill -9 $writer
wait $writer 2>/dev/null || true

# --- purge: as if weft had never been here; what was here before stays
on a ip tuntap add dev mine mode tap
on a ip link set mine alias "somebody's tap"
ctl a port add mine type tap network red
on a ip -o link show mine | grep -q "weft:" || die "the adopted tap has no mark"
links=$(find "$WORK/a/bpf" -path '*/links/*' -exec bpftool link show pinned {} \; | sed 's/:.*//')
[ -n "$links" ] || [ "$ENGINE" != ebpf ] || die "no links to watch"
maps=$(find "$WORK/a/bpf" -path '*/tables/*' -exec bpftool map show pinned {} \; | sed -n 's/^\([0-9]*\):.*/\1/p')
ctl a host purge
state=$(awk '/^State/ { print $2 }' "/proc/${HOST_PID[a]}/status" 2>/dev/null || true)
[ "${state:-Z}" = Z ] || die "weftctl did not wait for the end of weftd: $state"
wait "${HOST_PID[a]}" || die "weftd ended with status $? after host purge"
unset "HOST_PID[a]"
# Programs and maps go when the kernel has let the last reader finish.
no_link() { ! bpftool link show id "$1" >/dev/null 2>&1; }
no_map() { ! bpftool map show id "$1" >/dev/null 2>&1; }
for id in $links; do wait_for 5 no_link "$id"; done
for id in $maps; do wait_for 5 no_map "$id"; done
equal '' "$(find "$WORK/a/bpf" -mindepth 1 -not -name '*.debug')" "pins"
equal '' "$(find "$WORK/a/state" "$WORK/a/run" -type f -not -name weftd.lock -o -type s)" "files"
equal mine "$(taps)" "taps"
equal "somebody's tap" "$(on a ip -j link | jq -r '.[].ifalias // empty')" "aliases"
equal '' "$(on a tc qdisc show | grep clsact || true)" "qdiscs"
equal 0 "$(on a ip -j -d link | jq '[.[] | .promiscuity // 0] | add')" "promiscuous devices"

# --- and a new weftd begins afresh
host_start a
equal '[]' "$(json a . port show)" "ports after purge"
equal '[]' "$(json a . fdb show)" "rows after purge"
