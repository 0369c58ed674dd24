// SPDX-License-Identifier: BSD-2-Clause
// OpenMetrics: the numbers of `cpu show`. An engine without workers has none.
#include "daemon/api.h"
#include "daemon/port.h"

struct metric {
	const char *name, *type, *help;
	void (*put)(FILE *out, const char *name, u32 worker, const struct engine_cpu *cpu);
};

static double seconds(u64 ns)
{
	return (double)ns / 1e9;
}

static void put_time(FILE *out, const char *name, u32 worker, const struct engine_cpu *cpu)
{
	const char *const format = "%s_total{worker=\"%u\",state=\"%s\"} %.9f\n";

	fprintf(out, format, name, worker, "busy", seconds(cpu->busy_ns));
	fprintf(out, format, name, worker, "idle", seconds(cpu->idle_ns));
	fprintf(out, format, name, worker, "sleep", seconds(cpu->sleep_ns));
}

static void put_packets(FILE *out, const char *name, u32 worker, const struct engine_cpu *cpu)
{
	fprintf(out, "%s_total{worker=\"%u\"} %llu\n", name, worker, cpu->packets);
}

static void put_lookups(FILE *out, const char *name, u32 worker, const struct engine_cpu *cpu)
{
	const char *const format = "%s_total{worker=\"%u\",result=\"%s\"} %llu\n";

	fprintf(out, format, name, worker, "hit", cpu->hits);
	fprintf(out, format, name, worker, "miss", cpu->misses);
}

static void put_wakes(FILE *out, const char *name, u32 worker, const struct engine_cpu *cpu)
{
	const char *const format = "%s{worker=\"%u\",quantile=\"%s\"} %.9f\n";

	if (!cpu->wake_p50_ns)
		return;
	fprintf(out, format, name, worker, "0.5", seconds(cpu->wake_p50_ns));
	fprintf(out, format, name, worker, "0.99", seconds(cpu->wake_p99_ns));
	fprintf(out, "%s_count{worker=\"%u\"} %llu\n", name, worker, cpu->sleeps);
}

static const struct metric metrics[] = {
	{"weft_worker_seconds", "counter",
		"What the worker did with its time; idle: it polled in vain", put_time},
	{"weft_worker_packets", "counter", "Packets that the worker received", put_packets},
	{"weft_worker_flow_lookups", "counter", "Packets that the worker's flow cache knew, or not",
		put_lookups},
	{"weft_worker_wake_seconds", "summary",
		"How long the worker waited for a core when it was woken", put_wakes},
};

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE %s %s\n# HELP %s %s.\n", name, type, name, help);
}

static void put_costs(FILE *out, struct weftd *weftd)
{
	const char *const name = "weft_port_cost_seconds";
	struct engine_port_cpu cost;

	put_head(out, name, "counter", "What packets from the port cost the workers");
	for (struct object *o = object_first(weftd, &noun_port); o; o = o->hh.next) {
		if (weftd->engine_ops->port_cpu(weftd->engine, o->id, &cost))
			continue;
		fprintf(out, "%s_total{port=\"%s\"} %.9f\n", name, o->name, seconds(cost.busy_ns));
	}
}

void metrics_cpu(FILE *out, struct weftd *weftd)
{
	const struct engine_ops *ops = weftd->engine_ops;
	struct engine_cpu cpu;

	for (size_t i = 0; ops->cpu && i < WEFT_ARRAY_SIZE(metrics); i++) {
		put_head(out, metrics[i].name, metrics[i].type, metrics[i].help);
		for (u32 w = 0; ops->cpu(weftd->engine, w, &cpu) == 0; w++)
			metrics[i].put(out, metrics[i].name, w, &cpu);
	}
	if (ops->port_cpu)
		put_costs(out, weftd);
}
