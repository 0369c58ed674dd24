// SPDX-License-Identifier: BSD-2-Clause
// A burst of frames through the pipeline, and out again by port.
#include "datapath/dpdk/apply.h"
#include "datapath/dpdk/enter.h"
#include "datapath/dpdk/observe_line.h"
#include "datapath/dpdk/underlay.h"
#include "datapath/ecn.h"
#include "datapath/outer.h"

// --- out

// Returns how many the port took; the rest are freed.
static u32 send_queue(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count)
{
	rte_spinlock_lock(&port->tx_lock[queue]);
	u32 sent = port->driver->tx(port, queue, frames, count);
	rte_spinlock_unlock(&port->tx_lock[queue]);
	if (unlikely(sent < count))
		rte_pktmbuf_free_bulk(frames + sent, count - sent);
	return sent;
}

// A flow keeps to its queue: the low bits of its hash choose.
static __attribute__((noinline)) u32 send_spread(
	struct dpdk_port *port, u32 queues, const struct dpdk_out *out)
{
	struct rte_mbuf *part[DPDK_BURST];
	u32 sent = 0;
	for (u32 queue = 0; queue < queues; queue++) {
		u32 size = 0;
		for (u32 i = 0; i < out->count; i++)
			if (out->flow[i] % queues == queue)
				part[size++] = out->frame[i];
		if (size)
			sent += send_queue(port, queue, part, size);
	}
	return out->count - sent;
}

// What the other end does not take as it is, is completed first.
static u32 send_completed(struct dpdk_port *port, u32 queues, const struct dpdk_out *out)
{
	struct rte_mbuf *parts[DPDK_SEGMENTS];
	u32 lost = 0;
	for (u32 i = 0; i < out->count; i++) {
		u32 made = dpdk_finish(out->frame[i], port->takes, parts, DPDK_SEGMENTS);
		lost += made ? made - send_queue(port, out->flow[i] % queues, parts, made) : 1;
	}
	return lost;
}

// Consumes the frames; returns how many the port did not take.
static u32 send_out(struct dpdk_port *port, struct dpdk_out *out)
{
	u32 queues = port ? port->tx_queues : 0;
	u64 offloads = 0;
	if (unlikely(!queues)) {
		rte_pktmbuf_free_bulk(out->frame, out->count);
		return out->count;
	}
	for (u32 i = 0; i < out->count; i++)
		offloads |= out->frame[i]->ol_flags;
	if (unlikely(offloads))
		return send_completed(port, queues, out);
	if (unlikely(queues > 1))
		return send_spread(port, queues, out);
	return out->count - send_queue(port, 0, out->frame, out->count);
}

static void flush_slot(struct dpdk_worker *worker, u32 slot)
{
	struct dpdk_out *out = &worker->out[slot];
	if (unlikely(worker->observe.count))
		observe_leaving(worker, slot, out);
	u32 lost = send_out(dpdk_port_at(worker->engine, slot), out);
	if (unlikely(worker->observe.count))
		observe_left(worker, slot, out->count, lost);
	if (unlikely(lost))
		shared_lost(worker->engine, slot, WEFT_DROP_device_dropped, lost);
	out->count = 0;
}

void worker_flush(struct dpdk_worker *worker)
{
	for (u32 i = 0; i < worker->pending_count; i++) {
		u32 slot = worker->pending[i];
		if (worker->out[slot].count)
			flush_slot(worker, slot);
		worker->out[slot].listed = false;
	}
	worker->pending_count = worker->copies = 0;
}

static void result_add(struct engine_result *result, u32 port, struct rte_mbuf *frame)
{
	if (result->outputs < ENGINE_OUTPUTS && frame->pkt_len <= ENGINE_FRAME_BYTES) {
		u8 *bytes = result->output[result->outputs].bytes;
		const void *whole = rte_pktmbuf_read(frame, 0, frame->pkt_len, bytes);
		if (whole != bytes)
			memcpy(bytes, whole, frame->pkt_len);
		result->output[result->outputs].port = port;
		result->output[result->outputs].inner = false;
		result->output[result->outputs].length = frame->pkt_len;
		result->outputs++;
	}
	rte_pktmbuf_free(frame);
}

weft_inline void worker_stage(
	struct dpdk_worker *worker, u32 slot, u32 port, u8 flow, struct rte_mbuf *frame)
{
	struct dpdk_out *out = &worker->out[slot];
	if (unlikely(worker->result)) {
		result_add(worker->result, port, frame);
		return;
	}
	if (!out->listed) {
		out->listed = true;
		worker->pending[worker->pending_count++] = slot;
	}
	out->flow[out->count] = flow;
	out->frame[out->count++] = frame;
	if (unlikely(out->count == DPDK_BURST))
		flush_slot(worker, slot);
}

