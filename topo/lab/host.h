// SPDX-License-Identifier: BSD-2-Clause
// host.h - what guests and pictures ask of hosts
#pragma once

#include "topo/lab/kind.h"

// The socket of a host's weftd.
void host_socket(const struct lab *lab, const struct node *host, char path[PATH_MAX]);
// weftctl WORDS at a host; words end with NULL. *out: the caller's.
int host_ctl(struct lab *lab, const struct node *host, char *const *words, char **out);
