// SPDX-License-Identifier: BSD-2-Clause
// Memory is shown before it is taken, and refused where it is not there.
#pragma once

#include <stdio.h>
#include "daemon/weftd.h"

// As the engine is to be started. pin_dir, keep_dir: PATH_MAX bytes for what config points to.
void memory_config(
	const struct weftd *weftd, struct engine_config *config, char *pin_dir, char *keep_dir);

// Logs what the engine will take. Fails if this host has no room for it.
int memory_check(
	const struct weftd *weftd, const struct engine_config *config, struct failure *failure);

// For people: a line for each table. Fails as memory_check.
int memory_print(struct weftd *weftd, FILE *file, struct failure *failure);
