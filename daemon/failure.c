// SPDX-License-Identifier: BSD-2-Clause
// Failures at the edge: fills the code for machines and the sentence for people.

#include "daemon/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <weft/control.h>

int fail(struct failure *f, int code, const char *code_name, const char *format, ...)
{
	va_list arguments;

	if (!f)
		return code;
	memset(f, 0, sizeof(*f));
	f->code = code;
	f->exit_status = WEFT_EXIT_REFUSED;
	snprintf(f->code_name, sizeof(f->code_name), "%s", code_name);
	va_start(arguments, format);
	vsnprintf(f->message, sizeof(f->message), format, arguments);
	va_end(arguments);
	return code;
}

int fail_words(struct failure *f, const char *format, ...)
{
	va_list arguments;

	if (!f)
		return -EINVAL;
	memset(f, 0, sizeof(*f));
	f->code = -EINVAL;
	f->exit_status = WEFT_EXIT_WORDS;
	snprintf(f->code_name, sizeof(f->code_name), "bad_words");
	va_start(arguments, format);
	vsnprintf(f->message, sizeof(f->message), format, arguments);
	va_end(arguments);
	return f->code;
}

int fail_hint(struct failure *f, const char *format, ...)
{
	va_list arguments;

	if (!f)
		return -EINVAL;
	va_start(arguments, format);
	vsnprintf(f->hint, sizeof(f->hint), format, arguments);
	va_end(arguments);
	return f->code;
}
