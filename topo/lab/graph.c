// SPDX-License-Identifier: BSD-2-Clause
// graph.c - the topology and its objects as text and DOT
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/lab/commands.h"
#include "topo/lab/graph.h"
#include "topo/lab/kind.h"
#include "topo/lab/link.h"
#include "topo/lab/shipped.h"
#include "topo/lab/up.h"

__attribute__((format(printf, 2, 3))) static void add_line(json_t *lines, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	json_array_append_new(lines, json_string(line));
}

static void add_addresses(json_t *lines, const struct node *node)
{
	const struct tree *list = NULL;
	char all[200];
	const char *dev;

	while ((list = node_places(node, list, &dev))) {
		size_t used = 0;

		all[0] = 0;
		for (const struct tree *one = list->first; one && used < sizeof(all);
			one = one->next)
			used += (size_t)snprintf(all + used, sizeof(all) - used, " %s", one->text);
		add_line(lines, "%s%s", dev, all);
	}
}

// An object in the words of weftctl: `network blue vni 100`.
static void add_object(json_t *lines, const char *noun, const json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name")), *key;
	char line[240];
	json_t *value;
	size_t used;

	used = (size_t)snprintf(
		line, sizeof(line), "%s%s%s", noun, name ? " " : "", name ? name : "");
	json_object_foreach ((json_t *)object, key, value) {
		if (used < sizeof(line) && json_is_string(value) && strcmp(key, "name") != 0)
			used += (size_t)snprintf(line + used, sizeof(line) - used, " %s %s", key,
				json_string_value(value));
	}
	add_line(lines, "%s", line);
}

// `networks: [..]` are networks, `host: {..}` is the host.
static void add_objects(json_t *lines, const struct lab *lab, const struct node *node)
{
	json_t *objects = host_objects(lab, node), *list, *object;
	const char *key;
	size_t i;

	json_object_foreach (objects, key, list) {
		char noun[32];
		size_t length = strlen(key);

		if (json_is_object(list))
			add_object(lines, key, list);
		snprintf(noun, sizeof(noun), "%.*s",
			(int)(length && key[length - 1] == 's' ? length - 1 : length), key);
		json_array_foreach (list, i, object)
			add_object(lines, noun, object);
	}
	json_decref(objects);
}

static void add_vxlan(json_t *lines, const struct vxlan *vxlan)
{
	const struct tree *remote = tree_item(vxlan->remotes, NULL);
	char all[200] = "";
	size_t used = 0;

	for (; remote && used < sizeof(all); remote = tree_item(vxlan->remotes, remote))
		used += (size_t)snprintf(all + used, sizeof(all) - used, " %s", remote->text);
	add_line(lines, "vni %u from %s to%s", vxlan->vni, vxlan->local, all);
}

json_t *graph_lines(const struct lab *lab, const struct node *node)
{
	const char *engine = lab->engine || node->engine ? node_engine(lab, node) : NULL;
	json_t *lines = json_array();

	if (node->kind != &kind_host)
		engine = NULL;
	add_line(lines, "%s  (%s%s%s%s)", node->name, node->kind->name, engine ? ", " : "",
		engine ? engine : "", node->nginx ? ", nginx" : "");
	add_addresses(lines, node);
	if (node->kind == &kind_host)
		add_objects(lines, lab, node);
	for (const struct entry *one = node->vxlans; one; one = one->next)
		add_vxlan(lines, (const struct vxlan *)one);
	return lines;
}

size_t graph_edges(const struct lab *lab, struct edge **edges)
{
	size_t count = 0, most = 0;
	struct edge *edge;

	for_each_node (node, lab)
		most++;
	for_each_link (link, lab)
		most++;
	*edges = calloc(most, sizeof(**edges));
	for_each_node (node, lab) {
		if (!node->host)
			continue;
		edge = &(*edges)[count++];
		edge->from = node->host;
		edge->to = node;
		snprintf(edge->from_label, sizeof(edge->from_label), "%.39s", node->port);
		strcpy(edge->to_label, "eth0");
	}
	for_each_link (link, lab) {
		edge = &(*edges)[count++];
		edge->from = link->ends[0].node;
		edge->to = link->ends[1].node;
		strcpy(edge->from_label, link->ends[0].dev);
		strcpy(edge->to_label, link->ends[1].dev);
		link_words(link, edge->label, sizeof(edge->label));
		edge->impaired = link_is_wire(link);
	}
	return count;
}

