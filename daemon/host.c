// SPDX-License-Identifier: BSD-2-Clause
// The host: this weftd itself. Its name and address, its tables, stop and purge.
#include "daemon/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <weft/log.h>
#include "daemon/address.h"
#include "daemon/carrier.h"
#include "daemon/fdb.h"
#include "daemon/latency.h"
#include "daemon/link.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/probe.h"
#include "daemon/service.h"
#include "daemon/sweep.h"
#include "daemon/underlay.h"

LOG_MODULE(host);

static const struct argument host_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, 0, NULL, NULL, 0, 0, NULL, "what this host is called"},
	{"address", NULL, ARGUMENT_ADDRESS, 0, NULL, NULL, 0, 0, NULL,
		"the address at which other hosts reach it"},
	{"udp-port", "udp_port", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 65535, "4789",
		"the UDP port of VXLAN, the same on all hosts"},
	{"probe-key", "probe_key", ARGUMENT_TEXT, 0, NULL, NULL, 0, 0, NULL,
		"a secret by which hosts know each other's probes, the same on all hosts"},
	{"sample", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1000000000, "1024",
		"one of how many packets is timed, for `latency show`; 0: none"},
	{0},
};

static struct object *host_object(struct weftd *weftd)
{
	return object_first(weftd, &noun_host);
}

bool host_address(struct weftd *weftd, struct weft_ip *address)
{
	const struct object *host = host_object(weftd);
	const char *text = host ? spec_text(host->spec, "address", NULL) : NULL;
	*address = text ? address_read(text) : (struct weft_ip){0};
	return text != NULL;
}

const char *host_name(struct weftd *weftd)
{
	const struct object *host = weftd->objects ? host_object(weftd) : NULL;
	return host ? spec_text(host->spec, "name", weftd->settings.name) : weftd->settings.name;
}

u16 host_udp_port(struct weftd *weftd)
{
	const struct object *host = host_object(weftd);
	return host ? (u16)spec_number(host->spec, "udp_port", UDP_PORT_DEFAULT) : UDP_PORT_DEFAULT;
}

static int host_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure)
{
	const char *text = spec ? spec_text(spec, "address", NULL) : NULL;
	struct object *peer = object_first(weftd, &noun_peer);
	(void)old;
	if (!text)
		return 0;
	struct weft_ip address = address_read(text);
	int error = peer_check_vtep(text, failure);
	for (; peer && !error; peer = peer->hh.next)
		error = peer_check_address(
			peer->name, spec_text(peer->spec, "address", ""), &address, failure);
	return error;
}

static int put_row(struct weftd *weftd, struct failure *failure)
{
	struct weft_index index = {0};
	struct weft_host_row row = {0};
	struct weft_ip address;
	engine_get(weftd, host, &index, &row); // who traces is not to be disturbed
	row.udp_port = host_udp_port(weftd);
	row.alive_ns = clock_ns();
	memset(row.address, 0, sizeof(row.address));
	if (host_address(weftd, &address))
		memcpy(row.address, address.byte, sizeof(row.address));
	int error = engine_put(weftd, host, &index, &row);
	return error ? fail(failure, error, "engine_failed", "the engine has no host row") : 0;
}

static int host_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	(void)object, (void)old;
	int error = put_row(weftd, failure);
	if (error)
		return error;
	latency_follow(weftd);
	probe_key_follow(weftd);
	underlay_changed(weftd);
	balancer_hosts_changed(weftd);
	network_underlay_changed(weftd); // the encapsulation is larger over IPv6
	return 0;
}

static int host_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	static const struct weft_host_row no_host;
	struct weft_index index = {0};
	(void)object;
	engine_put(weftd, host, &index, &no_host);
	return carrier_remove(weftd, failure);
}

