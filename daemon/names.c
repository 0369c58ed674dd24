// SPDX-License-Identifier: BSD-2-Clause
// Names in a sentence: "web1, web2, web3 and 14 more".
#include "daemon/names.h"

#include <stdio.h>
#include <string.h>

static void append(struct names *names, const char *separator, const char *text)
{
	size_t used = strlen(names->text);
	snprintf(names->text + used, sizeof(names->text) - used, "%s%s", separator, text);
}

void names_add(struct names *names, const char *name)
{
	if (names->count < NAMES_SHOWN)
		append(names, names->count ? ", " : "", name);
	names->count++;
}

const char *names_text(struct names *names)
{
	char more[32];
	if (names->count > NAMES_SHOWN) {
		snprintf(more, sizeof(more), "%u more", names->count - NAMES_SHOWN);
		append(names, " and ", more);
		names->count = NAMES_SHOWN;
	}
	return names->text;
}
