// SPDX-License-Identifier: BSD-2-Clause
// The sections `dpdk` and `ebpf` of --config: what the engines may take of this host.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/settings.h"
#include "daemon/value.h"

enum { CORE_MAX = 1023, MEMORY_MIN_MB = 16, MEMORY_MAX_MB = 1 << 20, SLOTS_MAX = 1 << 24 };
enum { SPIN_MAX_US = 1000000 };

struct key {
	struct argument argument;
	const char *wants;
};

static const struct key dpdk_keys[] = {
	{{.word = "cores", .kind = ARGUMENT_TEXT}, "cores as in \"1-2,4\", each at most 1023"},
	{{.word = "memory_mb", .kind = ARGUMENT_NUMBER, .min = MEMORY_MIN_MB, .max = MEMORY_MAX_MB},
		"a number of MiB from 16 to 1048576"},
	{{.word = "pages", .kind = ARGUMENT_CHOICE, .choices = "auto|huge|small"},
		"auto, huge or small"},
	{{.word = "flow_slots", .kind = ARGUMENT_NUMBER, .min = 64, .max = SLOTS_MAX},
		"a power of two from 64 to 16777216"},
	{{.word = "spin_us", .kind = ARGUMENT_NUMBER, .min = 1, .max = SPIN_MAX_US},
		"a number of microseconds from 1 to 1000000"},
	{{.word = "pci", .kind = ARGUMENT_BOOL}, "true or false"},
	{{.word = "xdp", .kind = ARGUMENT_CHOICE, .choices = "auto|on|off"}, "auto, on or off"},
};

// "N" or "N-M"; returns what follows. NULL: something else.
static const char *core_range(const char *text)
{
	long core[2] = {0, 0};
	for (int i = 0; i < 2; i++) {
		size_t digits = strspn(text, "0123456789");
		if (!digits || digits > 4)
			return NULL;
		core[i] = strtol(text, (char **)&text, 10);
		if (i == 0 && *text != '-') {
			core[1] = core[0];
			break;
		}
		text += i == 0;
	}
	return core[0] <= core[1] && core[1] <= CORE_MAX ? text : NULL;
}

static bool cores_valid(const char *text)
{
	text = core_range(text);
	while (text && *text == ',')
		text = core_range(text + 1);
	return text && !*text;
}

static bool is_power(json_int_t number)
{
	return (number & (number - 1)) == 0;
}

static bool take_dpdk(struct settings *settings, size_t key, const json_t *value)
{
	struct settings_dpdk *dpdk = &settings->dpdk;
	json_int_t number = json_integer_value(value);
	switch (key) {
	case 0:
		free(dpdk->cores);
		dpdk->cores = strdup(json_string_value(value));
		return cores_valid(dpdk->cores);
	case 1:
		dpdk->memory_mb = (u32)number;
		return true;
	case 2:
		free(dpdk->pages);
		dpdk->pages = strdup(json_string_value(value));
		return true;
	case 3:
		dpdk->flow_slots = (u32)number;
		return is_power(number);
	case 4:
		dpdk->spin_us = (u32)number;
		return true;
	case 5:
		dpdk->pci = json_is_true(value);
		return true;
	default:
		free(dpdk->xdp);
		dpdk->xdp = strdup(json_string_value(value));
		return true;
	}
}

static const struct key ebpf_keys[] = {
	{{.word = "flow_slots", .kind = ARGUMENT_NUMBER, .min = 64, .max = 1 << 22},
		"a power of two from 64 to 4194304"},
	{{.word = "xdp", .kind = ARGUMENT_CHOICE, .choices = "auto|on|off"}, "auto, on or off"},
};

static bool take_ebpf(struct settings *settings, size_t key, const json_t *value)
{
	if (key == 0) {
		settings->ebpf_flow_slots = (u32)json_integer_value(value);
		return is_power(json_integer_value(value));
	}
	free(settings->ebpf_xdp);
	settings->ebpf_xdp = strdup(json_string_value(value));
	return true;
}

static const struct section {
	const char *name, *example;
	const struct key *keys;
	size_t key_count;
	bool (*take)(struct settings *settings, size_t key, const json_t *value);
} sections[] = {
	{"dpdk", "memory_mb: 256", dpdk_keys, WEFT_ARRAY_SIZE(dpdk_keys), take_dpdk},
	{"ebpf", "flow_slots: 65536", ebpf_keys, WEFT_ARRAY_SIZE(ebpf_keys), take_ebpf},
};

static int set_key(struct settings *settings, const struct section *section, const char *key,
	const json_t *value, const char *path, struct failure *failure)
{
	json_t *possible = json_array();
	for (size_t i = 0; i < section->key_count; i++) {
		const struct key *known = &section->keys[i];
		json_array_append_new(possible, json_string(known->argument.word));
		if (strcmp(known->argument.word, key) != 0)
			continue;
		json_decref(possible);
		json_t *parsed = value_from_json(&known->argument, value, failure);
		bool valid = parsed && section->take(settings, i, parsed);
		json_decref(parsed);
		return valid ? 0
			     : fail(failure, -EINVAL, "bad_config", "%s: %s.%s must be %s", path,
				       section->name, key, known->wants);
	}
	return settings_unknown(key, possible, path, failure);
}

static int read_section(struct settings *settings, const struct section *section,
	const json_t *values, const char *path, struct failure *failure)
{
	const char *key;
	json_t *value;
	int error = 0;
	if (!json_is_object(values))
		return fail(failure, -EINVAL, "bad_config",
			"%s: %s must hold settings such as `%s`", path, section->name,
			section->example);
	json_object_foreach ((json_t *)values, key, value) {
		error = error ? error : set_key(settings, section, key, value, path, failure);
	}
	return error;
}

bool settings_engine_read(struct settings *settings, const char *name, const json_t *values,
	const char *path, struct failure *failure)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(sections); i++)
		if (strcmp(sections[i].name, name) == 0) {
			read_section(settings, &sections[i], values, path, failure);
			return true;
		}
	return false;
}
