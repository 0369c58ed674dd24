// SPDX-License-Identifier: BSD-2-Clause
// Frames of weftd's own: engine_ops.send.
#pragma once

#include "datapath/engine.h"

int enter_open(struct engine *engine);
void enter_close(struct engine *engine); // the workers have ended
int enter_send(struct engine *engine, enum engine_send how, u32 port, const u8 *bytes, u32 length);

enum { ENTER_TO = WEFT_BIT(31) }; // beside the port in frame->hash.usr: ENGINE_SEND_TO
