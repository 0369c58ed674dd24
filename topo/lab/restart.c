// SPDX-License-Identifier: BSD-2-Clause
// restart.c - ends a node's process, if it runs, and starts it again as `up` did
#include <errno.h>
#include <string.h>

#include "topo/lab/commands.h"
#include "topo/lab/journal.h"
#include "topo/lab/kind.h"
#include "topo/lab/process.h"

// Objects are not among them: weftd knows its own.
static const enum pass passes[] = {PASS_START, PASS_READY, PASS_BOOT, PASS_BOOTED};

static int restart(struct lab *lab, struct node *node, bool kill)
{
	int err = node->kind->end(lab, node, kill), unwritten;

	for (size_t i = 0; i < sizeof(passes) / sizeof(*passes) && !err; i++)
		if (node->kind->passes[passes[i]])
			err = node->kind->passes[passes[i]](lab, node);
	unwritten = journal_add(lab, "up", ""); // no half-built lab, even if this node is down now
	return err ? err : unwritten;
}

int command_restart(int argc, char **argv)
{
	bool kill = argc == 2 && !strcmp(argv[1], "--kill");
	struct lab lab = {0};
	struct node *node;
	int err;

	if (argc == 2 && !kill) {
		fprintf(stderr, "usage: weftlab restart [LAB:]NODE [--kill]\n");
		return WRONG_WORDS;
	}
	process_catch_signals();
	if (running_node(&lab, argv[0], &node))
		return refuse(&lab);
	err = node->kind->end ? journal_open(&lab)
			      : lab_fail(&lab, EINVAL,
					"node %s is a %s: only a host or a vm can be restarted",
					node->name, node->kind->name);
	if (!err && !journal_is_up(&lab))
		err = lab_fail(&lab, EINVAL,
			"lab %s was left half built: `weftlab down %s` removes what is left",
			lab.name, lab.name);
	if (!err)
		err = restart(&lab, node, kill);
	if (err)
		refuse(&lab);
	journal_close(&lab);
	lab_free(&lab);
	return err ? REFUSED : DONE;
}
