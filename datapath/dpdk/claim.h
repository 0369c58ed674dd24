// SPDX-License-Identifier: BSD-2-Clause
// Claims: which of a device's frames are weft's alone, and do not reach the host's stack.
//
// A TC program on the device drops them from the stack; packet sockets have them by then. All calls
// come from weftd's thread. One claim per device, whatever it is: port, underlay or both.
//
// When the process ends, however it ends, the host has all frames again: a tcx link is not pinned
// and goes with its descriptor; before Linux 6.6 a clsact filter stays on the device, but does
// nothing without the process, and the next claim of the device replaces it.
//
// Dropped frames are in no statistics of the device (`ip -s link`); clsact counts them as its own
// (`tc -s qdisc`).
#pragma once

#include "ebpf/claim.h"

struct claim;

// Nothing is claimed before claim_set. force_clsact: as before Linux 6.6, for tests. Errors:
// -ENODEV, -EPERM, what the kernel says; *why is then a static sentence that names the next step.
int claim_open(struct claim **out, u32 ifindex, bool force_clsact, const char **why);

// From now on these frames, in place of those of the last call. No frame meets a mixture.
int claim_set(struct claim *claim, const struct weft_claim *what);

// Untagged frames for this address, or that ask for it, while WEFT_CLAIM_VIPS is set: claimed, or
// no more.
int claim_vip(struct claim *claim, const struct weft_ip *address, bool claimed);

// Descriptor of the map of those addresses, or -errno. Belongs to the claims.
int claim_vip_rows(void);

// The host has all frames again. The device may be gone. NULL: nothing to do.
void claim_close(struct claim *claim);

// The program for a packet socket with a ring (SO_ATTACH_BPF), or -errno: it keeps away what would
// stop the ring; for an underlay everything but what WEFT_CLAIM_UNDERLAY claims on the frame's
// device, which is nothing while that is not set. Belongs to the claims.
int claim_filter(bool underlay);

// Descriptor of the map of what is claimed by ifindex, or -errno. Belongs to the claims.
int claim_rows(void);