// --- in

// What was left undone of a frame that is now without its outer headers. Of those themselves there
// is nothing to do any more: nobody looks at their checksum.
static void strip_offloads(struct rte_mbuf *frame, u32 bytes)
{
	if (frame->l2_len > bytes)
		frame->l2_len -= bytes;
	else
		frame->ol_flags = 0;
}

// A port that is an underlay device too passes what is not this host's. Nobody here cuts a
// superpacket that stays in its tunnel.
static bool is_tunnel_superpacket(const struct rte_mbuf *frame)
{
	return frame_is_super(frame) &&
	       frame->l2_len > sizeof(struct eth_header) + 2 * sizeof(struct vlan_header);
}

// Of a NIC and its twin: to the other end, as it is. The NIC's port counts it.
static void pass_frame(
	struct dpdk_worker *worker, const struct dpdk_port *port, struct rte_mbuf *frame)
{
	struct weft_port_count_row *count = &worker->counts[port->id ? port->id : port->pass];
	if (port->id) {
		count->rx_packets++;
		count->rx_bytes += frame->pkt_len;
	} else {
		count->tx_packets++;
		count->tx_bytes += frame->pkt_len;
	}
	worker_stage(worker, port->pass, port->pass, 0, frame);
}

static bool is_uplink(struct dpdk_worker *worker, const struct dpdk_port *port)
{
	struct weft_index index = {port->id};
	const struct weft_port_row *row = TABLE_GET(&worker->tables, port, &index);
	return row && row->flags & WEFT_PORT_VIPS;
}

// kind: what overlay_parse says. It leaves headers to a carrier, which is not here. Bytes behind
// the inner frame go, and a checksum is looked at, for few have one.
static __attribute__((noinline)) enum overlay_kind receive_irregular(struct dpdk_worker *worker,
	const struct packet *p, struct overlay *o, enum overlay_kind kind)
{
	if (kind == OVERLAY_NO)
		kind = outer_parse(p, worker->host, o);
	if (kind != OVERLAY_YES)
		return kind;
	if (p->length > o->bytes + o->inner_bytes)
		dpdk_trim(p->frame, o->bytes + o->inner_bytes);
	u32 udp = o->bytes - (u32)(sizeof(struct udp_header) + sizeof(struct vxlan_header));
	if (o->checksum && !underlay_sum_right(p->frame, udp, &o->src, worker->host->address)) {
		o->drop = WEFT_DROP_bad_vxlan;
		return OVERLAY_BAD;
	}
	return kind;
}

// overlay_receive, with one look-up for all frames of a burst that come from one peer.
static enum overlay_kind receive_overlay(struct dpdk_worker *worker, struct dpdk_port *port,
	const struct packet *p, struct overlay *o)
{
	const struct weft_mac *dst = (const struct weft_mac *)p->bytes;
	if (port && (!port->underlay || !underlay_mine(port, dst, worker->now_ns)))
		return OVERLAY_NO;
	enum overlay_kind kind = overlay_parse(p, worker->host, o);
	if (unlikely(kind != OVERLAY_YES || o->checksum)) {
		struct packet packet = *p; // copies: those of most frames stay in registers
		struct overlay overlay = *o;
		kind = receive_irregular(worker, &packet, &overlay, kind);
		*o = overlay;
	}
	if (unlikely(kind != OVERLAY_YES))
		return kind;
	if (!worker->sender_peer || !overlay_same_ip(&worker->sender, &o->src)) {
		worker->sender_peer = overlay_peer(&worker->tables, &o->src);
		worker->sender = o->src;
	}
	return overlay_from(o, worker->sender_peer);
}

