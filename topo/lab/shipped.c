// SPDX-License-Identifier: BSD-2-Clause
// shipped.c - finds the files of weft's folder topo, wherever weftlab runs
#include "topo/lab/shipped.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/lab/process.h"

#define SUFFIX ".yaml"

bool shipped_path(const char *file, char path[PATH_MAX])
{
	static const char *const beside[] = {"../topo", "../share/weft/topo"};
	const char *topo = getenv("WEFT_TOPO");
	char place[128];

	if (topo)
		return snprintf(path, PATH_MAX, "%s/%s", topo, file) < PATH_MAX &&
		       !access(path, R_OK);
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
		snprintf(place, sizeof(place), "%s/%s", beside[i], file);
		process_beside(place, path);
		if (!access(path, R_OK))
			return true;
	}
	return false;
}

void shipped_cache(const char *file, char path[PATH_MAX])
{
	process_beside("../share/weft/topo", path);
	if (access(path, F_OK))
		process_beside(file, path);
	else
		snprintf(path, PATH_MAX, "/var/cache/weft/%s", file);
}

// The length of a lab's name in the name of its file; 0: it is none.
static size_t name_length(const char *file)
{
	const char *suffix = strrchr(file, '.');

	return suffix && !strcmp(suffix, SUFFIX) ? (size_t)(suffix - file) : 0;
}

static int is_lab_file(const struct dirent *entry)
{
	return name_length(entry->d_name) > 0;
}

static int refuse_name(struct lab *lab, const char *word)
{
	char folder[PATH_MAX], list[512] = "";
	struct dirent **entries;
	size_t used = 0;
	int n;

	if (!shipped_path("labs", folder))
		return lab_fail(lab, ENOENT,
			"there is no file %s, and no folder of labs: set WEFT_TOPO to the folder "
			"topo of weft's sources",
			word);
	n = scandir(folder, &entries, is_lab_file, alphasort);
	for (int i = 0; i < n; i++) {
		const char *file = entries[i]->d_name;

		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s",
				used ? ", " : "", (int)name_length(file), file);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return lab_fail(lab, ENOENT, "there is no file and no lab %s; the labs in %s are: %s", word,
		folder, list);
}

int shipped_load(struct lab *lab, const char *word, const char *engine)
{
	char file[NAME_MAX], path[PATH_MAX];

	if (!access(word, F_OK) || strchr(word, '/'))
		return lab_load(lab, word, engine);
	if (snprintf(file, sizeof(file), "labs/%s" SUFFIX, word) < (int)sizeof(file) &&
		shipped_path(file, path))
		return lab_load(lab, path, engine);
	memset(lab, 0, sizeof(*lab));
	return refuse_name(lab, word);
}
