// SPDX-License-Identifier: BSD-2-Clause
// capture.h - what libpcap sees on a device, and when by the kernel's stamps, read afterwards
#pragma once

#include <net/if.h>
#include <pcap/pcap.h>

#include "tool.h"

#define CAPTURE_BYTES   192 /* of each frame */
#define CAPTURE_BUFFER  (32 << 20)
#define CAPTURE_READ_MS 50
#define CAPTURE_LOOKS   20

/* DEVICE[@NETNS] */
static inline pcap_t *capture_open(const char *text)
{
	char name[IFNAMSIZ];
	const char *at = strchr(text, '@');
	int old = netns_enter(at ? at + 1 : NULL);
	pcap_t *pcap;

	snprintf(name, sizeof(name), "%.*s", (int)(at ? at - text : IFNAMSIZ - 1), text);
	pcap = pcap_create(name, NULL);
	if (!pcap || pcap_set_snaplen(pcap, CAPTURE_BYTES) ||
		pcap_set_buffer_size(pcap, CAPTURE_BUFFER) ||
		pcap_set_timeout(pcap, CAPTURE_READ_MS) ||
		pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO) || pcap_activate(pcap))
		errx(EXIT_BROKEN, "capture on %s: %s", text, pcap ? pcap_geterr(pcap) : "no pcap");
	netns_leave(old);
	return pcap;
}

/* How far CLOCK_REALTIME, by which the kernel stamps, is ahead of CLOCK_MONOTONIC. */
static inline uint64_t capture_ahead_ns(void)
{
	uint64_t best = UINT64_MAX, ahead = 0;

	for (int i = 0; i < CAPTURE_LOOKS; i++) {
		struct timespec real;
		uint64_t before = now_ns(), took;
		clock_gettime(CLOCK_REALTIME, &real);
		took = now_ns() - before;
		if (took >= best)
			continue;
		best = took;
		ahead = (uint64_t)real.tv_sec * NS_PER_SEC + (uint64_t)real.tv_nsec - before -
			took / 2;
	}
	return ahead;
}

/* By CLOCK_MONOTONIC. */
static inline uint64_t capture_ns(const struct pcap_pkthdr *head, uint64_t ahead_ns)
{
	return (uint64_t)head->ts.tv_sec * NS_PER_SEC + (uint64_t)head->ts.tv_usec - ahead_ns;
}
