// SPDX-License-Identifier: BSD-2-Clause
// up.c - builds a lab pass by pass, and takes it down
#include "topo/lab/up.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "topo/lab/device.h"
#include "topo/lab/journal.h"
#include "topo/lab/kind.h"
#include "topo/lab/link.h"
#include "topo/lab/netns.h"
#include "topo/lab/process.h"

// Quiet: no IPv6 but where addresses ask for it, and those hold at once.
static const char *const netns_sysctls[][2] = {
	{"net.ipv6.conf.default.disable_ipv6", "1"},
	{"net.ipv6.conf.default.accept_dad", "0"},
};

static int make_bpffs(struct lab *lab)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/.bpf", lab->dir);
	err = journal_add(lab, "mount", path);
	if (!err && (mkdir(path, 0700) || mount("bpf", path, "bpf", 0, NULL)))
		err = lab_fail(lab, errno, "cannot mount a bpffs at %s: %m", path);
	return err;
}

static int make_node(struct lab *lab, struct node *node)
{
	char netns[NAME_MAX], path[PATH_MAX];

	if (!node->kind->netns)
		return 0;
	node_path(lab, node, "", path);
	if (mkdir(path, 0755))
		return lab_fail(lab, errno, "cannot make %s: %m", path);
	node_netns(lab, node, netns);
	return netns_make(lab, netns);
}

static int set_quiet(struct place *place)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(netns_sysctls) / sizeof(*netns_sysctls) && !err; i++)
		err = device_sysctl(place, netns_sysctls[i][0], netns_sysctls[i][1]);
	return err;
}

static int set_addresses(struct place *place)
{
	const struct tree *list = NULL;
	const char *dev;
	int err = 0;

	while (!err && (list = node_places(place->node, list, &dev)))
		for (const struct tree *one = list->first; one && !err; one = one->next)
			err = device_address(place, dev, one->text);
	return err;
}

static int set_routes(struct place *place)
{
	const struct tree *sysctl = tree_first(place->node->sysctl);
	int err = 0;

	for (struct entry *route = place->node->routes; route && !err; route = route->next)
		err = device_route(place, (struct route *)route);
	for (; sysctl && !err; sysctl = sysctl->next)
		err = device_sysctl(place, sysctl->key->text, sysctl->text);
	return err;
}

static int check_interrupt(struct lab *lab)
{
	return process_interrupted() ? lab_fail(lab, EINTR, "interrupted") : 0;
}

// The same in every namespace.
static int in_places(struct lab *lab, int (*work)(struct place *place))
{
	int err = 0;

	for_each_node (node, lab) {
		struct place place;

		if (err || !node->kind->netns)
			continue;
		err = check_interrupt(lab);
		if (!err)
			err = place_open(&place, lab, node);
		if (err)
			break;
		err = work(&place);
		place_close(&place);
	}
	return err;
}

static int make_nodes(struct lab *lab)
{
	int err = 0;

	for_each_node (node, lab)
		if (!err)
			err = make_node(lab, node);
	return err;
}

static int run_pass(struct lab *lab, enum pass pass)
{
	int err = 0;

	for_each_node (node, lab) {
		if (!err)
			err = check_interrupt(lab);
		if (!err && node->kind->passes[pass])
			err = node->kind->passes[pass](lab, node);
	}
	return err;
}

static int for_links(struct lab *lab, int (*work)(struct lab *lab, struct link *link))
{
	int err = 0;

	for_each_link (link, lab)
		if (!err)
			err = work(lab, link);
	return err;
}

static int build(struct lab *lab)
{
	char saved[PATH_MAX];
	int err;

	snprintf(saved, sizeof(saved), "%s/.lab.json", lab->dir);
	err = lab_save(lab, saved);
	if (!err)
		err = make_bpffs(lab);
	if (!err)
		err = make_nodes(lab);
	if (!err)
		err = in_places(lab, set_quiet);
	if (!err)
		err = for_links(lab, link_make);
	if (!err)
		err = for_links(lab, link_wait);
	if (!err)
		err = run_pass(lab, PASS_DEVICES);
	if (!err)
		err = in_places(lab, set_addresses);
	if (!err) // what a route needs may be at the other end of a link
		err = in_places(lab, set_routes);
	for (enum pass pass = PASS_START; pass < PASSES && !err; pass++)
		err = run_pass(lab, pass);
	return err ? err : journal_add(lab, "up", "");
}

int lab_up(struct lab *lab)
{
	char why[LAB_WHY_LEN], more[LAB_WHY_LEN] = "";
	int err = journal_new(lab);

	if (err)
		goto out;
	err = build(lab);
	if (!err)
		goto out;
	strcpy(why, lab->why);
	if (journal_undo(lab))
		snprintf(more, sizeof(more), "; what was built is not all removed: %.300s",
			lab->why);
	lab_fail(lab, -err, "%.600s%s", why, more);
out:
	journal_close(lab);
	return err;
}

int lab_down(struct lab *lab, const char *name)
{
	int err = lab_name(lab, name);

	if (!err)
		err = journal_open(lab);
	if (!err)
		err = journal_undo(lab);
	journal_close(lab);
	return err;
}

int lab_reload(struct lab *lab, const char *name)
{
	char path[PATH_MAX];
	struct lab named = {0};
	int err = lab_name(&named, name);

	if (err)
		return lab_fail(lab, -err, "%s", named.why);
	snprintf(path, sizeof(path), "%s/.lab.json", named.dir);
	return lab_load(lab, path, NULL);
}
