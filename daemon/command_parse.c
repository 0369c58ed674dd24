// SPDX-License-Identifier: BSD-2-Clause
// Words -> command and validated arguments, or a sentence that says which word is wrong.

#include "daemon/command_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/near.h"
#include "daemon/value.h"

// One attempt to read the words as one command.
struct attempt {
	const struct command *command;
	const json_t *words;
	const json_t *files;
	json_t *arguments;
	size_t at; // the next word; after a failure: the wrong one
	struct failure *failure;
};

static const char *word_at(const json_t *words, size_t i)
{
	return json_string_value(json_array_get(words, i));
}

static char *words_joined(const json_t *words)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);
	json_t *word;

	json_array_foreach (words, i, word)
		fprintf(out, "%s%s", i ? ", " : "", json_string_value(word));
	fclose(out);
	return text;
}

// "unknown word", the near one, and what is possible at this place.
static int fail_unknown(
	struct failure *failure, const char *after, const char *word, json_t *possible)
{
	const char *near = near_word(word, possible);
	char *list = words_joined(possible);

	if (near)
		fail_words(failure, "unknown word '%.64s'%s%s; did you mean '%s'?", word,
			*after ? " after " : "", after, near);
	else
		fail_words(
			failure, "unknown word '%.64s'%s%s", word, *after ? " after " : "", after);
	if (json_array_size(possible))
		fail_hint(failure, "possible here: %s", list);
	free(list);
	json_decref(possible);
	return -EINVAL;
}

static json_t *words_possible(const struct attempt *attempt)
{
	json_t *possible = json_array();

	for (const struct argument *a = attempt->command->arguments; a && a->word; a++)
		if (!(a->flags & ARGUMENT_POSITIONAL) &&
			!json_object_get(attempt->arguments, argument_key(a)))
			json_array_append_new(possible, json_string(a->word));
	return possible;
}

static const struct argument *argument_named(const struct command *command, const char *word)
{
	for (const struct argument *a = command->arguments; a && a->word; a++)
		if (strcmp(a->word, word) == 0 && !(a->flags & ARGUMENT_POSITIONAL))
			return a;
	return NULL;
}

// `trunk +green:30,-red:20` for set: what to add and what to take away. Takes and returns change.
static json_t *list_change(const struct attempt *attempt, const struct argument *argument,
	json_t *change, const char *text)
{
	char *copy = strdup(text);
	char *rest = copy;
	char *element;

	if (!change)
		change = json_pack("{s:[], s:[]}", "+", "-");
	while (change && (element = strsep(&rest, ","))) {
		char sign[2] = {*element};
		json_t *list = json_object_get(change, sign);
		json_t *one = NULL;

		if (list)
			one = value_parse(argument, element + 1, attempt->failure);
		else
			fail_words(attempt->failure,
				"%s: '%.64s' has no + or - before it, others have", argument->word,
				element);
		if (one) {
			json_array_extend(list, one);
			json_decref(one);
		} else {
			json_decref(change);
			change = NULL;
		}
	}
	free(copy);
	return change;
}

// A file's content stands beside the words.
static json_t *file_content(const struct attempt *attempt, const char *path)
{
	json_t *content = json_object_get(attempt->files, path);

	if (json_is_string(content))
		return json_incref(content);
	fail_words(attempt->failure, "the client did not send the content of '%.64s'", path);
	return NULL;
}

// `none` takes back what was given, `default` where there is one.
static bool takes_back(
	const struct attempt *attempt, const struct argument *argument, const char *text)
{
	return attempt->command->noun && !verb_is(attempt->command, "show") &&
	       !(argument->flags & ARGUMENT_REQUIRED) &&
	       strcmp(text, argument->fallback ? "default" : "none") == 0;
}

static bool is_change(const char *text)
{
	return text && (*text == '+' || *text == '-');
}

// Every `+x` and `-x` that follows; attempt->at ends on the last.
static json_t *list_changes(struct attempt *attempt, const struct argument *argument)
{
	json_t *change = NULL;

	for (;;) {
		const char *text = word_at(attempt->words, attempt->at);

		change = list_change(attempt, argument, change, text);
		if (!change || !is_change(word_at(attempt->words, attempt->at + 1)))
			return change;
		attempt->at++;
	}
}

// The value of one argument; moves past the words it takes.
static json_t *take_value(struct attempt *attempt, const struct argument *argument)
{
	const char *text = word_at(attempt->words, attempt->at);
	json_t *value;

	if (argument->kind == ARGUMENT_FILE || argument->kind == ARGUMENT_DATA)
		value = file_content(attempt, text);
	else if (verb_is(attempt->command, "set") && value_is_list(argument) && is_change(text))
		value = list_changes(attempt, argument);
	else if (takes_back(attempt, argument, text))
		value = json_null();
	else
		value = value_parse(argument, text, attempt->failure);
	if (value)
		attempt->at++;
	return value;
}

// Is it the word of an argument, with its value behind it?
static bool begins_pair(const struct attempt *attempt, size_t at)
{
	return at + 1 < json_array_size(attempt->words) &&
	       argument_named(attempt->command, word_at(attempt->words, at));
}

// The words up to one with a value are one text.
static int take_rest(struct attempt *attempt, const struct argument *argument)
{
	char *text = NULL;
	size_t size, at = attempt->at;
	FILE *out = open_memstream(&text, &size);
	json_t *value;

	for (; at < json_array_size(attempt->words) && !begins_pair(attempt, at); at++)
		fprintf(out, "%s%s", at > attempt->at ? " " : "", word_at(attempt->words, at));
	fclose(out);
	value = value_parse(argument, text, attempt->failure);
	free(text);
	if (!value)
		return -EINVAL;
	attempt->at = at;
	return json_object_set_new(attempt->arguments, argument_key(argument), value);
}