void graph_text(const struct lab *lab, FILE *out)
{
	struct edge *edges;
	size_t i, count = graph_edges(lab, &edges);
	json_t *line;

	fprintf(out, "lab %s\n", lab->name);
	for_each_node (node, lab) {
		json_t *lines = graph_lines(lab, node);

		json_array_foreach (lines, i, line)
			fprintf(out, "%s%s\n", i ? "    " : "  ", json_string_value(line));
		json_decref(lines);
	}
	if (count)
		fprintf(out, "links\n");
	for (i = 0; i < count; i++)
		fprintf(out, "  %s:%s -- %s:%s%s%s\n", edges[i].from->name, edges[i].from_label,
			edges[i].to->name, edges[i].to_label, *edges[i].label ? "  " : "",
			edges[i].label);
	free(edges);
}

// In double quotes, for DOT.
static void put_quoted(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, strchr("\"\\", *text) ? "\\%c" : "%c", *text);
}

void graph_dot(const struct lab *lab, FILE *out)
{
	struct edge *edges;
	size_t i, count = graph_edges(lab, &edges);
	json_t *line;

	fprintf(out,
		"graph \"%s\" {\n\tnode [shape=box, fontname=monospace, fontsize=10];\n"
		"\tedge [fontname=monospace, fontsize=9];\n",
		lab->name);
	for_each_node (node, lab) {
		json_t *lines = graph_lines(lab, node);

		fprintf(out, "\t\"%s\" [label=\"", node->name);
		json_array_foreach (lines, i, line) {
			put_quoted(out, json_string_value(line));
			fputs("\\l", out);
		}
		fputs("\"];\n", out);
		json_decref(lines);
	}
	for (i = 0; i < count; i++)
		fprintf(out,
			"\t\"%s\" -- \"%s\" [taillabel=\"%s\", headlabel=\"%s\", label=\"%s\"];\n",
			edges[i].from->name, edges[i].to->name, edges[i].from_label,
			edges[i].to_label, edges[i].label);
	fputs("}\n", out);
	free(edges);
}

static int write_picture(
	struct lab *lab, const char *path, void (*draw)(const struct lab *lab, FILE *out))
{
	bool is_stdout = !strcmp(path, "-");
	FILE *out = is_stdout ? stdout : fopen(path, "we");

	if (!out)
		return lab_fail(lab, errno, "cannot write %s: %m", path);
	draw(lab, out);
	if (is_stdout ? fflush(out) : fclose(out))
		return lab_fail(lab, errno, "cannot write %s: %m", path);
	return 0;
}

static const struct {
	const char *option;
	void (*draw)(const struct lab *lab, FILE *out);
} pictures[] = {
	{"--dot", graph_dot},
	{"--svg", graph_svg},
};
enum { PICTURES = sizeof(pictures) / sizeof(*pictures) };

// A file, a lab that runs, or one that weft ships.
static int load(struct lab *lab, const char *what)
{
	if (name_is_good(what) && access(what, F_OK)) {
		if (!lab_reload(lab, what))
			return 0;
		lab_free(lab);
	}
	return shipped_load(lab, what, getenv(ENGINE_VARIABLE));
}

int command_graph(int argc, char **argv)
{
	const char *paths[PICTURES] = {NULL}, *what = NULL;
	struct lab lab = {0};
	bool drawn = false;
	int err;

	for (int i = 0; i < argc; i++) {
		size_t p = 0;

		while (p < PICTURES && strcmp(argv[i], pictures[p].option) != 0)
			p++;
		if (p < PICTURES && i + 1 < argc) {
			paths[p] = argv[++i];
		} else if (p < PICTURES || what || argv[i][0] == '-') {
			fprintf(stderr, "usage: weftlab graph FILE|NAME [--dot F] [--svg F]\n");
			return WRONG_WORDS;
		} else {
			what = argv[i];
		}
	}
	err = what ? load(&lab, what) : lab_fail(&lab, EINVAL, "graph: which FILE or lab?");
	for (size_t p = 0; p < PICTURES && !err; p++) {
		if (!paths[p])
			continue;
		err = write_picture(&lab, paths[p], pictures[p].draw);
		drawn = true;
	}
	if (!err && !drawn)
		graph_text(&lab, stdout);
	if (err)
		refuse(&lab);
	lab_free(&lab);
	return err ? REFUSED : DONE;
}
