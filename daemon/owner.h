// SPDX-License-Identifier: BSD-2-Clause
// Who may open a tap or a socket: the words `owner` and `group`.
#pragma once

#include <jansson.h>
#include <sys/types.h>
#include "daemon/failure.h"

struct owner {
	const char *user, *group; // as the spec names them; NULL: not given
	uid_t uid;
	gid_t gid;
};

// From the spec. -ENOENT: the host has no such user or group.
int owner_read(const json_t *spec, struct owner *owner, struct failure *failure);
