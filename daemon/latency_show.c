// SPDX-License-Identifier: BSD-2-Clause
// Histograms of what was timed: `latency show` and `latency reset`.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/command_table.h"
#include "daemon/latency.h"
#include "daemon/place.h"

static const struct {
	const char *name, *sentence;
} spans[WEFT_SPAN_count] = {
#define X(name, sentence) {#name, sentence},
	WEFT_SPANS(X)
#undef X
};

const char *latency_span(u32 span)
{
	return span < WEFT_SPAN_count ? spans[span].name : "unknown";
}

u64 latency_quantile(const struct weft_latency_row *row, double quantile)
{
	u64 total = 0, seen = 0;
	for (u32 i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		total += row->bucket[i];
	u64 rank = (u64)ceil(quantile * (double)total);
	for (u32 i = 0; i < WEFT_LATENCY_BUCKETS && total; i++) {
		seen += row->bucket[i];
		if (seen < rank)
			continue;
		u64 from = weft_latency_from_ns(i), end = weft_latency_from_ns(i + 1);
		u64 middle = from + (end - 1 - from) / 2;
		return middle < row->min_ns   ? row->min_ns
		       : middle > row->max_ns ? row->max_ns
					      : middle;
	}
	return row->max_ns;
}

json_t *latency_numbers(const struct weft_latency_row *row)
{
	static const struct {
		const char *key;
		double quantile;
	} quantiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}};
	json_t *numbers = json_pack(
		"{s:I, s:I}", "count", (json_int_t)row->count, "min_ns", (json_int_t)row->min_ns);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(quantiles); i++)
		json_object_set_new(numbers, quantiles[i].key,
			json_integer((json_int_t)latency_quantile(row, quantiles[i].quantile)));
	json_object_set_new(numbers, "max_ns", json_integer((json_int_t)row->max_ns));
	json_object_set_new(numbers, "sum_ns", json_integer((json_int_t)row->sum_ns));
	return numbers;
}

// Of a port, a peer, or what passed between the two; 0: any.
struct ends {
	u32 port, peer, network;
};

static bool has_ends(const struct weft_latency_key *key, const struct ends *ends)
{
	return (!ends->port || ends->port == key->from || ends->port == key->to) &&
	       (!ends->peer || ends->peer == key->from || ends->peer == key->to);
}

static int read_ends(struct request *request, struct ends *ends)
{
	static const char *const other[] = {"peer", "port"};
	struct place_filter filter[2] = {0};
	int error = 0;
	for (int i = 0; !error && i < 2; i++) {
		json_t *words = json_copy(request->arguments);
		json_object_del(words, other[i]);
		error = place_filter(request->weftd, words, &filter[i], &request->failure);
		json_decref(words);
	}
	*ends = (struct ends){filter[0].place, filter[1].place, filter[0].network};
	return error;
}

struct collected {
	struct weftd *weftd;
	struct ends ends;
	u32 count, capacity;
	struct kept {
		struct weft_latency_key key;
		struct weft_latency_row row;
	} * kept;
};

static bool fits(const struct collected *c, const struct weft_latency_key *key)
{
	u16 tag;
	const struct object *from = place_at(c->weftd, key->from);
	const struct object *to = place_at(c->weftd, key->to);
	if (!from || (key->to && !to))
		return false;
	if (!has_ends(key, &c->ends))
		return false;
	return !c->ends.network || (place_in(c->weftd, from, c->ends.network, &tag) &&
					   (!to || place_in(c->weftd, to, c->ends.network, &tag)));
}

static int collect(const void *key, const void *row, void *context)
{
	struct collected *c = context;
	struct weft_latency_key at;
	memcpy(&at, key, sizeof(at));
	if (!fits(c, &at))
		return 0;
	if (c->count == c->capacity) {
		u32 capacity = c->capacity ? c->capacity * 2 : 16;
		struct kept *kept = realloc(c->kept, capacity * sizeof(*kept));
		if (!kept)
			return -ENOMEM;
		c->kept = kept;
		c->capacity = capacity;
	}
	c->kept[c->count].key = at;
	memcpy(&c->kept[c->count++].row, row, sizeof(struct weft_latency_row));
	return 0;
}

// --- each CPU has its own: as one

static int by_places_and_span(const void *a, const void *b)
{
	const struct weft_latency_key *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return (int)x->span - (int)y->span;
}

