// SPDX-License-Identifier: BSD-2-Clause
// Static FDB rows as objects, and what weftd may do to learned ones.
#include "daemon/fdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/network.h"
#include "daemon/port.h"

static const struct argument fdb_arguments[] = {
	{"mac", NULL, ARGUMENT_MAC, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED, NULL,
		NULL, 0, 0, NULL, "the address"},
	{"network", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_FIXED, NULL, "network", 0, 0,
		NULL, "the network it is in"},
	{"port", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED, NULL, "port", 0, 0, NULL,
		"the port it is behind"},
	{0},
};

u64 clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void mac_text(const struct weft_mac *mac, char text[18])
{
	const u8 *b = mac->byte;
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

static struct weft_mac mac_read(const char *text)
{
	struct weft_mac mac = {0};
	u8 *b = mac.byte;
	sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]);
	return mac;
}

static struct weft_fdb_key key_of(struct weftd *weftd, const json_t *spec)
{
	struct object *network = object_find(weftd, &noun_network, spec_text(spec, "network", ""));
	return (struct weft_fdb_key){
		.network = network ? network->id : 0,
		.mac = mac_read(spec_text(spec, "mac", "")),
	};
}

struct object *fdb_object(struct weftd *weftd, const struct weft_fdb_key *key)
{
	struct object *network = object_by_id(weftd, &noun_network, key->network);
	char mac[18], name[128];
	mac_text(&key->mac, mac);
	snprintf(name, sizeof(name), "%s %s", mac, network ? network->name : "");
	return object_find(weftd, &noun_fdb, name);
}

static struct weft_usage_row *usage_at(struct weftd *weftd, enum weft_table table, u32 index)
{
	return weftd->engine_ops->table_at(weftd->engine, table, index);
}

int fdb_forget_row(struct weftd *weftd, const struct weft_fdb_key *key)
{
	struct weft_fdb_row row;
	int error = engine_del(weftd, fdb, key, &row);
	if (error || row.kind != WEFT_FDB_LEARNED)
		return error;
	struct weft_usage_row *port = usage_at(weftd, WEFT_TABLE_port_usage, row.port);
	struct weft_usage_row *network = usage_at(weftd, WEFT_TABLE_network_usage, key->network);
	if (port)
		__atomic_fetch_sub(&port->macs, 1, __ATOMIC_RELAXED);
	if (network)
		__atomic_fetch_sub(&network->macs, 1, __ATOMIC_RELAXED);
	return 0;
}

bool fdb_placed(struct weftd *weftd, const struct weft_fdb_key *key, const struct weft_fdb_row *row)
{
	struct object *object = object_by_id(weftd, &noun_port, row->port);
	const struct port *port = object ? object->live : NULL;
	struct weft_tag_key tag = {.port = row->port, .vid = row->tag};
	struct weft_tag_row place;
	if (!port || !port->watch.link)
		return false;
	if (!row->tag)
		return port->row.network == key->network;
	return engine_get(weftd, tag, &tag, &place) == 0 && place.network == key->network;
}

// Which learned rows go. Zero: any.
struct forget {
	struct weftd *weftd;
	u32 network;
	u32 port;
	bool strays; // only those that are not in their place
	u64 rows;    // that went
};

static int forget_row(const void *key, const void *data, void *context)
{
	struct forget *f = context;
	struct weft_fdb_key place;
	struct weft_fdb_row row;
	memcpy(&place, key, sizeof(place));
	memcpy(&row, data, sizeof(row));
	if (row.kind != WEFT_FDB_LEARNED || (f->network && place.network != f->network) ||
		(f->port && row.port != f->port) ||
		(f->strays && fdb_placed(f->weftd, &place, &row)))
		return 0;
	f->rows += fdb_forget_row(f->weftd, &place) == 0;
	return 0;
}

static u64 forget(struct forget f)
{
	f.weftd->engine_ops->table_walk(f.weftd->engine, WEFT_TABLE_fdb, forget_row, &f);
	fdb_sweep_soon(f.weftd);
	return f.rows;
}

void fdb_forget_port(struct weftd *weftd, u32 port)
{
	struct weft_usage_row *usage = usage_at(weftd, WEFT_TABLE_port_usage, port);
	if (usage && __atomic_load_n(&usage->macs, __ATOMIC_RELAXED))
		forget((struct forget){.weftd = weftd, .port = port});
}

