// SPDX-License-Identifier: BSD-2-Clause
// `weftctl explain`: a frame by its fields, or those of a capture, through the running tables.
#include "daemon/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/command_table.h"
#include "daemon/fdb.h"

void explain_ask(struct weftd *weftd, const struct explain_frame *frame, struct explain *e)
{
	*e = (struct explain){
		.ops = weftd->engine_ops,
		.engine = weftd->engine,
		.now_ns = clock_ns(),
		.port = frame->place->id,
		.vni = frame->vni,
		.bytes = frame->bytes,
		.length = frame->length,
	};
	explain(e);
}

static void answer(struct request *request, const struct explain_frame *frame)
{
	struct explain e;
	explain_ask(request->weftd, frame, &e);
	json_t *shown = explain_show(request->weftd, &e);
	explain_free(&e);
	json_object_set(shown, "assumed", frame->assumed);
	json_array_append_new(request->result, shown);
}

struct capture {
	struct request *request;
	struct explain_frame *frame;
};

static int answer_captured(const u8 *bytes, u32 length, void *context, struct failure *failure)
{
	struct capture *capture = context;
	(void)failure;
	memcpy(capture->frame->bytes, bytes, length < WEFT_PARSE_BYTES ? length : WEFT_PARSE_BYTES);
	capture->frame->length = length;
	answer(capture->request, capture->frame);
	return 0;
}

// The frames say everything but where they come in.
static int run_capture(struct request *request, struct explain_frame *frame)
{
	const char *content = spec_text(request->arguments, "pcap", "");
	struct capture capture = {request, frame};
	const char *key;
	json_t *value;
	json_object_foreach (request->arguments, key, value)
		if (strcmp(key, "pcap") != 0 && strcmp(key, "port") != 0 &&
			strcmp(key, "peer") != 0 && strcmp(key, "vni") != 0)
			return fail_words(&request->failure,
				"'%s' and pcap: a capture has frames of its own", key);
	int error =
		explain_frame_place(request->weftd, request->arguments, frame, &request->failure);
	return error ? error : explain_pcap(content, answer_captured, &capture, &request->failure);
}

static int run_fields(struct request *request, struct explain_frame *frame)
{
	int error =
		explain_frame_make(request->weftd, request->arguments, frame, &request->failure);
	if (!error)
		answer(request, frame);
	return error;
}

static char *text_of(const json_t *result)
{
	char *text = NULL;
	size_t size, i;
	json_t *shown;
	FILE *out = open_memstream(&text, &size);
	json_array_foreach (result, i, shown)
		explain_print(out, shown);
	fclose(out);
	return text;
}

static int run_explain(struct request *request)
{
	struct explain_frame frame = {0};
	request->result = json_array();
	int error = json_object_get(request->arguments, "pcap") ? run_capture(request, &frame)
								: run_fields(request, &frame);
	if (!error && !request->json)
		request->text = text_of(request->result);
	explain_frame_free(&frame);
	return error;
}

static const struct argument arguments[] = {
	{.word = "port",
		.kind = ARGUMENT_NAME,
		.refers = "port",
		.help = "where the frame comes in"},
	{.word = "peer",
		.kind = ARGUMENT_NAME,
		.refers = "peer",
		.help = "the same, from another host"},
	{.word = "vni",
		.kind = ARGUMENT_NUMBER,
		.min = 1,
		.max = (1 << 24) - 1,
		.help = "from a peer: in which VNI; left out where it is in one network"},
	{.word = "pcap",
		.kind = ARGUMENT_DATA,
		.help = "frames of a capture, in place of the words below; - is standard input"},
	{.word = "src",
		.kind = ARGUMENT_ANY_MAC,
		.help = "source; else who was heard last behind the port, else its own"},
	{.word = "dst",
		.kind = ARGUMENT_ANY_MAC,
		.help = "destination; else who has the destination IP"},
	{.word = "vlan",
		.kind = ARGUMENT_NUMBER,
		.max = 4094,
		.help = "the VID of its tag; else untagged"},
	{.word = "ip-src",
		.key = "ip_src",
		.kind = ARGUMENT_ADDRESS,
		.help = "source IP; else who was heard last behind the port"},
	{.word = "ip-dst", .key = "ip_dst", .kind = ARGUMENT_ADDRESS, .help = "destination IP"},
	{.word = "proto",
		.kind = ARGUMENT_TEXT,
		.help = "tcp, udp, icmp, arp, nd (these two ask for ip-dst) or a number; else tcp "
			"with ports, icmp without"},
	{.word = "sport",
		.kind = ARGUMENT_NUMBER,
		.max = 65535,
		.help = "source port of TCP and UDP; else 49152"},
	{.word = "dport",
		.kind = ARGUMENT_NUMBER,
		.max = 65535,
		.help = "destination port; else 80"},
	{.word = "tcp-flags",
		.key = "tcp_flags",
		.kind = ARGUMENT_NAMES,
		.help = "of fin, syn, rst, psh, ack, urg; else syn"},
	{.word = "ethertype",
		.kind = ARGUMENT_TEXT,
		.help = "of a frame without IP, such as 0x88cc; else 0x88b5"},
	{.word = "length",
		.key = "length_bytes",
		.kind = ARGUMENT_NUMBER,
		.min = 14,
		.max = 65549,
		.help = "of the whole frame without a tag, in bytes; else what the headers need"},
	{0},
};

extern const struct command explain_commands[];
const struct command explain_commands[] = {
	{.object = "explain",
		.arguments = arguments,
		.help = "Say what would become of a frame, and why; nothing is changed or sent",
		.run = run_explain},
	{0},
};
