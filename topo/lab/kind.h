// SPDX-License-Identifier: BSD-2-Clause
// kind.h - the kinds of nodes: one file and one line in KINDS each
#pragma once

#include "topo/lab/schema.h"

#define KINDS(X) \
	X(host) \
	X(vm) \
	X(client) \
	X(router) \
	X(bridge) \
	X(ovs)

/*
 * What `up` does, each step for every node before the next begins: namespaces, links, PASS_DEVICES,
 * addresses, routes and sysctls, then the other passes in this order. What a pass makes it writes
 * to the journal before (journal.h); what lies in the node's namespace or directory goes with it.
 */
enum pass {
	PASS_DEVICES, // devices that are no links
	PASS_START,   // processes that switch
	PASS_READY,   // until they do
	PASS_OBJECTS, // what they are told, once
	PASS_BOOT,    // guests
	PASS_BOOTED,  // until they are up
	PASSES
};

struct kind {
	const char *name;
	const struct field *fields;
	unsigned rank; // row in pictures from below: guests 0, what switches 1
	bool netns;    // has a network namespace and may have links
	// The node's own rules beyond the fields; NULL: none.
	int (*check)(struct lab *lab, struct node *node);
	int (*passes[PASSES])(struct lab *lab, struct node *node);
	// Its process, 0 when it does not run; NULL: it has none.
	pid_t (*pid)(const struct lab *lab, const struct node *node);
	// Ends that process, if it runs, so that the passes START to BOOTED without OBJECTS bring
	// it back; kill: at once, by SIGKILL. NULL: the node cannot be restarted.
	int (*end)(struct lab *lab, struct node *node, bool kill);
	// Becomes the command (exec). Returns -errno only when it could not. NULL: in the
	// namespace.
	int (*exec)(struct lab *lab, struct node *node, char **argv);
	// A few words for status; "" for none; NULL: none.
	void (*notes)(struct lab *lab, const struct node *node, char *text, size_t size);
	// Is this a device that the kind itself makes? NULL: none.
	bool (*makes_device)(const struct node *node, const char *dev);
};

#define X(name) extern const struct kind kind_##name;
KINDS(X)
#undef X

extern const struct kind *const kinds[]; // ends with NULL
const struct kind *kind_find(const char *name);

// What every kind takes.
#define NODE_FIELDS \
	{"kind", read_text, offsetof(struct node, kind_name), .required = true}, \
	{ \
		"addresses", read_places, offsetof(struct node, addresses) \
	}

// What namespaces take besides.
#define NETNS_FIELDS \
	NODE_FIELDS, \
		{"routes", read_list, offsetof(struct node, routes), .fields = route_fields, \
			.size = sizeof(struct route)}, \
	{ \
		"sysctl", read_sysctl, offsetof(struct node, sysctl) \
	}

extern const struct field route_fields[];
extern const struct field vxlan_fields[];