static void merge(struct weft_latency_row *into, const struct weft_latency_row *row)
{
	if (!row->count)
		return;
	if (!into->count || row->min_ns < into->min_ns)
		into->min_ns = row->min_ns;
	if (row->max_ns > into->max_ns)
		into->max_ns = row->max_ns;
	into->count += row->count;
	into->sum_ns += row->sum_ns;
	for (u32 i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		into->bucket[i] += row->bucket[i];
}

static void merge_all(struct collected *c)
{
	u32 merged = 0;
	if (!c->count)
		return;
	qsort(c->kept, c->count, sizeof(*c->kept), by_places_and_span);
	for (u32 i = 1; i < c->count; i++) {
		if (by_places_and_span(&c->kept[merged].key, &c->kept[i].key))
			c->kept[++merged] = c->kept[i];
		else
			merge(&c->kept[merged].row, &c->kept[i].row);
	}
	c->count = merged + 1;
}

static const char *name_of(struct weftd *weftd, u32 id)
{
	const struct object *place = place_at(weftd, id);
	return place ? place->name : NULL;
}

// [ns below which they are, samples] of each bucket that has some: what histograms are merged by.
static json_t *buckets_json(const struct weft_latency_row *row)
{
	json_t *buckets = json_array();
	for (u32 i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		if (row->bucket[i])
			json_array_append_new(buckets,
				json_pack("[I, I]", (json_int_t)weft_latency_from_ns(i + 1),
					(json_int_t)row->bucket[i]));
	return buckets;
}

static json_t *show_one(struct weftd *weftd, const struct kept *kept)
{
	const struct object *from = place_at(weftd, kept->key.from);
	const struct object *to = place_at(weftd, kept->key.to);
	bool at_end = kept->key.span == WEFT_SPAN_queue || kept->key.span == WEFT_SPAN_guest;
	bool inward = at_end || place_is_peer(from);
	const struct object *port = inward ? to : from, *peer = inward ? from : to;
	json_t *shown = json_pack("{s:s?, s:s?, s:s, s:s?, s:s?}", "port", port ? port->name : NULL,
		"peer", peer && place_is_peer(peer) ? peer->name : NULL, "hop",
		latency_span(kept->key.span), "from", name_of(weftd, kept->key.from), "to",
		name_of(weftd, kept->key.to));
	json_t *numbers = latency_numbers(&kept->row);
	json_object_update(shown, numbers);
	json_decref(numbers);
	return shown;
}

static int by_name(struct weftd *weftd, u32 a, u32 b)
{
	const char *x = name_of(weftd, a), *y = name_of(weftd, b);
	return strcmp(x ? x : "", y ? y : "");
}

static int by_names_and_span(const void *a, const void *b, void *weftd)
{
	const struct kept *x = a, *y = b;
	int order = by_name(weftd, x->key.from, y->key.from);
	if (!order)
		order = by_name(weftd, x->key.to, y->key.to);
	return order ? order : (int)x->key.span - (int)y->key.span;
}

// Everything that fits, in the order of `latency show`. The caller frees `kept`.
static int collect_all(struct collected *c)
{
	int error =
		c->weftd->engine_ops->table_walk(c->weftd->engine, WEFT_TABLE_latency, collect, c);
	merge_all(c);
	if (c->count)
		qsort_r(c->kept, c->count, sizeof(*c->kept), by_names_and_span, c->weftd);
	return error;
}

int latency_each(struct weftd *weftd, latency_fn *fn, void *context)
{
	struct collected c = {.weftd = weftd};
	int error = collect_all(&c);
	for (u32 i = 0; !error && i < c.count; i++) {
		const struct weft_latency_key *key = &c.kept[i].key;
		fn(key, &c.kept[i].row, place_at(weftd, key->from), place_at(weftd, key->to),
			context);
	}
	free(c.kept);
	return error;
}

static int observes(struct request *request)
{
	const char *name = request->weftd->engine_ops->name;
	if (request->weftd->engine_ops->cards)
		return 0;
	fail(&request->failure, -ENOTSUP, "wrong_engine", "the %s engine observes nothing", name);
	return fail_hint(&request->failure, "start weftd with --engine ebpf or dpdk");
}

static int run_show(struct request *request)
{
	struct collected c = {.weftd = request->weftd};
	int error = observes(request);
	if (!error)
		error = read_ends(request, &c.ends);
	if (error)
		return error;
	error = collect_all(&c);
	if (error)
		fail(&request->failure, error, "no_memory", "out of memory");
	else
		request->result = json_array();
	for (u32 i = 0; !error && i < c.count; i++) {
		json_t *shown = show_one(c.weftd, &c.kept[i]);
		if (request->json)
			json_object_set_new(shown, "buckets", buckets_json(&c.kept[i].row));
		json_array_append_new(request->result, shown);
	}
	free(c.kept);
	return error;
}

struct forgotten {
	struct weftd *weftd;
	struct ends ends;
	u64 count;
};

static bool has_row(struct weftd *weftd, struct weft_latency_key key)
{
	static struct weft_latency_row row; // 4 kB
	for (key.cpu = 0; key.cpu < WEFT_LATENCY_CPUS; key.cpu++)
		if (!engine_get(weftd, latency, &key, &row))
			return true;
	return false;
}

static int forget_one(const void *key, const void *row, void *context)
{
	struct forgotten *f = context;
	struct weft_latency_key at;
	(void)row;
	memcpy(&at, key, sizeof(at));
	if (has_ends(&at, &f->ends))
		f->count += !engine_del(f->weftd, latency, &at, NULL) && !has_row(f->weftd, at);
	return 0;
}

static u64 forget(struct weftd *weftd, const struct ends *ends)
{
	struct forgotten f = {weftd, *ends, 0};
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_latency, forget_one, &f);
	return f.count;
}

void latency_forget(struct weftd *weftd, u32 place)
{
	forget(weftd, &(struct ends){.port = place});
}

static int run_reset(struct request *request)
{
	struct ends ends;
	int error = observes(request);
	if (!error)
		error = read_ends(request, &ends);
	if (error)
		return error;
	return place_answer_flush(request, forget(request->weftd, &ends));
}

extern const struct command latency_commands[];
const struct command latency_commands[] = {
	{"latency", "show", place_filter_arguments,
		"Show how long sampled packets took: to be decided, to be handed over, in the "
		"port's queue, in the guest",
		"from,to,hop,count,min_ns,p50_ns,p90_ns,p99_ns,p999_ns,max_ns", run_show, NULL,
		.identity = "from,to,hop"},
	{"latency", "reset", place_arguments, "Forget what `latency show` shows", NULL, run_reset,
		NULL},
	{0},
};
