// SPDX-License-Identifier: BSD-2-Clause
// Which host sends by which ports of the gateway addresses, that all hosts have alike: blocks of
// ports, each to the host whose address wins it (rendezvous hashing). So all come to the same
// answer, and a host that comes or goes takes or leaves its own blocks only.
#include <string.h>
#include "daemon/address.h"
#include "daemon/host.h"
#include "daemon/peer.h"
#include "daemon/service.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { BLOCK_FIRST = 1024 / WEFT_BLOCK_PORTS };

static u64 bid(const struct weft_ip *address, u32 block)
{
	return XXH3_64bits_withSeed(address, sizeof(*address), block);
}

// 0: this host.
static u32 owner_of(struct weftd *weftd, u32 block)
{
	struct object *object = object_first(weftd, &noun_peer);
	struct weft_ip address;
	u32 owner = 0;
	if (!host_address(weftd, &address))
		return 0;
	u64 most = bid(&address, block);
	for (; object; object = object->hh.next) {
		const struct peer *peer = object->live;
		u64 bids = peer ? bid(&peer->address, block) : 0;
		if (peer && bids > most) {
			most = bids;
			owner = object->id;
		}
	}
	return owner;
}

static void put_row(struct weftd *weftd, u32 index, const struct weft_port_block_row *row)
{
	struct weft_index at = {index};
	struct weft_port_block_row is;
	if (engine_get(weftd, port_block, &at, &is) || memcmp(&is, row, sizeof(is)) != 0)
		engine_put(weftd, port_block, &at, row);
}

void port_blocks_set(struct weftd *weftd)
{
	struct weft_port_block_row rows[WEFT_BLOCKS] = {0};
	struct weft_host_row *host = weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_host, 0);
	u32 own = 0;
	for (u32 block = 0; block < WEFT_BLOCKS; block++) {
		rows[block].owner = block < BLOCK_FIRST ? WEFT_BLOCK_NONE : owner_of(weftd, block);
		if (!rows[block].owner)
			rows[own++].own = block;
	}
	for (u32 n = own; n < WEFT_BLOCKS && own; n++) // whoever reads an old count finds one
		rows[n].own = rows[n % own].own;
	for (u32 block = 0; block < WEFT_BLOCKS; block++)
		put_row(weftd, block, &rows[block]);
	if (host)
		__atomic_store_n(&host->blocks, own, __ATOMIC_RELEASE);
}
