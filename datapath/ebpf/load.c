// SPDX-License-Identifier: BSD-2-Clause
// Loading the programs: sizes, adopted maps; the XDP program and the copy that inject runs, which
// share them.
#include "datapath/ebpf/ebpf.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <weft/log.h>

#include "weft_tc.skel.h"
#include "weft_xdp.skel.h"

LOG_MODULE(ebpf);

static bool loading; // libbpf's complaints matter now; elsewhere weft tries what may fail

enum { LOG_TAIL_BYTES = 1200 };

static int libbpf_log(enum libbpf_print_level level, const char *format, va_list words)
{
	char *text = NULL, *line, *rest;
	int length = vasprintf(&text, format, words);
	if (length < 0)
		return 0;
	// The verifier tells the whole way; the reason stands at its end.
	rest = length > LOG_TAIL_BYTES ? strchr(text + length - LOG_TAIL_BYTES, '\n') : text;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (loading && level == LIBBPF_WARN)
			log_warn("%s", line);
		else
			log_debug("%s", line);
	}
	free(text);
	return 0;
}

// bpf_skb_adjust_room has learned it in Linux 6.3.
static bool decapsulates_ipv6(void)
{
	struct utsname kernel;
	int major = 0, minor = 0;
	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &major, &minor);
	return major > 6 || (major == 6 && minor >= 3);
}

static int set_sizes(struct engine *engine, const struct engine_config *config)
{
	struct bpf_object *object = engine->program->obj;
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		struct ebpf_table *table = &engine->tables[i];
		char name[64];
		snprintf(name, sizeof(name), "weft_%s", table_infos[i].name);
		table->map = bpf_object__find_map_by_name(object, name);
		if (!table->map)
			return -ENOENT;
		int error = bpf_map__set_max_entries(
			table->map, table_rows((enum weft_table)i, config->capacity[i]));
		if (error)
			return error;
		table_abi((enum weft_table)i, table->abi);
	}
	engine->port_capacity = bpf_map__max_entries(engine->tables[WEFT_TABLE_port].map);
	int error =
		bpf_map__set_max_entries(engine->program->maps.weft_device, engine->port_capacity);
	if (!error)
		error = bpf_map__set_max_entries(
			engine->program->maps.weft_port_device, engine->port_capacity);
	u32 slots = config->flow_slots ? config->flow_slots : WEFT_FLOW_SLOTS;
	u32 all = slots * (u32)libbpf_num_possible_cpus(); // a region per CPU
	engine->program->rodata->weft_flow_slots = slots;
	if (!error)
		error = bpf_map__set_max_entries(engine->program->maps.weft_flow, all);
	if (!error)
		error = bpf_map__set_max_entries(engine->program->maps.weft_flow_ip6, all);
	if (!error)
		error = bpf_map__set_max_entries(
			engine->program->maps.weft_flow_set, all / WEFT_FLOW_WAYS);
	return error;
}

static const char *load_sentence(int error)
{
	switch (error) {
	case -EPERM:
		return "the kernel does not let weftd load BPF programs: run it as root (CAP_BPF, "
		       "CAP_NET_ADMIN, CAP_PERFMON)";
	case -E2BIG:
	case -ENOMEM:
		return "the kernel has no room for the tables: lower their capacities in the "
		       "daemon's "
		       "configuration";
	case -EMFILE: // of weftd, not of the kernel: whoever asked knows how many there may be
		return strerror(EMFILE);
	default:
		return ebpf_why(
			"the kernel refused weft's BPF program (%s): weft needs Linux 6.1 or "
			"newer; the log has the kernel's reason",
			strerror(-error));
	}
}

int ebpf_open(struct engine *engine, const struct engine_config *config)
{
	libbpf_set_print(libbpf_log);
	engine->program = weft_tc_bpf__open();
	return engine->program ? set_sizes(engine, config) : -errno;
}

static int load_more(struct bpf_object *object)
{
	loading = true;
	int error = bpf_object__load(object);
	loading = false;
	return error;
}

int ebpf_load(struct engine *engine, const struct engine_config *config, const char **why)
{
	int error = ebpf_open(engine, config);
	if (!error) {
		engine->program->rodata->weft_decap_ipv6 = decapsulates_ipv6();
		error = ebpf_dynamic_open(engine);
	}
	if (!error)
		error = load_more(engine->program->obj);
	for (u32 i = 0; !error && i < WEFT_TABLE_count; i++)
		error = ebpf_table_open(&engine->tables[i]);
	if (error) {
		*why = load_sentence(error);
		return error == -EINVAL || error == -EACCES ? -ENOTSUP : error;
	}
	engine->device_fd = bpf_map__fd(engine->program->maps.weft_device);
	engine->device_slots_fd = bpf_map__fd(engine->program->maps.weft_device_slots);
	engine->port_device_fd = bpf_map__fd(engine->program->maps.weft_port_device);
	return 0;
}

int ebpf_share_maps(const struct engine *engine, const struct bpf_object *with)
{
	struct bpf_map *map, *ours;
	bpf_object__for_each_map(map, with)
	{
		if (bpf_map__is_internal(map))
			continue;
		ours = bpf_object__find_map_by_name(engine->program->obj, bpf_map__name(map));
		int error = ours ? bpf_map__reuse_fd(map, bpf_map__fd(ours)) : -ENOENT;
		if (error)
			return error;
	}
	return 0;
}

static int load_beside(const struct engine *engine, struct bpf_object *object)
{
	int error = ebpf_share_maps(engine, object);
	return error ? error : load_more(object);
}

int ebpf_load_inject(struct engine *engine)
{
	struct weft_tc_bpf *copy = weft_tc_bpf__open();
	if (!copy)
		return -errno;
	copy->rodata->weft_inject = true;
	copy->rodata->weft_flow_slots = engine->program->rodata->weft_flow_slots;
	copy->rodata->weft_decap_ipv6 = decapsulates_ipv6();
	int error = load_beside(engine, copy->obj);
	if (error) {
		weft_tc_bpf__destroy(copy);
		return error;
	}
	engine->inject = copy;
	return 0;
}

int ebpf_load_xdp(struct engine *engine)
{
	struct weft_xdp_bpf *xdp = weft_xdp_bpf__open();
	if (!xdp)
		return -errno;
	xdp->rodata->weft_flow_slots = engine->program->rodata->weft_flow_slots;
	xdp->rodata->weft_decap_ipv6 = decapsulates_ipv6();
	int error = load_beside(engine, xdp->obj);
	if (error) {
		weft_xdp_bpf__destroy(xdp);
		return error;
	}
	engine->xdp = xdp;
	return 0;
}
