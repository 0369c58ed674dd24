#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `path A B measure`: the hops of the packets between two ports of a host, and the guest's answer; nothing but those.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
/usr/bin/python3 -c 'import scapy.all' || die "no scapy: run make deps"

hop() { # hop WHAT HOP: its count
	jq -r --arg what "$1" --arg hop "$2" 'select(.what == $what and .hop == $hop) | .count' "$WORK/path"
}
measured() { # measured WORDS...: while guest 1 asks guest 2, one question after another
	local status=0
	ctl a -j path "$@" measure 2s >"$WORK/path" &
	local asked=$!
	while kill -0 $asked 2>/dev/null; do
		on g1 ping -n -c 5 -i 0.05 -W 1 10.1.0.2 >/dev/null || status=$?
	done
	wait $asked || status=$?
	return $status
}

host_new a
host_start a
ctl a network add blue
for i in 1 2 3; do
	guest_new g$i
	ctl a port add t$i type tap network blue
	guest_tap a g$i t$i 10.1.0.$i/24 none none
done
on g1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "g1 does not reach g2"

for ends in 't1 t2' 't1 10.1.0.2' '10.1.0.1 t2'; do
	# shellcheck disable=SC2086 # words
	measured $ends
	asked=$(hop there decide)
	[ "${asked:-0}" -ge 5 ] || die "$ends: $(cat "$WORK/path")"
	for way in there back; do
		for what in decide 'hand over' queue; do
			# a packet may be on its way when it ends
			awk -v a="$asked" -v b="$(hop $way "$what")" 'BEGIN { exit !(b >= a - 2 && b <= a + 2) }' ||
				die "$way, $what: $(hop $way "$what") of $asked"
		done
	done
	[ "$(hop 'the guest, its queue included' beyond)" -ge $((asked - 2)) ] || die "answers: $(cat "$WORK/path")"
	# the guest's answer takes longer than its queue: it is in it
	equal true "$(jq -s '[.[] | select(.hop == "beyond")][0].p50_ns >
		[.[] | select(.what == "there" and .hop == "queue")][0].p50_ns' "$WORK/path")" "the guest's part: $(cat "$WORK/path")"
done
# behind a trunk port it is the same, though there each frame has a tag
guest_new g4
guest_veth a g4 v4
ctl a port add v4 type device trunk blue:7
cat >"$WORK/tagged.py" <<'END'
from scapy.all import ARP, ICMP, IP, Dot1Q, Ether, conf, get_if_hwaddr, sniff
mac = get_if_hwaddr("eth0")
out = conf.L2socket(iface="eth0")
def answer(p):
    if p.src == mac or Dot1Q not in p:
        return
    head = Ether(src=mac, dst=p.src) / Dot1Q(vlan=7)
    if ARP in p and p[ARP].op == 1 and p[ARP].pdst == "10.1.0.4":
        out.send(head / ARP(op=2, hwsrc=mac, psrc="10.1.0.4", hwdst=p.src, pdst=p[ARP].psrc))
    if ICMP in p and p[ICMP].type == 8 and p[IP].dst == "10.1.0.4":
        out.send(head / IP(src="10.1.0.4", dst=p[IP].src, id=p[IP].id) / ICMP(type=0, id=p[ICMP].id, seq=p[ICMP].seq) / p[ICMP].payload)
open("READY", "w")
sniff(iface="eth0", prn=answer, store=0)
END
sed -i "s|READY|$WORK/tagged|" "$WORK/tagged.py"
spawn g4 /usr/bin/python3 "$WORK/tagged.py"
wait_for 10 test -e "$WORK/tagged"
wait_for 10 on g1 ping -n -c 1 -W 1 10.1.0.4
ctl a -j path t1 10.1.0.4 request 5 netns "$(netns g1)" >"$WORK/path"
equal '["t1: client and its wire","a: decide","a: hand over to v4","v4: guest and its queue","a: decide","a: hand over to t1","a: queue of t1"]' \
	"$(jq -c '[.steps[] | .where + ": " + .what]' "$WORK/path")" "the way to who is behind a trunk"
equal 5 "$(jq .requests "$WORK/path")" "requests to who is behind a trunk"
# a question that nobody answers keeps none from being measured that come a second later
ctl a -j path t1 t2 measure 3s >"$WORK/path" &
asked=$!
wait_for 5 grep -q '"step":2' "$WORK/path"
on g1 bash -c 'echo long enough to be a question, and nobody is there >/dev/udp/10.1.0.2/9999'
while kill -0 $asked 2>/dev/null; do on g1 ping -n -c 5 -i 0.05 -W 1 10.1.0.2 >/dev/null; done
wait $asked
[ "$(hop 'the guest, its queue included' beyond)" -ge 5 ] || die "answers behind one that is missing: $(cat "$WORK/path")"
# Ctrl-C: what there is by then, of this one
: >"$WORK/path"
"$BUILD/weftctl" -s "$(socket_of a)" -j path t1 t2 measure 60s >"$WORK/path" &
asked=$!
wait_for 5 grep -q '"step":2' "$WORK/path"
on g1 ping -n -c 10 -i 0.05 -W 1 10.1.0.2 >/dev/null
kill -INT $asked
! wait $asked || die "Ctrl-C was not heard"
[ "$(hop there decide)" -ge 5 ] || die "what was measured until Ctrl-C: $(cat "$WORK/path")"
# others' packets are not meant
status=0
measured t1 10.1.0.3 || status=$?
equal 4 $status "status when nothing was seen"
equal 'nothing was seen' "$(jq -r 'select(.what == "measured") | .verdict' "$WORK/path")" "to somebody else"
# joined to one way, from the first point to the last, and drawn in the terminal
ctl a path t1 t2 request 5 netns "$(netns g1)" --plot >"$WORK/drawn"
for step in 'g1\|t1: client and its wire' 'a: hand over to t2' 'a: queue of t2' 't2: guest' 'a: queue of t1'; do
	grep -q "^\($step\) .* µs  *[^ ][^ ]*$" "$WORK/drawn" || die "no bar of $step: $(cat "$WORK/drawn")"
done
grep -q '^t1 .*first byte, as the client sees it' "$WORK/drawn" || die "no client: $(cat "$WORK/drawn")"
! grep -q 'clock' "$WORK/drawn" || die "one host has no clock error"
# the guest's round trip, always on
ctl a port set t1 sample 1
on g1 ping -n -c 5 -i 0.05 10.1.0.2 >/dev/null
equal true "$(ctl a -j latency show | jq '[.[] | select(.hop == "guest" and .from == "t1" and .to == "t2")][0].count >= 4')" \
	"guest round trips: $(ctl a latency show)"
# one of N, as it was asked for
ctl a port set t1 sample 3
ctl a latency reset
on g1 ping -n -q -c 1500 -i 0.001 10.1.0.2 >/dev/null
sampled=$(ctl a -j latency show | jq '[.[] | select(.hop == "decide" and .from == "t1" and .to == "t2")][0].count')
awk -v n="$sampled" 'BEGIN { exit !(n >= 400 && n <= 600) }' || die "$sampled of 1500 packets are sampled, one of 3 was asked for"
refused a 1 'is no port' path t1 nobody measure 1s
refused a 2 'measure' path t1 t2 measure