static int take(struct attempt *attempt, const struct argument *argument)
{
	json_t *value = take_value(attempt, argument);

	if (!value)
		return -EINVAL;
	return json_object_set_new(attempt->arguments, argument_key(argument), value);
}

static int fail_missing(const struct attempt *attempt, const struct argument *argument)
{
	char title[96], form[160];

	command_title(attempt->command, title, sizeof(title));
	value_form(argument, form, sizeof(form));
	if (argument->flags & ARGUMENT_POSITIONAL)
		fail_words(attempt->failure, "%s needs its %s", title, argument->word);
	else
		fail_words(attempt->failure, "%s needs '%s %s'", title, argument->word, form);
	return fail_hint(
		attempt->failure, "%s: %s. See `%s help`", argument->word, argument->help, title);
}

static int take_positionals(struct attempt *attempt)
{
	size_t count = json_array_size(attempt->words);

	for (const struct argument *a = attempt->command->arguments; a && a->word; a++) {
		bool required = a->flags & ARGUMENT_REQUIRED;
		int err;

		if (!(a->flags & ARGUMENT_POSITIONAL))
			continue;
		if (attempt->at == count && required)
			return fail_missing(attempt, a);
		if (attempt->at == count)
			return 0;
		// An optional name gives way to a word with a value: `fdb show network blue`.
		if (!required && begins_pair(attempt, attempt->at))
			return 0;
		err = a->flags & ARGUMENT_REST ? take_rest(attempt, a) : take(attempt, a);
		if (err)
			return err;
	}
	return 0;
}

static int take_pairs(struct attempt *attempt)
{
	size_t count = json_array_size(attempt->words);

	while (attempt->at < count) {
		const char *word = word_at(attempt->words, attempt->at);
		const struct argument *argument = argument_named(attempt->command, word);
		char title[96], form[160];
		int err;

		command_title(attempt->command, title, sizeof(title));
		if (!argument)
			return fail_unknown(attempt->failure, title, word, words_possible(attempt));
		if (json_object_get(attempt->arguments, argument_key(argument)))
			return fail_words(attempt->failure, "'%s' is given twice", word);
		value_form(argument, form, sizeof(form));
		if (attempt->at + 1 == count)
			return fail_words(attempt->failure, "'%s' needs a value: %s", word, form);
		attempt->at++;
		err = take(attempt, argument);
		if (err)
			return err;
	}
	return 0;
}

static int attempt_run(struct attempt *attempt)
{
	int err = take_positionals(attempt);

	if (!err)
		err = take_pairs(attempt);
	for (const struct argument *a = attempt->command->arguments; !err && a && a->word; a++)
		if ((a->flags & ARGUMENT_REQUIRED) &&
			!json_object_get(attempt->arguments, argument_key(a)))
			err = fail_missing(attempt, a);
	return err;
}

// Takes the first command that fits; else the failure that came furthest stays in out.
static void try_commands(
	const json_t *words, const json_t *files, const char *verb, size_t at, struct parsed *out)
{
	size_t count, furthest = 0;
	const struct command *table = command_table(&count);

	for (size_t i = 0; i < count && !out->command; i++) {
		struct failure failure = {0};
		struct attempt attempt = {.command = &table[i],
			.words = words,
			.files = files,
			.at = at,
			.failure = &failure};

		if (!command_is(&table[i], word_at(words, 0), verb))
			continue;
		attempt.arguments = json_object();
		if (attempt_run(&attempt) == 0) {
			out->command = &table[i];
			out->arguments = attempt.arguments;
			return;
		}
		json_decref(attempt.arguments);
		if (attempt.at >= furthest)
			out->failure = failure;
		if (attempt.at > furthest)
			furthest = attempt.at;
	}
}

static void unknown_start(const json_t *words, size_t at, struct parsed *out)
{
	json_t *so_far = json_array();
	bool file;

	for (size_t i = 0; i < at; i++)
		json_array_append(so_far, json_array_get(words, i));
	json_array_append_new(so_far, json_string(""));
	fail_unknown(&out->failure, at ? word_at(words, 0) : "", word_at(words, at),
		complete_words(NULL, so_far, &file));
	json_decref(so_far);
}

void command_parse(const json_t *words, const json_t *files, struct parsed *out)
{
	size_t count, size;
	const struct command *table = command_table(&size);
	const char *object = word_at(words, 0);
	const char *verb;
	bool known = false;

	*out = (struct parsed){0};
	count = json_array_size(words);
	if (count == 0) {
		fail_words(&out->failure, "no command");
		fail_hint(&out->failure, "`help` lists the commands");
		return;
	}
	verb = count > 1 ? word_at(words, 1) : "show";
	for (size_t i = 0; i < size; i++) {
		if (strcmp(table[i].object, object) != 0)
			continue;
		known = true;
		if (!table[i].verb) {
			try_commands(words, files, NULL, 1, out);
			return;
		}
		if (strcmp(table[i].verb, verb) == 0) {
			try_commands(words, files, verb, count > 1 ? 2 : 1, out);
			return;
		}
	}
	if (known && count == 1) {
		fail_words(&out->failure, "'%s' needs a verb", object);
		fail_hint(&out->failure, "`%s help` lists them", object);
		return;
	}
	unknown_start(words, known ? 1 : 0, out);
}
