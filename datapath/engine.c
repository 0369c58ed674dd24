// SPDX-License-Identifier: BSD-2-Clause
// Finds an engine by name: those that are linked in, and those in modules opened on demand.
#include "datapath/engine.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct engine_ops *const engines[] = {&engine_ebpf, &engine_sim};

// Beside the program, above it (tests), and where it is installed.
static const char *const module_dirs[] = {"", "../", "../../", "../lib/weft/"};

// A module stays open: what it started threads with must not go away.
static const struct engine_ops *module_open(const char *name, const char **why)
{
	static char message[PATH_MAX + 512];
	char dir[PATH_MAX], path[2 * PATH_MAX], symbol[64];
	ssize_t length = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (length < 0)
		return NULL;
	dir[length] = '\0';
	*(strrchr(dir, '/') + 1) = '\0';
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(module_dirs); i++) {
		snprintf(path, sizeof(path), "%s%sweft-%s.so", dir, module_dirs[i], name);
		if (access(path, R_OK))
			continue;
		void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		snprintf(symbol, sizeof(symbol), "engine_%s", name);
		const struct engine_ops *const *ops = module ? dlsym(module, symbol) : NULL;
		if (ops)
			return *ops;
		snprintf(message, sizeof(message), "%s", dlerror());
		*why = message;
		return NULL;
	}
	*why = "weft-dpdk.so is not there: it is built where libdpdk is installed";
	return NULL;
}

const struct engine_ops *engine_find(const char *name, const char **why)
{
	const char *unheard;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(engines); i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return strcmp(name, "dpdk") == 0 ? module_open(name, why ? why : &unheard) : NULL;
}
