// SPDX-License-Identifier: BSD-2-Clause
// The dpdk engine's ops: start and stop, the overlay's devices, inject. Everything here runs on
// weftd's thread.
#include <errno.h>
#include <rte_errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/log.h>
#include "datapath/dpdk/attach.h"
#include "datapath/dpdk/cores.h"
#include "datapath/dpdk/eal.h"
#include "datapath/dpdk/enter.h"
#include "datapath/dpdk/events.h"
#include "datapath/dpdk/steer.h"
#include "datapath/dpdk/taken.h"
#include "datapath/keep.h"

static void engine_free(struct engine *engine)
{
	for (u32 slot = 0; engine->ports && slot < engine->slots; slot++)
		attach_close(engine, slot);
	for (u32 i = 0; i < WEFT_ARRAY_SIZE(engine->workers); i++)
		if (engine->workers[i])
			worker_free(engine->workers[i]);
	tables_fini(&engine->tables);
	keep_close(engine->keep);
	free(engine->keep_dir);
	events_close(engine);
	observe_close(engine);
	enter_close(engine);
	taken_watch(false);
	free(engine->rcu);
	free(engine->ports);
	free(engine->queues);
	free(engine->changed);
	free(engine);
}

static bool engine_allocate(struct engine *engine, const struct engine_config *config)
{
	engine->keep_dir = config->keep_dir ? strdup(config->keep_dir) : NULL;
	engine->keep = config->keep_dir ? keep_open(config->keep_dir, config->owner) : NULL;
	if (!tables_init(&engine->tables, config->capacity, engine->keep))
		return false;
	rte_spinlock_init(&engine->write_lock);
	engine->port_capacity = table_capacity(engine->tables.port);
	engine->slots = engine->port_capacity + ENGINE_UNDERLAYS + DPDK_WIRES;
	engine->ports = calloc(engine->slots, sizeof(*engine->ports));
	engine->queues = calloc(engine->slots, sizeof(*engine->queues));
	engine->changed = calloc(engine->slots, 1);
	size_t bytes = rte_rcu_qsbr_get_memsize(DPDK_WORKERS);
	engine->rcu = aligned_alloc(64, (bytes + 63) & ~63ul);
	return engine->ports && engine->queues && engine->changed && engine->rcu &&
	       !rte_rcu_qsbr_init(engine->rcu, DPDK_WORKERS);
}

static u32 flow_slots_of(const struct engine_config *config)
{
	return config->dpdk.flow_slots ? config->dpdk.flow_slots : DPDK_FLOW_SLOTS;
}

static u32 workers_of(const struct dpdk_cores *cores)
{
	return cores->count ? cores->count : 1;
}

static bool engine_workers(struct engine *engine, u32 slots)
{
	engine->worker_count = workers_of(&engine->cores);
	for (u32 i = 0; i <= engine->worker_count; i++) {
		engine->workers[i] = worker_new(engine, i, slots);
		if (!engine->workers[i])
			return false;
	}
	return true;
}

static int dpdk_start(struct engine **out, const struct engine_config *config, const char **why)
{
	struct dpdk_cores cores;
	int error = cores_read(config->dpdk.cores, &cores, why);
	if (!error)
		error = eal_open(&config->dpdk, why);
	if (error)
		return error;
	struct engine *engine = calloc(1, sizeof(*engine));
	if (engine) {
		engine->cores = cores;
		engine->event_fd = engine->queues_fd = engine->events_fd = engine->card_fd = -1;
		engine->spin_ns =
			1000ull * (config->dpdk.spin_us ? config->dpdk.spin_us : DPDK_SPIN_US);
		if (engine_allocate(engine, config) && events_open(engine) &&
			!observe_open(engine) && !enter_open(engine) &&
			engine_workers(engine, flow_slots_of(config))) {
			*out = engine;
			return 0;
		}
		engine_free(engine);
	}
	*why = "out of memory";
	return -ENOMEM;
}

static void dpdk_purge(struct engine *engine)
{
	char *dir = engine->keep_dir;
	engine->keep_dir = NULL;
	engine_free(engine);
	if (dir)
		keep_remove(dir);
	free(dir);
}

static int dpdk_memory(
	const struct engine_config *config, struct engine_memory *out, const char **why)
{
	struct dpdk_cores cores;
	*out = (struct engine_memory){0};
	int error = cores_read(config->dpdk.cores, &cores, why);
	u32 workers = error ? 1 : workers_of(&cores); // the injector is one more
	if (!error)
		error = eal_check(&config->dpdk, workers, why);
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		out->table[i] = shared_bytes(i, config->capacity[i], workers);
	out->other = (workers + 1) * flows_bytes(flow_slots_of(config)) + eal_bytes(&config->dpdk);
	if (error || !config->keep_dir)
		return error;
	return keep_check(config->keep_dir, config->capacity, &out->present, why);
}

static int dpdk_commit(struct engine *engine)
{
	int error = 0;
	for (u32 i = 0; i < engine->worker_count && !error; i++) {
		const struct dpdk_cores *cores = &engine->cores;
		if (!engine->workers[i]->started)
			error = worker_start(
				engine->workers[i], cores->count ? &cores->cpus[i] : NULL);
	}
	return error;
}

