// SPDX-License-Identifier: BSD-2-Clause
// status.c - what runs: status and list, as tables or JSON
#include <stdlib.h>
#include <string.h>

#include "topo/lab/commands.h"
#include "topo/lab/journal.h"
#include "topo/lab/kind.h"
#include "topo/lab/link.h"
#include "topo/lab/netns.h"
#include "topo/lab/up.h"

static json_t *addresses_of(const struct node *node)
{
	const struct tree *list = NULL;
	json_t *all = json_array();
	const char *dev;

	while ((list = node_places(node, list, &dev)))
		for (const struct tree *one = list->first; one; one = one->next)
			json_array_append_new(all, json_string(one->text));
	return all;
}

static json_t *node_status(struct lab *lab, const struct node *node)
{
	pid_t pid = node->kind->pid ? node->kind->pid(lab, node) : 0;
	char netns[NAME_MAX], notes[128] = "";
	bool up = true;

	node_netns(lab, node, netns);
	if (node->kind->netns)
		up = netns_exists(netns);
	if (node->kind->pid)
		up &= pid != 0;
	if (up && node->kind->notes)
		node->kind->notes(lab, node, notes, sizeof(notes));
	return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:s?}", "name", node->name, "kind",
		node->kind->name, "state", up ? "up" : "down", "netns",
		node->kind->netns ? netns : NULL, "pid", pid ? json_integer(pid) : json_null(),
		"addresses", addresses_of(node), "notes", *notes ? notes : NULL);
}

static json_t *wire_status(const struct lab *lab, const struct link *link)
{
	pid_t pid = link_pid(lab, link);
	char words[512];

	link_words(link, words, sizeof(words));
	return json_pack("{s:[s,s], s:s, s:o, s:s}", "endpoints", tree_first(link->endpoints)->text,
		tree_first(link->endpoints)->next->text, "state", pid ? "up" : "down", "pid",
		pid ? json_integer(pid) : json_null(), "words", words);
}

static const char *lab_state(const struct lab *lab)
{
	if (journal_is_busy(lab))
		return "busy"; // being built or taken down
	return journal_is_up(lab) ? "up" : "broken";
}

// A lab whose directory is there; also one of which nothing else is.
static json_t *lab_status(const char *name)
{
	json_t *nodes = json_array(), *wires = json_array(), *status;
	struct lab lab = {0}, named = {0};

	if (!lab_reload(&lab, name)) {
		for_each_node (node, &lab)
			json_array_append_new(nodes, node_status(&lab, node));
		for_each_link (link, &lab)
			if (link_is_wire(link))
				json_array_append_new(wires, wire_status(&lab, link));
	}
	lab_free(&lab);
	lab_name(&named, name);
	status = json_pack("{s:s, s:s, s:o, s:o}", "name", name, "state", lab_state(&named),
		"nodes", nodes, "wires", wires);
	return status;
}

static void print_status(const json_t *status)
{
	const json_t *node, *address;
	size_t i, j;

	printf("lab %s: %s\n", json_string_value(json_object_get(status, "name")),
		json_string_value(json_object_get(status, "state")));
	json_array_foreach (json_object_get(status, "nodes"), i, node) {
		const char *netns = json_string_value(json_object_get(node, "netns"));
		const char *notes = json_string_value(json_object_get(node, "notes"));
		long pid = (long)json_integer_value(json_object_get(node, "pid"));
		char number[24];

		snprintf(number, sizeof(number), "%ld", pid);
		printf("  %-12s %-7s %-5s %-28s %-7s",
			json_string_value(json_object_get(node, "name")),
			json_string_value(json_object_get(node, "kind")),
			json_string_value(json_object_get(node, "state")), netns ? netns : "-",
			pid ? number : "-");
		json_array_foreach (json_object_get(node, "addresses"), j, address)
			printf(" %s", json_string_value(address));
		printf("%s%s\n", notes ? "  " : "", notes ? notes : "");
	}
	json_array_foreach (json_object_get(status, "wires"), i, node)
		printf("  %s -- %s  %s  %s\n",
			json_string_value(json_array_get(json_object_get(node, "endpoints"), 0)),
			json_string_value(json_array_get(json_object_get(node, "endpoints"), 1)),
			json_string_value(json_object_get(node, "state")),
			json_string_value(json_object_get(node, "words")));
}

// Removes -j from the words.
static bool take_json(int *argc, char **argv)
{
	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "-j") != 0)
			continue;
		memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof(*argv));
		(*argc)--;
		return true;
	}
	return false;
}

static int print_json(json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(value);
	return DONE;
}

int command_status(int argc, char **argv)
{
	bool json = take_json(&argc, argv);
	json_t *labs = journal_labs(), *all = json_array(), *name;
	bool found = !argc;
	size_t i;

	json_array_foreach (labs, i, name) {
		bool wanted = !argc || !strcmp(argv[0], json_string_value(name));

		found |= wanted;
		if (wanted)
			json_array_append_new(all, lab_status(json_string_value(name)));
	}
	json_decref(labs);
	if (!found) {
		fprintf(stderr, "weftlab: there is no lab %s (`weftlab list` shows them)\n",
			argv[0]);
		json_decref(all);
		return REFUSED;
	}
	if (json)
		return print_json(all);
	json_array_foreach (all, i, name)
		print_status(name);
	json_decref(all);
	return DONE;
}

int command_list(int argc, char **argv)
{
	bool json = take_json(&argc, argv);
	json_t *labs = journal_labs(), *all = json_array(), *name;
	size_t i;

	json_array_foreach (labs, i, name) {
		struct lab lab = {0};

		lab_name(&lab, json_string_value(name));
		json_array_append_new(all, json_pack("{s:O, s:s, s:s}", "name", name, "state",
						   lab_state(&lab), "dir", lab.dir));
	}
	json_decref(labs);
	if (json)
		return print_json(all);
	json_array_foreach (all, i, name)
		printf("%-20s %-7s %s\n", json_string_value(json_object_get(name, "name")),
			json_string_value(json_object_get(name, "state")),
			json_string_value(json_object_get(name, "dir")));
	json_decref(all);
	return DONE;
}
