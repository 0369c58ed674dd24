#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Connections outlive weftd, however it ends; what is left of another is not taken; memory is shown before it is taken.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
# shellcheck source=tests/system/serve.sh
. "$(dirname "$0")/serve.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"

NAT=203.0.113.10
DSR=203.0.113.11
INNER=10.1.0.100
TABLES=$WORK/a/run/tables

host_new a
host_start a
ctl a network add blue subnet 10.1.0.0/24 gateway 10.1.0.254
machines 3
guest_new out
guest_veth a out up0 198.51.100.7/24
on out ip route add default dev eth0
ctl a port add up0 type device dev up0
for i in 1 2; do server "g$i"; done
service() { # service NAME VIP MODE [WORDS...]
	ctl a service add "$1" vip "$2" port 80 proto tcp network blue mode "$3" "${@:4}"
	for i in 1 2; do ctl a backend add "$1" address "10.1.0.1$i" port 8080; done
	wait_for 5 json_is a 2 '.[0].serving' service show "$1"
}
service nat $NAT nat uplink up0
service dsr $DSR host-dsr uplink up0
service inner $INNER nat

# --- connections that are held
declare -A ASK=() TOLD=() SERVES=()
hold() { # hold NAME GUEST ADDRESS
	local ask told
	mkfifo "$WORK/$1.ask" "$WORK/$1.told"
	"$TOOLS/serve" hold --netns "$(netns "$2")" --to "$3" <"$WORK/$1.ask" >"$WORK/$1.told" &
	helper $!
	exec {ask}>"$WORK/$1.ask" {told}<"$WORK/$1.told"
	ASK[$1]=$ask TOLD[$1]=$told
	SERVES[$1]=$(asks "$1")
}
asks() { # asks NAME: once more on the connection; who answers
	local who
	echo ask >&"${ASK[$1]}"
	read -r -t 10 who <&"${TOLD[$1]}" || die "the connection $1 does not answer"
	echo "$who"
}
all_answer() {
	for name in "${!SERVES[@]}"; do equal "${SERVES[$name]}" "$(asks "$name")" "who serves $name $1"; done
}
hold nat out $NAT
hold dsr out $DSR
hold inner g3 $INNER
hold own g1 $INNER # a backend is a client, perhaps its own
state() { # what must not change by itself
	json a 'map(del(.idle_seconds)) | sort_by(.service, .client, .client_port)' connection show
	json a '[.[] | [.name, .connections]]' service show
	json a '[.[] | [.service, .address, .mac, .state]]' backend show
	json a '[.[] | select(.kind == "learned") | [.mac, .port]] | sort' fdb show
}
sweeps() { # usage that is off would be put right by now, and logged
	! grep "usage was off" "$WORK/a/log" || die "the usage of quotas was off"
}
ask_to_stop() {
	ctl a host stop
	wait "${HOST_PID[a]}" || die "weftd ended with status $? after host stop"
}
restart() { # restart HOW [OPTIONS...]
	"$1" a
	[ "$ENGINE" != ebpf ] || all_answer "without weftd, after $1"
	host_start a "${@:2}"
	all_answer "after $1"
}
equal 4 "$(json a length connection show)" "connections"
for how in host_kill host_stop ask_to_stop host_kill host_kill; do
	before=$(state)
	restart "$how"
	equal "$before" "$(state)" "state after $how"
done
expect a '[true,true,true,true]' '[.[0].tables[] | select(.table | IN("fdb", "neighbour", "service_usage", "connection")) | .adopted]' host show

# --- another capacity keeps the rows
echo 'capacity: {connection: 1024, fdb: 100000}' >"$WORK/config"
before=$(state)
restart host_kill --config "$WORK/config"
equal "$before" "$(state)" "state with other capacities"
expect a '[1024,100000]' '[.[0].tables[] | select(.table | IN("fdb", "connection")) | .capacity] | sort' host show
restart host_kill
equal "$before" "$(state)" "state with the first capacities again"
sweeps

# --- memory is shown before it is taken, and refused where it is not there
shown=$("$BUILD/weftd" --engine "$ENGINE" --config "$WORK/config" --check)
grep -qE '^connection +1024 +[0-9]+$' <<<"$shown" || die "--check says: $shown"
bytes=$(awk '$1 == "fdb" { print $3 }' <<<"$shown")
restart host_kill --config "$WORK/config"
expect a "$bytes" '.[0].tables[] | select(.table == "fdb").memory_bytes' host show
ctl a host tables | grep -qE "^fdb +[0-9]+ +100000 +$bytes " || die "host tables says: $(ctl a host tables)"
grep -qE "memory in MiB: .*fdb [0-9]+, .*in all [0-9]+" "$WORK/a/log" || die "no line in the log says what is taken"

