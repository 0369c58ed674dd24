// SPDX-License-Identifier: BSD-2-Clause
// Commands whose answers weftctl joins: the packets that several hosts see make one way.
#pragma once

#include "ctl/run.h"

// Several hosts are asked, or it is to be drawn, or requests are to be sent from here.
bool join_wanted(const json_t *commands, const json_t *words, size_t hosts);
// As run_request(), after join_wanted(). Those with a status that is not 0 already are left out.
int join_run(struct client *clients, int *statuses, size_t count, const json_t *commands,
	const json_t *words);
