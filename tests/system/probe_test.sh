#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Probes: on one host and between two, over the own path and the carrier, IPv4 and IPv6; no guest sees one, none
# can forge one, and what looks like one is ordinary traffic.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/traffic.sh
. tests/system/traffic.sh
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

gateway=02:57:65:66:74:01

watch_guest() { # watch_guest GUEST...: what comes and goes by UDP port 862, or for and from weft, into $WORK/GUEST.pcap
	local guest
	for guest in "$@"; do
		spawn "$guest" tcpdump -i eth0 -n -U -w "$WORK/$guest.pcap" udp port 862 or ether host $gateway 2>"$WORK/$guest.tcpdump"
		wait_for 5 grep -q listening "$WORK/$guest.tcpdump"
	done
}

seen() { # seen GUEST [FILTER]: how many of them, else of probes
	tcpdump -n -r "$WORK/$1.pcap" "${2:-udp port 862 or (vlan and udp port 862)}" 2>/dev/null | wc -l
}

seen_is() { [ "$(seen "$1" "${3:-}")" = "$2" ]; }

probe() { # probe HOST WORDS...: JSON lines into $WORK/probe; all must be answered
	local host=$1
	shift
	ctl "$host" -j probe "$@" >"$WORK/probe" || die "probe $*: $(tail -n 1 "$WORK/probe")"
}

summary_is() { # summary_is WANTED FILTER
	equal "$1" "$(jq -s -c -r "last | $2" "$WORK/probe")" "$2 of $(tail -n 1 "$WORK/probe")"
}

counters() { json "$1" '[.[] | [.name, .rx_packets, .tx_packets]]' port show; }

# --- one host: two guests, and one behind a trunk port
host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24
ctl a network add red subnet 10.2.0.0/24 gateway 10.2.0.254
for guest in g1 g2 g3 g4; do guest_new $guest; done
guest_veth a g1 v1 10.1.0.1/24
guest_veth a g2 v2 10.1.0.2/24
guest_veth a g3 v3
guest_veth a g4 v4 10.2.0.4/24
ctl a port add v1 type device network blue
ctl a port add v2 type device network blue
ctl a port add v3 type device trunk blue:7,red:8
ctl a port add v4 type device network red
refused a 1 "there is no port 'v9'" probe v9 v2
refused a 1 "there is no port 'v9' on this host" probe v1 v9
refused a 1 "nobody is known to be 10.1.0.2 in network blue" probe v1 10.1.0.2
refused a 1 "in network blue" probe v1 v2
on g1 ping -c 1 -W 2 10.1.0.2 >/dev/null || die "no echo"
on g4 ping -c 1 -W 2 10.2.0.254 >/dev/null || die "no echo from the gateway"
tagged=02:00:00:00:00:33
send g3 --src $tagged --vlan 7
wait_for 5 json_is a '"v3"' ".[] | select(.mac == \"$tagged\").port | tojson" fdb show
refused a 1 "10.2.0.254 is the gateway of network red: weft itself answers" probe v4 10.2.0.254
ctl a service add web vip 10.2.0.200 port 80 proto tcp network red mode nat
refused a 1 "10.2.0.200 is the address of a service" probe v4 10.2.0.200
refused a 1 "nobody serves web now" probe v4 10.2.0.200:80
refused a 1 "network red has no service udp 10.2.0.200 port 80" probe v4 10.2.0.200:80 proto udp
refused a 1 "network red has no service tcp 10.2.0.4 port 80" probe v4 10.2.0.4:80
refused a 1 "no IPv4 address is known behind port v3" probe v3 10.2.0.200:80 network red
ctl a service del web
refused a 2 "bytes at least" probe v1 v2 size 60
watch_guest g1 g2 g3 g4
on g1 ip neigh replace 10.1.0.2 lladdr "$(mac_of g2 eth0)" dev eth0 nud permanent
on g2 ip neigh replace 10.1.0.1 lladdr "$(mac_of g1 eth0)" dev eth0 nud permanent
before=$(counters a)
probe a v1 v2 count 30 interval 5 guests off
summary_is '["not asked","not asked"]' '[.guest_from.why, .guest_to.why]'
summary_is '[30,30,0,0,0]' '[.sent, .received, .lost, .duplicates, .reordered]'
summary_is '["one",0]' '[.clock, .clock_error_ns]'
summary_is 'true' '.rtt.count == 30 and .forward.min_ns > 0 and .back.min_ns > 0 and .rtt.min_ns <= .rtt.p50_ns'
equal 31 "$(wc -l <"$WORK/probe")" "lines of 30 probes and the sum"
# Ctrl-C: what there is by then, of this one
: >"$WORK/probe"
"$BUILD/weftctl" -s "$(socket_of a)" -j probe v1 v2 count 100000 interval 5 guests off >"$WORK/probe" &
helper $!
wait_for 10 grep -q '"sequence":9,' "$WORK/probe"
status=0
kill -INT $!
wait $! || status=$?
equal 130 $status "a probe that Ctrl-C has ended: $(tail -n 1 "$WORK/probe")"
summary_is 'true' '.sequence == null and .sent >= 10 and .sent < 1000 and .received >= .sent - 1 and .rtt.count == .received'
probe a v1 $tagged count 5 interval 5 size 1400 guests off
probe a v3 v1 count 5 interval 5 guests off
refused a 4 'were not answered' probe v1 v2 count 3 interval 5 size 2000 guests off
refused a 4 "larger than the network's MTU" probe v1 v2 count 3 interval 5 size 2000 guests off
refused a 2 'a number of ms from 1 to 60000' probe v1 v2 interval 61s
probe a v1 v2 interval 1s count 1 guests off
for v in v1 v2 v3; do on a ip link set $v mtu 9000; done
ctl a network set blue mtu 9000
probe a v1 v2 count 5 interval 5ms size 9014 guests off
summary_is '[5,5]' '[.sent, .received]'
ctl a network set blue mtu none
equal "$before" "$(counters a)" "packets of the ports, probes are none"

