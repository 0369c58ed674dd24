// SPDX-License-Identifier: BSD-2-Clause
// Flood lists: who is in a network: untagged members, tagged ones, peers. The member table.
#pragma once

#include "daemon/weftd.h"

struct member_list {
	u32 network;
	u32 epoch;
	u32 count;
	u32 room;
	struct weft_member_row *rows; // as the engine has them
};

// The network's row must be there. -ENOSPC: the table is full, nothing has changed. Adding who is
// there already changes nothing, too.
int member_add(
	struct weftd *weftd, struct member_list *list, u32 port, u16 tag, struct failure *failure);
void member_del(struct weftd *weftd, struct member_list *list, u32 port, u16 tag);
void member_free(struct member_list *list);