static int dpdk_port_state(struct engine *engine, u32 port_id, struct engine_port_state *out)
{
	struct dpdk_port *port = port_id < engine->port_capacity ? engine->ports[port_id] : NULL;
	memset(out, 0, sizeof(*out));
	if (!port)
		return -ENOENT;
	port->driver->state(port, out);
	out->takes = __atomic_load_n(&port->takes, __ATOMIC_ACQUIRE);
	return 0;
}

static bool dpdk_own_xdp(struct engine *engine, u32 program)
{
	(void)engine;
	return steer_own(program);
}

static const char *dpdk_driver_of(struct engine *engine, u32 ifindex, const char **why)
{
	*why = NULL;
	for (u32 slot = 1; ifindex && slot < engine->slots; slot++) {
		const struct dpdk_port *port = engine->ports[slot];
		if (!port || port->ifindex != ifindex)
			continue;
		*why = port->packet_why;
		return port->driver == &dpdk_netdev ? "packet" : port->driver->name;
	}
	return NULL;
}

static void cpu_range(const struct dpdk_worker *worker, struct engine_cpu *out)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	if (worker->started)
		pthread_getaffinity_np(worker->thread, sizeof(cpus), &cpus);
	for (u32 cpu = CPU_SETSIZE; cpu-- > 0;)
		if (CPU_ISSET(cpu, &cpus))
			out->cores_first = cpu;
	for (u32 cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			out->cores_last = cpu;
}

static int dpdk_cpu(struct engine *engine, u32 index, struct engine_cpu *out)
{
	if (index >= engine->worker_count)
		return -ENOENT;
	const struct dpdk_worker *worker = engine->workers[index];
	*out = worker->cpu;
	cpu_range(worker, out);
	out->hits = out->packets > out->misses ? out->packets - out->misses : 0;
	out->wake_p50_ns = cpu_wake_quantile(&worker->wake, 0.5);
	out->wake_p99_ns = cpu_wake_quantile(&worker->wake, 0.99);
	return 0;
}

static void port_cost(const struct engine *engine, u32 slot, struct engine_port_cpu *out)
{
	for (u32 i = 0; i < DPDK_QUEUES; i++) {
		out->packets += engine->queues[slot][i].packets;
		out->busy_ns += engine->queues[slot][i].busy_ns;
	}
}

static int dpdk_port_cpu(struct engine *engine, u32 port_id, struct engine_port_cpu *out)
{
	if (port_id >= engine->port_capacity || !engine->ports[port_id])
		return -ENOENT;
	*out = (struct engine_port_cpu){.port = port_id};
	port_cost(engine, port_id, out);
	return 0;
}

static int dpdk_observe(struct engine *engine, bool taps)
{
	(void)engine;
	return taken_watch(taps);
}

static int dpdk_inject(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
	struct engine_result *result)
{
	struct dpdk_worker *worker = dpdk_injector(engine);
	if (packet->length > ENGINE_FRAME_BYTES)
		return -EINVAL;
	struct rte_mbuf *frame = rte_pktmbuf_alloc(eal_pool());
	if (!frame)
		return -ENOMEM;
	memcpy(rte_pktmbuf_append(frame, (u16)packet->length), packet->bytes, packet->length);
	memset(&result->record, 0, sizeof(result->record));
	result->outputs = 0;
	worker->result = result;
	worker->now_ns = now_ns;
	worker_inject(worker, packet->port, frame);
	shared_reclaim(engine);
	return 0;
}

static const struct engine_ops ops = {
	.name = "dpdk",
	.own_overlay = true,
	.memory = dpdk_memory,
	.start = dpdk_start,
	.stop = engine_free,
	.purge = dpdk_purge,
	.commit = dpdk_commit,
	.port_attach = attach_port,
	.own_xdp = dpdk_own_xdp,
	.driver = dpdk_driver_of,
	.port_detach = attach_detach,
	.overlay_set = attach_overlay,
	.table_put = shared_put,
	.table_get = shared_get,
	.table_del = shared_del,
	.table_expire = shared_expire,
	.table_walk = shared_walk,
	.table_walk_part = shared_walk_part,
	.table_at = shared_at,
	.table_status = shared_status,
	.port_state = dpdk_port_state,
	.event_fd = events_fd,
	.events = events_read,
	.observe = dpdk_observe,
	.card_fd = observe_card_fd,
	.cards = observe_cards,
	.cpu = dpdk_cpu,
	.port_cpu = dpdk_port_cpu,
	.send = enter_send,
	.inject = dpdk_inject,
};

// weftd's log knows its own modules; those of this object it must be told.
#define HIDDEN __attribute__((weak, visibility("hidden")))
extern struct log_module *const __start_log_modules[] HIDDEN;
extern struct log_module *const __stop_log_modules[] HIDDEN;

static __attribute__((constructor)) void tell_log(void)
{
	log_add_modules(__start_log_modules, __stop_log_modules);
}

// What datapath/engine.c looks for.
extern const struct engine_ops *const engine_dpdk;
const struct engine_ops *const engine_dpdk = &ops;
