# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the tests of labs share, on top of lib.sh:
#
#   lab_shipped NAME      topo/labs/NAME.yaml under a name of this test's own: LAB; its file: LAB_FILE
#   lab_pair NETWORKS     two hosts that are peers, as part of a lab's file
#   lab_own NAME          a lab of this test, that goes when the test ends
#   in_lab NODE CMD...    in a node of LAB; pid_of NODE: its weftd or QEMU, else null
#   node_kill NODE        kill -9 that, and wait for its end
#   ctl HOST WORDS...     weftctl to the weftd of a host of LAB (socket_of HOST); so json, expect and the like ask that
#   reaches FROM TO ADDRESS [WORDS..]   TCP from node to node of LAB; what iperf3 says is in $WORK/iperf
#   none_left NAME        nothing of the lab is on the machine
LABS=()

for program in weftlab weft-wire; do
	[ -x "$BUILD/$program" ] || die "no $BUILD/$program: run make"
done
export WEFT_TOPO=$PWD/topo # the build directory may lie anywhere
[ "$ENGINE" = ebpf ] || export WEFTLAB_ENGINE=$ENGINE # of all hosts; else as the lab's file says

lab_cleanup() {
	local status=$? lab socket
	trap - EXIT
	set +e
	kill -9 "${HELPERS[@]}" 2>/dev/null # an `up` under way
	for lab in "${LABS[@]}"; do
		if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -d "/run/weftlab/$lab" ]; then
			tail -n 5 "/run/weftlab/$lab"/*/*.log
			for socket in "/run/weftlab/$lab"/*/run/weftd.sock; do
				"$BUILD/weftctl" -s "$socket" port show
				"$BUILD/weftctl" -s "$socket" drops show
			done
		fi
		weftlab down "$lab" >/dev/null 2>&1
	done
	(exit "$status") # what the library takes for the test's
	cleanup
}
trap lab_cleanup EXIT

weftlab() { "$BUILD/weftlab" "$@"; }

lab_own() {
	LAB=$1
	LABS+=("$1")
}

lab_shipped() {
	lab_own "$1-$$"
	LAB_FILE=$WORK/$1.yaml
	sed "s/^name: .*/name: $LAB/" "topo/labs/$1.yaml" >"$LAB_FILE"
}

lab_pair() { # lab_pair NETWORKS: nodes h1 and h2, peers over eth1, in a lab's file
	local own other
	for own in 1 2; do
		other=$((3 - own))
		cat <<-END
			    h$own:
			      kind: host
			      addresses: {eth1: [192.0.2.$own/24]}
			      objects:
			        host: {address: 192.0.2.$own}
			        networks: $1
			        peers: [{name: h$other, address: 192.0.2.$other}]
		END
	done
}

in_lab() { "$BUILD/weftlab" exec "$LAB:$1" "${@:2}"; }

pid_of() { weftlab status -j "$LAB" | jq ".[0].nodes[] | select(.name == \"$1\") | .pid"; }

adds_up() { # adds_up WHAT: the steps in $WORK/path are all of it, and none is less than nothing
	equal true "$(jq '([.steps[].mean_ns] | add) as $sum | .mean_ns as $whole |
		(($sum / $whole) > 0.99 and ($sum / $whole) < 1.01) and ([.steps[].mean_ns] | min >= 0)' "$WORK/path")" \
		"$1 add up: $(jq -c '[.mean_ns, [.steps[].mean_ns]]' "$WORK/path")"
}

node_ended() { [ "$(pid_of "$1")" = null ]; }

node_kill() {
	kill -9 "$(pid_of "$1")"
	wait_for 5 node_ended "$1"
}

socket_of() { echo "/run/weftlab/$LAB/$1/run/weftd.sock"; }

listens() { in_lab "$1" ss -Hltn "sport = 5201" | grep -q .; }

reaches() {
	local server
	"$BUILD/weftlab" exec "$LAB:$2" iperf3 -s -1 >/dev/null 2>&1 & # not the function: that would be a shell
	server=$!
	helper $server
	wait_for 5 listens "$2"
	in_lab "$1" timeout 20 iperf3 -J -c "$3" "${@:4}" >"$WORK/iperf" || true
	jq -e '.end.sum_sent.bytes > 0' "$WORK/iperf" >/dev/null ||
		die "$LAB: $1 does not reach $2 at $3: $(jq -r .error "$WORK/iperf")"
	kill -9 $server 2>/dev/null || true
	wait $server 2>/dev/null || true
	unset 'HELPERS[-1]'
}

none_left() {
	local left
	left=$(ls -d "/run/weftlab/$1" "/run/netns/weft-$1-"* 2>/dev/null || true)
	[ -z "$left" ] || die "left behind: $left"
	! grep "/run/weftlab/$1/\|/weft-$1-" /proc/self/mountinfo || die "left behind: these mounts"
	# a killed process may wait for its parent: it has no words then; brackets: grep has those of the pattern
	! grep -lsaE "/run/[w]eftlab/$1/|@[w]eft-$1-" /proc/[0-9]*/cmdline || die "left behind: these processes"
}