// From an underlay device (port NULL: any) or one of a pair: whose frame it is. Returns false when
// there is nothing for the pipeline; the frame is somebody else's then.
static bool receive_outer(struct dpdk_worker *worker, struct dpdk_port *port, u32 *in_port,
	u32 *vni, struct rte_mbuf *frame, struct weft_record *record)
{
	struct packet p;
	struct overlay o = {0};
	packet_open(&p, frame);
	enum overlay_kind kind = receive_overlay(worker, port, &p, &o);
	if (kind == OVERLAY_NO && port && port->pass) {
		if (port->id &&
			is_uplink(worker, port)) // of services, or for the twin: apply_to_host
			return true;
		pass_frame(worker, port, frame);
		return false;
	}
	if (kind == OVERLAY_NO) {
		bool ports = *in_port && !is_tunnel_superpacket(frame);
		if (record)
			record->passed = !*in_port;
		if (!ports)
			rte_pktmbuf_free(frame);
		return ports; // else the host's own
	}
	if (kind == OVERLAY_YES) {
		strip_offloads(frame, o.bytes);
		rte_pktmbuf_adj(frame, (u16)o.bytes);
		if (dpdk_pull(frame, WEFT_PARSE_BYTES) &&
			ecn_carry(rte_pktmbuf_mtod(frame, u8 *), frame->data_len, o.tos)) {
			*in_port = o.peer;
			*vni = o.vni;
			return true;
		}
		o.drop = WEFT_DROP_bad_ecn;
	}
	pipeline_reject(&worker->tables, kind == OVERLAY_YES ? o.peer : 0, o.drop, record);
	rte_pktmbuf_free(frame);
	return false;
}

static u32 open_lines(struct dpdk_worker *worker, struct dpdk_port *port, struct rte_mbuf **frames,
	u32 count, struct dpdk_line *lines)
{
	u32 opened = 0;
	worker->sender_peer = 0;
	for (u32 i = 0; i < count; i++) {
		u32 in_port = port->id, vni = 0;
		if (unlikely(port->underlay || port->pass) &&
			!receive_outer(worker, port, &in_port, &vni, frames[i], NULL))
			continue;
		line_open(&lines[opened++], worker, in_port, vni, frames[i]);
	}
	return opened;
}

static __attribute__((noinline)) void dive_lines(
	struct dpdk_worker *worker, struct dpdk_line *lines, u32 count)
{
	worker->dives = false;
	for (u32 i = 0; i < count; i++)
		line_dive(&lines[i]);
	for (u32 i = 0; i < count; i++)
		line_locate(&lines[i]);
}

static __attribute__((noinline)) void run_line(
	struct dpdk_line *line, struct weft_record *record, struct observation *seen)
{
	line->line.seen = seen;
	line->line.packet = &line->packet;
	line->line.key = &line->worker->key;
	line->line.layout = &line->worker->layout;
	line->line.verdict = &line->worker->verdict;
	line->line.tables = &line->worker->tables;
	line->line.now_ns = line->worker->now_ns;
	line->worker->cpu.misses += !line->hit;
	pipeline_run(&line->line, line->in_port, record);
	if (unlikely(line->packet.frame != NULL))
		rte_pktmbuf_free(line->packet.frame);
}

// What most frames are: of a known flow, for one place, leaving as they came, or with addresses of
// a service's.
weft_inline bool is_plain(const struct dpdk_line *line, u32 action)
{
	const struct flow_slot *slot = line->slot;
	return line->hit && (slot->action & ~FLOW_REWRITE) == action && !slot->tag &&
	       !line->packet.frame->ol_flags && !line->flow.tagged && !line->worker->result &&
	       (!slot->max_bytes || line->packet.length <= slot->max_bytes);
}

weft_inline void count_plain(const struct dpdk_line *line)
{
	struct weft_port_count_row *counts = line->worker->counts;
	counts[line->in_port].rx_packets++;
	counts[line->in_port].rx_bytes += line->packet.length;
	counts[line->slot->port].tx_packets++;
	counts[line->slot->port].tx_bytes += line->packet.length;
}

// False: it was dropped.
static __attribute__((noinline)) bool rewrite_plain(struct dpdk_line *line)
{
	struct dpdk_worker *worker = line->worker;
	const struct flow_rewrite *change = flow_rewrite_of(line->slot);
	struct flow_frame f = {
		.l3 = sizeof(struct eth_header),
		.l4 = sizeof(struct eth_header) + sizeof(struct ipv4_header),
		.ip6 = line->ip6,
		.protocol = (u8)line->flow.rest,
	};
	if (line->ip6)
		f.l4 = sizeof(struct eth_header) + sizeof(struct ipv6_header);
	if (likely(flow_rewrite(&line->packet, &f, change))) {
		account_backend(&worker->tables, &change->to, line->packet.length);
		return true;
	}
	account_rx(&worker->tables, line->in_port, line->packet.length);
	account_drop(&worker->tables, line->in_port, WEFT_DROP_rewrite_failed);
	rte_pktmbuf_free(line->packet.frame);
	return false;
}

weft_inline bool leaves_changed(const struct dpdk_line *line)
{
	return line->slot->action & FLOW_REWRITE;
}

