// SPDX-License-Identifier: BSD-2-Clause
// Settings of weftd: the command line, then --config for what it leaves open, then the defaults.
#pragma once

#include "daemon/weftd.h"

// Fills what is not set yet from the YAML file.
int settings_read(struct settings *settings, const char *path, struct failure *failure);
// The defaults of what is still not set.
void settings_default(struct settings *settings);
void settings_free(struct settings *settings);

// A key that is none of the possible ones (taken). Returns what fail() returned.
int settings_unknown(const char *key, json_t *possible, const char *path, struct failure *failure);

// settings_dpdk.c
int settings_dpdk_read(struct settings_dpdk *dpdk, const json_t *section, const char *path,
	struct failure *failure);
