// SPDX-License-Identifier: BSD-2-Clause
// The neighbour table: who has which IP address, and the commands about it.
#include "daemon/neighbour.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/command_table.h"
#include "daemon/fdb.h"
#include "daemon/forget.h"
#include "daemon/network.h"

int neighbour_forget_row(struct weftd *weftd, const struct weft_neighbour_key *key)
{
	struct weft_neighbour_row row;
	int error = engine_del(weftd, neighbour, key, &row);
	if (error)
		return error;
	struct weft_usage_row *place = place_usage(weftd, row.port);
	struct weft_usage_row *network = network_usage(weftd, key->network);
	if (place)
		__atomic_fetch_sub(&place->bindings, 1, __ATOMIC_RELAXED);
	if (network)
		__atomic_fetch_sub(&network->bindings, 1, __ATOMIC_RELAXED);
	return 0;
}

bool neighbour_placed(struct weftd *weftd, const struct weft_neighbour_key *key,
	const struct weft_neighbour_row *row)
{
	const struct object *place = place_at(weftd, row->port);
	u16 tag;
	return place && place_there(place) && place_in(weftd, place, key->network, &tag);
}

struct found {
	struct weft_neighbour_key key;
	struct weft_neighbour_row row;
};

struct shown {
	struct weftd *weftd;
	struct place_filter filter;
	struct found *found;
	size_t count, room;
};

static int collect(const void *key, const void *data, void *context)
{
	struct shown *s = context;
	struct found one;
	memcpy(&one.key, key, sizeof(one.key));
	memcpy(&one.row, data, sizeof(one.row));
	if (!place_fits(&s->filter, one.key.network, one.row.port))
		return 0;
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct found *found = realloc(s->found, room * sizeof(*found));
		if (!found)
			return -ENOMEM;
		s->found = found;
		s->room = room;
	}
	s->found[s->count++] = one;
	return 0;
}

static int by_network_and_ip(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->key.network != y->key.network)
		return x->key.network < y->key.network ? -1 : 1;
	return memcmp(x->key.ip, y->key.ip, sizeof(x->key.ip));
}

static void show_row(struct shown *s, const struct found *one, json_t *result)
{
	const struct object *network = object_by_id(s->weftd, &noun_network, one->key.network);
	const struct object *place = place_at(s->weftd, one->row.port);
	s64 age_ns = (s64)(clock_ns() - one->row.seen_ns);
	struct weft_ip ip;
	char text[ADDRESS_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	u64 ageing_ns = network ? network_ageing_ns(network) : 0;
	if (!network || !place || (ageing_ns && age_ns > (s64)ageing_ns)) // the sweep takes it
		return;
	memcpy(ip.byte, one->key.ip, sizeof(ip.byte));
	address_text(&ip, text);
	mac_text(&one->row.mac, mac);
	json_t *shown =
		json_pack("{s:s, s:s, s:s}", "network", network->name, "ip", text, "mac", mac);
	place_show(place, shown);
	json_object_set_new(
		shown, "age_seconds", json_integer(age_ns > 0 ? age_ns / 1000000000 : 0));
	json_array_append_new(result, shown);
}

static int run_show(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct shown s = {.weftd = weftd};
	int error = place_filter(weftd, request->arguments, &s.filter, &request->failure);
	if (error)
		return error;
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_neighbour, collect, &s);
	if (s.count)
		qsort(s.found, s.count, sizeof(*s.found), by_network_and_ip);
	request->result = json_array();
	for (size_t i = 0; i < s.count; i++)
		show_row(&s, &s.found[i], request->result);
	free(s.found);
	return 0;
}

static int run_flush(struct request *request)
{
	struct place_filter filter = {0};
	int error = place_filter(request->weftd, request->arguments, &filter, &request->failure);
	return error ? error
		     : place_answer_flush(
			       request, forget_matching(request->weftd, &filter, FORGET_BINDINGS));
}

extern const struct command neighbour_commands[];
const struct command neighbour_commands[] = {
	{"neighbour", "show", place_filter_arguments,
		"Show who has which IP address, as ARP and ND told",
		"network,ip,mac,port,peer,age_seconds", run_show, NULL, "network ip"},
	{"neighbour", "flush", place_filter_arguments, "Forget who has which IP address", NULL,
		run_flush, NULL},
	{0},
};
