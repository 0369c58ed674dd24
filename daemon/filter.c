// SPDX-License-Identifier: BSD-2-Clause
// pcap-filter expressions by libpcap.
#include "daemon/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include "datapath/card.h"

struct filter {
	struct bpf_program program;
};

int filter_new(const char *text, struct filter **out, struct failure *failure)
{
	*out = NULL;
	if (!text)
		return 0;
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	struct filter *filter = calloc(1, sizeof(*filter));
	if (!dead || !filter)
		abort();
	int error = pcap_compile(dead, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN);
	if (error) {
		fail(failure, -EINVAL, "bad_value", "'%s' is no filter: %s", text,
			pcap_geterr(dead));
		fail_hint(failure, "pcap-filter(7) tells the words, as in 'icmp' or 'tcp port 80'");
		free(filter);
	} else {
		*out = filter;
	}
	pcap_close(dead);
	return error ? -EINVAL : 0;
}

void filter_free(struct filter *filter)
{
	if (filter)
		pcap_freecode(&filter->program);
	free(filter);
}

bool filter_passes(const struct filter *filter, const struct weft_postcard *card)
{
	u8 bytes[CARD_FRAME_BYTES];
	struct pcap_pkthdr header = {0};
	if (!filter)
		return true;
	header.caplen = card_frame(card, bytes);
	header.len = card->bytes + (header.caplen - card->captured);
	return pcap_offline_filter(&filter->program, &header, bytes);
}
