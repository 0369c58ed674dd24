// SPDX-License-Identifier: BSD-2-Clause
// Filters in pcap-filter(7) syntax over what postcards keep of frames.
#pragma once

#include <stdbool.h>
#include <weft/observe.h>
#include "daemon/failure.h"

struct filter; // NULL: everything passes

int filter_new(const char *text, struct filter **out, struct failure *failure); // text NULL: none
void filter_free(struct filter *filter);
bool filter_passes(const struct filter *filter, const struct weft_postcard *card);
