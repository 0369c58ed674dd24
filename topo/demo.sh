#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The main job in one command: two real VMs, attached with one command each, switched by weft.
# Everything happens in a network namespace of its own; KEEP=1 leaves it running.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath "${BUILD:-build}")
KEEP=${KEEP:-}
netns=weft-demo-$$
dir=$(mktemp -d /run/weft-demo-XXXXXX) # no dots: bpffs takes none
export WEFT_SOCKET=$dir/run/weftd.sock WEFT_GUEST_DIR=$dir/guests

if [ "$(id -u)" != 0 ]; then
	echo "the demo makes network namespaces and VMs: run it with sudo" >&2
	exit 1
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { # a command as the operator would type it, and what it prints
	printf '\n$ %s\n' "${*/#"$BUILD/"/}"
	"$@"
}
weftctl() { "$BUILD/weftctl" "$@"; }
weft-guest() { "$BUILD/weft-guest" "$@"; }

down() {
	weft-guest stop --all >/dev/null 2>&1 || true
	if [ -S "$WEFT_SOCKET" ]; then weftctl host purge >/dev/null 2>&1 || true; fi
	if [ -f "$dir/weftd.pid" ]; then
		timeout 5 tail --pid="$(cat "$dir/weftd.pid")" -f /dev/null || kill -9 "$(cat "$dir/weftd.pid")"
	fi 2>/dev/null
	ip netns del "$netns" 2>/dev/null || true
	umount "$dir/bpf" 2>/dev/null || true
	rm -rf "$dir"
}
finish() {
	status=$?
	if [ $status != 0 ]; then
		echo "the demo failed; weftd said:" >&2
		tail -n 20 "$dir/weftd.log" >&2 2>/dev/null || true
	fi
	down
	exit $status
}
trap finish EXIT

say "A guest: Debian's kernel, busybox and nginx"
topo/guest/build.sh -k cloud -o "$BUILD/guest" -c "$BUILD/guest-cache"

say "weftd, in a network namespace of its own"
ip netns add "$netns"
mkdir "$dir/bpf"
mount -t bpf bpf "$dir/bpf"
nsenter --net="/run/netns/$netns" "$BUILD/weftd" --name demo --state-dir "$dir/state" \
	--run-dir "$dir/run" --bpf-dir "$dir/bpf" 2>"$dir/weftd.log" &
echo $! >"$dir/weftd.pid"
for _ in $(seq 100); do
	weftctl host show >/dev/null 2>&1 && break
	sleep 0.1
done
show weftctl network add blue subnet 10.1.0.0/24 gateway 10.1.0.254

say "Two VMs, each attached with one command"
show weftctl port add client type tap network blue
show weftctl port add web type tap network blue
show weftctl port show web qemu
for name in client web; do
	number=$(case $name in web) echo 11 ;; *) echo 10 ;; esac)
	words=$(weftctl port show $name qemu)
	nginx=$(case $name in web) echo --nginx ;; esac)
	# shellcheck disable=SC2086 # no word where there is no nginx
	weft-guest start $name --image "$BUILD/guest" --netns "$netns" --qemu-net "$words" \
		--ip 10.1.0.$number/24 --gw 10.1.0.254 $nginx
done
for name in client web; do weft-guest wait $name; done

say "A page from nginx in one VM, fetched in the other"
show weft-guest exec client wget -q -O - http://10.1.0.11/

say "Round trips, VM to VM, and to the gateway that weft itself answers for"
percentiles() {
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n | awk '{ t[NR] = $1 }
		END { printf "%d answers: p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, max %.3f ms\n",
			NR, t[int(NR * .5 + .5)], t[int(NR * .9 + .5)], t[int(NR * .99 + .5)], t[NR] }'
}
for target in 10.1.0.11 10.1.0.254; do
	printf 'ping %s: ' $target
	weft-guest exec client ping -c 200 -i 0.01 $target | percentiles
done
weft-guest exec client "ping -c 3 -s 3000 -W 1 10.1.0.254 >/dev/null; true" # fragments: the gateway drops them

say "What happened"
show weftctl port show
show weftctl port show web
show weftctl fdb show network blue
show weftctl drops show

if [ -n "$KEEP" ]; then
	trap - EXIT
	cat <<END

It is still running. Look around:
  export WEFT_SOCKET=$WEFT_SOCKET WEFT_GUEST_DIR=$WEFT_GUEST_DIR PATH=$BUILD:\$PATH
  weftctl help
  weftctl port show web
  weft-guest exec client wget -q -O - http://10.1.0.11/
  weft-guest console web
Then take it down:
  weft-guest stop --all; weftctl host purge; ip netns del $netns; umount $dir/bpf; rm -rf $dir
END
	exit 0
fi
say "Done: everything that the demo made is removed"
