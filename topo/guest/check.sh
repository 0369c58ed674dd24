#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - proves the guest module: real guests on taps and a Linux bridge, in a namespace made for the run
set -euo pipefail

if [ $# -lt 2 ] || [ "$(id -u)" != 0 ]; then
	echo "usage (as root): check.sh WEFT_GUEST CLOUD_IMAGE_DIR [GENERIC_IMAGE_DIR]" >&2
	exit 2
fi
guest=$(realpath "$1")
cloud=$2
generic=${3:-}
ns=wguest$$
run=$(mktemp -d /tmp/wguest.XXXXXX)
export WEFT_GUEST_DIR=$run/root
checks=0

cleanup()
{
	status=$?
	if [ "$status" != 0 ]; then
		for log in "$WEFT_GUEST_DIR"/*/*.log; do
			[ ! -s "$log" ] || { echo "--- $log" && tail -n 5 "$log"; } >&2
		done
	fi
	"$guest" stop --all || true
	ip netns del "$ns" 2>/dev/null || true
	rm -rf "$run"
}
trap cleanup EXIT

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

ok()
{
	checks=$((checks + 1))
	echo "ok: $*"
}

# expect WANTED GOT WHAT
expect()
{
	[ "$1" = "$2" ] || fail "$3: wanted '$1', got '$2'"
	ok "$3"
}

# expect_status WANTED WHAT COMMAND... - also leaves the command's errors in $errors
expect_status()
{
	local wanted=$1 what=$2 got=0
	shift 2
	errors=$("$@" 2>&1 >/dev/null) || got=$?
	expect "$wanted" "$got" "$what${errors:+ (${errors%%$'\n'*})}"
}

# until_true SECONDS COMMAND...
until_true()
{
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

carrier()
{
	ip -n "$ns" link show "$1" | grep -q LOWER_UP
}

no_carrier()
{
	! carrier "$1"
}

on()
{
	"$guest" exec --timeout 30 "$@"
}

pid_of()
{
	"$guest" list | awk -v name="$1" '$1 == name { print $2 }'
}

# traffic CLIENT ADDRESS - ping, page, file and TCP both ways against web1
traffic()
{
	local client=$1 address=$2 sum mbits
	on "$client" ping -c 5 -i 0.1 -w 5 "$address" >"$run/ping" || fail "$client: ping: $(cat "$run/ping")"
	grep -q ' 0% packet loss' "$run/ping" || fail "$client lost pings: $(cat "$run/ping")"
	expect "This is guest web1." "$(on "$client" wget -q -O - "http://$address/")" "$client: web1's page"
	sum=$(on web1 sha256sum /srv/file | cut -d' ' -f1)
	expect "$sum" "$(on "$client" "wget -q -O - http://$address/file | sha256sum | cut -d' ' -f1")" \
		"$client: web1's file"
	for way in '' -R; do
		mbits=$(on "$client" "iperf3 -c $address -t 1 $way -f m" | awk '/receiver/ { print $7 }')
		[ "${mbits%%.*}" -gt 0 ] || fail "$client: iperf3 $way: no traffic"
		ok "$client: iperf3 ${way:-forward}: $mbits Mb/s"
	done
}

check_exec()
{
	local i out
	expect_status 3 "exit status" on web1 exit 3
	expect_status 7 "exit status of one word" on web1 'exit 7'
	expect "a  b'c|" "$(on web1 echo "a  b'c" | tr '\n' '|')" "several words run as they are"
	expect "out" "$(on web1 'echo out; echo err >&2' 2>"$run/err")" "standard output"
	expect "err" "$(cat "$run/err")" "standard error"
	expect "" "$(on web1 true)" "empty output"
	expect_status 137 "a command whose time is up" "$guest" exec --timeout 1 web1 'echo part; sleep 30; true'
	expect "part" "$("$guest" exec --timeout 1 web1 'echo part; sleep 30; true' || true)" "its output until then"
	expect_status 1 "and none of it still runs" on web1 'ps | grep "[s]leep 30"'
	expect "3000000 x" "$(on web1 'head -c 3000000 /dev/zero | tr "\0" x' | awk '{ print length($0), substr($0, 3000000) }')" \
		"three megabytes of output"
	for i in $(seq 30); do
		out=0
		on web1 exit $((i * 8)) || out=$?
		[ "$out" = $((i * 8)) ] || fail "command $i: status $out"
	done
	ok "30 commands, each with its own status"
	for i in 1 2 3 4; do
		on web1 "sleep 0.2; echo $i" >"$run/par$i" &
	done
	wait
	expect "1 2 3 4" "$(cat "$run"/par? | tr '\n' ' ' | sed 's/ $//')" "four commands at once queue"
	"$guest" exec --timeout 2 web1 'sleep 20' &
	sleep 0.3
	kill -9 $!
	wait $! 2>/dev/null || true
	expect "here" "$(on web1 echo here)" "a command after its predecessor's client was killed"
	expect_status 125 "exec in a guest that is not there" on nobody true
}

# guest_carrier GUEST - what its NIC says
guest_carrier()
{
	[ "$(on "$1" cat /sys/class/net/eth0/carrier)" = "$2" ]
}

check_qmp()
{
	"$guest" qmp web2 '{"execute":"query-status"}' | grep -q '"status": *"running"' || fail "query-status"
	ok "query-status"
	expect_status 1 "a QMP command that QEMU refuses" "$guest" qmp web2 '{"execute":"no-such"}'
	"$guest" qmp web2 '{"execute":"set_link","arguments":{"name":"n0","up":false}}' >"$run/out"
	until_true 5 guest_carrier web2 0 || fail "set_link off: the guest still has a carrier"
	"$guest" qmp web2 '{"execute":"set_link","arguments":{"name":"n0","up":true}}' >"$run/out"
	until_true 5 guest_carrier web2 1 || fail "set_link on: the guest has no carrier"
	ok "set_link off and on is seen by the guest"
}

check_refusals()
{
	expect_status 1 "a name that runs" "$guest" start web1 --image "$cloud"
	expect_status 1 "a tap that another guest holds" "$guest" start web3 --image "$cloud" --netns "$ns" --tap t0
	expect_status 1 "a tap that is not there" "$guest" start web3 --image "$cloud" --netns "$ns" --tap t9
	expect_status 1 "a namespace that is not there" "$guest" start web3 --image "$cloud" --netns "no$ns"
	expect_status 1 "an unknown NIC" "$guest" start web3 --image "$cloud" --nic ne2000
	expect_status 1 "an image that is not there" "$guest" start web3 --image "$run/none"
	expect_status 1 "a bad name" "$guest" start Web/3 --image "$cloud"
	expect_status 2 "no image" "$guest" start web3
	expect_status 1 "no such program" env WEFT_GUEST_QEMU=no-such-qemu "$guest" start web3 --image "$cloud"
	[ ! -e "$WEFT_GUEST_DIR/web3" ] || fail "a refused start leaves files"
	ok "refused starts leave nothing"
	expect_status 1 "stop of a guest that is not there" "$guest" stop nobody
}

check_death()
{
	local pid
	pid=$(pid_of web2)
	kill -9 "$pid"
	until_true 5 no_carrier t1 || fail "the tap keeps its carrier"
	ok "kill -9: the tap has no carrier"
	expect 0 "$(pid_of web2)" "kill -9: list says so"
	expect_status 125 "exec in a dead guest" on web2 true
	expect_status 1 "wait for a dead guest" "$guest" wait web2
	start_web2
	ok "the name and the tap are used again"
	expect_status 0 "stop" "$guest" stop web2
	[ ! -e "$WEFT_GUEST_DIR/web2" ] || fail "stop leaves files"
	until_true 5 no_carrier t1 || fail "stop: the tap keeps its carrier"
	ok "stop leaves neither files nor a carrier"
	"$guest" start web2 --image "$cloud" --append 'rdinit=/none root=/dev/none'
	expect_status 1 "a guest that panics" "$guest" wait --timeout 30 web2
	[[ $errors == *anic* ]] || fail "the panic is not told: $errors"
	"$guest" stop web2
	start_web2
	kill -STOP "$(pid_of web2)"
	expect_status 0 "stop of a QEMU that hangs" "$guest" stop web2
}

start_web2()
{
	# The words an operator pastes.
	"$guest" start web2 --image "$cloud" --netns "$ns" --ip 10.1.0.12/24,fd00::12/64 --gw 10.1.0.11 --mtu 1400 \
		--modules tun,veth --qemu-net '-netdev tap,id=n0,ifname=t1,script=no,downscript=no
			-device virtio-net-pci,netdev=n0,mac=02:00:00:00:00:12'
	"$guest" wait web2
}

check_nics()
{
	local nic driver
	for nic in virtio e1000 e1000e vmxnet3 rtl8139 pcnet; do
		"$guest" start "nic-$nic" --image "$generic" --netns "$ns" --tap t1 --nic "$nic" --ip 10.1.0.13/24
		"$guest" wait "nic-$nic"
		driver=$(on "nic-$nic" readlink /sys/class/net/eth0/device/driver)
		driver=${driver##*/}
		case $nic:$driver in
		virtio:virtio_net | rtl8139:8139cp | pcnet:pcnet32 | "$nic:$nic") ok "$nic: driver $driver" ;;
		*) fail "$nic: driver '$driver'" ;;
		esac
		traffic "nic-$nic" 10.1.0.11
		"$guest" stop "nic-$nic"
	done
}

