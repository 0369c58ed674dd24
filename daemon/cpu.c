// SPDX-License-Identifier: BSD-2-Clause
// What the engine's workers do with their time, and which port it goes to. Since the engine
// started.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "daemon/command_table.h"
#include "daemon/peer.h"
#include "daemon/place.h"
#include "daemon/port.h"

// With one digit behind the point.
static json_t *percent(u64 part, u64 whole)
{
	return whole ? json_real(round((double)part / (double)whole * 1000) / 10) : json_null();
}

static json_t *each(u64 sum, u64 count)
{
	return count ? json_integer((json_int_t)(sum / count)) : json_null();
}

static json_t *known(u64 value)
{
	return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *cores(const struct engine_cpu *cpu)
{
	return cpu->cores_first == cpu->cores_last
		       ? json_sprintf("%u", cpu->cores_first)
		       : json_sprintf("%u-%u", cpu->cores_first, cpu->cores_last);
}

static int refuse(struct request *request)
{
	const char *name = request->weftd->engine_ops->name;
	fail(&request->failure, -ENOTSUP, "wrong_engine", "the %s engine has no workers of its own",
		name);
	return fail_hint(&request->failure,
		"the ebpf engine works in the kernel's context, on the CPU that a packet comes in "
		"on; `weftd --engine dpdk` has workers");
}

static json_t *show_worker(u32 worker, const struct engine_cpu *cpu)
{
	u64 life = cpu->busy_ns + cpu->idle_ns + cpu->sleep_ns;
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}",
		"worker", (json_int_t)worker, "cores", cores(cpu), "busy_percent",
		percent(cpu->busy_ns, life), "idle_percent", percent(cpu->idle_ns, life),
		"sleep_percent", percent(cpu->sleep_ns, life), "packets", (json_int_t)cpu->packets,
		"packets_per_burst", each(cpu->packets, cpu->bursts), "receive_ns",
		each(cpu->receive_ns, cpu->packets), "decide_ns",
		each(cpu->decide_ns, cpu->packets), "send_ns", each(cpu->send_ns, cpu->packets),
		"hit_percent", percent(cpu->hits, cpu->hits + cpu->misses), "sleeps",
		(json_int_t)cpu->sleeps, "wake_p50_ns", known(cpu->wake_p50_ns), "wake_p99_ns",
		known(cpu->wake_p99_ns));
}

static int run_show(struct request *request)
{
	struct weftd *weftd = request->weftd;
	struct engine_cpu cpu;
	if (!weftd->engine_ops->cpu)
		return refuse(request);
	request->result = json_array();
	for (u32 worker = 0; weftd->engine_ops->cpu(weftd->engine, worker, &cpu) == 0; worker++)
		json_array_append_new(request->result, show_worker(worker, &cpu));
	return 0;
}

struct cost {
	const struct object *place;
	struct engine_port_cpu cpu;
};

static u32 collect(struct weftd *weftd, const struct noun *noun, struct cost *costs)
{
	u32 count = 0;
	for (struct object *o = object_first(weftd, noun); o; o = o->hh.next) {
		costs[count].place = o;
		count += weftd->engine_ops->port_cpu(weftd->engine, o->id, &costs[count].cpu) == 0;
	}
	return count;
}

static int by_cost(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;
	if (x->cpu.busy_ns != y->cpu.busy_ns)
		return x->cpu.busy_ns > y->cpu.busy_ns ? -1 : 1;
	return strcmp(x->place->name, y->place->name);
}

static json_t *show_cost(const struct cost *cost, u64 all)
{
	json_t *shown = json_object(), *more;
	place_show(cost->place, shown);
	more = json_pack("{s:I, s:o, s:o}", "packets", (json_int_t)cost->cpu.packets,
		"ns_per_packet", each(cost->cpu.busy_ns, cost->cpu.packets), "share_percent",
		percent(cost->cpu.busy_ns, all));
	json_object_update(shown, more);
	json_decref(more);
	return shown;
}

// The dearest first: who is the noisy neighbour?
static int run_ports(struct request *request)
{
	struct weftd *weftd = request->weftd;
	if (!weftd->engine_ops->cpu || !weftd->engine_ops->port_cpu)
		return refuse(request);
	u32 places = object_count(weftd, &noun_port) + object_count(weftd, &noun_peer);
	struct cost *costs = calloc(places + 1, sizeof(*costs));
	if (!costs)
		return fail(&request->failure, -ENOMEM, "no_memory", "out of memory");
	u32 count = collect(weftd, &noun_port, costs);
	count += collect(weftd, &noun_peer, costs + count);
	qsort(costs, count, sizeof(*costs), by_cost);
	request->result = json_array();
	u64 all = 0;
	for (u32 i = 0; i < count; i++)
		all += costs[i].cpu.busy_ns;
	for (u32 i = 0; i < count; i++)
		json_array_append_new(request->result, show_cost(&costs[i], all));
	free(costs);
	return 0;
}

static const struct argument ports_arguments[] = {
	{"what", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "ports", NULL, 0,
		0, NULL, "of whose packets"},
	{0},
};

extern const struct command cpu_commands[];
const struct command cpu_commands[] = {
	{"cpu", "show", NULL, "Show what each worker of the engine does with its time",
		"worker,cores,busy_percent,idle_percent,sleep_percent,packets,receive_ns,decide_ns,"
		"send_ns,hit_percent,wake_p50_ns,wake_p99_ns",
		run_show, NULL, "worker"},
	{"cpu", "show", ports_arguments,
		"Show what each port's packets cost the workers, the dearest first",
		"port,peer,packets,ns_per_packet,share_percent", run_ports, NULL},
	{0},
};