# Control groups limit it, too, of v1 and v2, and the root is a container's.
limited() { # limited LINE DIRECTORY LIMIT-FILE USAGE-FILE FILES-KEY: 200,000,000 are left by what LINE of /proc/self/cgroup says
	# shellcheck disable=SC2016
	shown=$(unshare --mount --propagation private bash -c 'set -e
		echo "$1" >"$6/cgroup"
		mount -t tmpfs none /sys/fs/cgroup
		mkdir -p "/sys/fs/cgroup/$2"
		echo 300000000 >"/sys/fs/cgroup/$2/$3"
		echo 150000000 >"/sys/fs/cgroup/$2/$4"
		printf "file 7\n%s 50000000\n" "$5" >"/sys/fs/cgroup/$2/memory.stat"
		mount --bind "$6/cgroup" /proc/$$/cgroup
		exec "${@:7}"' - "$@" "$WORK" "$BUILD/weftd" --engine "$ENGINE" --check 2>/dev/null) || true
	equal 200000000 "$(awk '/^free on this host/ { print $NF }' <<<"$shown")" "bytes that are free by $1 and $2/$3"
}
V1=(memory.limit_in_bytes memory.usage_in_bytes total_inactive_file)
V2=(memory.max memory.current inactive_file)
limited 0::/x.slice/weftd.service x.slice/weftd.service "${V2[@]}"
limited 0::/x.slice/weftd.service x.slice "${V2[@]}"
limited 0::/ . "${V2[@]}"
limited 9:memory:/x.slice/weftd.service memory/x.slice "${V1[@]}"
limited 9:memory:/docker/5a memory "${V1[@]}"

refuses() { # refuses PATTERN SETTINGS: weftd says one sentence, and has taken nothing
	local before after said
	echo "$2" >"$WORK/large"
	before=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	! nsenter --net="/run/netns/$(netns a)" timeout 20 "$BUILD/weftd" --engine "$ENGINE" --state-dir "$WORK/a/state" --run-dir "$WORK/a/run" \
		--bpf-dir "$WORK/a/bpf" --config "$WORK/large" >/dev/null 2>"$WORK/refusal" || die "weftd started with $2"
	said=$(grep '^weftd: ' "$WORK/refusal") || die "weftd ended without a word: $(tail -n 3 "$WORK/refusal")"
	after=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	equal 1 "$(wc -l <<<"$said")" "lines of: $said"
	grep -qE "$1" <<<"$said" || die "$2 is refused with: $said"
	[ $((before - after)) -lt 1000000 ] || die "$2 was refused, but $((before - after)) KiB are gone"
	! "$BUILD/weftd" --engine "$ENGINE" --run-dir "$WORK/a/run" --config "$WORK/large" --check >/dev/null 2>"$WORK/said" ||
		die "--check finds nothing wrong with $2"
	grep -qE "$1" "$WORK/said" || die "--check of $2 says: $(cat "$WORK/said")"
}
before=$(state)
host_stop a
if [ "$ENGINE" = dpdk ]; then
	mount -o remount,size=400m "$WORK/a/run"
	refuses 'MiB more of .*run/tables, where [0-9]+ MiB are free: make that tmpfs larger' 'capacity: {connection: 8388608}'
fi
refuses 'the tables? .*take.* MiB' 'capacity: {latency: 67108864, drop: 67108864, fdb: 67108864, neighbour: 67108864, connection: 67108864}'
if [ "$ENGINE" = dpdk ]; then
	refuses 'of them frames and flow caches, .*lower dpdk.memory_mb' 'dpdk: {memory_mb: 1000000, pages: small}'
	refuses 'names a core twice' 'dpdk: {cores: "0,0"}'
	[ "$(nproc)" -lt 2 ] || refuses 'for 2 workers: dpdk.memory_mb must be at least 19' 'dpdk: {memory_mb: 18, cores: "0-1"}'
fi
host_start a
all_answer "after refusals"
equal "$before" "$(state)" "state after refusals"

# --- what another has left is not taken
if [ "$ENGINE" = dpdk ]; then
	equal '700' "$(stat -c %a "$TABLES")" "mode of $TABLES"
	equal '600' "$(stat -c %a "$TABLES"/* | sort -u)" "modes of the files"
	damage() { # damage WHAT: the file of the connections
		case $1 in
		garbage) head -c 100000 /dev/urandom >"$TABLES/connection" ;;
		another) printf '\xff' | dd of="$TABLES/connection" bs=1 seek=16 conv=notrunc status=none ;; # the number of the layout
		short) truncate -s 100000 "$TABLES/connection" ;;
		empty) : >"$TABLES/connection" ;;
		link) ln -sf /etc/passwd "$TABLES/connection" ;;
		directory) rm "$TABLES/connection" && mkdir "$TABLES/connection" ;;
		esac
	}
	declare -A SENTENCE=([garbage]="it is no table" [another]="it is of another version of weftd" [short]="it is damaged" [empty]="it is no table"
		[link]="Too many levels of symbolic links" [directory]="Is a directory")
	for what in "${!SENTENCE[@]}"; do
		host_kill a
		damage "$what"
		: >"$WORK/a/log"
		host_start a
		equal 1 "$(grep -c "connection is discarded: ${SENTENCE[$what]}" "$WORK/a/log")" "sentences about: $what"
		equal 1 "$(grep -c discarded "$WORK/a/log")" "sentences in all about: $what"
		equal '' "$(find "$TABLES" -name '*.new')" "files that are left after: $what"
		[ "$what" != directory ] || rmdir "$TABLES/connection"
		equal '[0,false]' "$(json a '[length, false]' connection show)" "connections after: $what"
		equal g "$(ask out $NAT 1 | jq -r 'keys[] | select(. != "failed")' | cut -c1)" "who serves after: $what"
	done
	equal "root:" "$(cut -c1-5 /etc/passwd | head -n 1)" "a file that was linked to"
fi

# --- purge leaves nothing
ctl a host purge
wait "${HOST_PID[a]}" || die "weftd ended with status $? after host purge"
unset "HOST_PID[a]"
[ ! -e "$TABLES" ] || die "$TABLES is left: $(ls -la "$TABLES")"
