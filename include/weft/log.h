// SPDX-License-Identifier: BSD-2-Clause
// Structured log (daemon/log.c) to standard error, one logfmt line each: time, level, module,
// message, key=value. Levels per module at run time (`log set MODULE level L`). Logged where the
// error arises, not at every level.
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_error, LOG_LEVEL_warn, LOG_LEVEL_info, LOG_LEVEL_debug };

struct log_module {
	const char *name;
	enum log_level level;
};

// Once per file, at the top: LOG_MODULE(port); files may share a name. The linker gathers the
// pointers, so that `log show` knows every module before it has said a word.
#define LOG_MODULE(module) \
	static struct log_module log_this = {.name = #module, .level = LOG_LEVEL_info}; \
	static struct log_module *const log_entry __attribute__((section("log_modules"), used)) = \
		&log_this

// A trailing " key=value key=value" of the format stands beside the message, not in it.
void log_write(struct log_module *module, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The modules of a shared object that was opened, whose linker gathered them: once, when it is
// opened. They are as loud as log_set_level(NULL) said last.
void log_add_modules(struct log_module *const *first, struct log_module *const *end);

// name NULL: every module. -ENOENT: no such module.
int log_set_level(const char *name, enum log_level level);
// Calls fn once for every module name, in order of name.
void log_walk(void (*fn)(const char *name, enum log_level level, void *context), void *context);
const char *log_level_name(enum log_level level);
int log_level_parse(const char *text, enum log_level *level);

#define log_error(...) log_write(&log_this, LOG_LEVEL_error, __VA_ARGS__)
#define log_warn(...)  log_write(&log_this, LOG_LEVEL_warn, __VA_ARGS__)
#define log_info(...)  log_write(&log_this, LOG_LEVEL_info, __VA_ARGS__)
#define log_debug(...) log_write(&log_this, LOG_LEVEL_debug, __VA_ARGS__)
