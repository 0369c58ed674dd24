// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The stages of decide with one more, which is only busy: what is timed must say so of decide
// alone. Who includes this includes a hook's source next, then writes busy_wait and includes
// stage_busy.h.
#pragma once

#include <weft/stages.h>
#undef WEFT_STAGES
#define WEFT_STAGES(X) X(admit) X(learn) X(busy) X(resolve) X(balance) X(forward)
