// SPDX-License-Identifier: BSD-2-Clause
// ADDRESS[:PORT] -> its parts; for weftd and for weftlab.
#include "daemon/target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool read_port(const char *digits, unsigned *port)
{
	char *end;
	unsigned long number = strtoul(digits, &end, 10);
	*port = (unsigned)number;
	return isdigit((unsigned char)*digits) && !*end && number >= 1 && number <= 65535;
}

bool target_read(const char *text, struct target *target)
{
	const char *colon = strchr(text, ':'), *digits = NULL;
	size_t length = strlen(text);
	*target = (struct target){.v6 = *text == '[' || (colon && strchr(colon + 1, ':'))};
	if (*text == '[') {
		const char *close = strchr(++text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return false;
		digits = close[1] ? close + 2 : NULL;
		length = (size_t)(close - text);
	} else if (colon && !target->v6) {
		digits = colon + 1;
		length = (size_t)(colon - text);
	}
	if (!length || length >= sizeof(target->name))
		return false;
	memcpy(target->name, text, length);
	return !digits || read_port(digits, &target->port);
}
