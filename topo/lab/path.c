// SPDX-License-Identifier: BSD-2-Clause
// path.c - weftctl's path at every host of a lab at once, with requests from a node
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/target.h"
#include "topo/lab/commands.h"
#include "topo/lab/kind.h"
#include "topo/lab/process.h"
#include "topo/lab/tree.h"

struct asked {
	struct node *from;
	char *node; // "LAB:NODE"
	const char *to, *count;
	bool v6, json;
	const char *plot; // NULL: none
};

static bool read_words(struct asked *asked, int argc, char **argv)
{
	struct target target;

	*asked = (struct asked){.node = strdup(argv[0]), .to = argv[1], .count = "100"};
	for (int i = 2; i < argc; i++) {
		bool last = i + 1 == argc;
		bool file = !last && strcmp(argv[i + 1], "count") != 0 &&
			    (argv[i + 1][0] != '-' || !argv[i + 1][1]);

		if (!strcmp(argv[i], "-j"))
			asked->json = true;
		else if (!strcmp(argv[i], "--plot"))
			asked->plot = file ? argv[++i] : "-";
		else if (!strcmp(argv[i], "count") && !last)
			asked->count = argv[++i];
		else
			return false;
	}
	if (!target_read(asked->to, &target))
		return false;
	asked->v6 = target.v6;
	return true;
}

// Behind a port it is known by that; else by its first address of the family.
static bool name_sender(const struct asked *asked, char from[64])
{
	const struct tree *list = NULL;
	const char *dev;

	if (asked->from->host) {
		snprintf(from, 64, "%s", asked->from->port);
		return true;
	}
	while ((list = node_places(asked->from, list, &dev)))
		for (const struct tree *one = list->first; one; one = one->next) {
			if (!strchr(one->text, ':') == asked->v6)
				continue;
			snprintf(from, 64, "%.*s", (int)strcspn(one->text, "/"), one->text);
			return true;
		}
	return false;
}

static int ask(const struct lab *lab, const struct asked *asked)
{
	const char *words[HOSTS_WORDS];
	size_t count = hosts_argv(lab, asked->json, words, HOSTS_WORDS - 12);
	char from[64], self[PATH_MAX], with[PATH_MAX + 256];

	if (!name_sender(asked, from)) {
		fprintf(stderr, "weftlab: %s has no address to reach %s from\n", asked->node,
			asked->to);
		return REFUSED;
	}
	process_beside("weftlab", self);
	snprintf(with, sizeof(with), "%s exec %s", self, asked->node);
	for (const char *const *word = (const char *const[]){"path", from, asked->to, "request",
		     asked->count, "with", with, asked->plot ? "--plot" : NULL, asked->plot, NULL};
		*word; word++)
		words[count++] = *word;
	words[count] = NULL;
	execvp(words[0], (char *const *)words);
	fprintf(stderr, "weftlab: weftctl: %m\n");
	return REFUSED;
}

int command_path(int argc, char **argv)
{
	struct lab lab = {0};
	struct asked asked;
	int status;

	if (!read_words(&asked, argc, argv)) {
		fprintf(stderr, "usage: weftlab path [LAB:]NODE ADDRESS[:PORT] [count N] "
				"[--plot [FILE]] [-j]\n");
		status = WRONG_WORDS;
	} else if (running_node(&lab, argv[0], &asked.from)) {
		status = refuse(&lab);
	} else {
		status = ask(&lab, &asked);
		lab_free(&lab);
	}
	free(asked.node);
	return status;
}
