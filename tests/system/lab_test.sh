#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# weftlab without VMs: what a file builds, what is refused and where, and that nothing stays behind,
# whatever happened.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/lab.sh
. tests/system/lab.sh
A=t$$-a B=t$$-b
lab_own "$B"
lab_own "$A"

# lab NAME FILE: the file of standard input with that name
lab() {
	{
		echo "name: $1"
		cat
	} >"$WORK/$2"
}

cat >"$WORK/topology" <<'END'
topology:
  nodes:
    h1:
      kind: host
      addresses: {eth1: [192.0.2.1/24]}
      routes: [{to: default, via: 192.0.2.254}]
      objects:
        networks: [{name: blue, mtu: 1400}, {name: red}]
        ports:
          - {name: declared, type: device, dev: d0, network: blue}
          - {name: trunk0, type: device, tags: ["red:20"]}
    c1: {kind: client, host: h1, network: blue, mtu: 1400, addresses: [10.1.0.1/24, "fd00:1::1/64"]}
    c2: {kind: client, host: h1, port: declared, addresses: {eth0: [10.1.0.2/24, "fd00:1::2/64"]}}
    seg: {kind: bridge}
    h2: {kind: host, objects: {networks: [{name: red}], ports: [{name: up0, type: device, tags: ["red:20"]}]}}
    c3: {kind: client, host: h1, network: red, addresses: [10.2.0.3/24]}
    c4: {kind: client, host: h2, network: red, addresses: [10.2.0.4/24]}
    r1:
      kind: router
      addresses: {lan: [192.0.2.254/24], a: [198.51.100.0/31], b: [198.51.100.2/31]}
      routes: [{to: 203.0.113.0/24, via: [198.51.100.1, 198.51.100.3]}]
      sysctl: {net.ipv4.fib_multipath_hash_policy: 1}
    r2:
      kind: router
      addresses: {a: [198.51.100.1/31], b: [198.51.100.3/31], lan: [203.0.113.254/24]}
      routes: [{to: default, via: [198.51.100.0, 198.51.100.2]}]
    far: {kind: client, addresses: [203.0.113.1/24], routes: [{to: default, via: 203.0.113.254}]}
    k1: {kind: bridge, addresses: {u: [192.0.2.11/24]}, vxlan: [{vni: 7, local: 192.0.2.11, remotes: [192.0.2.12]}]}
    k2: {kind: bridge, addresses: {u: [192.0.2.12/24]}, vxlan: [{vni: 7, local: 192.0.2.12, remotes: 192.0.2.11}]}
    c5: {kind: client, addresses: ["fd00:5::5/64"]}
    c6: {kind: client, addresses: ["fd00:5::6/64"]}
  links:
    - endpoints: ["h1:eth1", "seg:h1"]
    - endpoints: ["r1:lan", "seg:r1"]
    - endpoints: ["k1:u", "seg:k1"]
    - endpoints: ["k2:u", "seg:k2"]
    - endpoints: ["h1:trunk0", "h2:up0"]
    - {endpoints: ["r1:a", "r2:a"], delay: 2ms, loss: 0.001%, mtu: 1400, seed: 1}
    - endpoints: ["r1:b", "r2:b"]
    - endpoints: ["r2:lan", "far:eth0"]
    - {endpoints: ["c5:eth0", "k1:p"], mtu: 1400}
    - {endpoints: ["c6:eth0", "k2:p"], mtu: 1400}
END
cat >"$WORK/small" <<END
topology:
  nodes:
    h1: {kind: host, objects: {networks: [{name: blue}]}}
    c1: {kind: client, host: h1, network: blue, addresses: [10.1.0.1/24]}
    c2: {kind: client, host: h1, network: blue, addresses: [10.1.0.2/24]}
    c$$: {kind: client, host: h1, network: blue, addresses: [10.1.0.9/24]}
END