// Rows in use. Arrays are used by the objects that have their index; -1: by neither.
static json_int_t rows_used(struct weftd *weftd, enum weft_table table, u32 used)
{
	switch (table) {
	case WEFT_TABLE_port:
	case WEFT_TABLE_port_usage:
	case WEFT_TABLE_port_count:
		return object_count(weftd, &noun_port) + object_count(weftd, &noun_peer);
	case WEFT_TABLE_network:
	case WEFT_TABLE_network_usage:
		return object_count(weftd, &noun_network);
	case WEFT_TABLE_service_usage:
		return object_count(weftd, &noun_service);
	case WEFT_TABLE_backend:
	case WEFT_TABLE_backend_count:
		return object_count(weftd, &noun_backend);
	case WEFT_TABLE_ring:
		return service_ring_used(weftd);
	case WEFT_TABLE_nexthop:
		return underlay_rows(weftd);
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
		json_array_append_new(
			tables, json_pack("{s:s, s:o, s:I, s:I, s:b}", "table", table_infos[i].name,
					"used", used < 0 ? json_null() : json_integer(used),
					"capacity", (json_int_t)status.capacity, "memory_bytes",
					(json_int_t)status.bytes, "adopted", status.adopted));
	}
	return tables;
}

static json_t *show_underlay(struct weftd *weftd)
{
	u32 ifindex[ENGINE_UNDERLAYS];
	u32 count = underlay_devices(weftd, ifindex, ENGINE_UNDERLAYS);
	json_t *devices = json_array();
	for (u32 i = 0; i < count; i++) {
		const struct link *link = link_at(weftd->links, ifindex[i]);
		if (link)
			json_array_append_new(devices, json_string(link->name));
	}
	return devices;
}

// By what the engine has them, where it has a choice.
static json_t *show_drivers(struct weftd *weftd)
{
	const struct engine_ops *ops = weftd->engine_ops;
	u32 ifindex[ENGINE_UNDERLAYS];
	u32 count = ops->driver ? underlay_devices(weftd, ifindex, ENGINE_UNDERLAYS) : 0;
	json_t *drivers = json_array();
	for (u32 i = 0; i < count; i++) {
		const struct link *link = link_at(weftd->links, ifindex[i]);
		const char *why, *driver = ops->driver(weftd->engine, ifindex[i], &why);
		if (link && driver)
			json_array_append_new(
				drivers, json_pack("{s:s, s:s, s:s?}", "device", link->name,
						 "driver", driver, "why", why));
	}
	return drivers;
}

static json_t *host_show(struct weftd *weftd, const struct object *object)
{
	struct utsname kernel;
	u32 mtu = underlay_mtu(weftd, NULL);
	const char *why = carrier_why(weftd) ? carrier_why(weftd) : carrier_note(weftd);
	(void)object;
	uname(&kernel);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:s?}",
		"name", host_name(weftd), "uuid", weftd->uuid, "engine", weftd->engine_ops->name,
		"kernel", kernel.release, "version", WEFT_VERSION, "uptime_seconds",
		(json_int_t)((clock_ns() - weftd->started_ns) / 1000000000), "tables",
		show_tables(weftd), "underlay", show_underlay(weftd), "underlay_drivers",
		show_drivers(weftd), "underlay_mtu", mtu ? json_integer(mtu) : json_null(),
		"carrier", carrier_name(weftd), "state", "up", "why", why);
}

const struct noun noun_host = {
	.name = "host",
	.plural = "host",
	.help = "this weftd",
	.arguments = host_arguments,
	.columns = "name,address,engine,version,uptime_seconds,state",
	.singleton = true,
	.check = host_check,
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

static int run_tables(struct request *request)
{
	request->result = show_tables(request->weftd);
	return 0;
}

extern const struct command host_commands[];
const struct command host_commands[] = {
	{"host", "stop", NULL,
		"Stop weftd; with the ebpf engine forwarding goes on, with dpdk it ends", NULL,
		run_stop, NULL},
	{"host", "tables", NULL,
		"Show the tables: rows in use, rows there is room for, and what memory they take",
		"table,used,capacity,memory_bytes,adopted", run_tables, NULL},
	{"host", "purge", NULL, "Stop weftd and remove everything that weft made on this host",
		NULL, run_purge, NULL},
	{0},
};
