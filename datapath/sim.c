// SPDX-License-Identifier: BSD-2-Clause
// The engine that is a function: the pipeline over native tables, in process, without root.
// Packets come from inject alone.
#include "datapath/keep.h"
#include "datapath/packet_flat.h"
#include "datapath/table.h"
#include "datapath/pipeline/pipeline.h"
#include "datapath/flat_hook.h"
#include "datapath/ecn.h"
#include "datapath/flood.h"
#include "datapath/outer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct engine {
	struct tables tables;
	struct sim_port {
		bool attached;
		enum engine_port_kind kind;
	} * ports; // by id
};

// The pipeline is compiled into this file; apply reaches the engine through the packet's line.
struct sim_line {
	struct pipeline line;
	const struct engine *engine;
	struct engine_result *result; // of the packet that is being injected
};

static bool sim_attached(const struct engine *engine, u32 port)
{
	return port < table_capacity(engine->tables.port) && engine->ports[port].attached;
}

static u32 sim_sum(const u8 *bytes, u32 length)
{
	u32 sum = length & 1 ? (u32)bytes[length - 1] << 8 : 0;
	for (u32 i = 0; i + 1 < length; i += 2)
		sum += (u32)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

// Outer headers in front of what stands at out + 70 - their length; returns where they begin.
static u32 sim_encapsulate(struct pipeline *line, u32 peer, u32 inner_bytes, u8 *out)
{
	struct overlay_way way = {
		.vni = line->verdict->vni,
		.inner_bytes = inner_bytes,
		.tos = overlay_tos(line->packet, line->key, line->layout),
	};
	overlay_find_way(line->tables, line->key, peer, &way);
	if (!way.nexthop || !way.host || !way.peer)
		return 0;
	if (overlay_is_ip4(way.peer->address)) {
		struct overlay4_header header;
		overlay_build4(&way, &header);
		memcpy(out - OVERLAY4_BYTES, &header.eth, OVERLAY4_BYTES);
		return OVERLAY4_BYTES;
	}
	struct overlay6_header header;
	overlay_build6(&way, &header);
	u32 udp_bytes = inner_bytes + (u32)sizeof(header.udp) + (u32)sizeof(header.vxlan);
	u8 *at = out - OVERLAY6_BYTES;
	memcpy(at, &header.eth, OVERLAY6_BYTES);
	u32 sum = sim_sum(at + 22, 32) + udp_bytes + WEFT_IP_UDP + sim_sum(at + 54, udp_bytes);
	u16 checksum = (u16)~reply_fold(sum);
	header.udp.checksum = weft_hton16(checksum ? checksum : 0xffff);
	memcpy(at, &header.eth, OVERLAY6_BYTES);
	return OVERLAY6_BYTES;
}

// One frame out of a port, with the tag it leaves with; the packet itself stays as it is.
static enum weft_drop sim_send(struct pipeline *line, u32 port, u16 vid)
{
	struct engine_result *result = ((struct sim_line *)line)->result;
	const struct packet *p = line->packet;
	struct weft_index index = {port};
	const struct weft_port_row *row = TABLE_GET(line->tables, port, &index);
	bool peer = row && row->flags & WEFT_PORT_PEER;
	u32 tag = vid ? (u32)sizeof(struct vlan_header) : 0;
	u32 from = line->layout->l3_bytes - 2; // the Ethernet type and what follows
	u32 length = 12 + tag + p->length - from, outer = 0;
	if (!peer && !sim_attached(((struct sim_line *)line)->engine, port))
		return WEFT_DROP_port_absent;
	if (result->outputs >= ENGINE_OUTPUTS || length + OVERLAY6_BYTES > ENGINE_FRAME_BYTES)
		return WEFT_DROP_rewrite_failed;

	u8 room[ENGINE_FRAME_BYTES], *out = room + OVERLAY6_BYTES;
	memcpy(out, p->bytes, 12);
	if (tag) {
		u16 tci = (line->layout->tci & WEFT_TCI_PRIORITY_MASK) | vid;
		be16 words[2] = {weft_hton16(WEFT_ETH_8021Q), weft_hton16(tci)};
		memcpy(out + 12, words, sizeof(words));
	}
	memcpy(out + 12 + tag, p->bytes + from, p->length - from);
	if (peer)
		outer = sim_encapsulate(line, port, length, out);
	if (peer && !outer)
		return WEFT_DROP_port_absent;
	result->output[result->outputs].port = port;
	result->output[result->outputs].inner = false;
	result->output[result->outputs].length = outer + length;
	memcpy(result->output[result->outputs].bytes, out - outer, outer + length);
	result->outputs++;
	account_tx(line->tables, port, 12 + p->length - from);
	return WEFT_DROP_none;
}

weft_inline bool hook_takes(struct pipeline *line, u32 action)
{
	(void)line, (void)action;
	return true;
}

weft_inline enum weft_drop apply_forward(struct pipeline *line)
{
	return sim_send(line, line->verdict->port, line->verdict->tag);
}

weft_inline enum weft_drop apply_encap(struct pipeline *line)
{
	return sim_send(line, line->verdict->port, line->verdict->tag);
}

static void flood_copy(struct pipeline *line, u32 port, u16 tag)
{
	sim_send(line, port, tag);
}

weft_inline enum weft_drop apply_reply(struct pipeline *line)
{
	struct packet *p = line->packet;
	struct reply reply;
	enum weft_drop drop = reply_build(p, line->key, line->layout, line->verdict, &reply);
	u32 end = line->layout->l3_bytes + reply.l3_length;
	if (drop || end > p->room)
		return drop ? drop : WEFT_DROP_rewrite_failed;
	memcpy(p->bytes, &reply.dst, 6);
	memcpy(p->bytes + 6, &reply.src, 6);
	memcpy(p->bytes + line->layout->l3_bytes, reply.l3, reply.l3_length);
	if (!reply.keep_tail)
		p->length = end;
	if (reply.sum_bytes && !packet_sum(p, line->layout->l3_bytes + reply.sum_bytes,
				       reply.pseudo, reply.plain, false))
		return WEFT_DROP_rewrite_failed;
	return sim_send(line, line->key->in_port, line->key->vid);
}

weft_inline enum weft_drop apply_to_host(struct pipeline *line)
{
	(void)line;
	return WEFT_DROP_none;
}

static int sim_memory(
	const struct engine_config *config, struct engine_memory *out, const char **why)
{
	(void)why;
	*out = (struct engine_memory){0};
	for (u32 i = 0; i < WEFT_TABLE_count; i++)
		out->table[i] = tables_bytes(i, config->capacity[i]);
	return 0;
}

static int sim_start(struct engine **out, const struct engine_config *config, const char **why)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine) {
		*why = "out of memory";
		return -ENOMEM;
	}
	tables_init(&engine->tables, config->capacity, NULL);
	engine->ports = calloc(table_capacity(engine->tables.port), sizeof(*engine->ports));
	if (config->keep_dir)
		keep_remove(config->keep_dir);
	*out = engine;
	return 0;
}