void fdb_forget_strays(struct weftd *weftd, u32 port)
{
	forget((struct forget){.weftd = weftd, .port = port, .strays = true});
}

void fdb_forget_network(struct weftd *weftd, u32 network)
{
	struct weft_usage_row *usage = usage_at(weftd, WEFT_TABLE_network_usage, network);
	if (usage && __atomic_load_n(&usage->macs, __ATOMIC_RELAXED))
		forget((struct forget){.weftd = weftd, .network = network});
}

static int fdb_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	static const struct weft_mac gateway = WEFT_GATEWAY_MAC;
	(void)old;
	if (!spec)
		return 0;
	const char *network = spec_text(spec, "network", ""), *name = spec_text(spec, "port", "");
	struct weft_mac mac = mac_read(spec_text(spec, "mac", ""));
	struct object *port = object_find(weftd, &noun_port, name);
	if (memcmp(&mac, &gateway, sizeof(mac)) == 0)
		return fail(failure, -EINVAL, "bad_value", "%s is the address of weft's gateways",
			spec_text(spec, "mac", ""));
	if (!object_find(weftd, &noun_network, network)) {
		fail(failure, -ENOENT, "not_found", "there is no network %s", network);
		return fail_hint(failure, "`network show` lists what there is");
	}
	if (!port) {
		fail(failure, -ENOENT, "not_found", "there is no port %s", name);
		return fail_hint(failure, "`port show` lists what there is");
	}
	if (!port_spec_uses(port->spec, network)) {
		fail(failure, -EINVAL, "bad_value", "port %s is not in network %s", name, network);
		return fail_hint(failure, "`port show %s` names its networks", name);
	}
	return 0;
}

static int fdb_put(struct weftd *weftd, const struct object *object, struct failure *failure)
{
	const char *name = spec_text(object->spec, "port", "");
	struct object *port = object_find(weftd, &noun_port, name);
	struct weft_fdb_key key = key_of(weftd, object->spec);
	struct weft_fdb_row row = {.kind = WEFT_FDB_STATIC, .seen_ns = clock_ns()}, is;
	if (!port || !network_tag(weftd, key.network, port->id, &row.tag))
		return fail(failure, -ENOENT, "not_up", "port %s is not up in network %s", name,
			spec_text(object->spec, "network", ""));
	row.port = port->id;
	if (engine_get(weftd, fdb, &key, &is) == 0 && is.kind == WEFT_FDB_LEARNED)
		fdb_forget_row(weftd, &key); // a learned row counts, a static one does not
	int error = engine_put(weftd, fdb, &key, &row);
	if (error) {
		fail(failure, error, "table_full", "the fdb table is full");
		return fail_hint(failure,
			"`fdb flush` forgets what was learned; or start weftd with a "
			"larger fdb table");
	}
	return 0;
}

static int fdb_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	(void)old;
	return fdb_put(weftd, object, failure);
}

static int fdb_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	struct weft_fdb_key key = key_of(weftd, object->spec);
	(void)failure;
	fdb_forget_row(weftd, &key);
	return 0;
}

int fdb_follow_port(struct weftd *weftd, const struct object *port, struct failure *failure)
{
	struct object *object = object_first(weftd, &noun_fdb);
	int error = 0;
	for (; object && !error; object = object->hh.next) {
		if (strcmp(spec_text(object->spec, "port", ""), port->name) == 0)
			error = fdb_put(weftd, object, failure);
	}
	return error;
}

static json_t *fdb_show(struct weftd *weftd, const struct object *object)
{
	struct object *port = object_find(weftd, &noun_port, spec_text(object->spec, "port", ""));
	struct port_state state = port ? port_state(port) : (struct port_state){"down", ""};
	struct weft_fdb_key key = key_of(weftd, object->spec);
	struct weft_fdb_row row = {0};
	engine_get(weftd, fdb, &key, &row);
	return json_pack("{s:I, s:s, s:n, s:s, s:s?}", "tag", (json_int_t)row.tag, "kind", "static",
		"age_seconds", "state", state.state, "why", state.why[0] ? state.why : NULL);
}

struct shown {
	struct weftd *weftd;
	json_t *result;
	u32 network, port; // 0: every
	u64 now_ns;
};

