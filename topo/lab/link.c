// SPDX-License-Identifier: BSD-2-Clause
// link.c - makes links
#include "topo/lab/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "topo/lab/device.h"
#include "topo/lab/process.h"

enum { READY_MS = 10000, WORDS_MAX = 32 };

bool link_is_wire(const struct link *link)
{
	return link->delay || link->jitter || link->loss || link->reorder || link->duplicate ||
	       link->rate || link->seed;
}

void link_words(const struct link *link, char *words, size_t size)
{
	const struct {
		const char *word;
		const char *value;
	} all[] = {
		{"delay", link->delay},
		{"jitter", link->jitter},
		{"loss", link->loss},
		{"reorder", link->reorder},
		{"duplicate", link->duplicate},
		{"rate", link->rate},
		{"seed", link->seed},
	};
	size_t used = 0;

	words[0] = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].value && used < size)
			used += (size_t)snprintf(words + used, size - used, "%s%s %s",
				used ? " " : "", all[i].word, all[i].value);
	if (link->mtu && used < size)
		snprintf(words + used, size - used, "%smtu %u", used ? " " : "", link->mtu);
}

// Its process belongs to the node of the first end.
static void wire_name(const struct link *link, char name[32])
{
	snprintf(name, 32, "wire-%s", link->ends[0].dev);
}

pid_t link_pid(const struct lab *lab, const struct link *link)
{
	char name[32];

	wire_name(link, name);
	return process_pid(lab, link->ends[0].node, name);
}

// A wire without a seed has one of its own, the same each time: two wires do not lose alike.
static void seed_word(const struct link *link, char word[16])
{
	unsigned int hash = 2166136261u; // FNV-1a

	for (size_t i = 0; i < 2; i++) {
		const char *texts[] = {link->ends[i].node->name, ":", link->ends[i].dev, " "};

		for (size_t k = 0; k < 4; k++)
			for (const char *c = texts[k]; *c; c++)
				hash = (hash ^ (unsigned char)*c) * 16777619u;
	}
	snprintf(word, 16, "%u", hash);
}

static int start_wire(struct lab *lab, struct link *link)
{
	char program[PATH_MAX], ends[2][NAME_MAX + 32], words[512], name[32], seed[16];
	char *argv[WORDS_MAX] = {program, ends[0], ends[1]}, *rest = words;
	size_t argc = 3;
	int out[2], err;

	process_beside("weft-wire", program);
	wire_name(link, name);
	link_words(link, words, sizeof(words));
	for (size_t i = 0; i < 2; i++)
		snprintf(ends[i], sizeof(ends[i]), "%s@weft-%s-%s", link->ends[i].dev, lab->name,
			link->ends[i].node->name);
	while (rest && argc < WORDS_MAX - 3)
		argv[argc++] = strsep(&rest, " ");
	if (!link->seed) {
		seed_word(link, seed);
		argv[argc++] = "seed";
		argv[argc++] = seed;
	}
	if (pipe2(out, O_CLOEXEC))
		return lab_fail(lab, errno, "pipe: %m");
	err = process_start(lab, link->ends[0].node,
		&(struct daemon){.name = name, .argv = argv, .out = out[1]});
	close(out[1]);
	link->waiting = (struct waiting){.ready = out[0], .pidfd = err};
	if (err >= 0)
		return 0;
	close(out[0]);
	return err;
}

int link_make(struct lab *lab, struct link *link)
{
	return link_is_wire(link) ? start_wire(lab, link)
				  : device_veth(lab, &link->ends[0], &link->ends[1], link->mtu);
}

int link_wait(struct lab *lab, struct link *link)
{
	char word[16], name[32];
	int err;

	if (!link_is_wire(link))
		return 0;
	wire_name(link, name);
	err = process_wait(link->waiting.ready, link->waiting.pidfd, READY_MS);
	// It says `ready`, or its end is the end of the pipe.
	if (!err && read(link->waiting.ready, word, sizeof(word)) <= 0)
		err = -ESRCH;
	close(link->waiting.ready);
	close(link->waiting.pidfd);
	if (err == -EINTR)
		return lab_fail(lab, EINTR, "interrupted");
	return err ? process_fail(lab, link->ends[0].node, name, -err,
			     err == -ETIMEDOUT ? "is not ready" : "ended")
		   : 0;
}
