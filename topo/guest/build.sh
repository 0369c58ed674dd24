#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# build.sh - make the guest image (vmlinuz + initrd) from Debian packages
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flavour=cloud
out=
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/weft-guest
offline=0
extras=()

# What the guest runs, and the libraries those need.
packages=(busybox-static nginx iperf3 ethtool
	libc6 libcrypt1 libpcre2-8-0 libssl3 zlib1g libiperf0 libsctp1 libmnl0)
binaries=(/usr/sbin/nginx /usr/bin/iperf3 /sbin/ethtool)

# Modules that must be there; what they depend on is added. Only the generic kernel has the second list.
modules=(virtio_pci virtio_net virtio_console vmxnet3
	tun veth bridge vxlan 8021q dummy
	sch_ingress cls_bpf cls_matchall act_bpf act_mirred sch_netem)
generic_modules=(e1000 e1000e 8139cp pcnet32)

usage()
{
	cat <<-END
	usage: build.sh [-k cloud|generic] -o OUTDIR [-c CACHEDIR] [-n] [-x FILE:DEST]...
	  -k  Debian's cloud kernel (small; virtio and vmxnet3 only) or the generic one (also e1000, e1000e, rtl8139)
	  -o  where vmlinuz and initrd go
	  -c  where packages are kept (default $cache); remove it to get newer ones
	  -n  offline: fail rather than touch the network
	  -x  put FILE (and the shared libraries it needs) into the guest as DEST; may repeat
	END
}

die()
{
	echo "build.sh: $*" >&2
	exit 1
}

# run_apt WORDS... - apt without its sandbox user, which could not write into a private directory
run_apt()
{
	if [ "$(id -u)" = 0 ]; then
		apt-get -qq -o APT::Sandbox::User=root "$@"
	else
		apt-get -qq "$@"
	fi
}

# kernel_package - the name of the package that the flavour's meta package stands for
kernel_package()
{
	local meta=linux-image-amd64
	[ "$flavour" = generic ] || meta=linux-image-cloud-amd64
	apt-cache depends "$meta" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

# fetch_packages - download all packages into the new directory $1
fetch_packages()
{
	local kernel
	kernel=$(kernel_package)
	[ -n "$kernel" ] || return 1
	(cd "$1" && run_apt download "$kernel" "${packages[@]}")
}

# fill_cache - leave $cache/$flavour with the packages and a manifest (name version sha256 file)
fill_cache()
{
	local dir=$cache/$flavour new deb
	if [ -s "$dir/manifest" ]; then
		awk '{ print $3 "  " $4 }' "$dir/manifest" | (cd "$dir" && sha256sum --quiet -c -) ||
			die "the package cache $dir is damaged: remove it"
		return
	fi
	[ "$offline" = 0 ] || die "offline, and $dir holds no packages: run once without -n"
	new=$work/debs
	mkdir "$new"
	if ! fetch_packages "$new"; then
		[ "$(id -u)" = 0 ] || die "cannot download: run 'apt-get update' as root, then try again"
		run_apt update
		fetch_packages "$new" || die "cannot download the guest's packages"
	fi
	for deb in "$new"/*.deb; do
		printf '%s %s %s %s\n' "$(dpkg-deb -f "$deb" Package)" "$(dpkg-deb -f "$deb" Version)" \
			"$(sha256sum <"$deb" | cut -d' ' -f1)" "${deb##*/}"
	done | LC_ALL=C sort >"$new/manifest"
	rm -rf "$dir"
	mv "$new" "$dir"
}