check_bpf()
{
	on web1 'mount -t bpf bpf /sys/fs/bpf && test -s /sys/kernel/btf/vmlinux' || fail "no bpffs or BTF"
	on web1 'modprobe -a tun veth sch_ingress cls_bpf && test -c /dev/net/tun' || fail "modules"
	expect 4 "$(on web1 'grep -cE "^(tun|veth|sch_ingress|cls_bpf) " /proc/modules')" "modules on request"
	on web1 'ip link add v0 type veth && test -e /sys/class/net/v0 && ip link del v0' || fail "no veth"
	ok "bpffs, BTF, tun, veth, sch_ingress, cls_bpf"
}

mkdir "$WEFT_GUEST_DIR"
ip netns add "$ns"
ip -n "$ns" link add br0 type bridge
ip -n "$ns" link set br0 up
for tap in t0 t1; do
	ip -n "$ns" tuntap add "$tap" mode tap
	ip -n "$ns" link set "$tap" master br0 up
done
SECONDS=0
"$guest" start web1 --image "$cloud" --netns "$ns" --tap t0 --ip 10.1.0.11/24 --ip fd00::11/64 --nginx
start_web2
"$guest" wait web1
ok "two guests are up after $SECONDS s"
on web1 'iperf3 -s -D'
expect 1400 "$(on web2 cat /sys/class/net/eth0/mtu)" "mtu"
on web2 'ip route' | grep -q 'default via 10.1.0.11' || fail "gateway"
on web2 lsmod | grep -q '^veth' || fail "modules at boot"
traffic web2 10.1.0.11
expect "This is guest web1." "$(on web2 wget -q -O - 'http://[fd00::11]/')" "web1's page over IPv6"
check_exec
check_qmp
check_refusals
check_death
check_bpf
[ -z "$generic" ] || check_nics
expect_status 0 "stop --all" "$guest" stop --all
expect "" "$("$guest" list)" "nothing is left"
echo "PASS: $checks checks in $SECONDS s"