static void sim_stop(struct engine *engine)
{
	tables_fini(&engine->tables);
	free(engine->ports);
	free(engine);
}

static void sim_reclaim(struct engine *engine) // there are no readers between packets
{
	tables_retire(&engine->tables);
	tables_reclaim(&engine->tables);
}

static int sim_commit(struct engine *engine)
{
	sim_reclaim(engine);
	return 0;
}

static int sim_port_attach(struct engine *engine, const struct engine_port *port, const char **why)
{
	if (port->id < table_capacity(engine->tables.port)) {
		engine->ports[port->id] = (struct sim_port){true, port->kind};
		return 0;
	}
	if (why)
		*why = "the port table is full; raise capacity.port in the daemon's configuration";
	return -ENOSPC;
}

// It has no programs; words about them can be tried.
static bool sim_own_xdp(struct engine *engine, u32 program)
{
	(void)engine, (void)program;
	return false;
}

static const char *sim_driver(struct engine *engine, u32 ifindex, const char **why)
{
	(void)engine, (void)ifindex;
	*why = NULL;
	return NULL;
}

static int sim_port_detach(struct engine *engine, u32 port_id)
{
	if (sim_attached(engine, port_id))
		engine->ports[port_id].attached = false;
	return 0;
}

// Ports without a netdev can be had, so that commands can be tried; nobody ever comes.
static int sim_port_state(struct engine *engine, u32 port_id, struct engine_port_state *out)
{
	if (!sim_attached(engine, port_id) || engine->ports[port_id].kind == ENGINE_PORT_NETDEV)
		return -ENOENT;
	*out = (struct engine_port_state){.why = "the sim engine has no guests and no NICs"};
	return 0;
}

static int sim_table_put(
	struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	table_retire(tables_at(&engine->tables, table));
	table_reclaim(tables_at(&engine->tables, table));
	return table_put(tables_at(&engine->tables, table), key, row);
}

static int sim_table_get(struct engine *engine, enum weft_table table, const void *key, void *row)
{
	const void *found = table_get(tables_at(&engine->tables, table), key);
	if (!found)
		return -ENOENT;
	memcpy(row, found, table_infos[table].row_bytes);
	return 0;
}

static int sim_table_del(struct engine *engine, enum weft_table table, const void *key, void *row)
{
	return table_del(tables_at(&engine->tables, table), key, row);
}

static int sim_table_walk(
	struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context)
{
	return table_walk(tables_at(&engine->tables, table), fn, context);
}

static int sim_table_walk_part(struct engine *engine, enum weft_table table, u32 *cursor,
	engine_walk_fn *fn, void *context)
{
	return table_walk_part(tables_at(&engine->tables, table), cursor, fn, context);
}

