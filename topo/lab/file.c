// SPDX-License-Identifier: BSD-2-Clause
// file.c - a lab file becomes a struct lab, and is kept beside a running lab
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "topo/lab/kind.h"

const struct kind *const kinds[] = {
#define X(name) &kind_##name,
	KINDS(X)
#undef X
		NULL,
};

const struct field route_fields[] = {
	{"to", read_prefix, offsetof(struct route, to), .required = true},
	{"via", read_vias, offsetof(struct route, via)},
	{"dev", read_device, offsetof(struct route, dev)},
	{NULL},
};

const struct field vxlan_fields[] = {
	{"vni", read_number, offsetof(struct vxlan, vni), .required = true, .max = (1 << 24) - 1},
	{"local", read_address, offsetof(struct vxlan, local), .required = true},
	{"remotes", read_vias, offsetof(struct vxlan, remotes), .required = true},
	{"port", read_number, offsetof(struct vxlan, port), .min = 1, .max = 65535},
	{NULL},
};

static const struct field link_fields[] = {
	{"endpoints", read_tree, offsetof(struct link, endpoints), .required = true},
	{"mtu", read_number, offsetof(struct link, mtu), .min = 68, .max = 65535},
	{"delay", read_duration, offsetof(struct link, delay)},
	{"jitter", read_duration, offsetof(struct link, jitter)},
	{"loss", read_percent, offsetof(struct link, loss)},
	{"reorder", read_percent, offsetof(struct link, reorder)},
	{"duplicate", read_percent, offsetof(struct link, duplicate)},
	{"rate", read_rate, offsetof(struct link, rate)},
	{"seed", read_text, offsetof(struct link, seed)},
	{NULL},
};

static int read_nodes(
	struct lab *lab, const struct field *field, const struct tree *value, void *to);

static const struct field topology_fields[] = {
	{"nodes", read_nodes, offsetof(struct topology, nodes), .required = true},
	{"links", read_list, offsetof(struct topology, links), .fields = link_fields,
		.size = sizeof(struct link)},
	{NULL},
};

static const struct field lab_fields[] = {
	{"name", read_name, offsetof(struct lab, name), .required = true},
	{"topology", read_map, offsetof(struct lab, topology), .required = true,
		.fields = topology_fields},
	{NULL},
};

int lab_fail(struct lab *lab, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(lab->why, sizeof(lab->why), format, args);
	va_end(args);
	return -err;
}

int lab_wrong(struct lab *lab, const struct tree *at, const char *format, ...)
{
	char what[LAB_WHY_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return lab_fail(lab, EINVAL, "%s:%zu:%zu: %s", at->file, at->line, at->column, what);
}

bool name_is_good(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return length && length <= LAB_NAME_MAX && !name[length] && !strchr("-_", name[0]);
}

const struct kind *kind_find(const char *name)
{
	size_t i;

	for (i = 0; kinds[i] && strcmp(kinds[i]->name, name) != 0; i++)
		;
	return kinds[i];
}

static int find_kind(struct lab *lab, const struct tree *map, const struct kind **kind)
{
	const char *name = tree_text(map, "kind");
	char list[128] = "";

	*kind = name ? kind_find(name) : NULL;
	if (*kind)
		return 0;
	for (size_t i = 0; kinds[i]; i++) {
		size_t used = strlen(list);

		snprintf(
			list + used, sizeof(list) - used, "%s%s", used ? ", " : "", kinds[i]->name);
	}
	if (!tree_get(map, "kind"))
		return lab_wrong(lab, map->key,
			"node %s has no kind, expected `kind:` with one of %s", map->key->text,
			list);
	return lab_wrong(lab, tree_get(map, "kind"), "unknown kind%s%.64s%s, expected one of %s",
		name ? " '" : "", name ? name : "", name ? "'" : "", list);
}

static int read_nodes(
	struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	struct entry **tail = to;
	int err = 0;

	(void)field;
	if (value->type != TREE_MAP || !value->first)
		return lab_wrong(lab, value, "expected nodes here: `NAME: {kind: ...}`");
	for (const struct tree *one = value->first; one && !err; one = one->next) {
		struct node *node = calloc(1, sizeof(*node));

		if (!node)
			abort();
		node->entry.at = one->key;
		node->name = one->key->text;
		*tail = &node->entry;
		tail = &node->entry.next;
		if (!name_is_good(node->name))
			return lab_wrong(lab, one->key,
				"'%.64s' is no node name: a-z, 0-9, - and _, at most %d, a letter "
				"or digit first",
				node->name, LAB_NAME_MAX);
		err = find_kind(lab, one, &node->kind);
		if (!err)
			err = schema_read(lab, node->kind->fields, one, node);
	}
	return err;
}

// FILE of `apply: FILE` stands beside the lab file.
static int read_applied(struct lab *lab, struct node *node, struct tree ***list)
{
	const struct tree *at;
	char path[PATH_MAX], why[TREE_WHY_LEN];
	const char *slash = strrchr(lab->file, '/');
	char *kept;

	if (!node->apply)
		return 0;
	at = tree_get(
		tree_get(tree_get(tree_get(lab->tree, "topology"), "nodes"), node->name), "apply");
	if (node->objects)
		return lab_wrong(
			lab, at, "node %s has `objects` already: give one of the two", node->name);
	if (node->apply[0] == '/' || !slash)
		snprintf(path, sizeof(path), "%s", node->apply);
	else
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - lab->file), lab->file,
			node->apply);
	kept = strdup(path);
	**list = tree_load(kept, why);
	if (!**list) {
		free(kept);
		return strncmp(why, path, strlen(path)) == 0 && why[strlen(path)] == ':' &&
				       why[strlen(path) + 1] == ' '
			       ? lab_wrong(lab, at, "cannot read %s", why)
			       : lab_fail(lab, EINVAL, "%s", why);
	}
	node->objects = *(*list)++;
	return 0;
}

