// SPDX-License-Identifier: BSD-2-Clause
// Offloads: what the receiving side of a device takes unfinished (checksums, superpackets).
#pragma once

#include "datapath/engine.h"

enum offload {
	OFFLOAD_checksum = ENGINE_TAKES_CHECKSUM,
	OFFLOAD_tso4 = ENGINE_TAKES_TSO4,
	OFFLOAD_tso6 = ENGINE_TAKES_TSO6,
	OFFLOAD_uso = ENGINE_TAKES_USO,
	OFFLOAD_tag = WEFT_BIT(4),    // tags beside the frame
	OFFLOAD_tunnel = WEFT_BIT(5), // superpackets that a virtio header cannot describe
};

// What the device accepts now; for a tap: what the guest negotiated (TUNSETOFFLOAD), which stays
// after the guest is gone. 0 when the kernel does not tell.
u32 offload_get(const char *device);
// No longer, as far as the kernel lets it: what is sent to it is finished before.
void offload_off(const char *device, u32 offloads);
