// SPDX-License-Identifier: BSD-2-Clause
// A whole weftd with the sim engine inside a test: directories of its own, no root, no event loop.
#pragma once

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/instance.h"

#define RIG_MAYBE __attribute__((unused))

struct rig {
	struct weftd weftd;
	struct engine_ops ops; // those of sim; a test may make one fail
	char dir[64];
};

// An empty network namespace for the whole program: peers make neighbours where it runs.
static RIG_MAYBE bool rig_own_netns(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

// A directory of its own, in memory where there is such.
static RIG_MAYBE int rig_make(struct rig *rig)
{
	strcpy(rig->dir, "/dev/shm/weft-unit-XXXXXX");
	if (mkdtemp(rig->dir))
		return 0;
	strcpy(rig->dir, "/tmp/weft-unit-XXXXXX");
	return mkdtemp(rig->dir) ? 0 : -1;
}

static inline char *rig_path(const struct rig *rig, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", rig->dir, name) < 0)
		abort();
	return path;
}

static RIG_MAYBE int rig_start(struct rig *rig, struct failure *failure)
{
	struct weftd *weftd = &rig->weftd;
	int err;

	weftd->settings.name = strdup("unit");
	weftd->settings.engine = strdup("sim");
	weftd->settings.log_level = strdup("info");
	weftd->settings.state_dir = rig_path(rig, "state");
	weftd->settings.run_dir = rig_path(rig, "run");
	weftd->settings.bpf_dir = rig_path(rig, "bpf");
	weftd->base = event_base_new();
	err = instance_open(weftd, failure);
	if (!err)
		err = instance_start(weftd, failure);
	if (!err) {
		rig->ops = *weftd->engine_ops;
		weftd->engine_ops = &rig->ops;
	}
	return err;
}

// The objects stay in the state directory.
static RIG_MAYBE void rig_stop(struct rig *rig)
{
	struct settings *s = &rig->weftd.settings;

	instance_stop(&rig->weftd);
	event_base_free(rig->weftd.base);
	free(s->name);
	free(s->engine);
	free(s->log_level);
	free(s->state_dir);
	free(s->run_dir);
	free(s->bpf_dir);
	memset(&rig->weftd, 0, sizeof(rig->weftd));
}

static inline void rig_delete(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *below = NULL;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0)
			abort();
		if (entry->d_type == DT_DIR)
			rig_delete(below);
		else
			unlink(below);
		free(below);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

// Runs one command line, words separated by blanks; the answer as the client gets it.
static RIG_MAYBE json_t *rig_run(struct rig *rig, bool json, const char *line, json_t *files)
{
	json_t *words = json_array();
	char *copy = strdup(line);
	char *rest = copy;
	json_t *request, *answer;
	char *word;

	while ((word = strsep(&rest, " ")))
		if (*word)
			json_array_append_new(words, json_string(word));
	free(copy);
	request = json_pack("{s:o, s:b}", "words", words, "json", json);
	if (files)
		json_object_set_new(request, "files", files);
	answer = command_run(&rig->weftd, request);
	json_decref(request);
	return answer;
}
