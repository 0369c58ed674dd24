// SPDX-License-Identifier: BSD-2-Clause
// What backends have to do: connections, as the sweep counts them, and rates.
#include <string.h>
#include "daemon/fdb.h"
#include "daemon/object_change.h"
#include "daemon/service.h"

enum {
	LOOK_AT_ONCE = 1024, // backends: each has its turn in one of several rounds
	LOOK_NS = 900000000,
};

struct weft_backend_count_row backend_counts(struct weftd *weftd, u32 id)
{
	struct weft_index index = {id};
	struct weft_backend_count_row count = {0};
	engine_get(weftd, backend_count, &index, &count);
	return count;
}

// --- connections

void backends_count_begin(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_backend);
	for (; object; object = object->hh.next)
		if (object->live)
			((struct backend *)object->live)->load.counting = 0;
}

void backends_count(struct weftd *weftd, u32 id)
{
	struct object *object = object_by_id(weftd, &noun_backend, id);
	if (object && object->live)
		((struct backend *)object->live)->load.counting++;
}

void backends_count_end(struct weftd *weftd)
{
	struct object *object = object_first(weftd, &noun_backend);
	for (; object; object = object->hh.next) {
		struct backend *backend = object->live;
		if (backend)
			backend->load.connections = backend->load.counting;
	}
}

// --- rates

static u64 per_second(u64 now, u64 before, u64 took_ns)
{
	if (now <= before || !took_ns) // or it began anew
		return 0;
	return (u64)((double)(now - before) * 1e9 / (double)took_ns + 0.5);
}

void backend_look(struct weftd *weftd, struct object *object, u32 round, u64 now_ns)
{
	struct backend_load *load = &((struct backend *)object->live)->load;
	u32 turns = object_count(weftd, &noun_backend) / LOOK_AT_ONCE + 1;
	u64 took_ns = now_ns - load->looked_ns;
	if (object->id % turns != round % turns || took_ns < LOOK_NS)
		return;
	struct weft_backend_count_row count = backend_counts(weftd, object->id);
	load->rates = load->looked_ns != 0;
	load->connections_per_second =
		per_second(count.connections, load->count.connections, took_ns);
	load->packets_per_second = per_second(count.packets, load->count.packets, took_ns);
	load->bytes_per_second = per_second(count.bytes, load->count.bytes, took_ns);
	load->looked_ns = now_ns;
	load->count = count;
}

static void put_rate(json_t *shown, const char *key, const struct backend_load *load, u64 value)
{
	json_object_set_new(
		shown, key, load->rates ? json_integer((json_int_t)value) : json_null());
}

// Of what `backend show` says, with rates.
static json_t *part_of_service(struct weftd *weftd, const struct object *object)
{
	static const char *const keys[] = {"address", "port", "weight", "share_percent",
		"connections", "connections_begun", "connections_per_second", "packets",
		"packets_per_second", "bytes", "bytes_per_second", "health", "health_why", "state",
		"why"};
	static const struct backend_load none;
	const struct backend *backend = object->live;
	const struct backend_load *load = backend ? &backend->load : &none;
	json_t *all = object_show(weftd, object), *part = json_object();
	put_rate(all, "connections_per_second", load, load->connections_per_second);
	put_rate(all, "packets_per_second", load, load->packets_per_second);
	put_rate(all, "bytes_per_second", load, load->bytes_per_second);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(keys); i++)
		json_object_set(part, keys[i], json_object_get(all, keys[i]));
	json_decref(all);
	return part;
}

void backends_show(struct weftd *weftd, const struct object *service, json_t *shown)
{
	json_t *parts = json_array();
	struct object *backend = backends_first(weftd, service);
	for (; backend; backend = backends_next(backend))
		json_array_append_new(parts, part_of_service(weftd, backend));
	json_object_set_new(shown, "served_by", parts);
}
