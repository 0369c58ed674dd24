# SPDX-License-Identifier: BSD-2-Clause
# vxlan.sh - for benchmarks of vhost-user: weft between a guest and a VXLAN host behind a NIC without the kernel
# shellcheck shell=bash disable=SC2034 # variables are of vhost.sh
#
# The NIC is net_vhost: its other end is the other half of the generator, which speaks VXLAN there.

HERE=10.255.0.101/24
THERE=10.255.0.102
THERE_MAC=02:79:00:00:00:0b

plain_up() {
	weft_switch_up
	weft_guest a
	weft_guest b
}

plain_down() {
	weft_switch_down
}

weft_up() {
	weft_switch_up
	weft main host set address "${HERE%/*}"
	weft main network set bench vni 100
	weft_guest a
	weft_nic underlay on
	underlay_device weft-up
	weft main peer add there address "$THERE"
}

weft_down() {
	weft_switch_down
}

weft_switch_up() {
	weft_settings='pci: true'
	weft_start || fail "weftd: $(tail -n 3 "$RIG/weftd.log")"
	switch_pid=$(cat "$RIG/weftd.pid")
	weft main network add bench
	sockets=()
	guest_options=()
}

weft_switch_down() {
	stop weftd
	device_del weft-up
	rm -rf "$RIG/main"
}

weft_guest() {
	weft main port add "$1" type vhost-user network bench
	sockets+=("$RIG/main/run/vhost/$1.sock")
}

# weft_nic WORDS...
weft_nic() {
	sockets+=("$RIG/main/nic.sock")
	weft main port add up type pci dev "net_vhost0,iface=$RIG/main/nic.sock" "$@"
}

# underlay_device DEVICE: by which the switch's host has its address
underlay_device() {
	local sw
	sw=$(netns sw)
	ip -n "$sw" link set "$1" up
	ip -n "$sw" addr add "$HERE" dev "$1"
	ip -n "$sw" neigh replace "$THERE" lladdr "$THERE_MAC" dev "$1" nud permanent
	guest_options+=(--vxlan "$(ip -n "$sw" -j link show "$1" | jq -r '.[0].address')")
}

# device_del DEVICE: of the switch's host, if it is there
device_del() {
	ip -n "$(netns sw)" link del "$1" 2>/dev/null || true
}