// From port to port. False: it is more, and nothing was done.
weft_inline bool run_plain(struct dpdk_line *line)
{
	const struct flow_slot *slot = line->slot; // without a hit it may be none
	if (!is_plain(line, WEFT_ACTION_forward) || !dpdk_port_at(line->worker->engine, slot->port))
		return false;
	if (leaves_changed(line) && !rewrite_plain(line))
		return true;
	count_plain(line);
	worker_stage(
		line->worker, slot->port, slot->port, line_flow(&line->line), line->packet.frame);
	return true;
}

// As run_plain, to a peer.
static bool run_encap(struct dpdk_line *line)
{
	const struct flow_slot *slot = line->slot;
	struct dpdk_worker *worker = line->worker;
	struct rte_mbuf *frame = line->packet.frame;
	if (!is_plain(line, WEFT_ACTION_encap))
		return false;
	struct weft_index network = {slot->network};
	const struct weft_network_row *row = TABLE_GET(&worker->tables, network, &network);
	struct overlay_way way = {.vni = row->vni};
	way_of_regular(line, slot->port, &way);
	u32 out = way_slot(worker, &way);
	if (!out)
		return false;
	if (leaves_changed(line) && !rewrite_plain(line))
		return true;
	if (!frame_encapsulate(&way, &frame)) {
		if (!leaves_changed(line))
			return false;
		account_rx(
			&worker->tables, line->in_port, line->packet.length); // not changed twice
		account_drop(&worker->tables, line->in_port, WEFT_DROP_rewrite_failed);
		rte_pktmbuf_free(frame);
		return true;
	}
	count_plain(line);
	worker_stage(worker, out, slot->port, line_flow(&line->line), frame);
	return true;
}

void worker_burst(
	struct dpdk_worker *worker, struct dpdk_port *port, struct rte_mbuf **frames, u32 count)
{
	struct dpdk_line lines[DPDK_BURST];
	u32 configuration = (u32)line_generation(worker, 0), now = flow_time(worker->now_ns);
	for (u32 i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
	u32 opened = open_lines(worker, port, frames, count, lines);
	for (u32 i = 0; i < opened; i++)
		line_locate(&lines[i]);
	u32 observed = observe_burst(worker, port, opened);
	if (unlikely(worker->dives && !worker->dives_first))
		dive_lines(worker, lines, opened);
	u32 deep = 0;
	for (u32 i = 0; i < opened; i++) {
		line_match(&lines[i], configuration, now);
		deep += lines[i].deep;
		if (unlikely(observed >> i & 1))
			run_line(&lines[i], NULL, observe_frame(&lines[i], port, i));
		else if (unlikely(!run_plain(&lines[i]) && !run_encap(&lines[i])))
			run_line(&lines[i], NULL, NULL);
	}
	if (unlikely(worker->decided_tsc))
		worker->decided_tsc = rte_rdtsc();
	worker_flush(worker);
	worker->dives_first = deep && deep + opened / 8 >= opened;
	worker->observe.count = 0;
}

// Each is observed: weftd wants to know what has become of it.
static void enter_frame(struct dpdk_worker *worker, struct rte_mbuf *frame)
{
	struct observed *observed = &worker->observe.packets[worker->observe.count++];
	struct dpdk_line line;
	bool outward = frame->hash.usr & ENTER_TO;
	line_open(&line, worker, frame->hash.usr & ~(u32)ENTER_TO, 0, frame);
	line_locate(&line);
	line_match(&line, (u32)line_generation(worker, 0), flow_time(worker->now_ns));
	observed->frame = NULL;
	observed->told = false;
	observe_in(&worker->tables, &observed->seen, OBSERVE_TRACING,
		worker_time(worker, rte_rdtsc()));
	observed->seen.flags = WEFT_POSTCARD_PROBE;
	observed->seen.probe = true;
	observed->seen.outward = outward;
	run_line(&line, NULL, &observed->seen);
}

u32 worker_enter(struct dpdk_worker *worker)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u32 count = rte_ring_sc_dequeue_burst(
		worker->engine->entering, (void **)frames, DPDK_BURST, NULL);
	for (u32 i = 0; i < count; i++)
		enter_frame(worker, frames[i]);
	worker_flush(worker);
	worker->observe.count = 0;
	return count;
}

void worker_inject(struct dpdk_worker *worker, u32 port, struct rte_mbuf *frame)
{
	struct dpdk_line line;
	struct weft_record *record = &worker->result->record;
	u32 vni = 0;
	worker->sender_peer = 0;
	if (!port && !receive_outer(worker, NULL, &port, &vni, frame, record))
		return;
	line_open(&line, worker, port, vni, frame);
	line_locate(&line);
	line_match(&line, (u32)line_generation(worker, 0), flow_time(worker->now_ns));
	run_line(&line, record, NULL);
}
