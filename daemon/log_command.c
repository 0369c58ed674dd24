// SPDX-License-Identifier: BSD-2-Clause
// log show, log set MODULE level L.

#include <errno.h>
#include <weft/log.h>
#include "daemon/command_table.h"
#include "daemon/near.h"
#include "daemon/value.h"

static void add_row(const char *name, enum log_level level, void *context)
{
	json_array_append_new(
		context, json_pack("{s:s, s:s}", "module", name, "level", log_level_name(level)));
}

static int log_show(struct request *request)
{
	request->result = json_array();
	log_walk(add_row, request->result);
	return 0;
}

static void add_name(const char *name, enum log_level level, void *context)
{
	(void)level;
	json_array_append_new(context, json_string(name));
}

static int log_set(struct request *request)
{
	const char *module = spec_text(request->arguments, "module", "");
	enum log_level level = LOG_LEVEL_info;
	json_t *names;
	const char *near;

	log_level_parse(spec_text(request->arguments, "level", ""), &level);
	if (log_set_level(module, level) == 0)
		return log_show(request);
	names = json_array();
	log_walk(add_name, names);
	near = near_word(module, names);
	fail(&request->failure, -ENOENT, "not_found", "there is no log module %s", module);
	if (near)
		fail_hint(&request->failure, "did you mean %s?", near);
	else
		fail_hint(&request->failure, "`log show` lists the modules");
	json_decref(names);
	return -ENOENT;
}

static const struct argument set_arguments[] = {
	{.word = "module",
		.kind = ARGUMENT_NAME,
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL,
		.help = "module, as `log show` lists them"},
	{.word = "level",
		.kind = ARGUMENT_CHOICE,
		.flags = ARGUMENT_REQUIRED,
		.choices = "error|warn|info|debug",
		.help = "the least grave that is written"},
	{0},
};

extern const struct command log_commands[];
const struct command log_commands[] = {
	{.object = "log",
		.verb = "show",
		.help = "Show each module of weftd and what it logs",
		.columns = "module,level",
		.run = log_show},
	{.object = "log",
		.verb = "set",
		.arguments = set_arguments,
		.help = "Change what a module logs, until weftd restarts",
		.columns = "module,level",
		.run = log_set},
	{0},
};
