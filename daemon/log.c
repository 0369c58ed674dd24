// SPDX-License-Identifier: BSD-2-Clause
// The log: logfmt lines on standard error, a level per module that can change at run time.

#include <weft/log.h>

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weft/types.h>

// Made by the linker from the LOG_MODULE lines; weak: a program may have none.
extern struct log_module *const __start_log_modules[] __attribute__((weak));
extern struct log_module *const __stop_log_modules[] __attribute__((weak));

// This program's, then those of one shared object: weft opens one engine.
static struct module_range {
	struct log_module *const *first, *const *end;
} opened;
static enum log_level level_of_all = LOG_LEVEL_info;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

enum { LINE_MAX_BYTES = 2048, FORMAT_MAX_BYTES = 512, FIELDS_MARK = '\x01' };

// Copies the format and marks the blank before the first `key=`: there the message ends.
static void format_mark(const char *format, char *out, size_t size)
{
	bool in_key = false;
	size_t blank = 0;
	size_t i;

	for (i = 0; format[i] && i + 1 < size; i++) {
		char c = out[i] = format[i];

		if (c == ' ') {
			blank = i;
			in_key = true;
		} else if (c == '=' && in_key && i > blank + 1) {
			out[blank] = FIELDS_MARK;
			snprintf(out + i + 1, size - i - 1, "%s", format + i + 1);
			return;
		} else if (!islower((unsigned char)c) && c != '_' && !isdigit((unsigned char)c)) {
			in_key = false;
		}
	}
	out[i] = 0;
}

// Appends text so that a line stays a line and quotes stay balanced.
static size_t append(char *line, size_t at, const char *text, size_t length, bool quoted)
{
	for (size_t i = 0; i < length && at + 3 < LINE_MAX_BYTES; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c == 127)
			c = '?';
		if (quoted && (c == '"' || c == '\\'))
			line[at++] = '\\';
		line[at++] = (char)c;
	}
	return at;
}

static size_t append_head(char *line, const struct log_module *module, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	return (size_t)snprintf(line, LINE_MAX_BYTES, "time=%s.%03ldZ level=%s module=%s msg=\"",
		stamp, now.tv_nsec / 1000000, level_names[level], module->name);
}

void log_write(struct log_module *module, enum log_level level, const char *format, ...)
{
	char marked[FORMAT_MAX_BYTES];
	char text[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES];
	va_list arguments;
	const char *fields;
	size_t at;

	if (level > module->level)
		return;
	format_mark(format, marked, sizeof(marked));
	va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof(text), marked, arguments);
#pragma GCC diagnostic pop
	va_end(arguments);
	fields = strchr(text, FIELDS_MARK);
	at = append_head(line, module, level);
	at = append(line, at, text, fields ? (size_t)(fields - text) : strlen(text), true);
	line[at++] = '"';
	if (fields) {
		line[at++] = ' ';
		at = append(line, at, fields + 1, strlen(fields + 1), false);
	}
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, at) < 0)
		return; // nowhere to say it
}

static struct module_range range_at(u32 index)
{
	struct module_range own = {__start_log_modules, __stop_log_modules};

	return index ? opened : own;
}

static int set_level(struct module_range range, const char *name, enum log_level level)
{
	int found = -ENOENT;

	for (struct log_module *const *m = range.first; m < range.end; m++) {
		if (name && strcmp((*m)->name, name) != 0)
			continue;
		(*m)->level = level;
		found = 0;
	}
	return found;
}

int log_set_level(const char *name, enum log_level level)
{
	int own = set_level(range_at(0), name, level);

	if (!name)
		level_of_all = level;
	return set_level(opened, name, level) == 0 ? 0 : own;
}

void log_add_modules(struct log_module *const *first, struct log_module *const *end)
{
	opened = (struct module_range){first, end};
	set_level(opened, NULL, level_of_all);
}

// The first in order of name behind `last`.
static const struct log_module *next_after(const char *last)
{
	const struct log_module *next = NULL;

	for (u32 i = 0; i < 2; i++) {
		struct module_range range = range_at(i);

		for (struct log_module *const *m = range.first; m < range.end; m++)
			if (strcmp((*m)->name, last) > 0 &&
				(!next || strcmp((*m)->name, next->name) < 0))
				next = *m;
	}
	return next;
}

void log_walk(void (*fn)(const char *name, enum log_level level, void *context), void *context)
{
	const struct log_module *next = next_after("");

	for (; next; next = next_after(next->name))
		fn(next->name, next->level, context);
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}
