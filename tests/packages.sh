#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs the named Debian packages that are missing; says what to do where it cannot.
set -euo pipefail

command -v dpkg-query >/dev/null || exit 0 # not Debian: the compiler will name what is missing
missing=()
for package in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "weft needs these packages: ${missing[*]}" >&2
	echo "run: sudo make deps" >&2
	exit 1
fi
echo "installing: ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
