// SPDX-License-Identifier: BSD-2-Clause
// A capture file (pcap or pcapng, read by libpcap) -> frames.
#include "daemon/explain.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base64.h"

enum { CAPTURE_PACKETS = 256 };

static int one_packet(const struct pcap_pkthdr *header, const u8 *bytes, u32 number,
	explain_frame_fn *fn, void *context, struct failure *failure)
{
	u32 needed = header->len < WEFT_PARSE_BYTES ? header->len : WEFT_PARSE_BYTES;
	if (number > CAPTURE_PACKETS) {
		fail(failure, -E2BIG, "too_many", "the capture has more than %d packets",
			CAPTURE_PACKETS);
		return fail_hint(
			failure, "take a part: `tcpdump -r FILE -c %d -w PART`", CAPTURE_PACKETS);
	}
	if (header->caplen >= needed)
		return fn(bytes, header->len, context, failure);
	fail(failure, -EINVAL, "bad_value", "packet %u of the capture was cut at %u of %u bytes",
		number, header->caplen, header->len);
	return fail_hint(failure, "capture with `tcpdump -s %d` or more", WEFT_PARSE_BYTES);
}

static int each_packet(
	pcap_t *capture, explain_frame_fn *fn, void *context, struct failure *failure)
{
	struct pcap_pkthdr *header;
	const u8 *bytes;
	u32 number = 0;
	int got = 0, error = 0;
	if (pcap_datalink(capture) != DLT_EN10MB)
		return fail(failure, -EINVAL, "bad_value",
			"the capture is of %s, and weft switches Ethernet frames",
			pcap_datalink_val_to_name(pcap_datalink(capture)) ?: "another link type");
	while (!error && (got = pcap_next_ex(capture, &header, &bytes)) == 1)
		error = one_packet(header, bytes, ++number, fn, context, failure);
	if (!error && got == PCAP_ERROR)
		return fail(failure, -EINVAL, "bad_value",
			"the capture is broken behind packet %u: %s", number, pcap_geterr(capture));
	if (!error && !number)
		return fail(failure, -ENODATA, "bad_value", "the capture has no packets");
	return error;
}

int explain_pcap(const char *content, explain_frame_fn *fn, void *context, struct failure *failure)
{
	char why[PCAP_ERRBUF_SIZE] = "it is empty";
	size_t size = 0;
	unsigned char *bytes = base64_read(content, &size);
	FILE *file = bytes && size ? fmemopen(bytes, size, "r") : NULL;
	pcap_t *capture = file ? pcap_fopen_offline(file, why) : NULL;
	int error;
	if (!bytes)
		error = fail_words(failure, "pcap: the content did not come as base64");
	else if (!capture)
		error = fail(
			failure, -EINVAL, "bad_value", "pcap: this is no capture file: %s", why);
	else
		error = each_packet(capture, fn, context, failure);
	if (capture)
		pcap_close(capture); // and the file
	else if (file)
		fclose(file);
	free(bytes);
	return error;
}
