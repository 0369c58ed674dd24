// SPDX-License-Identifier: BSD-2-Clause
// OpenMetrics: the numbers of `show` of ports, peers, services, backends, drops; how full each
// table is, and what workers do (metrics_cpu.c).

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/command.h"
#include "daemon/latency.h"
#include "daemon/value.h"

// One family of counters: a key of a show command's rows.
struct family {
	const char *words; // the command
	const char *key;
	const char *name;
	const char *labels; // keys that become labels
	const char *help;
};

static const struct family families[] = {
	{"port", "rx_packets", "weft_port_rx_packets", "name",
		"Packets that came in from the port"},
	{"port", "rx_bytes", "weft_port_rx_bytes", "name", "Bytes that came in from the port"},
	{"port", "rx_dropped", "weft_port_rx_dropped", "name",
		"Packets from the port that were dropped"},
	{"port", "tx_packets", "weft_port_tx_packets", "name", "Packets that went out to the port"},
	{"port", "tx_bytes", "weft_port_tx_bytes", "name", "Bytes that went out to the port"},
	{"port", "tx_dropped", "weft_port_tx_dropped", "name",
		"Packets to the port that were dropped"},
	{"port", "samples_lost", "weft_port_samples_lost", "name",
		"Timed packets for which the table latency had no room"},
	{"peer", "samples_lost", "weft_peer_samples_lost", "name",
		"Timed packets for which the table latency had no room"},
	{"peer", "rx_packets", "weft_peer_rx_packets", "name",
		"Packets that came encapsulated from the peer"},
	{"peer", "rx_bytes", "weft_peer_rx_bytes", "name", "Bytes that came from the peer"},
	{"peer", "rx_dropped", "weft_peer_rx_dropped", "name",
		"Packets from the peer that were dropped"},
	{"peer", "tx_packets", "weft_peer_tx_packets", "name",
		"Packets that went encapsulated to the peer"},
	{"peer", "tx_bytes", "weft_peer_tx_bytes", "name", "Bytes that went to the peer"},
	{"service", "packets", "weft_service_packets", "name", "Packets to the service"},
	{"service", "bytes", "weft_service_bytes", "name", "Bytes to the service"},
	{"service", "reply_packets", "weft_service_reply_packets", "name",
		"Packets from the service to its clients"},
	{"service", "reply_bytes", "weft_service_reply_bytes", "name",
		"Bytes from the service to its clients"},
	{"service", "connections_begun", "weft_service_connections_begun", "name",
		"Connections that began"},
	{"service", "connections_refused", "weft_service_connections_refused", "name",
		"Connections that were dropped over a limit, or for want of room in the table"},
	{"service", "connections_bypassed", "weft_service_connections_bypassed", "name",
		"The same that the hash alone served: of TCP connections, of UDP packets"},
	{"backend", "packets", "weft_backend_packets", "service,address,port",
		"Packets to the backend"},
	{"backend", "bytes", "weft_backend_bytes", "service,address,port", "Bytes to the backend"},
	{"backend", "connections_begun", "weft_backend_connections_begun", "service,address,port",
		"Connections that began"},
	{"drops", "packets", "weft_drop_packets", "reason,port,peer,hop",
		"Packets dropped, by reason"},
};

