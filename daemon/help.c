// SPDX-License-Identifier: BSD-2-Clause
// Help texts and the JSON form of the command table.

#include "daemon/command_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/value.h"

static void put_upper(FILE *out, const char *word)
{
	for (; *word; word++)
		fputc(toupper((unsigned char)*word), out);
}

// "port add NAME type tap|device [mtu 68..65535]"
static void put_usage(FILE *out, const struct command *command, bool brief)
{
	char title[96], form[160];

	command_title(command, title, sizeof(title));
	fprintf(out, "%s", title);
	for (const struct argument *a = command->arguments; a && a->word; a++) {
		bool required = a->flags & ARGUMENT_REQUIRED;

		if (brief && !required && !(a->flags & ARGUMENT_POSITIONAL)) {
			fputs(" ...", out);
			break;
		}
		value_form(a, form, sizeof(form));
		fputs(required ? " " : " [", out);
		if (!(a->flags & ARGUMENT_POSITIONAL))
			fprintf(out, "%s ", a->word);
		if ((a->flags & ARGUMENT_POSITIONAL) && a->kind != ARGUMENT_CHOICE)
			put_upper(out, a->word);
		else
			fputs(form, out);
		if (!required)
			fputc(']', out);
	}
}

static void put_arguments(FILE *out, const struct command *command)
{
	char left[224], form[160];

	for (const struct argument *a = command->arguments; a && a->word; a++) {
		value_form(a, form, sizeof(form));
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
	json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "word", a->word, "key",
		argument_key(a), "kind", value_kind(a), "required",
		!!(a->flags & ARGUMENT_REQUIRED), "positional", !!(a->flags & ARGUMENT_POSITIONAL),
		"fixed", !!(a->flags & ARGUMENT_FIXED));

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
	json_t *object = json_pack("{s:s, s:o, s:s, s:[]}", "object", command->object, "verb",
		text_or_null(command->verb), "help", command->help, "arguments");

	for (const struct argument *a = command->arguments; a && a->word; a++)
		json_array_append_new(json_object_get(object, "arguments"), argument_json(a));
	return object;
}

json_t *command_list(void)
{
	size_t count;
	const struct command *table = command_table(&count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, command_json(&table[i]));
	return list;
}
