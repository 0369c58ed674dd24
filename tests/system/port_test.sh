#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports: modes, tags and limits, the exact answer, and every refusal with nothing half made.
set -euo pipefail
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

host_new a
host_start a
for network in blue red green; do
	ctl a network add "$network"
done
on a ip link add v0 type veth peer name v0peer
on a ip link set v0peer up

ctl a port add web1 type tap network blue mac 02:00:00:00:00:01
[ "$ENGINE" = dpdk ] && driver='"packet"' || driver='"tc"'
expect a '{"bindings":0,"bindings_refused":0,"carrier":false,"dev":"web1","direct":null,"driver":'"$driver"',"group":null,"host":false,"id":1,"learn_refused":0,"mac":"02:00:00:00:00:01","mac_limit":1024,"macs":0,"mode":"access","moves":0,"moves_refused":0,"mtu":1500,"name":"web1","native":null,"network":"blue","offloads":null,"owner":null,"queues":1,"queues_used":null,"rx_bytes":0,"rx_dropped":0,"rx_packets":0,"sample":null,"samples_lost":0,"socket":null,"socket_mode":null,"state":"waiting","storm_limit_pps":10000,"tags":[],"twin":null,"tx_bytes":0,"tx_dropped":0,"tx_packets":0,"type":"tap","underlay":null,"why":"nobody has the tap open: its VM does not run","xdp":null}' \
	'.[0] | to_entries | sort_by(.key) | from_entries' port show web1

# access, trunk, trunk with a native network; set turns one into the other
ctl a port add c1 type device dev v0 trunk blue:10,red:20 native green mac-limit 7 storm-limit 0
expect a '["device","v0",null,"trunk",["blue:10","red:20"],"green",7,0,null,"up",null]' \
	'.[0] | [.type,.dev,.network,.mode,.tags,.native,.mac_limit,.storm_limit_pps,.mac,.state,.why]' port show c1
expect a '[2,1,1]' '[.[] | .ports]' network show
ctl a port set c1 trunk -red:20,+red:30
expect a '["blue:10","red:30"]' '.[0].tags' port show c1
ctl a port set c1 trunk none native none network red
expect a '["access","red",[],null]' '.[0] | [.mode,.network,.tags,.native]' port show c1
expect a '[1,1,0]' '[.[] | .ports]' network show
equal web1 "$(json a '.[].name' port show network blue)" "filter"

# the guest's address is made from the name and stays
ctl a port add web2 type tap network blue
mac=$(json a '.[0].mac' port show web2)
case $mac in 02:*) ;; *) die "mac $mac" ;; esac
ctl a port del web2
ctl a port add web2 type tap network blue
expect a "$mac" '.[0].mac' port show web2

# words for hypervisors
equal "-netdev tap,id=web1,ifname=web1,script=no,downscript=no -device virtio-net-pci,netdev=web1,mac=02:00:00:00:00:01,host_mtu=1500" \
	"$(ctl a port show web1 qemu)" qemu
ctl a port add 1many type tap network blue queues 4 mac 02:00:00:00:00:04
equal "-netdev tap,id=port-1many,ifname=1many,script=no,downscript=no,queues=4 -device virtio-net-pci,netdev=port-1many,mac=02:00:00:00:00:04,mq=on,vectors=10,host_mtu=1500" \
	"$(ctl a port show 1many qemu)" "qemu with queues"
equal "<interface type='ethernet'>
  <mac address='02:00:00:00:00:01'/>
  <target dev='web1' managed='no'/>
  <model type='virtio'/>
  <mtu size='1500'/>
</interface>" "$(ctl a port show web1 libvirt)" libvirt
refused a 1 'which qemu does not open' port show c1 qemu
ctl a port del 1many

