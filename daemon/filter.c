// SPDX-License-Identifier: BSD-2-Clause
// pcap-filter expressions by libpcap.
#include "daemon/filter.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include "datapath/card.h"

struct filter {
	struct bpf_program program;
	bool tagged; // it speaks of tags: it sees them
};

// --- words

// Of pcap-filter(7), but for its constants.
static const char *const words[] = {"aarp", "action", "ah", "and", "arp", "atalk", "broadcast",
	"carp", "clnp", "decnet", "dst", "esis", "esp", "ether", "gateway", "geneve", "greater",
	"host", "icmp", "icmp6", "icmp6code", "icmp6type", "icmpcode", "icmptype", "ifindex",
	"igmp", "igrp", "inbound", "ip", "ip6", "ipx", "isis", "iso", "lat", "len", "less", "link",
	"llc", "loopback", "mask", "mopdl", "moprc", "mpls", "multicast", "net", "netbeui", "not",
	"or", "outbound", "pim", "port", "portrange", "pppoed", "pppoes", "proto", "protochain",
	"rarp", "sca", "sctp", "src", "stp", "tcp", "tcpflags", "udp", "vlan", "vrrp", "vxlan"};

static bool is_any(const char *word, size_t length, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == length && strncmp(list[i], word, length) == 0)
			return true;
	return false;
}

// The next run of letters, digits, '.', '_', ':', '-' and '\\'; its length, 0 at the end.
static size_t next_word(const char **at)
{
	size_t length = 0;
	while (**at && !isalnum((unsigned char)**at) && **at != '\\')
		++*at;
	while ((*at)[length] &&
		(isalnum((unsigned char)(*at)[length]) || strchr("._:-\\", (*at)[length])))
		length++;
	return length;
}

static bool has_word(const char *text, const char *word)
{
	for (size_t length; (length = next_word(&text)); text += length)
		if (is_any(text, length, &word, 1))
			return true;
	return false;
}

// As tcp-syn, icmp-echo, icmp6-routersolicit.
static bool is_constant(const char *word, size_t length)
{
	static const char *const of[] = {"tcp-", "icmp-", "icmp6-"};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(of); i++)
		if (length > strlen(of[i]) && strncmp(word, of[i], strlen(of[i])) == 0)
			return true;
	return false;
}

// libpcap would ask the resolver for a name, and all that weftd does would wait for its answer.
// Names of ports and protocols stand in files.
static int check_names(const char *text, struct failure *failure)
{
	static const char *const by_file[] = {"port", "portrange", "proto", "protochain"};
	static const char *const by_name[] = {"host", "net", "gateway"};
	const char *whole = text;
	bool files = false;
	for (size_t length; (length = next_word(&text)); text += length) {
		bool word = is_any(text, length, words, WEFT_ARRAY_SIZE(words));
		if (is_any(text, length, by_file, WEFT_ARRAY_SIZE(by_file)))
			files = true;
		else if (is_any(text, length, by_name, WEFT_ARRAY_SIZE(by_name)))
			files = false;
		if (word || files || !isalpha((unsigned char)*text) || memchr(text, ':', length) ||
			is_constant(text, length))
			continue;
		fail(failure, -EINVAL, "bad_value",
			"'%.64s' is no filter: names are not looked up, as '%.*s'", whole,
			(int)length, text);
		return fail_hint(failure, "say an address; pcap-filter(7) tells the words, as in "
					  "'icmp' or 'tcp port 80'");
	}
	return 0;
}

// --- filters

int filter_new(const char *text, struct filter **out, struct failure *failure)
{
	*out = NULL;
	if (!text)
		return 0;
	if (check_names(text, failure))
		return failure->code;
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
		filter->tagged = has_word(text, "vlan");
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

// A filter of a VM's packets is the same behind an access port and behind a trunk: only one that
// says `vlan` sees tags.
bool filter_passes(const struct filter *filter, const struct weft_postcard *card)
{
	u8 bytes[CARD_FRAME_BYTES];
	struct pcap_pkthdr header = {0};
	if (!filter)
		return true;
	if (filter->tagged) {
		header.caplen = card_frame(card, bytes);
		header.len = card->bytes + (header.caplen - card->captured);
	} else {
		header.caplen = card_untagged(card, bytes, &header.len);
	}
	return pcap_offline_filter(&filter->program, &header, bytes);
}
