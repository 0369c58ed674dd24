// SPDX-License-Identifier: BSD-2-Clause
// What becomes of a golden packet, in one word of its case.
#pragma once

#include "tests/packets/packets.h"

#define DROP(why) .action = WEFT_ACTION_drop, .reason = WEFT_DROP_##why
#define FORWARD   .action = WEFT_ACTION_forward
#define FLOOD     .action = WEFT_ACTION_flood
#define REPLY     .action = WEFT_ACTION_reply
#define ENCAP     .action = WEFT_ACTION_encap
#define TO_HOST   .action = WEFT_ACTION_to_host
