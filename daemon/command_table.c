// SPDX-License-Identifier: BSD-2-Clause
// Builds the command table: the groups of list 4 and four verbs for each noun, arguments derived.

#include "daemon/command_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/types.h>
#include "daemon/model.h"
#include "daemon/value.h"

// What each verb makes of a noun's arguments.
struct verb {
	const char *word;
	const char *help; // with the noun's name in place of %s
	int (*run)(struct request *request);
	bool singletons;      // host has it too
	bool identity_needed; // else it filters
	bool others;          // arguments that are not of the identity
	bool others_needed;   // as the noun declares them
	bool fixed;           // those that set may not change
};

static const struct verb verbs[] = {
	{"show", "Show each %s, or those that have the given values", object_run_show, true, false,
		true, false, true},
	{"add", "Add a %s", object_run_add, false, true, true, true, true},
	{"set", "Change the given values of a %s", object_run_set, true, true, true, false, false},
	{"del", "Delete a %s", object_run_del, false, true, false, false, false},
};

static bool in_identity(const struct noun *noun, const struct argument *argument)
{
	const char *at = noun->identity ? noun->identity : "";
	char key[64];

	while (identity_next(&at, key, sizeof(key)))
		if (strcmp(key, argument_key(argument)) == 0)
			return true;
	return false;
}

static const struct argument *verb_arguments(const struct verb *verb, const struct noun *noun)
{
	struct argument *list;
	size_t count = 0;

	while (noun->arguments[count].word)
		count++;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		abort();
	count = 0;
	for (const struct argument *argument = noun->arguments; argument->word; argument++) {
		bool identity = in_identity(noun, argument);

		if (!identity &&
			(!verb->others || (!verb->fixed && (argument->flags & ARGUMENT_FIXED))))
			continue;
		list[count] = *argument;
		list[count].flags &= ~(unsigned)ARGUMENT_REQUIRED;
		if (identity ? verb->identity_needed
			     : verb->others_needed && (argument->flags & ARGUMENT_REQUIRED))
			list[count].flags |= ARGUMENT_REQUIRED;
		count++;
	}
	return list;
}

static void verb_command(struct command *command, const struct verb *verb, const struct noun *noun)
{
	char *help = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (asprintf(&help, verb->help, noun->name) < 0)
		abort();
#pragma GCC diagnostic pop
	*command = (struct command){
		.object = noun->name,
		.verb = verb->word,
		.arguments = verb_arguments(verb, noun),
		.help = help,
		.columns = noun->columns,
		.run = verb->run,
		.noun = noun,
	};
}

// A group may have its own command in the place of a verb.
static bool replaced(const struct noun *noun, const struct verb *verb)
{
	for (size_t i = 0; command_groups[i]; i++)
		for (const struct command *command = command_groups[i]; command->object; command++)
			if (command->noun == noun && verb_is(command, verb->word))
				return true;
	return false;
}

const struct command *command_table(size_t *count)
{
	static struct command *table;
	static size_t used;
	size_t size = 0;

	*count = used;
	if (table)
		return table;
	for (size_t i = 0; command_groups[i]; i++)
		for (const struct command *command = command_groups[i]; command->object; command++)
			size++;
	for (size_t i = 0; nouns[i]; i++)
		size += WEFT_ARRAY_SIZE(verbs);
	table = calloc(size, sizeof(*table));
	if (!table)
		abort();
	for (size_t i = 0; command_groups[i]; i++)
		for (const struct command *command = command_groups[i]; command->object; command++)
			table[used++] = *command;
	for (size_t i = 0; nouns[i]; i++)
		for (size_t v = 0; v < WEFT_ARRAY_SIZE(verbs); v++)
			if ((verbs[v].singletons || !nouns[i]->singleton) &&
				!replaced(nouns[i], &verbs[v]))
				verb_command(&table[used++], &verbs[v], nouns[i]);
	*count = used;
	return table;
}

void command_title(const struct command *command, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s", command->object, command->verb ? " " : "",
		command->verb ? command->verb : "");
}

bool verb_is(const struct command *command, const char *verb)
{
	return command->verb && strcmp(command->verb, verb) == 0;
}

bool command_is(const struct command *command, const char *object, const char *verb)
{
	return strcmp(command->object, object) == 0 &&
	       (verb ? verb_is(command, verb) : !command->verb);
}
