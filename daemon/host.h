// SPDX-License-Identifier: BSD-2-Clause
// The host: this weftd itself.
#pragma once

#include "daemon/weftd.h"

extern const struct noun noun_host;