# refusals: each leaves everything as it was
on a ip link add br0 type bridge
on a ip link add s0 type veth peer name s1
on a ip link set s0 master br0
on a ip link add small mtu 1400 type veth peer name smallpeer
on a ip tuntap add dev multi mode tap multi_queue
on a ip tuntap add dev l3 mode tun
on a ip tuntap add dev plain mode tap
before=$(ctl a export)
links=$(on a ip -o link | sort)
refused a 1 'port web1 exists already' port add web1 type tap network blue
refused a 1 'port x needs ' port add x type tap
refused a 1 'cannot have both' port add x type tap network blue trunk red:1
refused a 1 ' is for trunk ports only' port add x type tap network blue native red
refused a 1 'there is no network pink' port add x type tap network pink
refused a 1 'there is no network pink' port add x type tap trunk pink:1
refused a 1 'tag 10 is given twice' port add x type tap trunk blue:10,red:10
refused a 1 'network blue is named twice' port add x type tap trunk blue:10,blue:11
refused a 1 'network blue is named twice' port add x type tap trunk blue:10 native blue
refused a 2 '' port add x type tap trunk blue:4095
refused a 2 '' port add x type tap trunk blue:0
if [ "$ENGINE" = ebpf ]; then
	refused a 1 'need the dpdk engine' port add x type vhost-user network blue
	refused a 1 'start weftd with --engine dpdk' port add x type pci dev 0000:01:00.0 network blue
fi
refused a 1 'is a PCI address' port add x type device dev 0000:01:00.0 network blue
refused a 1 'type tap has no ' port add x type tap network blue socket /run/x.sock
refused a 1 'too long to be the name of a device' port add a-very-long-port-name type tap network blue
refused a 1 'lo is the loopback device' port add x type device dev lo network blue
refused a 1 'there is no device nowhere' port add x type device dev nowhere network blue
refused a 1 'v0 is port c1 already' port add x type device dev v0 network blue
refused a 1 'web1 is port web1 already' port add x type tap dev web1 network blue
refused a 1 's0 is in the bridge br0' port add x type device dev s0 network blue
refused a 1 'v0peer is no tap (veth)' port add x type tap dev v0peer network blue
refused a 1 'l3 carries no Ethernet frames' port add x type device dev l3 network blue
refused a 1 'has several queues' port add x type tap dev multi network blue
refused a 1 'network blue has mtu 1500, but small has only 1400' port add x type device dev small network blue
refused a 1 'there is no such user' port add x type tap network blue owner nobody-has-this-name
refused a 1 'its owner is not nobody' port add x type tap dev plain network blue owner nobody
refused a 1 'type device has no ' port add x type device dev small network blue queues 2
refused a 1 'cannot have both' port set web1 trunk red:1
refused a 1 'there is no port x' port set x mac-limit 1
refused a 1 'there is no port x' port del x
equal "$before" "$(ctl a export)" "objects after refusals"
equal "$links" "$(on a ip -o link | sort)" "devices after refusals"

# a program of somebody else on the device
on a ip link add busy type veth peer name busypeer
if on a ip link set dev busy xdpgeneric obj "$BUILD/bpf/weft_xdp.bpf.o" sec xdp; then
	refused a 1 "ip link set dev busy xdpgeneric off" port add x type device dev busy network blue
	on a ip link set dev busy xdpgeneric off
fi
if [ "$ENGINE" = ebpf ]; then
	on a tc qdisc add dev busy clsact
	on a tc filter add dev busy ingress bpf da obj "$BUILD/bpf/weft_tc.bpf.o" sec tc
	refused a 1 "which is not weft's" port add x type device dev busy network blue
	case $(on a ip -d link show busy) in *PROMISC* | *weft:*) die "busy was changed" ;; esac
	on a tc qdisc del dev busy clsact
	ctl a port add x type device dev busy network blue
	ctl a port del x
fi

# a network's mtu cannot rise above what a device port has
ctl a network set green mtu 1400
ctl a port add s type device dev small network green
refused a 1 'network green has mtu 1500, but small has only 1400' network set green mtu 1500
expect a 1400 '.[0].mtu' network show green
ctl a port del s

# static rows keep their port and its network
ctl a fdb add 02:00:00:00:00:09 network red port c1
refused a 1 'port c1 is in use by static fdb rows: 02:00:00:00:00:09 red' port del c1
refused a 1 'port c1 is in use by static fdb rows' port set c1 network green
expect a '["red","up"]' '.[0] | [.network,.state]' port show c1
