// SPDX-License-Identifier: BSD-2-Clause
// Failures at the edge: fills the code for machines and the sentence for people.

#include "daemon/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <weft/control.h>

// Bytes of the UTF-8 sequence at text (RFC 3629); 0: there is none.
static size_t sequence(const char *text)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)*text;
	size_t length = first < 0x80   ? 1
			: first < 0xc0 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
				       : 4;
	unsigned point = length == 1 ? first : first & (0x7fu >> length);

	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (first >= 0xf8 || point < least[length] || point > 0x10ffff ||
		(point >= 0xd800 && point < 0xe000))
		return 0;
	return length;
}

// Names and paths may hold any bytes, and a sentence may have been cut inside a character.
static void make_printable(char *text)
{
	while (*text) {
		size_t length = sequence(text);

		if (length == 0 || (length == 1 && (unsigned char)*text < ' '))
			*text = '?';
		text += length ? length : 1;
	}
}

// Whatever was to be done, what is lacking is the same.
static void say_limit(char *message, size_t size)
{
	struct rlimit files = {0};
	size_t length = strlen(message);

	getrlimit(RLIMIT_NOFILE, &files);
	snprintf(message + length, size - length,
		"; weftd may have %llu descriptors and uses them all: start it with more, by "
		"LimitNOFILE= of its systemd unit or by `ulimit -n`",
		(unsigned long long)files.rlim_cur);
}

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
	if (code == -EMFILE)
		say_limit(f->message, sizeof(f->message));
	make_printable(f->message);
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
	make_printable(f->message);
	return f->code;
}

const char *fail_reason(int error, const char *why)
{
	return why && error != -EMFILE ? why : strerror(-error);
}

int fail_hint(struct failure *f, const char *format, ...)
{
	va_list arguments;

	if (!f)
		return -EINVAL;
	if (f->code == -EMFILE)
		return f->code;
	va_start(arguments, format);
	vsnprintf(f->hint, sizeof(f->hint), format, arguments);
	va_end(arguments);
	make_printable(f->hint);
	return f->code;
}
