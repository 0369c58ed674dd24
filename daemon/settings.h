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

// settings_engine.c: the section of an engine. False: no engine has one of this name.
bool settings_engine_read(struct settings *settings, const char *name, const json_t *values,
	const char *path, struct failure *failure);
