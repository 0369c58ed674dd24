// SPDX-License-Identifier: BSD-2-Clause
// main.c - weftlab: the table of commands
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "topo/lab/commands.h"
#include "topo/lab/journal.h"
#include "topo/lab/kind.h"
#include "topo/lab/process.h"
#include "topo/lab/shipped.h"
#include "topo/lab/up.h"

int refuse(const struct lab *lab)
{
	fprintf(stderr, "weftlab: %s\n", lab->why);
	return REFUSED;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// "2 hosts, 1 vm"
static void count_kinds(const struct lab *lab, char *text, size_t size)
{
	size_t used = 0;

	text[0] = 0;
	for (size_t i = 0; kinds[i]; i++) {
		unsigned count = 0;

		for_each_node (node, lab)
			count += node->kind == kinds[i];
		if (count && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%u %s",
				used ? ", " : "", count, kinds[i]->name);
	}
}

static int command_up(int argc, char **argv)
{
	double start_s = now_s();
	struct lab lab;
	char text[128];
	int err;

	if (argc == 2 || (argc == 3 && strcmp(argv[0], "--engine") != 0)) {
		fprintf(stderr, "usage: weftlab up [--engine ENGINE] FILE|NAME\n");
		return WRONG_WORDS;
	}
	process_catch_signals();
	err = shipped_load(&lab, argv[argc - 1], argc == 3 ? argv[1] : getenv(ENGINE_VARIABLE));
	if (!err)
		err = lab_up(&lab);
	if (err) {
		refuse(&lab);
	} else {
		count_kinds(&lab, text, sizeof(text));
		printf("lab %s is up after %.1f s: %s\n", lab.name, now_s() - start_s, text);
	}
	lab_free(&lab);
	return err ? REFUSED : DONE;
}

static int take_down(const char *name)
{
	struct lab lab = {0};

	if (lab_down(&lab, name))
		return refuse(&lab);
	printf("lab %s is down\n", name);
	return DONE;
}

// One lab may be meant without its name when no other is there.
static int command_down(int argc, char **argv)
{
	json_t *labs = journal_labs(), *name;
	int status = DONE;
	size_t i;

	process_catch_signals();
	if (argc && strcmp(argv[0], "--all") != 0) {
		status = take_down(argv[0]);
	} else if (argc || json_array_size(labs) == 1) {
		json_array_foreach (labs, i, name)
			status |= take_down(json_string_value(name));
	} else {
		fprintf(stderr, "weftlab: %s\n",
			json_array_size(labs) ? "several labs run: name one, or say --all"
					      : "no lab runs");
		status = REFUSED;
	}
	json_decref(labs);
	return status;
}

static const struct command {
	const char *name;
	int min, max; // words
	int (*run)(int argc, char **argv);
	const char *words;
	const char *help;
} commands[] = {
	{"up", 1, 3, command_up, "[--engine ENGINE] FILE|NAME",
		"build the lab of a file, or a shipped one"},
	{"down", 0, 1, command_down, "[LAB|--all]", "take a lab down: nothing of it is left"},
	{"exec", 2, 1 << 20, command_exec, "[LAB:]NODE CMD...",
		"run a command in a node; ends with its status"},
	{"restart", 1, 2, command_restart, "[LAB:]NODE [--kill]",
		"end a host's weftd, or a VM, if it runs, and start it again"},
	{"status", 0, 2, command_status, "[LAB] [-j]", "the nodes and wires, and how they are"},
	{"graph", 1, 5, command_graph, "FILE|NAME [--dot F] [--svg F]",
		"the topology as text, or as a picture (- is standard output)"},
	{"trace", 0, 64, command_trace, "[LAB] [FILTER] [count N] ...",
		"follow packets over all hosts: `weftctl trace` at each"},
	{"path", 2, 7, command_path, "[LAB:]NODE ADDRESS[:PORT] [count N] [--plot [FILE]] [-j]",
		"where the time of a request goes: `weftctl path` at every host"},
	{"list", 0, 1, command_list, "[-j]", "the labs that run"},
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static int usage(FILE *out)
{
	fputs("usage: weftlab COMMAND ...\nBuilds topologies of weft hosts, VMs, clients, routers "
	      "and foreign switches on one machine.\n\n",
		out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-7s %-30s %s\n", commands[i].name, commands[i].words,
			commands[i].help);
	fputs("\nLabs are files in YAML: see topo/README.md and topo/labs.\n", out);
	return out == stdout ? DONE : WRONG_WORDS;
}

// What a node's command finds first: weftctl and its like.
static void extend_path(void)
{
	const char *old = getenv("PATH");
	char folder[PATH_MAX], *path;

	process_beside("", folder);
	if (asprintf(&path, "%s:%s", folder, old ? old : "/usr/sbin:/usr/bin:/sbin:/bin") < 0)
		abort();
	setenv("PATH", path, 1);
	free(path);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage(stdout);
	extend_path();
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc - 2 >= commands[i].min && argc - 2 <= commands[i].max)
			return commands[i].run(argc - 2, argv + 2);
		fprintf(stderr, "usage: weftlab %s %s\n", argv[1], commands[i].words);
		return WRONG_WORDS;
	}
	fprintf(stderr, "weftlab: there is no command '%s' (`weftlab --help` lists them)\n",
		argv[1]);
	return WRONG_WORDS;
}
