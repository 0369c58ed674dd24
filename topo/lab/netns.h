// SPDX-License-Identifier: BSD-2-Clause
// netns.h - named network namespaces, as `ip netns` has them
#pragma once

#include "topo/lab/lab.h"

// A new namespace NAME in /run/netns, its loopback up. -EEXIST: there is one.
int netns_make(struct lab *lab, const char *name);
bool netns_exists(const char *name);

/*
 * Moves this thread into a namespace, so that a child is born there and no moment exists in which
 * it is elsewhere. Returns a descriptor of the one it came from, for netns_leave, or -errno.
 */
int netns_enter(struct lab *lab, const char *name);
void netns_leave(int home);

// A descriptor of the namespace, or -errno.
int netns_open(struct lab *lab, const char *name);

// Kills every process inside and removes the name. No namespace of that name: 0.
int netns_remove(struct lab *lab, const char *name);
