// SPDX-License-Identifier: BSD-2-Clause
// The mark on a device that weft uses: its ifalias. It outlives weftd and goes with the device.
//
//   weft:UUID:PORT[:WORDS[:ALIAS]]
//
// WORDS tell what deleting the port must leave as it was; ALIAS is what stood there before.
#pragma once

#include "daemon/link.h"

enum mark_word {
	MARK_adopted = WEFT_BIT(0), // of a kind that weft creates, but this one it did not
	MARK_promisc = WEFT_BIT(1), // was promiscuous before
	MARK_new = WEFT_BIT(2),     // to be set up once it is attached
	MARK_twin = WEFT_BIT(3),    // by it the kernel has a pci port
	MARK_wire = WEFT_BIT(4),    // the twin's other end
};

struct mark {
	char uuid[37]; // of the weftd that uses the device
	char port[64];
	u32 words;
	char alias[LINK_ALIAS_BYTES];
};

bool mark_read(const char *alias, struct mark *mark); // false: no mark of a weftd
// False: the former alias had to be cut, there is no room for both.
bool mark_write(const struct mark *mark, char alias[LINK_ALIAS_BYTES]);
