#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The committed man page is what the command table says now.
set -euo pipefail
cd "$(dirname "$0")/../.."
"${BUILD:-build}/weftd" --man | diff -u docs/weftctl.8 - || {
	echo "docs/weftctl.8 is stale: run make docs"
	exit 1
}
