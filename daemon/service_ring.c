// SPDX-License-Identifier: BSD-2-Clause
// The ring table: which region of it is whose, and what stands in a service's.
//
// A packet reads one row of a ring, so a ring that keeps its size is changed in place, row by row:
// each says the old backend or the new one, and both are there until the last row is written.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/maglev.h"
#include "daemon/service.h"

// --- regions

struct region {
	u32 first, size;
};

struct rings {
	struct region *taken; // in the table's order
	u32 count, room;
	u32 rows;
};

// Where the first region that ends behind `row` stands in the list.
static u32 position(const struct rings *rings, u32 row)
{
	u32 low = 0, high = rings->count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		const struct region *region = &rings->taken[middle];
		if (region->first + region->size > row)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void region_add(struct rings *rings, u32 first, u32 size)
{
	u32 at = position(rings, first);
	if (rings->count == rings->room) {
		rings->room = rings->room ? rings->room * 2 : 64;
		rings->taken = realloc(rings->taken, rings->room * sizeof(*rings->taken));
		if (!rings->taken)
			abort();
	}
	memmove(&rings->taken[at + 1], &rings->taken[at],
		(rings->count - at) * sizeof(*rings->taken));
	rings->taken[at] = (struct region){first, size};
	rings->count++;
	rings->rows += size;
}

static void region_del(struct rings *rings, u32 first, u32 size)
{
	u32 at = position(rings, first);
	rings->count--;
	memmove(&rings->taken[at], &rings->taken[at + 1],
		(rings->count - at) * sizeof(*rings->taken));
	rings->rows -= size;
}

struct rings *service_rings_new(void)
{
	struct rings *rings = calloc(1, sizeof(*rings));
	if (!rings)
		abort();
	return rings;
}

void service_rings_free(struct rings *rings)
{
	free(rings->taken);
	free(rings);
}

void service_ring_set(struct weftd *weftd, struct service *service, u32 first, u32 size)
{
	struct rings *rings = balancer_rings(weftd);
	if (service->size)
		region_del(rings, service->ring, service->size);
	service->ring = first;
	service->size = size;
	if (size)
		region_add(rings, first, size);
}

u32 service_ring_used(struct weftd *weftd)
{
	return balancer_rings(weftd)->rows;
}

static bool taken(const struct rings *rings, u32 first, u32 size)
{
	u32 at = position(rings, first);
	return at < rings->count && rings->taken[at].first < first + size;
}

bool service_ring_taken(struct weftd *weftd, u32 first, u32 size)
{
	return taken(balancer_rings(weftd), first, size);
}

// First fit: at the start, or behind a region.
int service_ring_find(struct weftd *weftd, u32 size, u32 *first, u32 *left)
{
	const struct rings *rings = balancer_rings(weftd);
	u32 capacity = engine_capacity(weftd, WEFT_TABLE_ring) - checks_ring_rows(weftd);
	*first = 0;
	for (u32 i = 0; i <= rings->count; i++) {
		u32 end = i < rings->count ? rings->taken[i].first : capacity;
		if (end >= *first && end - *first >= size && end <= capacity)
			return 0;
		if (i < rings->count)
			*first = rings->taken[i].first + rings->taken[i].size;
	}
	*left = capacity - rings->rows;
	return -ENOSPC;
}

// --- what stands there

static u32 gather(
	struct weftd *weftd, const struct object *service, struct maglev_backend *backends)
{
	struct object *object = backends_first(weftd, service);
	u32 count = 0;
	for (; object; object = backends_next(object)) {
		struct backend *backend = object->live;
		if (!backend)
			continue;
		backend->slots = 0;
		if (!backend_serves(object))
			continue;
		backends[count++] = (struct maglev_backend){
			.address = address_read(spec_text(object->spec, "address", "")),
			.port = (u16)spec_number(object->spec, "port", 0),
			.weight = (u32)spec_number(object->spec, "weight", 1),
			.id = object->id,
		};
	}
	return count;
}

static void store_ring(struct weftd *weftd, u32 first, const u32 *table, u32 size)
{
	for (u32 i = 0; i < size; i++) {
		struct weft_ring_row *row =
			weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_ring, first + i);
		struct object *object = object_by_id(weftd, &noun_backend, table[i]);
		if (row && row->backend != table[i])
			__atomic_store_n(&row->backend, table[i], __ATOMIC_RELAXED);
		if (object && object->live)
			((struct backend *)object->live)->slots++;
	}
}

static u32 count_backends(struct weftd *weftd, const struct object *service)
{
	const struct object *object = backends_first(weftd, service);
	u32 count = 0;
	for (; object; object = backends_next(object))
		count++;
	return count;
}

u32 service_ring_fill(struct weftd *weftd, const struct object *object, u32 first, u32 size)
{
	u32 seed = (u32)spec_number(object->spec, "seed", 0), count;
	struct maglev_backend *backends =
		calloc(count_backends(weftd, object) + 1, sizeof(*backends));
	u32 *table = calloc(size, sizeof(*table));
	if (!backends || !table)
		abort();
	count = gather(weftd, object, backends);
	if (maglev_fill(table, size, seed, backends, count))
		store_ring(weftd, first, table, size);
	free(backends);
	free(table);
	return count;
}
