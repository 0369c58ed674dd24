// SPDX-License-Identifier: BSD-2-Clause
// Text for people: aligned tables, and `key value` lines for one object.

#include "daemon/command_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/value.h"

enum { COLUMNS_MAX = 32 };

struct table {
	char *names; // the column names, cut in place
	char *column[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];
	size_t count;
};

// Text from the kernel or a guest must not steer a terminal.
static char *cell(const json_t *object, const char *key)
{
	char *text = value_text(json_object_get(object, key));

	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	if (*text)
		return text;
	free(text);
	return strdup("-");
}

static void table_columns(struct table *table, const json_t *result, const char *columns)
{
	char *rest;
	char *name;
	const char *key;
	json_t *value;
	size_t size;
	FILE *out;

	if (columns) {
		table->names = strdup(columns);
	} else { // every key of the first row
		out = open_memstream(&table->names, &size);
		json_object_foreach (json_array_get(result, 0), key, value)
			fprintf(out, "%s%s", ftell(out) ? "," : "", key);
		fclose(out);
	}
	rest = table->names;
	while (rest && *rest && table->count < COLUMNS_MAX && (name = strsep(&rest, ",")))
		table->column[table->count++] = name;
}

static void table_widths(struct table *table, const json_t *result)
{
	size_t i;
	json_t *row;

	for (size_t c = 0; c < table->count; c++)
		if (table->width[c] < strlen(table->column[c]))
			table->width[c] = strlen(table->column[c]);
	json_array_foreach (result, i, row) {
		for (size_t c = 0; c < table->count; c++) {
			char *text = cell(row, table->column[c]);
			size_t width = strlen(text);

			if (width > table->width[c])
				table->width[c] = width;
			free(text);
		}
	}
}

static void put_cell(FILE *out, const struct table *table, size_t c, const char *text)
{
	if (c + 1 == table->count)
		fprintf(out, "%s\n", text);
	else
		fprintf(out, "%-*s  ", (int)table->width[c], text);
}

static void put_header(FILE *out, const struct table *table)
{
	for (size_t c = 0; c < table->count; c++) {
		char *name = strdup(table->column[c]);

		for (char *letter = name; *letter; letter++)
			*letter = (char)toupper((unsigned char)*letter);
		put_cell(out, table, c, name);
		free(name);
	}
}

static void put_rows(FILE *out, const struct table *table, const json_t *result)
{
	size_t i;
	json_t *row;

	json_array_foreach (result, i, row) {
		for (size_t c = 0; c < table->count; c++) {
			char *value = cell(row, table->column[c]);

			put_cell(out, table, c, value);
			free(value);
		}
	}
}

char *render_table(const json_t *result, const char *columns)
{
	struct table table = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_columns(&table, result, columns);
	table_widths(&table, result);
	put_header(out, &table);
	put_rows(out, &table, result);
	free(table.names);
	fclose(out);
	return text;
}

char *render_row(struct table **table, const char *columns, const json_t *row)
{
	json_t *rows = json_array();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool first = !*table;

	json_array_append(rows, (json_t *)row);
	if (first) {
		*table = calloc(1, sizeof(**table));
		if (!*table)
			abort();
		table_columns(*table, rows, columns);
	}
	table_widths(*table, rows);
	if (first)
		put_header(out, *table);
	put_rows(out, *table, rows);
	fclose(out);
	json_decref(rows);
	return text;
}

void render_row_end(struct table *table)
{
	if (table)
		free(table->names);
	free(table);
}

// A list of objects inside an object prints as a table of its own, below.
static bool is_list_of_objects(const json_t *value)
{
	return json_is_object(json_array_get(value, 0));
}

static void put_inner_table(FILE *out, const char *key, const json_t *rows)
{
	char *text = render_table(rows, NULL);
	char *rest = text;
	char *line;

	fprintf(out, "%s\n", key);
	while ((line = strsep(&rest, "\n")) && *line)
		fprintf(out, "  %s\n", line);
	free(text);
}

char *render_object(const json_t *object)
{
	char *text = NULL;
	size_t size, width = 0;
	FILE *out = open_memstream(&text, &size);
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value)
		width = strlen(key) > width ? strlen(key) : width;
	json_object_foreach ((json_t *)object, key, value) {
		char *one = is_list_of_objects(value) ? NULL : cell(object, key);

		if (one)
			fprintf(out, "%-*s  %s\n", (int)width, key, one);
		free(one);
	}
	json_object_foreach ((json_t *)object, key, value)
		if (is_list_of_objects(value))
			put_inner_table(out, key, value);
	fclose(out);
	return text;
}