static void *sim_table_at(struct engine *engine, enum weft_table table, u32 index)
{
	if (table_infos[table].kind != WEFT_TABLE_ARRAY)
		return NULL;
	return table_get(tables_at(&engine->tables, table), &index);
}

static void sim_table_status(
	struct engine *engine, enum weft_table table, struct engine_table_status *out)
{
	static char abi[WEFT_TABLE_count][17];
	table_abi(table, abi[table]);
	*out = (struct engine_table_status){
		.bytes = tables_bytes(table, table_capacity(tables_at(&engine->tables, table))),
		.capacity = table_capacity(tables_at(&engine->tables, table)),
		.used = table_used(tables_at(&engine->tables, table)),
		.abi = abi[table],
	};
}

// UDP's, over the VXLAN header and the inner frame; an address that stands for an IPv4 one has the
// same sum.
static bool sim_outer_sum_right(
	const struct packet *p, const struct weft_host_row *host, const struct overlay *o)
{
	u32 headers = sizeof(struct udp_header) + sizeof(struct vxlan_header);
	u32 bytes = headers + o->inner_bytes;
	u32 sum = sim_sum((const u8 *)&o->src, 16) + sim_sum(host->address, 16) + WEFT_IP_UDP +
		  bytes + sim_sum(p->bytes + o->bytes - headers, bytes);
	return !o->checksum || reply_fold(sum) == 0xffff;
}

static enum overlay_kind sim_receive(
	struct tables *tables, const struct packet *p, struct overlay *o)
{
	struct weft_index zero = {0};
	const struct weft_host_row *host = TABLE_GET(tables, host, &zero);
	enum overlay_kind kind = overlay_parse(p, host, o);
	if (kind == OVERLAY_NO)
		kind = outer_parse(p, host, o);
	if (kind == OVERLAY_YES && !sim_outer_sum_right(p, host, o)) {
		o->drop = WEFT_DROP_bad_vxlan;
		return OVERLAY_BAD;
	}
	return kind == OVERLAY_YES ? overlay_from(o, overlay_peer(tables, &o->src)) : kind;
}

// From the underlay: which peer sent it, and where the inner frame is. False: no packet for the
// pipeline, and the record says why.
static bool sim_decapsulate(struct sim_line *sim, u32 *port, struct weft_record *record)
{
	struct tables *tables = sim->line.tables;
	struct packet *p = sim->line.packet;
	struct overlay o = {0};
	enum overlay_kind kind = sim_receive(tables, p, &o);
	record->passed = kind == OVERLAY_NO;
	if (kind == OVERLAY_YES && !ecn_carry(p->bytes + o.bytes, o.inner_bytes, o.tos)) {
		pipeline_reject(tables, o.peer, WEFT_DROP_bad_ecn, record);
		return false;
	}
	if (kind == OVERLAY_BAD)
		pipeline_reject(tables, 0, o.drop, record);
	*port = o.peer;
	sim->line.vni = o.vni;
	p->bytes += o.bytes;
	p->length = o.inner_bytes;
	p->room -= o.bytes;
	return kind == OVERLAY_YES;
}

static int sim_inject(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
	struct engine_result *result)
{
	u32 port = packet->port;
	u8 bytes[ENGINE_FRAME_BYTES];
	if (packet->length > sizeof(bytes))
		return -EINVAL;
	memcpy(bytes, packet->bytes, packet->length);
	struct packet p = {.bytes = bytes, .length = packet->length, .room = sizeof(bytes)};
	struct sim_line sim = {
		.line =
			{
				.packet = &p,
				.tables = &engine->tables,
				.now_ns = now_ns,
				.key = &flat.key,
				.layout = &flat.layout,
				.verdict = &flat.verdict,
			},
		.engine = engine,
		.result = result,
	};
	memset(&result->record, 0, sizeof(result->record));
	result->outputs = 0;
	if (port || sim_decapsulate(&sim, &port, &result->record))
		pipeline_run(&sim.line, port, &result->record);
	sim_reclaim(engine);
	return 0;
}

const struct engine_ops engine_sim = {
	.name = "sim",
	.memory = sim_memory,
	.start = sim_start,
	.stop = sim_stop,
	.purge = sim_stop,
	.commit = sim_commit,
	.port_attach = sim_port_attach,
	.own_xdp = sim_own_xdp,
	.driver = sim_driver,
	.port_detach = sim_port_detach,
	.table_put = sim_table_put,
	.table_get = sim_table_get,
	.table_del = sim_table_del,
	.table_expire = sim_table_del,
	.table_walk = sim_table_walk,
	.table_walk_part = sim_table_walk_part,
	.table_at = sim_table_at,
	.table_status = sim_table_status,
	.port_state = sim_port_state,
	.inject = sim_inject,
};
