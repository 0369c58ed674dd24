// SPDX-License-Identifier: BSD-2-Clause
// Learned FDB rows: `fdb show`, `fdb del`, `fdb flush`.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/fdb.h"
#include "daemon/forget.h"
#include "daemon/network.h"
#include "daemon/place.h"

struct shown {
	struct weftd *weftd;
	json_t *result;
	struct place_filter filter;
	u64 now_ns;
};

static int show_learned(const void *key, const void *data, void *context)
{
	struct shown *s = context;
	struct weft_fdb_key at;
	struct weft_fdb_row row;
	char mac[MAC_TEXT_BYTES];
	memcpy(&at, key, sizeof(at));
	memcpy(&row, data, sizeof(row));
	struct object *network = object_by_id(s->weftd, &noun_network, at.network);
	struct object *place = place_at(s->weftd, row.port);
	if (row.kind != WEFT_FDB_LEARNED || !network || !place ||
		!place_fits(&s->filter, at.network, row.port))
		return 0;
	s64 age_ns = (s64)(s->now_ns - row.seen_ns);
	u64 ageing_ns = network_ageing_ns(network);
	if (ageing_ns && age_ns > (s64)ageing_ns) // the datapath ignores it, too
		return 0;
	mac_text(&at.mac, mac);
	json_t *shown = json_pack("{s:s, s:s}", "mac", mac, "network", network->name);
	place_show(place, shown);
	json_t *more = json_pack("{s:I, s:s, s:I, s:s, s:n}", "tag", (json_int_t)row.tag, "kind",
		"learned", "age_seconds", (json_int_t)(age_ns > 0 ? age_ns / 1000000000 : 0),
		"state", "up", "why");
	json_object_update(shown, more);
	json_decref(more);
	json_array_append_new(s->result, shown);
	return 0;
}

static int by_network_and_mac(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(spec_text(x, "network", ""), spec_text(y, "network", ""));
	return order ? order : strcmp(spec_text(x, "mac", ""), spec_text(y, "mac", ""));
}

static void sort_rows(json_t *rows)
{
	size_t count = json_array_size(rows);
	json_t **list = malloc((count + 1) * sizeof(*list));
	if (!list)
		return;
	for (size_t i = 0; i < count; i++)
		list[i] = json_incref(json_array_get(rows, i));
	qsort(list, count, sizeof(json_t *), by_network_and_mac);
	json_array_clear(rows);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows, list[i]);
	free(list);
}

int fdb_show_all(struct weftd *weftd, const json_t *filter, json_t *result, struct failure *failure)
{
	struct shown shown = {.weftd = weftd, .result = result, .now_ns = clock_ns()};
	int error = place_filter(weftd, filter, &shown.filter, failure);
	if (error)
		return error;
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_fdb, show_learned, &shown);
	sort_rows(result);
	return 0;
}

// `fdb del` takes learned rows, too.
static int run_del(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct weft_fdb_key key = fdb_key(weftd, request->arguments);
	if (!key.network)
		return fail(&request->failure, -ENOENT, "not_found", "there is no network %s",
			spec_text(request->arguments, "network", ""));
	if (fdb_object(weftd, &key))
		return object_run_del(request);
	if (fdb_forget_row(weftd, &key))
		return fail(&request->failure, -ENOENT, "not_found", "network %s has no fdb row %s",
			spec_text(request->arguments, "network", ""),
			spec_text(request->arguments, "mac", ""));
	request->text = strdup("");
	return 0;
}

static int run_flush(struct request *request)
{
	struct place_filter filter;
	int error = place_filter(request->weftd, request->arguments, &filter, &request->failure);
	return error ? error
		     : place_answer_flush(
			       request, forget_matching(request->weftd, &filter, FORGET_MACS));
}

static const struct argument del_arguments[] = {
	{"mac", NULL, ARGUMENT_MAC, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, NULL, 0, 0, NULL,
		"the address"},
	{"network", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED, NULL, "network", 0, 0, NULL,
		"the network it is in"},
	{0},
};

extern const struct command fdb_commands[];
const struct command fdb_commands[] = {
	{"fdb", "del", del_arguments, "Delete a row, static or learned", NULL, run_del, &noun_fdb},
	{"fdb", "flush", place_filter_arguments, "Forget learned addresses", NULL, run_flush, NULL},
	{0},
};
