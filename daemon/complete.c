// SPDX-License-Identifier: BSD-2-Clause
// Completion: which words may stand at the end of a command line.

#include "daemon/command_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/value.h"
#include "daemon/weftd.h"

struct completion {
	struct weftd *weftd; // NULL: no names
	const json_t *words;
	const char *begun; // the last word
	json_t *found;
	bool *file;
};

static void offer(struct completion *c, const char *before, const char *word)
{
	size_t length = strlen(before);
	json_t *text;
	size_t i;
	json_t *other;

	if (strncmp(c->begun, before, length) != 0 ||
		strncmp(word, c->begun + length, strlen(c->begun + length)) != 0)
		return;
	text = json_sprintf("%s%s", before, word);
	json_array_foreach (c->found, i, other) {
		if (json_equal(other, text)) {
			json_decref(text);
			return;
		}
	}
	json_array_append_new(c->found, text);
}

static void offer_choices(struct completion *c, const char *choices)
{
	char *copy = strdup(choices);
	char *rest = copy;
	char *choice;

	while ((choice = strsep(&rest, "|")))
		offer(c, "", choice);
	free(copy);
}

static void offer_names(struct completion *c, const struct noun *noun, const char *before)
{
	const char *space;

	if (!c->weftd || !noun)
		return;
	for (struct object *object = object_first(c->weftd, noun); object;
		object = object->hh.next) {
		char *name = strdup(object->name);

		space = strchr(name, ' ');
		if (space) // of an identity of several words the first stands here
			name[space - name] = 0;
		offer(c, before, name);
		free(name);
	}
}

// What stands before the element that is being typed: "blue:10," of "blue:10,re".
static char *list_before(const char *begun)
{
	const char *comma = strrchr(begun, ',');

	if (comma)
		return strndup(begun, (size_t)(comma - begun) + 1);
	return strndup(begun, strspn(begun, "+-") ? 1 : 0);
}

// The name that `add` is to give is none that exists.
static bool is_new_name(const struct command *command, const struct argument *argument)
{
	return verb_is(command, "add") && argument->refers &&
	       strcmp(argument->refers, command->object) == 0;
}

static void offer_value(
	struct completion *c, const struct command *command, const struct argument *argument)
{
	char *before = value_is_list(argument) ? list_before(c->begun) : strdup("");

	if (argument->kind == ARGUMENT_CHOICE)
		offer_choices(c, argument->choices);
	else if (argument->kind == ARGUMENT_BOOL)
		offer_choices(c, "on|off");
	else if (argument->kind == ARGUMENT_FILE || argument->kind == ARGUMENT_DATA ||
		 argument->kind == ARGUMENT_OUTPUT)
		*c->file = true;
	else if (!is_new_name(command, argument))
		offer_names(c, noun_find(argument->refers ? argument->refers : ""), before);
	free(before);
}

static const char *word_at(const struct completion *c, size_t i)
{
	return json_string_value(json_array_get(c->words, i));
}

static bool word_given(const struct completion *c, size_t from, const char *word)
{
	for (size_t i = from; i + 1 < json_array_size(c->words); i += 2)
		if (strcmp(word_at(c, i), word) == 0)
			return true;
	return false;
}

static const struct argument *argument_named(const struct command *command, const char *word)
{
	for (const struct argument *a = command->arguments; a && a->word; a++)
		if (!(a->flags & ARGUMENT_POSITIONAL) && strcmp(a->word, word) == 0)
			return a;
	return NULL;
}

// The words of one command: its positional arguments, then words with values.
static void offer_command(struct completion *c, const struct command *command, size_t at)
{
	size_t last = json_array_size(c->words) - 1;
	const struct argument *argument;

	for (argument = command->arguments; argument && argument->word; argument++) {
		if (!(argument->flags & ARGUMENT_POSITIONAL))
			continue;
		if (at == last)
			offer_value(c, command, argument);
		if (at == last && (argument->flags & ARGUMENT_REQUIRED))
			return;
		if (at == last || (!(argument->flags & ARGUMENT_REQUIRED) &&
					  argument_named(command, word_at(c, at))))
			break;
		at++;
		while (argument->flags & ARGUMENT_REST && at < last &&
			!argument_named(command, word_at(c, at)))
			at++;
	}
	if ((last - at) % 2) {
		argument = argument_named(command, word_at(c, last - 1));
		if (argument)
			offer_value(c, command, argument);
		return;
	}
	for (argument = command->arguments; argument && argument->word; argument++)
		if (!(argument->flags & ARGUMENT_POSITIONAL) && !word_given(c, at, argument->word))
			offer(c, "", argument->word);
}

json_t *complete_words(struct weftd *weftd, const json_t *words, bool *file)
{
	size_t count, given = json_array_size(words);
	const struct command *table = command_table(&count);
	struct completion c = {.weftd = weftd, .words = words, .found = json_array(), .file = file};

	*file = false;
	if (given == 0)
		return c.found;
	c.begun = word_at(&c, given - 1);
	for (size_t i = 0; i < count; i++) {
		size_t fixed = table[i].verb ? 2 : 1;

		if (given == 1)
			offer(&c, "", table[i].object);
		else if (strcmp(table[i].object, word_at(&c, 0)) != 0)
			continue;
		else if (given == 2 && table[i].verb)
			offer(&c, "", table[i].verb);
		else if (!table[i].verb || verb_is(&table[i], word_at(&c, 1)))
			offer_command(&c, &table[i], fixed);
	}
	if (given == 1 || (given <= 3 && json_array_size(c.found) && c.begun[0]))
		offer(&c, "", "help");
	return c.found;
}