# extra_libraries FILE - the shared libraries that a program of this host needs
extra_libraries()
{
	{ ldd "$1" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
}

# inputs - everything that decides the image's content, one line each
inputs()
{
	local extra file
	echo "$flavour"
	cat "$cache/$flavour/manifest"
	sha256sum "$here/build.sh" "$here/init" "$here/agent" "$here/nginx.conf" | cut -d' ' -f1
	for extra in ${extras[@]+"${extras[@]}"}; do
		file=${extra%%:*}
		echo "$extra"
		{
			echo "$file"
			extra_libraries "$file"
		} | xargs -r sha256sum
	done
}

# guest_ld - list what the guest's own loader finds for program $1
guest_ld()
{
	"$stage/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --inhibit-cache \
		--library-path "${2:-$stage/lib/x86_64-linux-gnu:$stage/usr/lib/x86_64-linux-gnu}" --list "$1"
}

install_programs()
{
	local bin lib libdir=$root/usr/lib/x86_64-linux-gnu
	mkdir -p "$root"/usr/{bin,sbin,lib64} "$libdir" \
		"$root"/{proc,sys,dev,run,tmp,root,srv,etc,var/log,var/lib,mnt}
	for bin in bin sbin lib lib64; do
		ln -s "usr/$bin" "$root/$bin"
	done
	cp "$stage/bin/busybox" "$root/usr/bin/busybox"
	"$stage/bin/busybox" --list | while read -r bin; do
		[ "$bin" = busybox ] || ln -s busybox "$root/usr/bin/$bin"
	done
	cp "$stage/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$libdir/"
	ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$root/usr/lib64/ld-linux-x86-64.so.2"
	for bin in "${binaries[@]}"; do
		rm -f "$root/usr/bin/${bin##*/}"
		cp "$stage$bin" "$root$bin"
		guest_ld "$stage$bin" | awk '$3 ~ /^\// { print $3 }' | while read -r lib; do
			cp -L "$lib" "$libdir/"
		done
	done
	install -m 755 "$here/init" "$root/init"
	install -m 755 "$here/agent" "$root/usr/sbin/weft-agent"
	install -m 644 "$here/nginx.conf" "$root/etc/nginx.conf"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
}

install_modules()
{
	local from to kver name path list=("${modules[@]}")
	[ "$flavour" = cloud ] || list+=("${generic_modules[@]}")
	kver=$(basename "$stage"/lib/modules/*)
	from=$stage/lib/modules/$kver
	to=$root/usr/lib/modules/$kver
	mkdir -p "$to"
	"$stage/bin/busybox" depmod -b "$stage" "$kver"
	for name in "${list[@]}"; do
		grep -q "/$name\.ko\$" "$from/modules.builtin" && continue
		path=$(grep "/$name\.ko:" "$from/modules.dep") || die "kernel $kver has no module $name"
		echo "${path/:/}" | tr ' ' '\n'
	done | sed '/^$/d' | LC_ALL=C sort -u >"$work/modules"
	while read -r path; do
		install -D -m 644 "$from/$path" "$to/$path"
	done <"$work/modules"
	cp "$from/modules.builtin" "$from/modules.order" "$to/"
	"$stage/bin/busybox" depmod -b "$root" "$kver"
}

# install_extra FILE:DEST - a file of the host; the guest's own libraries win over the host's
install_extra()
{
	local file=${1%%:*} dest=${1#*:} lib
	[ "${dest%/}" = "$dest" ] || dest=$dest$(basename "$file")
	mkdir -p "$root$(dirname "$dest")"
	# The place may hold a link to busybox, which must not be written through.
	cp -L --remove-destination "$file" "$root$dest"
	extra_libraries "$file" | while read -r lib; do
		[ -e "$root/usr/lib/x86_64-linux-gnu/${lib##*/}" ] ||
			cp -L "$lib" "$root/usr/lib/x86_64-linux-gnu/"
	done
	if [ -n "$(extra_libraries "$file")" ]; then
		guest_ld "$root$dest" "$root/usr/lib/x86_64-linux-gnu" >"$work/ld" 2>&1 ||
			die "$file does not run on the guest's C library: $(tail -n 1 "$work/ld")"
	fi
}

# pack - root tree to a cpio archive, the same bytes every time
pack()
{
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . -mindepth 1 | LC_ALL=C sort |
		"$stage/bin/busybox" cpio -o -H newc -R 0:0 --ignore-devno --renumber-inodes) \
		>"$out/initrd.new" 2>"$work/cpio" || die "cannot pack: $(cat "$work/cpio")"
	cp "$stage"/boot/vmlinuz-* "$out/vmlinuz.new"
	chmod 644 "$out/vmlinuz.new"
	mv "$out/initrd.new" "$out/initrd"
	mv "$out/vmlinuz.new" "$out/vmlinuz"
}

main()
{
	local extra deb stamp
	[ "$(dpkg --print-architecture)" = amd64 ] || die "guests are made for amd64 only"
	for extra in ${extras[@]+"${extras[@]}"}; do
		[[ $extra == *:/* ]] || die "-x takes FILE:DEST with an absolute DEST, not '$extra'"
		[ -r "${extra%%:*}" ] || die "cannot read ${extra%%:*}"
	done
	umask 022
	mkdir -p "$out" "$cache"
	out=$(cd "$out" && pwd)
	cache=$(cd "$cache" && pwd)
	exec 9>"$cache/lock"
	flock 9
	work=$(mktemp -d "$cache/work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	fill_cache
	stamp=$(inputs | sha256sum | cut -d' ' -f1)
	if [ -e "$out/initrd" ] && [ -e "$out/vmlinuz" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
		exit 0
	fi
	rm -f "$out/stamp"
	stage=$work/stage
	root=$work/root
	mkdir "$stage" "$root"
	for deb in "$cache/$flavour"/*.deb; do
		dpkg-deb -x "$deb" "$stage"
	done
	install_programs
	install_modules
	for extra in ${extras[@]+"${extras[@]}"}; do
		install_extra "$extra"
	done
	pack
	echo "$stamp" >"$out/stamp"
}

while getopts k:o:c:nx:h opt; do
	case $opt in
	k) flavour=$OPTARG ;;
	o) out=$OPTARG ;;
	c) cache=$OPTARG ;;
	n) offline=1 ;;
	x) extras+=("$OPTARG") ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))
case $flavour in cloud | generic) ;; *) usage >&2 && exit 2 ;; esac
if [ $# != 0 ] || [ -z "$out" ]; then
	usage >&2
	exit 2
fi
main