# everything in it works
lab "$A" a.yaml <"$WORK/topology"
lab "$B" b.yaml <"$WORK/small"
weftlab up "$WORK/a.yaml"
reaches c1 c2 10.1.0.2 -n 64K
reaches c2 c1 fd00:1::1 -n 64K
reaches c3 c4 10.2.0.4 -n 64K # by the trunk
reaches h1 far 203.0.113.1 -n 64K
reaches c5 c6 fd00:5::6 -n 64K # by the kernel's VXLAN
equal 2 "$(in_lab r1 ip route show 203.0.113.0/24 | grep -c nexthop)" "ways to 203.0.113.0/24"
equal 1 "$(in_lab r1 cat /proc/sys/net/ipv4/fib_multipath_hash_policy)" "sysctl"
mtu() { in_lab "$1" ip -j link show "$2" | jq '.[0].mtu'; }
equal 1400 "$(mtu c1 eth0)" "MTU of c1"
equal "1400 1400 1500" "$(mtu r1 a) $(mtu r2 a) $(mtu r2 b)" "MTUs of links"
equal '["c1","c3","declared","trunk0"]' "$(in_lab h1 weftctl -j port show | jq -c '[.[].name] | sort')" "ports of h1"

# a lab beside it, with nodes of the same names
weftlab up "$WORK/b.yaml"
says() { # says STATUS PATTERN COMMAND...
	local wanted=$1 pattern=$2 got=0 said
	shift 2
	said=$("$@" 2>&1) || got=$?
	equal "$wanted" "$got" "exit status of: $* ($said)"
	# shellcheck disable=SC2254
	case $said in
	*$pattern*) ;;
	*) die "'$*' said '$said', not '$pattern'" ;;
	esac
}
says 0 '10.1.0.1' weftlab exec "$B:c1" ip -4 -o addr show dev eth0
says 0 '' weftlab exec c$$ true # the only one
says 7 '' weftlab exec c$$ sh -c 'exit 7'
says 127 'no-such-program' weftlab exec c$$ no-such-program
says 125 "$A, $B" weftlab exec c2 true
says 125 'nobody' weftlab exec nobody true
says 125 "in a lab $B" weftlab exec "$B:r1" true
says 1 'runs already' weftlab up "$WORK/b.yaml"
equal '["up","up"]' "$(weftlab list -j | jq -c "[.[] | select(.name == (\"$A\", \"$B\")) | .state]")" "labs"
says 0 "$A" weftlab list
equal '["up","up","up"]' "$(weftlab status "$A" -j | jq -c '.[0] | [.state, (.nodes | map(.state) | unique[]), (.wires | map(.state) | unique[])]')" "states"
equal "[\"weft-$A-h1\",[\"192.0.2.1/24\"],\"ports: 4 of 4 up\"]" \
	"$(weftlab status -j "$A" | jq -c '.[0].nodes[] | select(.name == "h1") | [.netns, .addresses, .notes]')" "status of h1"
says 0 'delay 2ms loss 0.001% seed 1 mtu 1400' weftlab status "$A"
says 1 'no lab' weftlab status nobody

# pictures, of files and of labs that run
weftlab graph "$A" >"$WORK/graph"
host="h1  (host)"
[ "$ENGINE" = ebpf ] || host="h1  (host, $ENGINE)" # said when it is not the default
for line in "$host" 'eth1 192.0.2.1/24' 'port c1 type device dev c1 network blue' 'vni 7 from 192.0.2.11 to 192.0.2.12' \
	'h1:declared -- c2:eth0' 'r1:a -- r2:a  delay 2ms'; do
	grep -qF "$line" "$WORK/graph" || die "the graph lacks: $line"
done
weftlab graph "$WORK/a.yaml" | cmp - "$WORK/graph" || die "the file's graph is not that of the lab"
weftlab graph "$WORK/a.yaml" --dot "$WORK/dot" --svg "$WORK/svg"
grep -qF '"r1" -- "r2" [taillabel="a", headlabel="a", label="delay 2ms loss 0.001% seed 1 mtu 1400"];' "$WORK/dot" || die "DOT lacks a link"
equal 14 "$(grep -c '<rect class=' "$WORK/svg")" "boxes in the SVG"
equal 14 "$(grep -c '<line\|<path' "$WORK/svg")" "lines in the SVG"
equal '</svg>' "$(tail -n 1 "$WORK/svg")" "the end of the SVG"

# weftd again, on the way that it ended; what it was told since is not forgotten
LAB=$A
ctl h1 network add green
for how in '' --kill; do
	before=$(pid_of h1)
	# shellcheck disable=SC2086
	says 0 '' weftlab restart "$A:h1" $how
	[ "$before" != "$(pid_of h1)" ] || die "weftd of h1 is the same after restart $how"
	equal 1 "$(grep -c 'msg="stopped"' "/run/weftlab/$A/h1/weftd.log")" "ends of weftd by SIGTERM, after restart $how"
	expect h1 '["blue","green","red"]' 'map(.name) | sort' network show
	reaches c1 c2 10.1.0.2 -n 64K
done
kill -9 "$(pid_of h1)"
wait_for 5 node_ended h1
says 0 '' weftlab restart "$A:h1"
reaches c1 c2 10.1.0.2 -n 64K
says 1 'c1 is a client: only a host or a vm' weftlab restart "$A:c1"
says 1 'no lab that runs has a node nobody' weftlab restart nobody
says 2 'usage: weftlab restart' weftlab restart "$A:h1" --hard
mv "/run/weftlab/$A/h1/state" "$WORK/state" && touch "/run/weftlab/$A/h1/state"
says 1 'h1: weftd ended: ' weftlab restart "$A:h1"
says 0 'h1           host    down' weftlab status "$A"
rm "/run/weftlab/$A/h1/state" && mv "$WORK/state" "/run/weftlab/$A/h1/state"
says 0 '' weftlab restart "$A:h1"
equal up "$(weftlab status -j "$A" | jq -r '.[0].state')" "the lab after restarts"

# what an operator started there goes, too
"$BUILD/weftlab" exec "$A:c1" sleep 1000 &
helper $!
weftlab down "$A"
none_left "$A"
[ ! -e "/proc/$!/exe" ] || die "a process of c1 lives on"
unset 'HELPERS[-1]'
says 0 '' weftlab exec "$B:c1" true

# half of it is gone already
LAB=$B
node_kill h1
says 0 'h1           host    down' weftlab status "$B"
umount "/run/weftlab/$B/.bpf"
ip netns del "weft-$B-c2"
weftlab down "$B"
none_left "$B"
says 1 'no lab' weftlab down "$B"

# what is not ours stays
ip netns add "weft-$B-c1"
says 1 "network namespace weft-$B-c1 already" weftlab up "$WORK/b.yaml"
ip netns del "weft-$B-c1" || die "somebody else's namespace is gone"
none_left "$B"

# weftd refuses the objects: the sentence says where they stand, and all is taken down
sed 's/name: blue}\]/name: blue, vni: many}]/' "$WORK/b.yaml" >"$WORK/refused.yaml"
says 1 "$WORK/refused.yaml:4:43: h1: weftctl: networks: blue: " weftlab up "$WORK/refused.yaml"
none_left "$B"

# killed in the middle: `down` finds what was made; interrupted: nothing stays
journal_has() { [ "$(wc -l <"/run/weftlab/$A/.journal")" -ge "$1" ]; } 2>/dev/null
over() { # over SIGNAL: what began ends; its status is in STATUS
	STATUS=0
	kill "-$1" $UP
	wait $UP 2>/dev/null || STATUS=$?
	unset 'HELPERS[-1]'
}
# begin COUNT: an `up` of which that much is in the journal; its id is in UP
begin() {
	"$BUILD/weftlab" up "$WORK/a.yaml" >"$WORK/up" 2>&1 & # not the function: that would be a shell
	UP=$!
	helper $UP
	for _ in $(seq 10000); do
		! journal_has "$1" || return 0
		[ -d "/proc/$UP" ] || die "'up' ended early: $(cat "$WORK/up")"
	done
	die "the journal never had $1 lines"
}
for count in 1 5 16 17 18; do
	begin $count
	over KILL
	says 1 "weftlab down $A" weftlab up "$WORK/a.yaml"
	says 0 broken weftlab status "$A"
	weftlab down "$A"
	none_left "$A"
done
for signal in INT TERM; do
	begin 17
	kill -STOP $UP # it is at it as long as this takes
	says 1 'right now' weftlab down "$A"
	says 1 'right now' weftlab up "$WORK/a.yaml"
	says 0 busy weftlab status "$A"
	kill -CONT $UP
	over $signal
	equal 1 $STATUS "exit status after SIG$signal"
	grep -q interrupted "$WORK/up" || die "after SIG$signal: $(cat "$WORK/up")"
	none_left "$A"
done

# wrong LINE:COLUMN PATTERN <<FILE: refused, with that place, and nothing is made
wrong() {
	cat >"$WORK/wrong.yaml"
	says 1 "wrong.yaml:$1: $2" weftlab up "$WORK/wrong.yaml"
	none_left wrong
}
nodes() { # nodes NODES [LINKS]: a lab file; the nodes begin at 4:5, links at 6:5
	printf 'name: wrong\ntopology:\n  nodes:\n    h: {kind: host, objects: {networks: [{name: n}], ports: [{name: p, type: tap}]}}\n    %s\n' "$1"
	[ -z "${2:-}" ] || printf '  links:\n    %s\n' "$2"
}
wrong 1:1 'expected keys and values' </dev/null
wrong 1:7 "'Wrong' is wrong here, expected a name" <<<'name: Wrong'
wrong 1:1 "'topology' is missing" <<<'name: wrong'
wrong 2:1 'this key stands here twice' <<<$'name: wrong\nname: wrong'
wrong 2:1 "unknown key 'topologie': did you mean 'topology'?" <<<$'name: wrong\ntopologie: {}'
wrong 1:15 'this is no YAML' <<<'name: [wrong, }'
wrong 2:1 "'nodes' is missing" <<<$'name: wrong\ntopology: {}'
wrong 2:19 'expected nodes here' <<<$'name: wrong\ntopology: {nodes: []}'
wrong 5:5 "'Bad' is no node name" < <(nodes 'Bad: {kind: client}')
wrong 5:5 'node x has no kind' < <(nodes 'x: {}')
wrong 5:15 "unknown kind 'clent', expected one of host, vm, client, router, bridge, ovs" < <(nodes 'x: {kind: clent}')
wrong 5:23 "unknown key 'adresses': did you mean 'addresses'?" < <(nodes 'x: {kind: client, adresses: []}')
wrong 5:40 "'10.1.0.1' is wrong here, expected an address with its length" < <(nodes 'x: {kind: client, addresses: {lo: [10.1.0.1]}}')
wrong 5:39 "expected a list of addresses" < <(nodes 'x: {kind: client, addresses: {lo: 10.1.0.1/8}}')
wrong 5:40 "'10.1.0.1/33' is wrong" < <(nodes 'x: {kind: client, addresses: {lo: [10.1.0.1/33]}}')
wrong 5:35 'node x has no device eth7' < <(nodes 'x: {kind: client, addresses: {eth7: [10.1.0.1/8]}}')
wrong 5:23 'node x has no device eth0' < <(nodes 'x: {kind: client, addresses: [10.1.0.1/8]}')
wrong 5:35 "'a-name-too-long-for' is no device name" < <(nodes 'x: {kind: client, addresses: {a-name-too-long-for: []}}')
wrong 5:39 "'ten' is wrong here, expected an address" < <(nodes 'x: {kind: vm, host: h, gateways: [ten]}')
wrong 5:5 "'host' is missing here" < <(nodes 'x: {kind: vm}')
wrong 5:25 "there is no node 'hh'" < <(nodes 'x: {kind: vm, host: hh}')
wrong 5:25 'node x is a vm, expected a host' < <(nodes 'x: {kind: vm, host: x}')
wrong 5:34 'host h has no port q' < <(nodes 'x: {kind: vm, host: h, port: q}')
wrong 5:5 'host h has no port x' < <(nodes 'x: {kind: vm, host: h}')
wrong 5:37 'host h has no network m' < <(nodes 'x: {kind: vm, host: h, network: m}')
wrong 5:37 'host h has a port p among its objects: leave out' < <(nodes 'p: {kind: vm, host: h, network: n}')
wrong 5:5 'client p needs a port of type device' < <(nodes 'p: {kind: client, host: h}')
wrong 6:34 'port p of h is that of node x already' < <(nodes $'x: {kind: vm, host: h, port: p}\n    y: {kind: vm, host: h, port: p}')
wrong 5:32 'a port needs its' < <(nodes 'x: {kind: client, network: n}')
wrong 5:42 "unknown NIC 'ne2k'" < <(nodes 'x: {kind: vm, host: h, port: p, nic: ne2k}')
wrong 5:48 "'little' is wrong here, expected a number from 96" < <(nodes 'x: {kind: vm, host: h, port: p, memory_mb: little}')
wrong 5:44 "'maybe' is wrong here, expected true or false" < <(nodes 'x: {kind: vm, host: h, port: p, nginx: maybe}')
wrong 5:83 'VNI 7 stands here twice' < <(nodes 'x: {kind: bridge, vxlan: [{vni: 7, local: 10.0.0.1, remotes: 10.0.0.2}, {vni: 7, local: 10.0.0.1, remotes: 10.0.0.2}]}')
wrong 5:66 'fd00::2 is not of the same family' < <(nodes 'x: {kind: bridge, vxlan: [{vni: 7, local: 10.0.0.1, remotes: fd00::2}]}')
wrong 5:32 'a route needs' < <(nodes 'x: {kind: client, routes: [{to: default}]}')
wrong 5:37 "'10.0.0.1' is wrong here, expected a prefix" < <(nodes 'x: {kind: client, routes: [{to: 10.0.0.1}]}')
wrong 5:54 'fd00::1 is not of the same family' < <(nodes 'x: {kind: client, routes: [{to: 10.0.0.0/8, via: fd00::1}]}')
wrong 5:28 'cannot read ' < <(nodes 'x: {kind: host, apply: not-there.yaml}')
wrong 5:32 "'kernel.panic' would change the whole machine" < <(nodes 'x: {kind: client, sysctl: {kernel.panic: 1}}')
wrong 5:5 "client x is behind no port" < <(nodes 'x: {kind: client, mtu: 1400}')
x='x: {kind: client}'
wrong 7:19 'node x makes a device eth0 itself' < <(nodes 'x: {kind: client, host: h, network: n}' '- endpoints: ["x:eth0", "h:a"]')
wrong 5:5 'client x needs the device x of h, where a link ends' < <(nodes 'x: {kind: client, host: h, network: n}' '- endpoints: ["h:x", "h:a"]')
wrong 7:7 "'endpoints' is missing" < <(nodes "$x" '- {mtu: 1400}')
wrong 7:18 'expected two endpoints' < <(nodes "$x" '- endpoints: ["x:a"]')
wrong 7:19 "'xa' is no endpoint, expected NODE:DEVICE" < <(nodes "$x" '- endpoints: ["xa", "h:a"]')
wrong 7:19 "there is no node 'y'" < <(nodes "$x" '- endpoints: ["y:a", "h:a"]')
wrong 7:19 "'lo' cannot name a device" < <(nodes "$x" '- endpoints: ["x:lo", "h:a"]')
wrong 7:19 "'sixteen-letters0' cannot name a device" < <(nodes "$x" '- endpoints: ["x:sixteen-letters0", "h:a"]')
wrong 7:26 'x:a is an endpoint already' < <(nodes "$x" '- endpoints: ["x:a", "x:a"]')
wrong 8:26 'h:a is an endpoint already' < <(nodes "$x" $'- endpoints: ["x:a", "h:a"]\n    - endpoints: ["x:b", "h:a"]')
wrong 7:19 'node x is a vm and has no links: it is behind a port' < <(nodes 'x: {kind: vm, host: h, port: p}' '- endpoints: ["x:a", "h:a"]')
wrong 7:19 'node x makes a device br0 itself' < <(nodes 'x: {kind: bridge}' '- endpoints: ["x:br0", "h:a"]')
wrong 7:42 "'fast' is wrong here, expected a time" < <(nodes "$x" '- {endpoints: ["x:a", "h:a"], delay: fast}')
wrong 7:41 "'101%' is wrong here, expected a share" < <(nodes "$x" '- {endpoints: ["x:a", "h:a"], loss: 101%}')
wrong 7:41 "'5mb' is wrong here, expected a rate" < <(nodes "$x" '- {endpoints: ["x:a", "h:a"], rate: 5mb}')
wrong 7:43 'jitter needs a delay' < <(nodes "$x" '- {endpoints: ["x:a", "h:a"], jitter: 1ms}')
wrong 7:35 "unknown key 'dely': did you mean 'delay'?" < <(nodes "$x" '- {endpoints: ["x:a", "h:a"], dely: 1ms}')

# a wrong file that is applied: its own line
echo 'networks: [' >"$WORK/objects.yaml"
nodes 'x: {kind: host, apply: objects.yaml}' >"$WORK/wrong.yaml"
says 1 "$WORK/objects.yaml:2:1: this is no YAML" weftlab up "$WORK/wrong.yaml"
echo 'networks: [{name: green}]' >"$WORK/objects.yaml"
says 0 'network green' weftlab graph "$WORK/wrong.yaml"

# engines: of a host, of all hosts, and of VMs on vhost-user
unset WEFTLAB_ENGINE
wrong 5:29 "unknown engine 'dpkd', expected ebpf, dpdk or sim" < <(nodes 'x: {kind: host, engine: dpkd}')
wrong 5:42 "unknown key 'core': did you mean 'cores'?" < <(nodes 'x: {kind: host, engine: dpdk, dpdk: {core: 1}}')
wrong 5:51 "unknown type 'veth', expected tap or vhost-user" < <(nodes 'x: {kind: vm, host: h, network: n, port_type: veth}')
wrong 5:5 "VM x is behind a port of type vhost-user: its host h needs \`engine: dpdk\`" < <(nodes 'x: {kind: vm, host: h, network: n, port_type: vhost-user}')
wrong 5:5 "port p of h has its type among the objects" < <(nodes 'x: {kind: vm, host: h, port: p, port_type: tap}')
nodes 'x: {kind: vm, host: h, network: n, port_type: vhost-user}' >"$WORK/wrong.yaml"
WEFTLAB_ENGINE=dpdk says 0 'port x type vhost-user network n' weftlab graph "$WORK/wrong.yaml"
WEFTLAB_ENGINE=sim says 0 "VM web is behind a tap" weftlab graph topo/labs/vhost.yaml
says 1 "unknown engine 'fast'" weftlab up --engine fast "$WORK/b.yaml"
says 2 'usage: weftlab up' weftlab up "$WORK/b.yaml" dpdk
says 0 "$B is up" weftlab up --engine sim "$WORK/b.yaml"
LAB=$B
expect h1 sim '.[0].engine' host show
weftlab restart "$B:h1"
expect h1 sim '.[0].engine' host show
weftlab down "$B"

# a name is a shipped lab
mkdir -p "$WORK/topo/labs"
cp "$WORK/b.yaml" "$WORK/topo/labs/$B.yaml"
WEFT_TOPO=$WORK/topo says 0 "$B is up" weftlab up "$B"
weftlab down "$B"
WEFT_TOPO=$WORK/topo says 0 "lab $B" weftlab graph "$B"
for command in up graph; do
	says 1 "no lab $B; the labs in $PWD/topo/labs are: anycast, leaf-spine, mixed-engines, mixed, nginx-lb, two-hosts, two-vms, vhost, wan" weftlab $command "$B"
	says 1 "./$B: " weftlab $command "./$B" # a file, as the slash says
done
WEFT_TOPO=$WORK says 1 'set WEFT_TOPO' weftlab up "$B"
# On a machine that has just booted weftlab is the first to make a namespace, and `ip netns` comes later.
cat >"$WORK/first.yaml" <<-END
	name: $B
	topology:
	  nodes:
	    r: {kind: router}
END
# shellcheck disable=SC2016 # those are of the inner shell
unshare --mount --propagation private bash -euc '
	mount -t tmpfs none /run
	"$1/weftlab" up "$2"
	ip netns add "$3-later"
	"$1/weftlab" down "$3"
	ip netns del "$3-later"
	[ -z "$(ls /run/netns)" ]' - "$BUILD" "$WORK/first.yaml" "$B" || die "a lab from before ip netns does not go away"

says 2 usage weftlab
says 2 'no command' weftlab upp
says 0 'build the lab of a file' weftlab --help