static int show_learned(const void *key, const void *data, void *context)
{
	struct shown *s = context;
	struct weft_fdb_key place;
	struct weft_fdb_row row;
	char mac[18];
	memcpy(&place, key, sizeof(place));
	memcpy(&row, data, sizeof(row));
	struct object *network = object_by_id(s->weftd, &noun_network, place.network);
	struct object *port = object_by_id(s->weftd, &noun_port, row.port);
	if (row.kind != WEFT_FDB_LEARNED || !network || !port ||
		(s->network && s->network != place.network) || (s->port && s->port != row.port))
		return 0;
	s64 age_ns = (s64)(s->now_ns - row.seen_ns);
	u64 ageing_ns = network_ageing_ns(network);
	if (ageing_ns && age_ns > (s64)ageing_ns) // the datapath ignores it, too
		return 0;
	mac_text(&place.mac, mac);
	json_array_append_new(s->result,
		json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:n}", "mac", mac, "network",
			network->name, "port", port->name, "tag", (json_int_t)row.tag, "kind",
			"learned", "age_seconds",
			(json_int_t)(age_ns > 0 ? age_ns / 1000000000 : 0), "state", "up", "why"));
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

static int fdb_show_all(
	struct weftd *weftd, const json_t *filter, json_t *result, struct failure *failure)
{
	struct shown shown = {.weftd = weftd, .result = result, .now_ns = clock_ns()};
	const char *network = spec_text(filter, "network", NULL),
		   *port = spec_text(filter, "port", NULL);
	struct object *object = network ? object_find(weftd, &noun_network, network) : NULL;
	if (network && !object)
		return fail(failure, -ENOENT, "not_found", "there is no network %s", network);
	shown.network = object ? object->id : 0;
	object = port ? object_find(weftd, &noun_port, port) : NULL;
	if (port && !object)
		return fail(failure, -ENOENT, "not_found", "there is no port %s", port);
	shown.port = object ? object->id : 0;
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_fdb, show_learned, &shown);
	sort_rows(result);
	return 0;
}

const struct noun noun_fdb = {
	.name = "fdb",
	.plural = "fdb",
	.help = "which port an address is behind",
	.arguments = fdb_arguments,
	.identity = "mac network",
	.columns = "network,mac,port,tag,kind,age_seconds",
	.check = fdb_check,
	.apply = fdb_apply,
	.remove = fdb_remove,
	.show = fdb_show,
	.show_all = fdb_show_all,
};

// `fdb del` takes learned rows, too.
static int run_del(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct weft_fdb_key key = key_of(weftd, request->arguments);
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
	struct weftd *weftd = request->weftd;
	struct forget f = {.weftd = weftd};
	const char *network = spec_text(request->arguments, "network", NULL);
	const char *port = spec_text(request->arguments, "port", NULL);
	struct object *object = network ? object_find(weftd, &noun_network, network) : NULL;
	if (network && !object)
		return fail(
			&request->failure, -ENOENT, "not_found", "there is no network %s", network);
	f.network = object ? object->id : 0;
	object = port ? object_find(weftd, &noun_port, port) : NULL;
	if (port && !object)
		return fail(&request->failure, -ENOENT, "not_found", "there is no port %s", port);
	f.port = object ? object->id : 0;
	u64 rows = forget(f);
	if (request->json)
		request->result = json_pack("[{s:I}]", "forgotten", (json_int_t)rows);
	else
		request->text = strdup("");
	return 0;
}

static const struct argument del_arguments[] = {
	{"mac", NULL, ARGUMENT_MAC, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, NULL, 0, 0, NULL,
		"the address"},
	{"network", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED, NULL, "network", 0, 0, NULL,
		"the network it is in"},
	{0},
};

static const struct argument flush_arguments[] = {
	{"network", NULL, ARGUMENT_NAME, 0, NULL, "network", 0, 0, NULL, "only in this network"},
	{"port", NULL, ARGUMENT_NAME, 0, NULL, "port", 0, 0, NULL, "only behind this port"},
	{0},
};

extern const struct command fdb_commands[];
const struct command fdb_commands[] = {
	{"fdb", "del", del_arguments, "Delete a row, static or learned", NULL, run_del, &noun_fdb},
	{"fdb", "flush", flush_arguments, "Forget learned addresses", NULL, run_flush, NULL},
	{0},
};
