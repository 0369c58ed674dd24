# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Guests and what they send, on top of lib.sh: containers on veths, light VMs on taps, single frames.
#
#   guest_new g                        a namespace that plays a guest
#   guest_veth a g c1 [ADDRESS]        its eth0 is the other end of device c1 of host a
#   guest_tap a g t1 ADDRESS TX RX     its eth0 is the NIC of a VM on tap t1; offloads as for taprelay
#   ten_pings g ADDRESS                which must be answered
#   behind a c1 FILTER COMMAND...      FRAMES: how many a packet socket saw there, this side of XDP, on the way up and down
#   listen g; ...; listened g          what its eth0 gets goes to $WORK/got-g, until a frame to $END
#   tcp g h ADDRESS; udp g h ADDRESS   a transfer that must arrive as it was sent
#   healthy g...                       nothing wrong has reached these light VMs
#   stream_start NAME g h ADDRESS ..   UDP from guest g to guest h at ADDRESS, until stream_stop NAME
TOOLS=$BUILD/tests
BYTES=100000000 # of each TCP transfer
QUEUE=100000 # frames a tap holds: a reader that waits for a busy core must not look like a loss

PPS=40000 # of each UDP transfer
[ "$ENGINE" != dpdk ] || PPS=10000 # a worker that waits for a busy core has 512 frames of time per port

for tool in taprelay tapgen stream frame; do
	[ -x "$TOOLS/$tool" ] || die "no $TOOLS/$tool: run make tests"
done

guest_new() {
	mkdir -p "$WORK/$1" # by which cleanup knows the namespace
	ip netns add "$(netns "$1")"
	on "$1" ip link set lo up
	on "$1" sysctl -q -w net.ipv6.conf.default.disable_ipv6=1
}

guest_veth() { # guest_veth HOST GUEST DEVICE [ADDRESS]
	on "$1" ip link add "$3" type veth peer name eth0 netns "$(netns "$2")"
	on "$1" ip link set "$3" up
	on "$2" ip link set eth0 up
	[ -z "${4:-}" ] || on "$2" ip addr add "$4" dev eth0
}

guest_tap() { # guest_tap HOST GUEST TAP ADDRESS TX-OFFLOADS RX-OFFLOADS
	nice -n -15 "$TOOLS/taprelay" --guest-netns "$(netns "$2")" --switch-netns "$(netns "$1")" \
		--switch-tap "$3" --tx "$5" --rx "$6" \
		--pid-file "$WORK/$2/relay.pid" --stats-file "$WORK/$2/relay.json"
	helper "$(cat "$WORK/$2/relay.pid")"
	on "$1" ip link set "$3" txqueuelen $QUEUE
	on "$2" ip link set eth0 txqueuelen $QUEUE
	on "$2" ip addr add "$4" dev eth0
}

ended() { # it is not our child: a zombie may stand there until somebody looks
	! grep -qv '^State:.Z' <(grep '^State:' "/proc/$1/status" 2>/dev/null)
}

guest_tap_end() { # the VM's end: its NIC is gone, its statistics are written
	local pid
	pid=$(cat "$WORK/$1/relay.pid")
	kill -TERM "$pid"
	wait_for 5 ended "$pid"
}

relay_stats() { # relay_stats GUEST FILTER: of the light VM, up to now
	rm -f "$WORK/$1/relay.json"
	kill -USR1 "$(cat "$WORK/$1/relay.pid")"
	wait_for 5 test -e "$WORK/$1/relay.json"
	jq -c -r "$2" "$WORK/$1/relay.json"
}

between() { # between LEAST MOST GOT WHAT
	[ "$1" -le "$3" ] && [ "$3" -le "$2" ] && return
	die "$4: wanted $1 to $2, got $3"
}

helper() { # a process in the background that cleanup ends
	HELPERS+=("$1")
}

behind() {
	local pid
	spawn "$1" tcpdump -n -i "$2" -U --immediate-mode -w "$WORK/behind.pcap" "$3" 2>"$WORK/tcpdump"
	pid=$SPAWNED
	wait_for 5 grep -q 'listening on' "$WORK/tcpdump"
	"${@:4}" >"$WORK/behind" || die "${*:4}: $(cat "$WORK/behind")"
	kill -TERM "$pid"
	wait "$pid" || true
	export FRAMES
	FRAMES=$(tcpdump -n -r "$WORK/behind.pcap" 2>/dev/null | wc -l)
}
ten_pings() {
	on "$1" ping -q -n -c 10 -i 0.02 -W 2 "$2" >"$WORK/ping" || die "$1 does not reach $2: $(cat "$WORK/ping")"
}

# Single frames. Sent from one CPU, so that what is sent later is handled later.
END=22ffffffffff
export FILL
FILL=$(printf '00%.0s' {1..46})
send() { # send GUEST FRAME-OPTIONS|HEX...
	taskset -c 0 "$TOOLS/frame" send --netns "$(netns "$1")" --dev eth0 "${@:2}"
}

