// SPDX-License-Identifier: BSD-2-Clause
// Reads --config and fills in the defaults.

#include "daemon/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/control.h>
#include "daemon/near.h"
#include "daemon/value.h"
#include "daemon/yaml.h"

enum { CONFIG_MAX_BYTES = 1 << 20, CAPACITY_MAX = 1 << 26 };

static const struct {
	const char *key;
	size_t offset;
} texts[] = {
	{"name", offsetof(struct settings, name)},
	{"engine", offsetof(struct settings, engine)},
	{"state_dir", offsetof(struct settings, state_dir)},
	{"run_dir", offsetof(struct settings, run_dir)},
	{"bpf_dir", offsetof(struct settings, bpf_dir)},
	{"log_level", offsetof(struct settings, log_level)},
};

static char **text_at(struct settings *settings, size_t i)
{
	return (char **)((char *)settings + texts[i].offset);
}

int settings_unknown(const char *key, json_t *possible, const char *path, struct failure *failure)
{
	const char *near = near_word(key, possible);

	fail(failure, -EINVAL, "bad_config", "%s: unknown setting '%s'", path, key);
	if (near)
		fail_hint(failure, "did you mean '%s'?", near);
	json_decref(possible);
	return -EINVAL;
}

static int set_capacity(
	struct settings *settings, json_t *capacity, const char *path, struct failure *failure)
{
	const struct argument number = {
		.word = "capacity", .kind = ARGUMENT_NUMBER, .min = 1, .max = CAPACITY_MAX};
	const char *key;
	json_t *value;

	if (!json_is_object(capacity))
		return fail(failure, -EINVAL, "bad_config",
			"%s: capacity must hold tables and their sizes", path);
	json_object_foreach (capacity, key, value) {
		json_t *possible = json_array();
		json_t *rows;
		int table;

		for (table = 0;
			table < WEFT_TABLE_count && strcmp(table_infos[table].name, key) != 0;
			table++)
			json_array_append_new(possible, json_string(table_infos[table].name));
		if (table == WEFT_TABLE_count)
			return settings_unknown(key, possible, path, failure);
		json_decref(possible);
		rows = value_from_json(&number, value, failure);
		if (!rows)
			return fail(failure, -EINVAL, "bad_config",
				"%s: the capacity of table %s must be a number from 1 to %d", path,
				key, CAPACITY_MAX);
		settings->capacity[table] = (u32)json_integer_value(rows);
		json_decref(rows);
	}
	return 0;
}

static int set_one(struct settings *settings, const char *key, json_t *value, const char *path,
	struct failure *failure)
{
	json_t *possible;

	if (strcmp(key, "capacity") == 0)
		return set_capacity(settings, value, path, failure);
	if (settings_engine_read(settings, key, value, path, failure))
		return failure->code;
	possible = json_pack("[s,s,s]", "capacity", "dpdk", "ebpf");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(texts); i++) {
		char **text = text_at(settings, i);

		json_array_append_new(possible, json_string(texts[i].key));
		if (strcmp(texts[i].key, key) != 0)
			continue;
		json_decref(possible);
		if (!json_is_string(value))
			return fail(
				failure, -EINVAL, "bad_config", "%s: %s must be text", path, key);
		if (!*text) // the command line goes before
			*text = strdup(json_string_value(value));
		return 0;
	}
	return settings_unknown(key, possible, path, failure);
}

static char *read_file(const char *path, size_t *length, struct failure *failure)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, CONFIG_MAX_BYTES + 1);
	int err = errno;

	if (file) {
		*length = fread(text, 1, CONFIG_MAX_BYTES, file);
		err = ferror(file) ? errno : 0;
		fclose(file);
		if (!err)
			return text;
	}
	fail(failure, -err, "bad_config", "cannot read %s: %s", path, strerror(err));
	free(text);
	return NULL;
}

int settings_read(struct settings *settings, const char *path, struct failure *failure)
{
	size_t length;
	char *text = read_file(path, &length, failure);
	json_t *config = text ? document_parse(text, length, failure) : NULL;
	const char *key;
	json_t *value;
	int err = 0;

	free(text);
	if (!config && failure->code_name[0] && strcmp(failure->code_name, "bad_file") == 0) {
		char message[sizeof(failure->message)];

		snprintf(message, sizeof(message), "%s", failure->message);
		return fail(failure, -EINVAL, "bad_config", "%s: %s", path, message);
	}
	if (!config)
		return failure->code;
	if (!json_is_object(config))
		err = fail(failure, -EINVAL, "bad_config",
			"%s holds no settings such as `name: h1`", path);
	json_object_foreach (config, key, value) {
		err = set_one(settings, key, value, path, failure);
		if (err)
			break;
	}
	json_decref(config);
	return err;
}

// What is kept and pinned must not depend on where weftd was started.
static void make_absolute(char **dir)
{
	char *here = **dir == '/' ? NULL : get_current_dir_name();
	char *path;

	if (!here)
		return;
	if (asprintf(&path, "%s/%s", here, *dir) < 0)
		abort();
	free(here);
	free(*dir);
	*dir = path;
}

void settings_default(struct settings *settings)
{
	char host[65] = "weft";

	gethostname(host, sizeof(host) - 1);
	if (!settings->name)
		settings->name = strdup(host);
	if (!settings->engine)
		settings->engine = strdup("ebpf");
	if (!settings->state_dir)
		settings->state_dir = strdup(WEFT_STATE_DIR);
	if (!settings->run_dir)
		settings->run_dir = strdup(WEFT_RUN_DIR);
	if (!settings->bpf_dir)
		settings->bpf_dir = strdup(WEFT_BPF_DIR);
	if (!settings->log_level)
		settings->log_level = strdup("info");
	make_absolute(&settings->state_dir);
	make_absolute(&settings->run_dir);
	make_absolute(&settings->bpf_dir);
}

void settings_free(struct settings *settings)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(texts); i++) {
		char **text = text_at(settings, i);

		free(*text);
		*text = NULL;
	}
	free(settings->ebpf_xdp);
	settings->ebpf_xdp = NULL;
	free(settings->dpdk.cores);
	free(settings->dpdk.pages);
	free(settings->dpdk.xdp);
	settings->dpdk = (struct settings_dpdk){0};
}
