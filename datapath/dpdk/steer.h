// SPDX-License-Identifier: BSD-2-Clause
// The XDP program that gives a device's claimed frames (claim.h) to AF_XDP sockets.
//
// In native mode only: in generic mode a packet socket is no worse. The program is on the device by
// an unpinned link, so it goes with the process, however that ends. All calls come from weftd's
// thread.
#pragma once

#include "ebpf/claim.h"

struct steer;

// Nothing is steered before steer_socket. -EBUSY: somebody else's XDP program is on the device;
// other errors: it cannot be. *why is then a static sentence.
int steer_open(struct steer **out, u32 ifindex, const char **why);
int steer_socket(struct steer *steer, u32 queue, int socket);
// Is a program on the device that is not this process's? *why is then steer_open's
// sentence.
bool steer_foreign(u32 ifindex, const char **why);
bool steer_own(u32 program);           // by its id
void steer_close(struct steer *steer); // NULL: nothing to do
