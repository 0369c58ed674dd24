// SPDX-License-Identifier: BSD-2-Clause
// The eBPF engine: TC and XDP programs on the ports' devices; what is pinned forwards without
// weftd.
#include "datapath/ebpf/ebpf.h"
#include "datapath/keep.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/log.h>

#include "weft_tc.skel.h"
#include "weft_taken.skel.h"
#include "weft_xdp.skel.h"

LOG_MODULE(ebpf);

static void ebpf_stop(struct engine *engine)
{
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		ebpf_table_close(&engine->tables[i]);
	ebpf_send_close(engine);
	ring_buffer__free(engine->ring);
	weft_xdp_bpf__destroy(engine->xdp);
	weft_tc_bpf__destroy(engine->inject);
	weft_taken_bpf__destroy(engine->taken);
	weft_tc_bpf__destroy(engine->program);
	free(engine->ports);
	free(engine->pin_dir);
	free(engine);
}

static int start(struct engine *engine, const struct engine_config *config, const char **why)
{
	engine->pin_dir = strdup(config->pin_dir);
	if (!engine->pin_dir)
		abort();
	engine->tcx = ebpf_tcx_works() && !config->force_clsact;
	int error = ebpf_pin_prepare(engine->pin_dir, why);
	if (!error)
		error = ebpf_load(engine, config, why);
	if (error)
		return error;
	engine->ports = calloc(engine->port_capacity, sizeof(*engine->ports));
	if (!engine->ports)
		abort();
	ebpf_dynamic_convert(engine);
	if (config->keep_dir)
		keep_remove(config->keep_dir); // of an engine that was here before
	log_info("started: hook %s, pins in %s", engine->tcx ? "tcx" : "clsact", engine->pin_dir);
	return 0;
}

static int ebpf_start(struct engine **out, const struct engine_config *config, const char **why)
{
	const char *unread;
	struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		abort();
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		engine->tables[i].source_fd = -1;
	engine->entry_fd = -1;
	int error = start(engine, config, why ? why : &unread);
	if (error) {
		ebpf_stop(engine);
		return error;
	}
	*out = engine;
	return 0;
}

// Nothing of the datapath stays on devices and pins.
static void unpin(struct engine *engine)
{
	ebpf_xdp_prune(engine, NULL);
	ebpf_hook_prune(engine, NULL);
	ebpf_observe_purge(engine);
	ebpf_dynamic_purge(engine);
	ebpf_pin_remove_directories(engine->pin_dir);
}

static void ebpf_purge(struct engine *engine)
{
	ebpf_send_close(engine);
	unpin(engine);
	ebpf_stop(engine);
}

void engine_ebpf_leave(const char *pin_dir)
{
	struct engine left = {.pin_dir = (char *)pin_dir};
	if (access(pin_dir, F_OK))
		return;
	log_info("the eBPF datapath that was here before ends");
	unpin(&left);
}

static int ebpf_commit(struct engine *engine)
{
	ebpf_port_switch(engine);
	engine->committed = true;
	return ebpf_dynamic_publish(engine);
}

const struct engine_ops engine_ebpf = {
	.name = "ebpf",
	.direct = true,
	.memory = ebpf_memory,
	.start = ebpf_start,
	.stop = ebpf_stop,
	.purge = ebpf_purge,
	.commit = ebpf_commit,
	.port_attach = ebpf_port_attach,
	.own_xdp = ebpf_own_xdp,
	.driver = ebpf_driver,
	.port_detach = ebpf_port_detach,
	.overlay_set = ebpf_overlay_set,
	.table_put = ebpf_table_put,
	.table_get = ebpf_table_get,
	.table_del = ebpf_table_del,
	.table_expire = ebpf_table_expire,
	.table_walk = ebpf_table_walk,
	.table_walk_part = ebpf_table_walk_part,
	.table_counted = ebpf_table_counted,
	.table_at = ebpf_table_at,
	.table_status = ebpf_table_status,
	.observe = ebpf_observe,
	.flights = ebpf_flights,
	.card_fd = ebpf_card_fd,
	.cards = ebpf_cards,
	.send = ebpf_send,
	.inject = ebpf_inject,
};
