// SPDX-License-Identifier: BSD-2-Clause
// wire.h - weft-wire's parts: what was asked for, its two ends, the fate of a packet, the relay
#pragma once

#include <limits.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit codes: wrong words leave nothing behind; a failure is one of the system's. */
enum { WIRE_DONE = 0, WIRE_FAILED = 1, WIRE_WRONG_WORDS = 2 };

/* --- words.c: the command line --- */

struct end_spec {
	char name[IFNAMSIZ];
	char netns[PATH_MAX];
	bool has_mac;
	uint8_t mac[ETH_ALEN];
};

/* What happens to packets; the same for both directions. Probabilities are 0 to 1. */
struct impairment {
	uint64_t delay_ns;
	uint64_t jitter_ns; /* at most delay_ns */
	double loss, duplicate, reorder;
	double rate_bps;   /* bits of frames per second; 0: no limit */
	uint64_t queue_ns; /* longest wait for the line, when there is a rate */
	uint64_t seed;
};

struct wire_spec {
	struct end_spec end[2];
	struct impairment impairment;
	uint64_t limit_bytes; /* memory for packets under way, per direction */
	int mtu;
	int ready_fd; /* -1: stdout */
};

extern const char wire_usage[];

/* Exits with WIRE_WRONG_WORDS and one sentence when a word is wrong. */
void words_parse(char *const *words, struct wire_spec *spec);

/* --- end.c: a tap that is the network device of a node --- */

struct end {
	const struct end_spec *spec;
	int tap;     /* non-blocking; a frame is a virtio_net_hdr and bytes */
	int link;    /* rtnetlink socket in the end's namespace: readable when a device changed */
	int names;   /* inotify: readable when a name beside that of the namespace was deleted */
	int ifindex; /* in its namespace */
	bool up;     /* administrative state as last seen */
	ino_t netns_inode;
};

/*
 * Make the device and set it up; it lives as long as the process. Exits with WIRE_FAILED and a
 * sentence when that is impossible. The caller's namespace is the same afterwards.
 */
void end_open(struct end *end, const struct end_spec *spec, int mtu);

/* After `link` became readable: the far end has a carrier while this end is up, as on a cable. */
void end_follow(struct end *end, const struct end *far);

/*
 * After `names` became readable: is the namespace's name gone (ip netns del)? Our descriptors keep
 * the namespace itself alive, so that nobody else would notice.
 */
bool end_is_orphan(const struct end *end);

/* --- fate.c: everything random --- */

struct fate {
	bool lost, duplicated, reordered;
	double jitter; /* -1 to 1, uniform */
};

/* The fate of the n-th packet (from 0) of a direction (0 or 1): a pure function. */
struct fate fate_of(const struct impairment *impairment, unsigned int direction, uint64_t n);

/* --- relay.c --- */

/*
 * Relay until SIGTERM or SIGINT, which `signals` (a signalfd) reports, and return WIRE_DONE;
 * WIRE_FAILED when an end has vanished. SIGUSR1 prints the counters. Calls `ready` before the first
 * packet is relayed and after all memory has been obtained.
 */
int relay_run(const struct wire_spec *spec, struct end end[2], int signals,
	void (*ready)(const struct wire_spec *spec));