# the guests are asked, too: a question and an answer each, which reach nobody else; one at a time, so a pause
# that a busy machine's guests can answer in
asked() { # asked PORT: what its counters say of them
	json a ".[] | select(.name == \"$1\") | [.rx_packets, .tx_packets] | tojson" port show
}
counted=$(asked v1)
probe a v1 v2 count 10 interval 200
summary_is '[10,0,null]' '[.guest_from.count, .guest_from.lost, .guest_from.why]'
summary_is '[9,0,null]' '[.guest_to.count, .guest_to.lost, .guest_to.why]' # the last one's time came too late
summary_is true '[.guest_from, .guest_to] | all(.min_ns > 0 and .min_ns <= .p50_ns and .p99_ns <= .max_ns)'
expect a "$(jq -c 'map(. + 10)' <<<"$counted")" '.[] | select(.name == "v1") | [.rx_packets, .tx_packets]' port show
wait_for 5 seen_is g1 10 "arp and ether src $gateway and arp[14:4] = 0" # from no address: there is no gateway
wait_for 5 seen_is g2 10 "arp and ether dst $gateway"
equal 0 "$(seen g3 "ether host $gateway")" "questions and answers that g3 saw"
for guest in g1 g2; do
	on $guest sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=0
	on $guest ip addr add fd00::${guest#g}/64 dev eth0 nodad
done
wait_for 5 on g1 ping -c 1 -W 1 fd00::2 >/dev/null
probe a v1 fd00::2 count 5 interval 200
summary_is '[5,0,4,0]' '[.guest_from.count, .guest_from.lost, .guest_to.count, .guest_to.lost]'
wait_for 5 seen_is g2 5 "icmp6[0] = 136 and ether dst $gateway"

# a trunk port is in several networks, each behind its tag
refused a 1 "v3 is in blue and in red" probe v3 $tagged
station="${tagged//:/} 81000008 0806 0001080006040002 ${tagged//:/} 0a020003" # its ARP answers in red, but for their ends
send g3 "ffffffffffff $station ffffffffffff 0a020003"
wait_for 5 json_is a '"v3"' ".[] | select(.network == \"red\" and .mac == \"$tagged\").port | tojson" fdb show
probe a v3 10.2.0.4 network red count 5 interval 5 guests off
answer_once() {
	"$TOOLS/frame" recv --netns "$(netns g3)" --dev eth0 --match 6:${gateway//:/}810000080806 --timeout 10000 -- \
		touch "$WORK/listens"
	send g3 "${gateway//:/} $station ${gateway//:/} 0a0200fe"
}
answer_once >/dev/null &
helper $!
wait_for 5 test -e "$WORK/listens"
probe a v4 10.2.0.3 count 10 interval 50 # within the second that a question waits for its answer
summary_is '[10,0,1,0]' '[.guest_from.count, .guest_from.lost, .guest_to.count, .guest_to.lost]'
wait_for 5 seen_is g3 2 "ether src $gateway and vlan 8 and arp[14:4] = 0x0a0200fe" # the second was not answered
equal 2 "$(seen g3 "ether src $gateway")" "questions that g3 saw, whatever their tag"
probe a v3 v1 count 5 interval 5
summary_is 'its IP address is not known' '.guest_from.why'

# a guest that does not answer: nobody does in its place, and what was not asked for is dropped as ever
forged() { # forged GUEST: an ARP answer to weft, as 10.2.0.4's
	send "$1" "${gateway//:/} 020000000044 0806 0001080006040002 020000000044 0a020004 ${gateway//:/} 0a0200fe"
}
on g4 sysctl -q -w net.ipv4.conf.all.arp_ignore=8
forged g4
expect a '[["not_routed","decide",1]]' '[.[] | select(.port == "v4") | [.reason, .hop, .packets]]' drops show
probe a v4 10.2.0.3 count 1 &
wait_for 5 seen_is g4 11 "arp[6:2] = 1 and ether src $gateway" # it is asked
forged g1
wait $!
summary_is '[0,1]' '[.guest_from.count, .guest_from.lost]'
expect a '[["v1",1],["v4",1]]' '[.[] | select(.reason == "not_routed" and .port != "v2") | [.port, .packets]] | sort' drops show

# among datagrams between the same two: a flow cache must not mistake one for another
stream_start among g1 g2 10.1.0.2 --pps 2000 --count 4000
probe a v1 v2 count 50 interval 10
stream_wait among
for guest in g1 g2 g3; do equal 0 "$(seen $guest)" "probes that $guest saw"; done
equal 0 "$(json a '[.[] | select(.reason == "probe_forged").packets] | add // 0' drops show)" "forged probes"

# what is no probe passes
for word in one two three; do
	on g1 bash -c "printf 'no probe, but long enough to be $word: %0200d' 0 >/dev/udp/10.1.0.2/862"
done
wait_for 5 seen_is g2 3
host_stop a
equal '' "$(on a ip -br link | grep weftprobe || true)" "devices that weftd left"

# --- two hosts
AHEAD=0 # q's clock, in seconds

pair_start() { # pair_start MODE ADDRESS-A ADDRESS-B LENGTH ENGINE-B
	local host
	for host in p q; do
		host_new $host
		on $host sysctl -q -w net.ipv6.conf.default.disable_ipv6=0
	done
	wire p u0 q u0
	on p ip addr add "$2/$4" dev u0 "${@:6}"
	on q ip addr add "$3/$4" dev u0 "${@:6}"
	host_start p
	clock_ahead "$AHEAD"
	ENGINE=$5 host_start q
	clock_ahead 0
	ctl p host set address "$2"
	ctl q host set address "$3"
	ctl p peer add q address "$3"
	ctl q peer add p address "$2"
	for host in p q; do ctl $host network add blue vni 100 overlay "$1"; done
	guest_new h1
	guest_new h2
	guest_veth p h1 w1 10.1.0.1/24
	guest_veth q h2 w2 10.1.0.2/24
	ctl p port add w1 type device network blue
	ctl q port add w2 type device network blue
	wait_for 5 json_is p up '.[0].state' peer show q
	wait_for 5 json_is q up '.[0].state' peer show p
	wait_for 10 on h1 ping -c 1 -W 1 10.1.0.2 >/dev/null
	watch_guest h1 h2
}

pair_end() {
	local name
	for name in p q; do host_stop $name; done
	for name in p q h1 h2; do ip netns del "$(netns $name)"; done
	for name in p q; do
		umount "$WORK/$name/bpf" "$WORK/$name/run"
		rm -rf "${WORK:?}/$name"
	done
}

between_hosts() { # between_hosts WHAT
	local host
	refused p 1 "need a secret" probe w1 10.1.0.2
	ctl p host set probe-key "a secret of both"
	ctl q host set probe-key "a secret of both"
	for host in p q; do ctl $host host set sample 1; done # every packet is timed: probes arrive all the same
	probe p w1 10.1.0.2 count 5 # the reflector makes its way in with the first
	for host in p q; do ctl $host latency reset; done
	probe p w1 10.1.0.2 count 5 guests off
	for host in p q; do expect $host '[]' . latency show; done # they are nobody's traffic
	"$BUILD/weftctl" -s "$(socket_of p)" -s "$(socket_of q)" trace icmp count 2 >"$WORK/traced" &
	traced=$!
	while kill -0 $traced 2>/dev/null; do on h1 ping -n -c 1 -W 1 10.1.0.2 >/dev/null; done
	# the points of two packets, each of both hosts, whatever their clocks
	equal 'pP0 pP1 pP2 qP3 qP4 qP5 qP6 2' "$(sed 's/: / /' "$WORK/traced" | awk '$3 ~ /^P/ && !seen[$2]++ { n++ }
		$3 ~ /^P/ && n == 1 { printf "%s%s ", $1, $3 } $1 == "#" { print $2 }' | xargs)" "$1: $(cat "$WORK/traced")"
	for host in p q; do ctl $host host set sample 1024; done
	probe p w1 10.1.0.2 count 50 interval 10
	if [ "$AHEAD" = 0 ]; then
		summary_is '[50,50,0,0,"one",0]' '[.sent, .received, .lost, .duplicates, .clock, .clock_error_ns]'
	else
		summary_is '[50,50,0,0,"estimated"]' '[.sent, .received, .lost, .duplicates, .clock]'
		summary_is true "(.clock_offset_ns - $AHEAD * 1000000000 | fabs) <= .clock_error_ns and .clock_error_ns <= .rtt.min_ns + 100000"
	fi
	# by the names of ports, where both hosts are asked
	"$BUILD/weftctl" -s "$(socket_of p)" -s "$(socket_of q)" -j probe w1 w2 count 5 guests off >"$WORK/named" || die "probe w1 w2: $(cat "$WORK/named")"
	equal '["p",5]' "$(jq -s -c 'last | [.host, .received]' "$WORK/named")" "who has probed, and what came back"
	! "$BUILD/weftctl" -s "$(socket_of p)" -s "$(socket_of q)" probe w9 w2 2>"$WORK/named" || die "probe w9 w2 was taken"
	grep -q 'no host that was asked has a port w9' "$WORK/named" || die "probe w9 w2: $(cat "$WORK/named")"
	summary_is true '.guest_from.count == 50 and .guest_to.count >= 40 and .guest_to.lost == 0'
	summary_is true '.rtt.count >= 45 and .forward_here.min_ns > 0 and .back_there.count >= 45 and
		.forward_link.count >= 45 and .back_link.count >= 45'
	echo "$1: $(jq -s -c 'last | [.rtt, .forward, .back] | map(.p50_ns)' "$WORK/probe")"
	probe q w2 "$(mac_of h1 eth0)" count 20 interval 10 size 1400
	equal '[0,0]' "[$(seen h1),$(seen h2)]" "$1: probes that the guests saw"
	on h1 bash -c 'echo "no probe" >/dev/udp/10.1.0.2/862'
	wait_for 5 seen_is h2 1
}

forge() { # a probe from the wire, again from a guest: as it was, and with another tag
	local outer inner byte got
	rm -f "$WORK/listens"
	"$TOOLS/frame" recv --netns "$(netns q)" --dev u0 --match 86:035e --timeout 10000 -- \
		touch "$WORK/listens" >"$WORK/caught" &
	helper $!
	wait_for 5 test -e "$WORK/listens"
	probe p w1 10.1.0.2 count 3
	wait_for 5 grep -q . "$WORK/caught"
	outer=$(head -n 1 "$WORK/caught" | grep -o '[0-9a-f]\{200,\}')
	inner=${outer:100}
	got=$(seen h2)
	send h1 "$inner"
	expect p '[["probe_forged","w1","apply",1]]' \
		'[.[] | select(.reason == "probe_forged") | [.reason, .port, .hop, .packets]]' drops show
	equal "$got" "$(seen h2)" "what h2 saw of a forged probe"
	byte=$(printf %02x $((0x${inner:180:2} ^ 1)))
	send h1 "${inner:0:180}$byte${inner:182}"
	wait_for 5 seen_is h2 $((got + 1))
}

cut() { # the way between the hosts is gone, and comes back
	on q ip link set w2 down # the guest's device has no part in it
	probe p w1 10.1.0.2 count 5
	on q ip link set w2 up
	on q ip link set u0 down
	refused p 4 "5 of 5 probes were not answered" probe w1 10.1.0.2 count 5 interval 10
	on q ip link set u0 up
}

engines=("$ENGINE")
[ "$ENGINE" = ebpf ] || engines+=(ebpf)
for other in "${engines[@]}"; do
	# A time namespace changes what weftd reads, and with dpdk that is all: another machine's clock.
	[ "$other" = ebpf ] || AHEAD=5000
	pair_start own 192.0.2.1 192.0.2.2 24 "$other"
	between_hosts "$ENGINE to $other, own"
	forge
	cut
	pair_end
	AHEAD=0
done
if [ "$ENGINE" = ebpf ]; then
	pair_start carrier 192.0.2.1 192.0.2.2 24 ebpf
	between_hosts "carrier"
	pair_end
fi
pair_start own 2001:db8::1 2001:db8::2 64 "$ENGINE" nodad
between_hosts "IPv6 underlay"
pair_end
