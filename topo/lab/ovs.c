// SPDX-License-Identifier: BSD-2-Clause
// ovs.c - nodes of kind ovs: Open vSwitch with its userspace datapath, perhaps with VXLAN
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "topo/lab/bridge.h"
#include "topo/lab/device.h"
#include "topo/lab/netns.h"
#include "topo/lab/process.h"

#define SCHEMA    "/usr/share/openvswitch/vswitch.ovsschema"
#define TIMEOUT_S "15"
#define UNDERLAY  "-wire"
enum { WORDS_MAX = 256, WORD_LEN = 160 };

static const struct field fields[] = {
	NETNS_FIELDS,
	{"vxlan", read_list, offsetof(struct node, vxlans), .fields = vxlan_fields,
		.size = sizeof(struct vxlan)},
	{NULL},
};

// A command line for ovs-vsctl.
struct words {
	char *list[WORDS_MAX];
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
	char text[WORD_LEN + PATH_MAX], *word, *rest = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	while ((word = strsep(&rest, " ")) && words->count < WORDS_MAX - 1)
		words->list[words->count++] = strdup(word);
}

static void free_words(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
}

static int start_daemon(struct lab *lab, struct node *node, const char *name, char *const *argv)
{
	char dir[PATH_MAX], env[PATH_MAX + 16];
	int pidfd;

	node_path(lab, node, ".", dir);
	snprintf(env, sizeof(env), "OVS_RUNDIR=%s", dir);
	pidfd = process_start(lab, node,
		&(struct daemon){
			.name = name, .argv = argv, .env = (char *[]){env, NULL}, .out = -1});
	if (pidfd >= 0)
		close(pidfd);
	return pidfd < 0 ? pidfd : 0;
}

static int start_daemons(struct lab *lab, struct node *node)
{
	char db[PATH_MAX], socket[PATH_MAX], listen[PATH_MAX + 16], remote[PATH_MAX + 16];
	int err;

	if (access(SCHEMA, R_OK))
		return lab_fail(lab, ENOENT,
			"%s: Open vSwitch is not installed (package openvswitch-switch)",
			node->name);
	node_path(lab, node, "conf.db", db);
	node_path(lab, node, "db.sock", socket);
	snprintf(listen, sizeof(listen), "--remote=punix:%s", socket);
	snprintf(remote, sizeof(remote), "unix:%s", socket);
	err = process_run(lab, node, (char *[]){"ovsdb-tool", "create", db, SCHEMA, NULL}, NULL);
	if (!err)
		err = start_daemon(
			lab, node, "ovsdb-server", (char *[]){"ovsdb-server", db, listen, NULL});
	if (!err)
		err = start_daemon(lab, node, "ovs-vswitchd",
			(char *[]){"ovs-vswitchd", "--disable-system", remote, NULL});
	return err;
}

static void underlay_name(const char *dev, char name[16])
{
	snprintf(name, 16, "%.*s" UNDERLAY, (int)(15 - strlen(UNDERLAY)), dev);
}

static void add_bridge(struct words *words, const char *bridge)
{
	add(words, "-- --may-exist add-br %s -- set bridge %s datapath_type=netdev", bridge,
		bridge);
}

// A tunnel port per remote; protected: what comes from one never goes to another.
static void add_tunnels(struct words *words, const struct vxlan *vxlan)
{
	const struct tree *remote = tree_item(vxlan->remotes, NULL);
	char dev[16];

	vxlan_name(vxlan, dev);
	for (unsigned i = 1; remote; remote = tree_item(vxlan->remotes, remote), i++) {
		add(words, "-- add-port " BRIDGE_DEV " %s-%u", dev, i);
		add(words, "-- set interface %s-%u type=vxlan options:key=%u options:dst_port=%u",
			dev, i, vxlan->vni, vxlan->port ? vxlan->port : 4789);
		add(words, "options:local_ip=%s options:remote_ip=%s", vxlan->local, remote->text);
		add(words, "-- set port %s-%u protected=true", dev, i);
	}
}

