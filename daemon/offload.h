// SPDX-License-Identifier: BSD-2-Clause
// Offloads: what the receiving side of a device takes unfinished (checksums, superpackets).
#pragma once

#include "weft/types.h"

enum offload {
	OFFLOAD_checksum = WEFT_BIT(0), // partial checksums
	OFFLOAD_tso4 = WEFT_BIT(1),     // TCP superpackets over IPv4
	OFFLOAD_tso6 = WEFT_BIT(2),
	OFFLOAD_uso = WEFT_BIT(3),    // UDP superpackets
	OFFLOAD_tag = WEFT_BIT(4),    // tags beside the frame
	OFFLOAD_tunnel = WEFT_BIT(5), // superpackets that a virtio header cannot describe
};

// What the device accepts now; for a tap: what the guest negotiated (TUNSETOFFLOAD), which stays
// after the guest is gone. 0 when the kernel does not tell.
u32 offload_get(const char *device);
// No longer, as far as the kernel lets it: what is sent to it is finished before.
void offload_off(const char *device, u32 offloads);
