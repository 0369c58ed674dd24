// SPDX-License-Identifier: BSD-2-Clause
// trace.c - weftctl at every host of a lab at once: its trace
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/lab/commands.h"
#include "topo/lab/host.h"
#include "topo/lab/journal.h"
#include "topo/lab/up.h"

size_t hosts_argv(const struct lab *lab, bool json, const char **argv, size_t room)
{
	size_t count = 0;

	argv[count++] = "weftctl";
	if (json)
		argv[count++] = "-j";
	for_each_node (node, lab) {
		char *path;

		if (node->kind != &kind_host || count + 4 > room)
			continue;
		path = malloc(PATH_MAX);
		if (!path)
			abort();
		host_socket(lab, node, path);
		argv[count++] = "-s";
		argv[count++] = path; // the process's, until it execs
	}
	return count;
}

// The first word may be a lab's name.
int command_trace(int argc, char **argv)
{
	const char *words[HOSTS_WORDS];
	struct lab lab = {0};
	json_t *labs = journal_labs(), *name;
	const char *only = NULL;
	bool json = false;
	size_t i, count;

	for (int k = 0; k < argc; k++) {
		if (strcmp(argv[k], "-j") != 0)
			continue;
		json = true;
		argc--;
		memmove(argv + k, argv + k + 1, (size_t)(argc - k) * sizeof(*argv));
		break;
	}
	json_array_foreach (labs, i, name) {
		const char *text = json_string_value(name);

		if (argc && !strcmp(argv[0], text)) {
			only = text;
			argc--, argv++;
			break;
		}
		only = json_array_size(labs) == 1 ? text : NULL;
	}
	if (argc > HOSTS_WORDS / 2) {
		fprintf(stderr, "weftlab: trace takes %d words at most\n", HOSTS_WORDS / 2);
		return WRONG_WORDS;
	}
	if (!only) {
		fprintf(stderr, "weftlab: %s\n",
			json_array_size(labs) ? "several labs run: name one" : "no lab runs");
		return REFUSED;
	}
	if (lab_reload(&lab, only))
		return refuse(&lab);
	count = hosts_argv(&lab, json, words, HOSTS_WORDS - (size_t)argc - 2);
	words[count++] = "trace";
	for (int k = 0; k < argc; k++)
		words[count++] = argv[k];
	words[count] = NULL;
	execvp(words[0], (char *const *)words);
	fprintf(stderr, "weftlab: weftctl: %m\n");
	return REFUSED;
}
