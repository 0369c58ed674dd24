// SPDX-License-Identifier: BSD-2-Clause
// The command table as one array, and what reads it: parsing, help, completion, rendering.
#pragma once

#include "daemon/command.h"
#include "daemon/object.h"

// List 4 (command_list.c): commands that are no add, set, del, show of a noun.
extern const struct command *const command_groups[]; // each ends with .object NULL; ends with NULL

// Every command: the groups, then the verbs of the nouns. Built at the first call.
const struct command *command_table(size_t *count);
// "port add"; for a command of one word, "apply".
void command_title(const struct command *command, char *out, size_t size);
bool command_is(const struct command *command, const char *object, const char *verb);
bool verb_is(const struct command *command, const char *verb);

// Words -> command and arguments. Several commands may share object and verb (`port show NAME`,
// `port show NAME qemu`): the first that all words fit is taken.
struct parsed {
	const struct command *command; // NULL: failed
	json_t *arguments;             // owned
	struct failure failure;
};
void command_parse(const json_t *words, const json_t *files, struct parsed *out);

// Completion: the words that may stand at the end of `words`, the last of which is begun (or "").
// *file: a file name may stand there.
json_t *complete_words(struct weftd *weftd, const json_t *words, bool *file);

// Help. malloc. object NULL: everything; verb NULL: the object.
char *help_text(const char *object, const char *verb);
char *help_man(void); // the page weftctl(8)
json_t *command_json(const struct command *command);

// Text of a result: a table, or `key value` lines for one object.
char *render_table(const json_t *result, const char *columns);
char *render_object(const json_t *object);
// A table whose rows come one by one: the header stands before the first, and columns grow.
// *table begins as NULL; malloc.
struct table;
char *render_row(struct table **table, const char *columns, const json_t *row);
void render_row_end(struct table *table);

// {code, message, hint}, and {exit, error} with it.
json_t *failure_json(const struct failure *failure);
json_t *answer_failure(const struct failure *failure);