static json_t *show(struct weftd *weftd, const char *object)
{
	json_t *request = json_pack("{s:[s,s], s:b}", "words", object, "show", "json", 1);
	json_t *answer = command_run(weftd, request);
	json_t *result = json_incref(json_object_get(answer, "result"));

	json_decref(request);
	json_decref(answer);
	return result ? result : json_array();
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void put_labels(FILE *out, const struct family *family, const json_t *row)
{
	char *copy = strdup(family->labels);
	char *rest = copy;
	const char *before = "{";
	char *key;

	while ((key = strsep(&rest, ","))) {
		const json_t *value = json_object_get(row, key);
		char *text = json_is_null(value) ? strdup("") : value_text(value);

		fprintf(out, "%s%s=\"", before, strcmp(key, "name") == 0 ? family->words : key);
		put_escaped(out, text);
		free(text);
		fputc('"', out);
		before = ",";
	}
	fputc('}', out);
	free(copy);
}

static void put_family(FILE *out, const struct family *family, const json_t *rows)
{
	size_t i;
	json_t *row;

	fprintf(out, "# TYPE %s counter\n# HELP %s %s.\n", family->name, family->name,
		family->help);
	json_array_foreach (rows, i, row) {
		const json_t *value = json_object_get(row, family->key);

		if (!json_is_integer(value))
			continue;
		fprintf(out, "%s_total", family->name);
		put_labels(out, family, row);
		fprintf(out, " %lld\n", (long long)json_integer_value(value));
	}
}

static void put_up(FILE *out, const char *words, const json_t *rows)
{
	const struct family labels = {.words = words, .labels = "name"};
	size_t i;
	json_t *row;

	fprintf(out, "# TYPE weft_%s_up gauge\n# HELP weft_%s_up 1 when the %s's state is up.\n",
		words, words, words);
	json_array_foreach (rows, i, row) {
		const char *state = json_string_value(json_object_get(row, "state"));

		fprintf(out, "weft_%s_up", words);
		put_labels(out, &labels, row);
		fprintf(out, " %d\n", state && strcmp(state, "up") == 0);
	}
}

static void put_connections(FILE *out, const json_t *services)
{
	const struct family labels = {.words = "service", .labels = "name"};
	size_t i;
	json_t *row;

	fputs("# TYPE weft_service_connections gauge\n"
	      "# HELP weft_service_connections Connections that are remembered.\n",
		out);
	json_array_foreach (services, i, row) {
		fputs("weft_service_connections", out);
		put_labels(out, &labels, row);
		fprintf(out, " %lld\n",
			(long long)json_integer_value(json_object_get(row, "connections")));
	}
}

static void put_tables(FILE *out, struct weftd *weftd, bool capacity)
{
	const char *name = capacity ? "weft_table_capacity_rows" : "weft_table_used_rows";

	fprintf(out, "# TYPE %s gauge\n# HELP %s Rows %s.\n", name, name,
		capacity ? "for which the table has room" : "in use");
	for (int i = 0; i < WEFT_TABLE_count; i++) {
		struct engine_table_status status = {0};

		if (table_infos[i].kind != WEFT_TABLE_HASH) // every row of an array exists
			continue;
		weftd->engine_ops->table_status(weftd->engine, (enum weft_table)i, &status);
		fprintf(out, "%s{table=\"%s\"} %u\n", name, table_infos[i].name,
			capacity ? status.capacity : status.used);
	}
}

static void put_histogram(const struct weft_latency_key *key, const struct weft_latency_row *row,
	const struct object *from, const struct object *to, void *context)
{
	FILE *out = context;
	u64 count = 0;
	char labels[256];

	// A port and a peer may have one name.
	snprintf(labels, sizeof(labels),
		"from=\"%s\",from_type=\"%s\",to=\"%s\",to_type=\"%s\",hop=\"%s\"", from->name,
		from->noun->name, to ? to->name : "", to ? to->noun->name : "",
		latency_span(key->span));
	// One bucket per power of two: OpenMetrics wants the same ones each time.
	for (u32 i = 0, octave = 8; octave <= 36; octave++) {
		u64 end = 1ull << octave;

		for (; i < WEFT_LATENCY_BUCKETS && weft_latency_from_ns(i) < end; i++)
			count += row->bucket[i];
		fprintf(out, "weft_latency_seconds_bucket{%s,le=\"%.9g\"} %llu\n", labels,
			(double)end / 1e9, (unsigned long long)count);
	}
	fprintf(out,
		"weft_latency_seconds_bucket{%s,le=\"+Inf\"} %llu\n"
		"weft_latency_seconds_count{%s} %llu\nweft_latency_seconds_sum{%s} %.9f\n",
		labels, (unsigned long long)count, labels, (unsigned long long)count, labels,
		(double)row->sum_ns / 1e9);
}

static void put_latency(FILE *out, struct weftd *weftd)
{
	fputs("# TYPE weft_latency_seconds histogram\n# UNIT weft_latency_seconds seconds\n"
	      "# HELP weft_latency_seconds How long sampled packets took, by hop.\n",
		out);
	latency_each(weftd, put_histogram, out);
}

char *metrics_text(struct weftd *weftd)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *shown = json_object();

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(families); i++)
		if (!json_object_get(shown, families[i].words))
			json_object_set_new(
				shown, families[i].words, show(weftd, families[i].words));
	fprintf(out,
		"# TYPE weft info\n# HELP weft What runs "
		"here.\nweft_info{version=\"%s\",engine=\"%s\",uuid=\"%s\"} 1\n",
		WEFT_VERSION, weftd->engine_ops->name, weftd->uuid);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(families); i++)
		put_family(out, &families[i], json_object_get(shown, families[i].words));
	put_up(out, "port", json_object_get(shown, "port"));
	put_up(out, "peer", json_object_get(shown, "peer"));
	put_up(out, "service", json_object_get(shown, "service"));
	put_connections(out, json_object_get(shown, "service"));
	put_tables(out, weftd, false);
	put_tables(out, weftd, true);
	if (weftd->engine_ops->cards)
		put_latency(out, weftd);
	metrics_cpu(out, weftd);
	fputs("# EOF\n", out);
	fclose(out);
	json_decref(shown);
	return text;
}
