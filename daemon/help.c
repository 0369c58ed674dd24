// SPDX-License-Identifier: BSD-2-Clause
// Help texts and the JSON form of the command table.

#include "daemon/command_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/value.h"

// Words of a usage line, wrapped.
struct usage {
	FILE *out;
	size_t column;
};

enum { LINE_COLUMNS = 100, INDENT = 4 };

static void put_word(struct usage *usage, const char *word)
{
	if (usage->column + 1 + strlen(word) > LINE_COLUMNS) {
		fprintf(usage->out, "\n%*s%s", INDENT, "", word);
		usage->column = INDENT + strlen(word);
	} else {
		fprintf(usage->out, " %s", word);
		usage->column += 1 + strlen(word);
	}
}

// "NAME", "type tap|device", "[mtu 68..65535]"
static void put_argument_usage(struct usage *usage, const struct argument *a)
{
	bool required = a->flags & ARGUMENT_REQUIRED;
	bool positional = a->flags & ARGUMENT_POSITIONAL;
	char text[256], form[160];

	value_form(a, form, sizeof(form));
	if (positional && a->kind != ARGUMENT_CHOICE) {
		snprintf(form, sizeof(form), "%s", a->word);
		for (char *letter = form; *letter; letter++)
			*letter = (char)toupper((unsigned char)*letter);
	}
	snprintf(text, sizeof(text), "%s%s%s%s%s", required ? "" : "[", positional ? "" : a->word,
		positional ? "" : " ", form, required ? "" : "]");
	put_word(usage, text);
}

// "port add NAME type tap|device [mtu 68..65535]"; brief: what is required, then "..."
static void put_usage(FILE *out, const struct command *command, bool brief)
{
	struct usage usage = {.out = out};
	char title[96];

	command_title(command, title, sizeof(title));
	fputs(title, out);
	usage.column = strlen(title);
	for (const struct argument *a = command->arguments; a && a->word; a++) {
		if (brief && !(a->flags & (ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL))) {
			put_word(&usage, "...");
			break;
		}
		put_argument_usage(&usage, a);
	}
}

static void put_arguments(FILE *out, const struct command *command)
{
	char left[224], form[160];

	for (const struct argument *a = command->arguments; a && a->word; a++) {
		value_form(a, form, sizeof(form));
		if (a->flags & ARGUMENT_POSITIONAL)
			snprintf(left, sizeof(left), "%s", a->word);
		else
			snprintf(left, sizeof(left), "%s %s", a->word, form);
		fprintf(out, "  %-28s %s%s%s%s%s\n", left, a->help, a->fallback ? " (default " : "",
			a->fallback ? a->fallback : "", a->fallback ? ")" : "",
			a->flags & ARGUMENT_REQUIRED ? " (required)" : "");
		if (verb_is(command, "set") && value_is_list(a))
			fprintf(out, "  %-28s +X adds to the list, -X takes away\n", "");
	}
}

static void put_objects(FILE *out)
{
	size_t count;
	const struct command *table = command_table(&count);

	fputs("OBJECT VERB NAME key value ...; the verb `show` may be left out.\n\n", out);
	for (size_t i = 0; i < count; i++) {
		fputs("  ", out);
		put_usage(out, &table[i], true);
		fputc('\n', out);
	}
	fputs("\n`OBJECT help` and `OBJECT VERB help` say more.\n", out);
}

char *help_text(const char *object, const char *verb)
{
	char *text = NULL;
	size_t size, count, found = 0;
	FILE *out = open_memstream(&text, &size);
	const struct command *table = command_table(&count);

	if (!object) {
		put_objects(out);
		fclose(out);
		return text;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(table[i].object, object) != 0 || (verb && !verb_is(&table[i], verb)))
			continue;
		if (found++)
			fputc('\n', out);
		put_usage(out, &table[i], !verb && table[i].verb);
		fprintf(out, "\n  %s\n", table[i].help);
		if (verb || !table[i].verb)
			put_arguments(out, &table[i]);
	}
	fclose(out);
	if (found)
		return text;
	free(text);
	return NULL;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *argument_json(const struct argument *a)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b}", "word", a->word, "key",
		argument_key(a), "kind", value_kind(a), "required",
		!!(a->flags & ARGUMENT_REQUIRED), "positional", !!(a->flags & ARGUMENT_POSITIONAL),
		"rest", !!(a->flags & ARGUMENT_REST), "fixed", !!(a->flags & ARGUMENT_FIXED));

	json_object_set_new(object, "choices", text_or_null(a->choices));
	json_object_set_new(object, "refers", text_or_null(a->refers));
	json_object_set_new(object, "min", a->min || a->max ? json_integer(a->min) : json_null());
	json_object_set_new(object, "max", a->max ? json_integer(a->max) : json_null());
	json_object_set_new(object, "default", text_or_null(a->fallback));
	json_object_set_new(object, "help", text_or_null(a->help));
	return object;
}

json_t *command_json(const struct command *command)
{
	json_t *object = json_pack("{s:s, s:o, s:s, s:b, s:b, s:[]}", "object", command->object,
		"verb", text_or_null(command->verb), "help", command->help, "stream",
		command->cancelled && !command->whole, "joined", command->joined, "arguments");

	for (const struct argument *a = command->arguments; a && a->word; a++)
		json_array_append_new(json_object_get(object, "arguments"), argument_json(a));
	return object;
}

json_t *command_list(const char *object)
{
	size_t count;
	const struct command *table = command_table(&count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		if (!object || strcmp(object, table[i].object) == 0)
			json_array_append_new(list, command_json(&table[i]));
	return list;
}
