// SPDX-License-Identifier: BSD-2-Clause
// exec.c - runs a command in a node of a running lab
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/lab/commands.h"
#include "topo/lab/host.h"
#include "topo/lab/journal.h"
#include "topo/lab/netns.h"
#include "topo/lab/up.h"

enum { CANNOT_RUN = 126, NOT_FOUND = 127, NOT_REACHED = 125 };

static int exec_in_netns(struct lab *lab, const struct node *node, char **argv)
{
	char netns[NAME_MAX], socket[PATH_MAX];
	int home;

	node_netns(lab, node, netns);
	home = netns_enter(lab, netns);
	if (home < 0)
		return home;
	host_socket(lab, node, socket);
	if (node->kind == &kind_host)
		setenv("WEFT_SOCKET", socket, 1);
	execvp(argv[0], argv);
	home = -errno;
	return lab_fail(lab, -home, "%s: %s", argv[0], strerror(-home));
}

// `wanted` NULL: any lab.
static int find(struct lab *found, const char *wanted, const char *node)
{
	json_t *labs = wanted ? json_pack("[s]", wanted) : journal_labs(), *name;
	char list[256] = "";
	int count = 0;
	size_t i;

	json_array_foreach (labs, i, name) {
		struct lab lab = {0};
		size_t used = strlen(list);

		if (!lab_reload(&lab, json_string_value(name)) && lab_node(&lab, node)) {
			snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
				json_string_value(name));
			if (!count++) {
				*found = lab;
				continue;
			}
		}
		lab_free(&lab);
	}
	json_decref(labs);
	if (count == 1)
		return 0;
	lab_free(found);
	if (count)
		return lab_fail(found, EINVAL, "several labs have a node %s (%s): say LAB:%s", node,
			list, node);
	return lab_fail(found, ENOENT,
		wanted ? "there is no node %s in a lab %s that runs"
		       : "no lab that runs has a node %s",
		node, wanted);
}

int running_node(struct lab *lab, char *word, struct node **node)
{
	char *colon = strchr(word, ':'), *name = colon ? colon + 1 : word;
	int err;

	if (colon)
		*colon = 0;
	err = find(lab, colon ? word : NULL, name);
	*node = err ? NULL : lab_node(lab, name);
	return err;
}

int command_exec(int argc, char **argv)
{
	struct lab lab = {0};
	struct node *where;
	int err;

	(void)argc;
	if (running_node(&lab, argv[0], &where)) {
		refuse(&lab);
		return NOT_REACHED;
	}
	err = where->kind->exec ? where->kind->exec(&lab, where, argv + 1)
				: exec_in_netns(&lab, where, argv + 1);
	refuse(&lab);
	lab_free(&lab);
	return err == -ENOENT ? NOT_FOUND : CANNOT_RUN;
}