/*
 * The userspace datapath sends tunnels only by a bridge of its own that has the address. So the
 * bridge takes the name of the link's device, which goes on as DEV-wire below it.
 */
static int add_underlay(struct words *words, struct lab *lab, struct node *node, const char *dev)
{
	char below[16];
	struct place place;
	int err = place_open(&place, lab, node);

	if (err)
		return err;
	underlay_name(dev, below);
	err = device_rename(&place, dev, below);
	place_close(&place);
	add_bridge(words, dev);
	add(words, "-- add-port %s %s", dev, below);
	return err;
}

static int no_offload(struct lab *lab, const struct end *end)
{
	struct place place;
	int err = place_open(&place, lab, end->node);

	if (err)
		return err;
	err = device_no_offload(&place, end->dev);
	place_close(&place);
	return err;
}

static int add_link(
	struct words *words, struct lab *lab, const struct end *end, const struct end *other)
{
	int err = no_offload(lab, other);

	if (err)
		return err;
	if (!bridge_has(end->node, end))
		return add_underlay(words, lab, end->node, end->dev);
	add(words, "-- add-port " BRIDGE_DEV " %s", end->dev);
	return 0;
}

// Bridges are devices of the datapath: they are there when ovs-vsctl returns.
static int bridges_up(struct lab *lab, struct node *node)
{
	const struct tree *list = NULL;
	struct place place;
	const char *dev;
	int err = place_open(&place, lab, node);

	if (err)
		return err;
	err = device_up(&place, BRIDGE_DEV);
	while (!err && (list = node_places(node, list, &dev)))
		err = device_up(&place, dev);
	place_close(&place);
	return err;
}

static int make(struct lab *lab, struct node *node)
{
	struct words words = {0};
	char socket[PATH_MAX];
	int err = start_daemons(lab, node);

	if (err)
		return err;
	node_path(lab, node, "db.sock", socket);
	add(&words, "ovs-vsctl --db=unix:%s --retry --timeout=" TIMEOUT_S, socket);
	add_bridge(&words, BRIDGE_DEV);
	for_each_link (link, lab)
		for (size_t i = 0; i < 2; i++)
			if (!err && link->ends[i].node == node)
				err = add_link(&words, lab, &link->ends[i], &link->ends[!i]);
	for (struct entry *one = node->vxlans; one; one = one->next)
		add_tunnels(&words, (struct vxlan *)one);
	if (!err)
		err = process_run(lab, node, words.list, NULL);
	free_words(&words);
	return err ? err : bridges_up(lab, node);
}

static void say_hello(const char *address)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM}, *to;
	int fd;

	if (getaddrinfo(address, "9", &hints, &to))
		return;
	fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sendto(fd, "", 1, 0, to->ai_addr, to->ai_addrlen);
	close(fd);
	freeaddrinfo(to);
}

// The datapath drops what it tunnels until it has seen the remote's ARP reply: so let it see one.
static int find_remotes(struct lab *lab, struct node *node)
{
	char netns[NAME_MAX];
	int home;

	node_netns(lab, node, netns);
	home = netns_enter(lab, netns);
	if (home < 0)
		return home;
	for (struct entry *one = node->vxlans; one; one = one->next) {
		const struct tree *remotes = ((struct vxlan *)one)->remotes, *remote = NULL;

		while ((remote = tree_item(remotes, remote)))
			say_hello(remote->text);
	}
	netns_leave(home);
	return 0;
}

static pid_t pid(const struct lab *lab, const struct node *node)
{
	return process_pid(lab, node, "ovs-vswitchd");
}

const struct kind kind_ovs = {
	.name = "ovs",
	.fields = fields,
	.rank = 1,
	.netns = true,
	.check = vxlan_check,
	.passes = {[PASS_DEVICES] = make, [PASS_START] = find_remotes},
	.pid = pid,
	.makes_device = vxlan_makes_device,
};
