// SPDX-License-Identifier: BSD-2-Clause
// lab.h - a lab: what its file says, and where it lives while it runs
#pragma once

#include <linux/limits.h>

#include "topo/lab/tree.h"

#define LAB_ROOT "/run/weftlab"
// Names become parts of socket paths, which are short.
enum { LAB_NAME_MAX = 32, LAB_WHY_LEN = TREE_WHY_LEN };

struct kind;
struct node;

// What every part of the file begins with.
struct entry {
	struct entry *next;
	const struct tree *at; // where it stands
};

struct route {
	struct entry entry;
	const char *to;         // a prefix or "default"
	const struct tree *via; // an address, or several: multipath
	const char *dev;
};

struct vxlan {
	struct entry entry;
	unsigned vni;
	unsigned port; // 0: 4789
	const char *local;
	const struct tree *remotes;
};

// Descriptors: what tells that a process serves, and the process.
struct waiting {
	int ready;
	int pidfd;
};

// Settings of weftd's dpdk engine.
struct dpdk {
	const char *cores;
	const char *pages;
	unsigned memory_mb;
	unsigned flow_slots;
};

// Texts point into the tree; absent ones are NULL, absent numbers 0.
struct node {
	struct entry entry;
	const char *name;
	const struct kind *kind;
	const char *kind_name;
	const struct tree *addresses; // device: list; a bare list is for eth0
	struct entry *routes;         // struct route
	const struct tree *sysctl;
	// host
	const char *engine; // node_engine
	struct dpdk dpdk;
	const struct tree *objects;
	const char *apply;
	// vm, client: the port that it is behind
	struct node *host;
	const char *host_name;
	const char *port;
	const char *network;
	// vm
	const char *port_type; // NULL: tap
	const char *nic;
	const char *image;
	unsigned memory_mb;
	unsigned mtu;
	const struct tree *gateways;
	bool nginx;
	const char *append;
	// bridge, ovs
	struct entry *vxlans; // struct vxlan
	// While `up` waits for its process.
	struct waiting waiting;
};

struct end {
	struct node *node;
	char dev[16];
};

struct link {
	struct entry entry;
	const struct tree *endpoints;
	struct end ends[2];
	unsigned mtu;
	// Any of these makes it a wire (link_is_wire).
	const char *delay, *jitter, *loss, *reorder, *duplicate, *rate, *seed;
	struct waiting waiting;
};

struct topology {
	struct entry *nodes; // struct node
	struct entry *links; // struct link
};

struct lab {
	const char *name;
	const char *engine; // of all hosts, whatever the file says; NULL: as it says
	struct topology topology;
	struct tree *tree;
	char *file;
	struct tree **applied; // trees of `apply` files; ends with NULL
	char dir[64];          // LAB_ROOT/NAME
	int lock;              // held while the lab is built or taken down; -1
	int journal;           // -1
	char probe_key[33];    // of all hosts that have none of their own; made when it is wanted
	char why[LAB_WHY_LEN]; // one sentence, when a function failed
};

#define for_each_node(one, lab) \
	for (struct node *one = (struct node *)(lab)->topology.nodes; one; \
		one = (struct node *)one->entry.next)
#define for_each_link(one, lab) \
	for (struct link *one = (struct link *)(lab)->topology.links; one; \
		one = (struct link *)one->entry.next)

// Fills `why` and returns -err.
int lab_fail(struct lab *lab, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// The same about a place in the file: "file:line:column: ...". Returns -EINVAL.
int lab_wrong(struct lab *lab, const struct tree *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// Reads and checks a lab file; touches nothing else. Engine: of all hosts (must outlive the lab),
// NULL: as the file says. lab_free in any case.
int lab_load(struct lab *lab, const char *file, const char *engine);
// check.c: what the file's parts say about each other.
int lab_check(struct lab *lab);
void lab_free(struct lab *lab);
// Only the name: for a lab whose file is not needed, or gone. -EINVAL: no name.
int lab_name(struct lab *lab, const char *name);

struct node *lab_node(const struct lab *lab, const char *name);
// The link that ends there; NULL: none.
const struct link *lab_link(const struct lab *lab, const struct end *end);
bool name_is_good(const char *name);
// A node's lists of addresses, device by device: `after` NULL begins; *dev is the list's device.
const struct tree *node_places(const struct node *node, const struct tree *after, const char **dev);
// What the host's weftd runs.
const char *node_engine(const struct lab *lab, const struct node *host);
// Writes the whole lab, `apply` files and engine included, so that lab_load reads it back.
int lab_save(struct lab *lab, const char *path);

// LAB_ROOT/NAME/NODE and a file there.
void node_path(
	const struct lab *lab, const struct node *node, const char *file, char path[PATH_MAX]);
// weft-LAB-NODE
void node_netns(const struct lab *lab, const struct node *node, char name[NAME_MAX]);

// A host's objects with the ports that the lab adds; the caller's to decref.
json_t *host_objects(const struct lab *lab, const struct node *host);
// The entry of a list such as "ports" by its name; NULL: none.
const struct tree *host_object(const struct node *host, const char *list, const char *name);