static int read_all_applied(struct lab *lab)
{
	struct tree **list;
	size_t count = 1;
	int err = 0;

	for_each_node (node, lab)
		count++;
	list = lab->applied = calloc(count, sizeof(*list));
	for_each_node (node, lab)
		if (!err)
			err = read_applied(lab, node, &list);
	return err;
}

int lab_name(struct lab *lab, const char *name)
{
	if (!name_is_good(name))
		return lab_fail(lab, EINVAL, "'%.64s' is no name of a lab", name);
	lab->name = name;
	lab->lock = lab->journal = -1;
	snprintf(lab->dir, sizeof(lab->dir), "%s/%s", LAB_ROOT, name);
	return 0;
}

int lab_load(struct lab *lab, const char *file, const char *engine)
{
	int err;

	memset(lab, 0, sizeof(*lab));
	lab->engine = engine;
	lab->file = strdup(file);
	lab->tree = tree_load(lab->file, lab->why);
	if (!lab->tree)
		return -EINVAL;
	err = schema_read(lab, lab_fields, lab->tree, lab);
	if (!err)
		err = lab_name(lab, lab->name);
	if (!err)
		err = read_all_applied(lab);
	return err ? err : lab_check(lab);
}

static void free_entries(struct entry *entry)
{
	struct entry *rest;

	for (; entry; entry = rest) {
		rest = entry->next;
		free(entry);
	}
}

void lab_free(struct lab *lab)
{
	for_each_node (node, lab) {
		free_entries(node->routes);
		free_entries(node->vxlans);
	}
	free_entries(lab->topology.nodes);
	free_entries(lab->topology.links);
	for (struct tree **tree = lab->applied; tree && *tree; tree++) {
		char *file = (char *)(*tree)->file;

		tree_free(*tree);
		free(file);
	}
	free(lab->applied);
	tree_free(lab->tree);
	free(lab->file);
	memset(lab, 0, sizeof(*lab));
}

struct node *lab_node(const struct lab *lab, const char *name)
{
	for_each_node (node, lab)
		if (!strcmp(node->name, name))
			return node;
	return NULL;
}

const struct tree *node_places(const struct node *node, const struct tree *after, const char **dev)
{
	bool bare = node->addresses && node->addresses->type == TREE_LIST;
	const struct tree *list;

	if (bare)
		list = after ? NULL : node->addresses;
	else
		list = after ? after->next : tree_first(node->addresses);
	*dev = bare ? "eth0" : list ? list->key->text : NULL;
	return list;
}

const char *node_engine(const struct lab *lab, const struct node *host)
{
	const char *engine = lab->engine ? lab->engine : host->engine;

	return engine ? engine : "ebpf";
}

int lab_save(struct lab *lab, const char *path)
{
	json_t *root = tree_json(lab->tree);
	json_t *nodes = json_object_get(json_object_get(root, "topology"), "nodes");
	int err;

	for_each_node (node, lab) {
		json_t *saved = json_object_get(nodes, node->name);

		if (node->apply) {
			json_object_del(saved, "apply");
			json_object_set_new(saved, "objects", tree_json(node->objects));
		}
		if (lab->engine && node->kind == &kind_host)
			json_object_set_new(saved, "engine", json_string(node_engine(lab, node)));
		if (!node->port_type) // what the file says is for another engine
			json_object_del(saved, "port_type");
	}
	err = json_dump_file(root, path, JSON_INDENT(2));
	json_decref(root);
	return err ? lab_fail(lab, EIO, "cannot write %s", path) : 0;
}

void node_path(
	const struct lab *lab, const struct node *node, const char *file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s/%s", lab->dir, node->name, file);
}

void node_netns(const struct lab *lab, const struct node *node, char name[NAME_MAX])
{
	snprintf(name, NAME_MAX, "weft-%s-%s", lab->name, node->name);
}
