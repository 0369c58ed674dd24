// SPDX-License-Identifier: BSD-2-Clause
// The host: this weftd itself. Its name and address, its tables, stop and purge.
#include "daemon/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <weft/log.h>
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/port.h"

LOG_MODULE(host);

static const struct argument host_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, 0, NULL, NULL, 0, 0, NULL, "what this host is called"},
	{"address", NULL, ARGUMENT_ADDRESS, 0, NULL, NULL, 0, 0, NULL,
		"the address at which other hosts reach it"},
	{0},
};

static int host_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	(void)weftd, (void)object, (void)old, (void)failure;
	return 0; // recorded: overlays are what uses it
}

static int host_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	(void)weftd, (void)object, (void)failure;
	return 0;
}

// Rows in use. Arrays are used by the objects that have their index; -1: by neither.
static json_int_t rows_used(struct weftd *weftd, enum weft_table table, u32 used)
{
	switch (table) {
	case WEFT_TABLE_port:
	case WEFT_TABLE_port_usage:
	case WEFT_TABLE_port_count:
		return object_count(weftd, &noun_port);
	case WEFT_TABLE_network:
	case WEFT_TABLE_network_usage:
		return object_count(weftd, &noun_network);
	default:
		return table_infos[table].kind == WEFT_TABLE_HASH ? (json_int_t)used : -1;
	}
}

static json_t *show_tables(struct weftd *weftd)
{
	json_t *tables = json_array();
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		struct engine_table_status status;
		weftd->engine_ops->table_status(weftd->engine, i, &status);
		json_int_t used = rows_used(weftd, i, status.used);
		json_array_append_new(tables,
			json_pack("{s:s, s:o, s:I, s:b}", "table", table_infos[i].name, "used",
				used < 0 ? json_null() : json_integer(used), "capacity",
				(json_int_t)status.capacity, "adopted", status.adopted));
	}
	return tables;
}

static json_t *host_show(struct weftd *weftd, const struct object *object)
{
	struct utsname kernel;
	uname(&kernel);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s, s:n}", "name",
		spec_text(object->spec, "name", weftd->settings.name), "uuid", weftd->uuid,
		"engine", weftd->engine_ops->name, "kernel", kernel.release, "version",
		WEFT_VERSION, "uptime_seconds",
		(json_int_t)((clock_ns() - weftd->started_ns) / 1000000000), "tables",
		show_tables(weftd), "state", "up", "why");
}

const struct noun noun_host = {
	.name = "host",
	.plural = "host",
	.help = "this weftd",
	.arguments = host_arguments,
	.columns = "name,address,engine,version,uptime_seconds,state",
	.singleton = true,
	.apply = host_apply,
	.remove = host_remove,
	.show = host_show,
};

static int run_stop(struct request *request)
{
	request->weftd->stopping = true;
	request->text = strdup("");
	return 0;
}

// Users before what they use. What cannot be given back now is named, and the rest is done.
static int run_purge(struct request *request)
{
	struct weftd *weftd = request->weftd;
	size_t count = 0;
	int error = 0;
	while (nouns[count])
		count++;
	while (count--) {
		struct object *object = object_first(weftd, nouns[count]);
		for (; object; object = object->hh.next) {
			int failed = nouns[count]->remove(weftd, object, &request->failure);
			if (failed)
				log_error("purge: %s", request->failure.message);
			error = failed ? failed : error;
		}
	}
	weftd->purging = weftd->stopping = true;
	request->text = strdup("");
	return error;
}

extern const struct command host_commands[];
const struct command host_commands[] = {
	{"host", "stop", NULL, "Stop weftd; with the ebpf engine forwarding goes on", NULL,
		run_stop, NULL},
	{"host", "purge", NULL, "Stop weftd and remove everything that weft made on this host",
		NULL, run_purge, NULL},
	{0},
};