declare -A LISTENER=()
listen() { # listen GUEST FRAME-OPTIONS...
	rm -f "$WORK/listens-$1"
	"$TOOLS/frame" recv --netns "$(netns "$1")" --dev eth0 --until "0:$END" --timeout 30000 "${@:2}" -- \
		touch "$WORK/listens-$1" >"$WORK/got-$1" 2>"$WORK/message-$1" &
	LISTENER[$1]=$!
	helper $!
	wait_for 5 test -e "$WORK/listens-$1"
}

listened() { # listened GUEST...: until the frame to $END has come
	local guest
	for guest in "$@"; do
		wait "${LISTENER[$guest]}" || true # whether it was one frame is of no interest here
		! grep 'did not come' "$WORK/message-$guest" || die "the last frame did not reach $guest"
	done
}

# Datagrams with serial numbers, in the background: without end, unless --count says otherwise.
declare -A STREAM=()
stream_start() { # stream_start NAME FROM TO ADDRESS UDP-SEND-OPTIONS...
	local name=$1 from=$2 to=$3 address=$4
	shift 4
	"$TOOLS/stream" udp-recv --netns "$(netns "$to")" -- "$TOOLS/stream" udp-send \
		--netns "$(netns "$from")" --to "$address" --count 60000000 "$@" >"$WORK/stream-$name" 2>&1 &
	STREAM[$name]=$!
	helper "${STREAM[$name]}"
}

losses() { # where frames may have gone
	local host relay
	for host in "${!HOST_PID[@]}"; do
		ctl "$host" -j drops show | jq -c '.[] | del(.why)'
		ctl "$host" -j port show | jq -c '.[] | {name, state, rx_packets, tx_packets, tx_dropped}'
		ctl "$host" -j fdb show | jq -c '.[0:20][] | del(.state, .why)'
	done
	for relay in "$WORK"/*/relay.pid; do
		[ ! -e "$relay" ] || relay_stats "$(basename "$(dirname "$relay")")" .
	done
}

stream_wait() { # until its end: every datagram came once, intact
	wait "${STREAM[$1]}" || die "stream $1: $(cat "$WORK/stream-$1" && losses)"
}

stream_stop() { # stream_stop NAME: it must have run until now
	kill -TERM "${STREAM[$1]}" 2>/dev/null || die "the stream $1 was over: $(cat "$WORK/stream-$1")"
	stream_wait "$1"
}

stream_sent() { # how many datagrams it was
	jq 'select(.mode == "udp-recv").expected' "$WORK/stream-$1"
}

wire() { # wire HOST DEVICE HOST DEVICE [MTU]: a veth between two of them
	on "$1" ip link add "$2" mtu "${5:-1500}" type veth peer name "$4" mtu "${5:-1500}" netns "$(netns "$3")"
	on "$1" ip link set "$2" up
	on "$3" ip link set "$4" up
}

tcp() { # tcp FROM TO ADDRESS: content arrives as it was sent
	"$TOOLS/stream" recv --netns "$(netns "$2")" -- "$TOOLS/stream" send --netns "$(netns "$1")" \
		--to "$3" --bytes $BYTES >"$WORK/tcp" 2>&1 || die "TCP from $1 to $3: $(cat "$WORK/tcp" && losses)"
	equal "[2,1,$BYTES]" "$(jq -s -c '[length, (map(.xxh3) | unique | length), (map(.bytes) | min)]' "$WORK/tcp")" \
		"ends, hashes, bytes of TCP from $1 to $3"
	echo "TCP from $1 to $3: $(jq -s '.[0].mbyte_per_s' "$WORK/tcp") MB/s"
}
udp() { # udp FROM TO ADDRESS STREAM-OPTIONS...
	stream_start udp "$1" "$2" "$3" --pps $PPS --count $((PPS / 5)) --size 1400 "${@:4}"
	stream_wait udp
}
has() { # has OFFLOADS ONE
	case ,$1, in *,$2,*) ;; *) return 1 ;; esac
}
healthy() { # nothing wrong has reached a guest, nothing was left to one that did not ask for it
	local guest
	for guest in "$@"; do
		equal 0 "$(on "$guest" cat /proc/net/snmp /proc/net/snmp6 | awk '
			/InCsumErrors/ && !/^(Tcp|Udp|Ip|Icmp|UdpLite):/ { sum += $2 }
			/^[A-Z][A-Za-z]*:.*InCsumErrors/ { for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") column = i; next }
			/^(Tcp|Udp|Icmp|UdpLite):/ { sum += $column }
			END { print sum + 0 }')" "checksum errors in $guest"
		equal '[0,0,0,0]' "$(relay_stats "$guest" '[.[] | .unnegotiated, .refused]')" \
			"frames of $guest that were not negotiated or not taken"
	done
}
six() { # an IPv6 address beside the other one
	on "$1" sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=0
	on "$1" ip addr add "$2/64" dev eth0 nodad
}
mtu_of() { # mtu_of HOST DEVICE
	on "$1" ip -j link show "$2" | jq '.[0].mtu'
}
mac_of() { # mac_of HOST DEVICE
	on "$1" ip -j link show "$2" | jq -r '.[0].address'
}
