// SPDX-License-Identifier: BSD-2-Clause
// Taps: making one that QEMU can open by name.
#pragma once

#include <sys/types.h>
#include "daemon/failure.h"
#include "weft/types.h"

struct tap_config {
	const char *name;
	bool multi_queue;   // QEMU with one queue cannot open a multi-queue tap
	const uid_t *owner; // may open it without privilege; NULL: root only
	const gid_t *group;
};

// A new tap that lives as long as the returned descriptor, until tap_keep makes it persistent:
// so one that weft could not finish leaves nothing behind. -EEXIST: the name is taken.
int tap_create(const struct tap_config *config, int *fd, struct failure *failure);
int tap_keep(int fd, struct failure *failure); // closes fd, error or not
