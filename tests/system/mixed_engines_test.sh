#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two hosts, one network: host a forwards with dpdk, host b with ebpf. All that overlay_test.sh does.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ ! -e "${BUILD:-build}/weft-dpdk.so" ]; then
	echo "no libdpdk: weft-dpdk.so was not built"
	exit 77
fi
export ENGINE=dpdk ENGINE_B=ebpf
exec tests/system/overlay_test.sh
