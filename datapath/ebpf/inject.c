// SPDX-License-Identifier: BSD-2-Clause
// inject: one frame through a second copy of the program, which shares the maps and leaves a
// record.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <weft/wire.h>

#include "weft_tc.skel.h"

// A tag that the kernel holds beside the bytes goes back where it stands on a wire.
static int put_tag(struct engine_result *result)
{
	u32 length = result->output[0].length;
	u8 *bytes = result->output[0].bytes;
	be16 words[2] = {weft_hton16(WEFT_ETH_8021Q), weft_hton16(result->record.tci)};
	if (!result->record.tagged)
		return 0;
	if (length < 12 || length + sizeof(words) > ENGINE_FRAME_BYTES)
		return -EINVAL;
	memmove(bytes + 12 + sizeof(words), bytes + 12, length - 12);
	memcpy(bytes + 12, words, sizeof(words));
	result->output[0].length = length + sizeof(words);
	return 0;
}

static int set_output(const struct engine_packet *packet, u32 length, struct engine_result *result)
{
	const struct weft_record *record = &result->record;
	result->outputs = 0;
	result->output[0].inner = false;
	if (record->action == WEFT_ACTION_forward || record->action == WEFT_ACTION_encap)
		result->output[0].port = record->verdict.port;
	else if (record->action == WEFT_ACTION_reply || record->answered)
		result->output[0].port = packet->port;
	else
		return 0;
	// Outer headers are 50 bytes that the frame did not have.
	if (record->action == WEFT_ACTION_encap)
		result->output[0].inner = length < packet->length + 40;
	result->outputs = 1;
	result->output[0].length = length;
	return put_tag(result);
}

int ebpf_inject(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
	struct engine_result *result)
{
	u32 zero = 0;
	struct __sk_buff context = {0};
	(void)now_ns; // the program reads the kernel's clock
	if (packet->length < sizeof(struct eth_header) || packet->length > ENGINE_FRAME_BYTES)
		return -EINVAL;
	if (packet->port >= engine->port_capacity)
		return -ENOENT;
	context.ifindex =
		packet->port ? engine->ports[packet->port].ifindex : engine->overlay.underlay[0];
	if (!context.ifindex)
		return -ENOENT;
	int error = engine->inject ? 0 : ebpf_load_inject(engine);
	if (error)
		return error;

	int record_fd = bpf_map__fd(engine->inject->maps.weft_record);
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet->bytes,
		.data_size_in = packet->length, .data_out = result->output[0].bytes,
		.data_size_out = ENGINE_FRAME_BYTES, .ctx_in = &context,
		.ctx_size_in = sizeof(context), .repeat = 1);
	memset(&result->record, 0, sizeof(result->record));
	error = bpf_map_update_elem(record_fd, &zero, &result->record, BPF_ANY);
	if (!error)
		error = bpf_prog_test_run_opts(
			bpf_program__fd(engine->inject->progs.weft_tc), &run);
	if (error)
		return error == -ENODEV ? -ENOENT : error;
	error = bpf_map_lookup_elem(record_fd, &zero, &result->record);
	if (!error)
		error = set_output(packet, run.data_size_out, result);
	if (run.retval == TC_ACT_SHOT) // a probe, for weftd alone
		result->outputs = 0;
	return error;
}
