// SPDX-License-Identifier: BSD-2-Clause
// check.c - what the parts of a lab file say about each other
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/near.h"
#include "topo/lab/kind.h"

// Where a node's key stands, else the node.
static const struct tree *place(const struct lab *lab, const struct node *node, const char *key)
{
	const struct tree *nodes = tree_get(tree_get(lab->tree, "topology"), "nodes");
	const struct tree *at = tree_get(tree_get(nodes, node->name), key);

	return at ? at : node->entry.at;
}

static struct node *find_node(struct lab *lab, const struct tree *at, const char *name)
{
	struct node *found = lab_node(lab, name);
	json_t *words = json_array();
	const char *near;

	if (!found) {
		for_each_node (node, lab)
			json_array_append_new(words, json_string(node->name));
		near = near_word(name, words);
		lab_wrong(lab, at, "there is no node '%.64s'%s%s%s", name,
			near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	json_decref(words);
	return found;
}

static int read_end(struct lab *lab, const struct tree *at, struct end *end)
{
	size_t length = at->type == TREE_TEXT ? strcspn(at->text, ":") : 0;
	char name[LAB_NAME_MAX + 1];

	if (at->type != TREE_TEXT || !length || length > LAB_NAME_MAX || !at->text[length])
		return lab_wrong(lab, at, "'%.64s' is no endpoint, expected NODE:DEVICE",
			at->type == TREE_TEXT ? at->text : "...");
	memcpy(name, at->text, length);
	name[length] = 0;
	end->node = find_node(lab, at, name);
	if (!end->node)
		return -EINVAL;
	if (!end->node->kind->netns)
		return lab_wrong(lab, at,
			"node %s is a %s and has no links: it is behind a port (`host`, `port`)",
			name, end->node->kind->name);
	if (!is_device(at->text + length + 1) || !strcmp(at->text + length + 1, "lo"))
		return lab_wrong(lab, at,
			"'%.64s' cannot name a device: letters, digits, . _ -, at most 15, not lo",
			at->text + length + 1);
	strcpy(end->dev, at->text + length + 1);
	if (end->node->kind->makes_device && end->node->kind->makes_device(end->node, end->dev))
		return lab_wrong(lab, at, "node %s makes a device %s itself: choose another name",
			name, end->dev);
	return 0;
}

static bool same_end(const struct end *a, const struct end *b)
{
	return a->node && a->node == b->node && !strcmp(a->dev, b->dev);
}

const struct link *lab_link(const struct lab *lab, const struct end *end)
{
	for_each_link (link, lab)
		if (same_end(&link->ends[0], end) || same_end(&link->ends[1], end))
			return link;
	return NULL;
}

static int check_link(struct lab *lab, struct link *link)
{
	const struct tree *at = tree_first(link->endpoints);

	if (link->endpoints->type != TREE_LIST || !at || !at->next || at->next->next)
		return lab_wrong(lab, link->endpoints,
			"expected two endpoints: [\"NODE:DEVICE\", \"NODE:DEVICE\"]");
	for (size_t i = 0; i < 2; i++, at = at->next) {
		struct end end = {0};
		int err = read_end(lab, at, &end);

		if (!err && lab_link(lab, &end))
			err = lab_wrong(lab, at, "%s is an endpoint already", at->text);
		if (err)
			return err;
		link->ends[i] = end;
	}
	if (link->jitter && !link->delay)
		return lab_wrong(lab, tree_get(link->entry.at, "jitter"),
			"jitter needs a delay that it varies");
	if (link->reorder && !link->delay)
		return lab_wrong(lab, tree_get(link->entry.at, "reorder"),
			"reorder needs a delay: reordered frames skip it");
	return 0;
}

static bool has_device(const struct lab *lab, const struct node *node, const char *dev)
{
	struct end end = {.node = (struct node *)node};

	snprintf(end.dev, sizeof(end.dev), "%s", dev);
	return lab_link(lab, &end) || !strcmp(dev, "lo") ||
	       (node->kind->makes_device && node->kind->makes_device(node, dev));
}

static int check_addresses(struct lab *lab, const struct node *node)
{
	const struct tree *list = NULL;
	const char *dev;

	while ((list = node_places(node, list, &dev)))
		if (!has_device(lab, node, dev))
			return lab_wrong(lab, list->key,
				"node %s has no device %s: no link ends there", node->name, dev);
	return 0;
}

static int route_family(const struct route *route)
{
	const struct tree *via = tree_item(route->via, NULL);
	int family;

	if (is_prefix(route->to, &family))
		return family;
	return via && is_address(via->text, &family) ? family : AF_INET;
}

static int check_route(struct lab *lab, const struct node *node, const struct route *route)
{
	const struct tree *via = tree_item(route->via, NULL);
	int family;

	if (!via && !route->dev)
		return lab_wrong(lab, route->entry.at, "a route needs `via` or `dev`");
	if (route->dev && !has_device(lab, node, route->dev))
		return lab_wrong(lab, tree_get(route->entry.at, "dev"),
			"node %s has no device %s: no link ends there", node->name, route->dev);
	for (; via; via = tree_item(route->via, via))
		if (is_address(via->text, &family) && family != route_family(route))
			return lab_wrong(lab, via, "%s is not of the same family as %s", via->text,
				route->to);
	return 0;
}

const struct tree *host_object(const struct node *host, const char *list, const char *name)
{
	const struct tree *one = tree_first(tree_get(host->objects, list));

	for (; one; one = one->next) {
		const char *given = tree_text(one, "name");

		if (given && !strcmp(given, name))
			return one;
	}
	return NULL;
}

// The port that a guest is behind: the host's objects declare it, or the lab does (`network`).
static int check_port(struct lab *lab, struct node *node)
{
	const struct tree *object;

	if (!node->host_name) {
		if (node->port || node->network)
			return lab_wrong(lab, place(lab, node, node->port ? "port" : "network"),
				"a port needs its `host`");
		return 0;
	}
	node->host = find_node(lab, place(lab, node, "host"), node->host_name);
	if (!node->host)
		return -EINVAL;
	if (node->host->kind != &kind_host)
		return lab_wrong(lab, place(lab, node, "host"), "node %s is a %s, expected a host",
			node->host_name, node->host->kind->name);
	if (!node->port)
		node->port = node->name;
	object = host_object(node->host, "ports", node->port);
	if (node->network && object)
		return lab_wrong(lab, place(lab, node, "network"),
			"host %s has a port %s among its objects: leave out `network`",
			node->host_name, node->port);
	if (!node->network && !object)
		return lab_wrong(lab, place(lab, node, "port"),
			"host %s has no port %s among its objects: add it there, or say here which "
			"`network` it is in",
			node->host_name, node->port);
	if (node->network && !host_object(node->host, "networks", node->network))
		return lab_wrong(lab, place(lab, node, "network"),
			"host %s has no network %s among its objects", node->host_name,
			node->network);
	for_each_node (other, lab)
		if (other != node && other->host == node->host && !strcmp(other->port, node->port))
			return lab_wrong(lab, place(lab, node, "port"),
				"port %s of %s is that of node %s already", node->port,
				node->host_name, other->name);
	return 0;
}

static int check_node(struct lab *lab, struct node *node)
{
	int err = check_port(lab, node);

	if (!err)
		err = check_addresses(lab, node);
	for (struct entry *route = node->routes; route && !err; route = route->next)
		err = check_route(lab, node, (struct route *)route);
	if (!err && node->kind->check)
		err = node->kind->check(lab, node);
	return err;
}

int lab_check(struct lab *lab)
{
	int err = 0;

	for_each_link (link, lab)
		if (!err)
			err = check_link(lab, link);
	for_each_node (node, lab)
		if (!err)
			err = check_node(lab, node);
	return err;
}
