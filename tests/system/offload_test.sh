#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Offloads stay true: every mixture of what two guests leave undone and accept undone, and tags between.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/system/traffic.sh
. "$(dirname "$0")/traffic.sh"
[ "$ENGINE" != sim ] || skip "needs an engine that forwards"
BYTES=100000000 # of each TCP transfer
[ "$ENGINE" = ebpf ] || BYTES=30000000 # the same content, sooner
SEGMENT=1448 # TCP payload of one frame

sets=(none csum 'csum,tso4,tso6')
host_new a
host_start a
ctl a network add blue
for i in 1 2; do
	ctl a port add "v$i" type tap network blue
	on a ip link set "v$i" txqueuelen $QUEUE
	guest_new "v$i"
done

# --- superpackets between two taps arrive as they left, when both sides can
whole() { # whole TYPE OFFLOADS
	on a "$TOOLS/tapgen" gso --a v1 --b v2 --type "$1" --offload "$2" --count 2000 >"$WORK/gso"
	equal '[2000,2000,2000,0]' "$(jq -c '[.sent, .received, .whole, .bad_checksum]' "$WORK/gso")" \
		"superpackets sent, received, whole, with a bad checksum: $1"
}
whole tcp4 csum,tso4,tso6
whole tcp6 csum,tso4,tso6
if on a "$TOOLS/tapgen" gso --a v1 --b v2 --count 1 --offload csum,uso >/dev/null 2>"$WORK/uso"; then
	sets+=('csum,tso4,tso6,uso')
	whole udp4 csum,uso
	whole udp6 csum,uso
else
	grep -q TUNSETOFFLOAD "$WORK/uso" || die "$(cat "$WORK/uso")"
	echo "this kernel has no USO"
fi

# --- the matrix
shown() { # the offloads of port show, for a set
	local words
	words=$(tr , '\n' <<<"${1/csum/checksum}" | sed '/^none$/d' | jq -R . | jq -s -c .)
	echo "$words"
}
attach() { # attach N OFFLOADS
	guest_tap a "v$1" "v$1" "10.1.0.$1/24" "$2" "$2"
	wait_for 5 json_is a "$(shown "$2")" '.[0].offloads' port show "v$1"
}

for ((i = 0; i < ${#sets[@]}; i++)); do
	for ((j = i; j < ${#sets[@]}; j++)); do
		attach 1 "${sets[i]}"
		attach 2 "${sets[j]}"
		tcp v1 v2 10.1.0.2
		if has "${sets[i]}" tso4; then
			most=$((BYTES / SEGMENT / 4))
			[ "$(relay_stats v2 .to_guest.frames)" -lt $most ] ||
				die "superpackets were cut: ${sets[i]} to ${sets[j]}: $(relay_stats v2 .)"
		fi
		[ $i = $j ] || tcp v2 v1 10.1.0.1
		udp v1 v2 10.1.0.2
		if has "${sets[j]}" csum; then # without, a guest's kernel refuses UDP_SEGMENT
			udp v2 v1 10.1.0.1 --batch 40
		fi
		if has "${sets[j]}" tso6 && { [ $i = 0 ] || [ $i = "$j" ]; }; then
			six v1 fd00::1
			six v2 fd00::2
			tcp v1 v2 fd00::2
			tcp v2 v1 fd00::1
			udp v2 v1 fd00::1 --batch 40
		fi
		healthy v1 v2
		echo "${sets[i]} with ${sets[j]}: v1 $(relay_stats v1 .), v2 $(relay_stats v2 .)"
		guest_tap_end v1
		guest_tap_end v2
		expect a null '.[0].offloads' port show v1
	done
done

# --- over three hosts: access, tag 10, tag 20 (the middle one changes it), access
all=${sets[-1]}
for host in m b; do
	host_new $host
	host_start $host
	ctl $host network add blue
done
wire a to-m m to-a
wire m to-b b to-m
ctl a port add up type device dev to-m trunk blue:10
ctl m port add left type device dev to-a trunk blue:10
ctl m port add right type device dev to-b trunk blue:20
ctl b port add up type device dev to-m trunk blue:20
ctl b port add v3 type tap network blue
on b ip link set v3 txqueuelen $QUEUE
guest_new v3

over_trunks() { # over_trunks WHAT OFFLOADS-OF-V3 MOST-FRAMES
	guest_tap a v1 v1 10.1.0.1/24 "$all" "$all"
	guest_tap b v3 v3 10.1.0.3/24 "$2" "$2"
	tcp v1 v3 10.1.0.3
	[ "$(relay_stats v3 .to_guest.frames)" -lt "$3" ] || die "$1: superpackets were cut: $(relay_stats v3 .)"
	tcp v3 v1 10.1.0.1
	udp v1 v3 10.1.0.3 --batch 40
	six v1 fd00::1
	six v3 fd00::3
	tcp v1 v3 fd00::3
	healthy v1 v3
	echo "$1: v1 $(relay_stats v1 .), v3 $(relay_stats v3 .)"
	guest_tap_end v1
	guest_tap_end v3
}
over_trunks "trunks" "$all" $((BYTES / SEGMENT / 4))
over_trunks "trunks, a guest without offloads" none $((2 * BYTES / SEGMENT))
on a ethtool -K to-m tso off gso off tx off txvlan off >/dev/null
on b ethtool -K to-m tso off gso off tx off txvlan off >/dev/null
over_trunks "trunks without offloads" "$all" $((2 * BYTES / SEGMENT))
for host in a m b; do
	expect $host 0 '[.[] | select(.hop != "port" and .reason != "no_destination").packets] | add // 0' drops show
done
