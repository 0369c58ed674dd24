// SPDX-License-Identifier: BSD-2-Clause
// Names in a sentence: "web1, web2, web3 and 14 more".
#pragma once

#include "weft/types.h"

struct names {
	char text[224];
	u32 count;
};

enum { NAMES_SHOWN = 3 };

void names_add(struct names *names, const char *name);
const char *names_text(struct names *names); // ends the list
