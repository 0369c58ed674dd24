// SPDX-License-Identifier: BSD-2-Clause
// tree.c - reads a YAML file by libyaml's events and keeps the place of every value
#include "topo/lab/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 32 };

struct reader {
	yaml_parser_t parser;
	const char *file;
	char *why;
	unsigned depth;
};

static void *refuse(struct reader *reader, yaml_mark_t at, const char *what)
{
	snprintf(reader->why, TREE_WHY_LEN, "%s:%zu:%zu: %s", reader->file, at.line + 1,
		at.column + 1, what);
	return NULL;
}

static bool next(struct reader *reader, yaml_event_t *event)
{
	char what[256];

	if (yaml_parser_parse(&reader->parser, event))
		return true;
	snprintf(what, sizeof(what), "this is no YAML: %s",
		reader->parser.problem ? reader->parser.problem : "it cannot be read");
	refuse(reader, reader->parser.problem_mark, what);
	return false;
}

static struct tree *value_new(struct reader *reader, enum tree_type type, yaml_mark_t at)
{
	struct tree *value = calloc(1, sizeof(*value));

	if (!value)
		abort();
	value->type = type;
	value->file = reader->file;
	value->line = at.line + 1;
	value->column = at.column + 1;
	return value;
}

static struct tree *read_text(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct tree *value;

	if (strlen(text) != event->data.scalar.length)
		return refuse(reader, event->start_mark, "a NUL character");
	value = value_new(reader, TREE_TEXT, event->start_mark);
	value->text = strdup(text);
	value->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return value;
}

static struct tree *read_value(struct reader *reader, const yaml_event_t *event);

// The key that an event begins; NULL: refused.
static struct tree *read_key(
	struct reader *reader, const yaml_event_t *event, const struct tree *map)
{
	if (event->type != YAML_SCALAR_EVENT)
		return refuse(reader, event->start_mark, "a key must be a word");
	if (tree_get(map, (const char *)event->data.scalar.value))
		return refuse(reader, event->start_mark, "this key stands here twice");
	return read_text(reader, event);
}

// Children up to the event that ends them.
static struct tree *read_children(struct reader *reader, struct tree *parent, yaml_event_type_t end)
{
	struct tree **tail = &parent->first;
	struct tree *key = NULL;
	yaml_event_t event;

	while (next(reader, &event)) {
		bool is_key = parent->type == TREE_MAP && !key;

		if (event.type == end) {
			yaml_event_delete(&event);
			return parent;
		}
		if (is_key) {
			key = read_key(reader, &event, parent);
		} else {
			*tail = read_value(reader, &event);
			if (*tail)
				(*tail)->key = key;
		}
		yaml_event_delete(&event);
		if (is_key ? !key : !*tail)
			break;
		if (!is_key) {
			tail = &(*tail)->next;
			key = NULL;
		}
	}
	tree_free(key);
	tree_free(parent);
	return NULL;
}

static struct tree *read_value(struct reader *reader, const yaml_event_t *event)
{
	struct tree *value;

	if (reader->depth >= DEPTH_MAX)
		return refuse(reader, event->start_mark, "nested too deep");
	reader->depth++;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		value = read_text(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		value = read_children(reader, value_new(reader, TREE_LIST, event->start_mark),
			YAML_SEQUENCE_END_EVENT);
		break;
	case YAML_MAPPING_START_EVENT:
		value = read_children(reader, value_new(reader, TREE_MAP, event->start_mark),
			YAML_MAPPING_END_EVENT);
		break;
	default:
		value = refuse(reader, event->start_mark,
			"anchors and aliases are not read here; write the value again");
		break;
	}
	reader->depth--;
	return value;
}

// The events around the one document. An empty file is an empty text.
static struct tree *read_document(struct reader *reader)
{
	struct tree *root = NULL;
	yaml_event_t event;

	while (next(reader, &event)) {
		yaml_event_type_t type = event.type;
		bool good = true;

		if (type == YAML_STREAM_END_EVENT)
			return root ? root : value_new(reader, TREE_TEXT, event.start_mark);
		if (type == YAML_DOCUMENT_START_EVENT)
			good = !root || refuse(reader, event.start_mark, "a second document");
		else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_END_EVENT)
			good = (root = read_value(reader, &event)) != NULL;
		yaml_event_delete(&event);
		if (!good)
			break;
	}
	tree_free(root);
	return NULL;
}

struct tree *tree_load(const char *file, char why[TREE_WHY_LEN])
{
	struct reader reader = {.file = file, .why = why};
	FILE *in = fopen(file, "re");
	struct tree *root;

	if (!in) {
		snprintf(why, TREE_WHY_LEN, "%s: %s", file, strerror(errno));
		return NULL;
	}
	if (!yaml_parser_initialize(&reader.parser))
		abort();
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_file(&reader.parser, in);
	root = read_document(&reader);
	yaml_parser_delete(&reader.parser);
	fclose(in);
	return root;
}

void tree_free(struct tree *root)
{
	struct tree *child, *rest;

	if (!root)
		return;
	for (child = root->first; child; child = rest) {
		rest = child->next;
		tree_free(child);
	}
	tree_free(root->key);
	free(root->text);
	free(root);
}

const struct tree *tree_first(const struct tree *parent)
{
	return parent ? parent->first : NULL;
}

const struct tree *tree_item(const struct tree *of, const struct tree *after)
{
	if (!of || of->type == TREE_MAP || (after && of->type == TREE_TEXT))
		return NULL;
	if (of->type == TREE_TEXT)
		return of;
	return after ? after->next : of->first;
}

const struct tree *tree_get(const struct tree *map, const char *key)
{
	const struct tree *value = map && map->type == TREE_MAP ? map->first : NULL;

	while (value && strcmp(value->key->text, key) != 0)
		value = value->next;
	return value;
}

const char *tree_text(const struct tree *map, const char *key)
{
	const struct tree *value = tree_get(map, key);

	return value && value->type == TREE_TEXT ? value->text : NULL;
}

bool tree_is_null(const struct tree *value)
{
	return value->type == TREE_TEXT && value->plain &&
	       (!*value->text || !strcmp(value->text, "~") || !strcmp(value->text, "null"));
}

json_t *tree_json(const struct tree *value)
{
	json_t *json;

	if (tree_is_null(value))
		return json_null();
	if (value->type == TREE_TEXT && value->plain && !strcmp(value->text, "true"))
		return json_true();
	if (value->type == TREE_TEXT && value->plain && !strcmp(value->text, "false"))
		return json_false();
	if (value->type == TREE_TEXT)
		return json_string(value->text);
	json = value->type == TREE_MAP ? json_object() : json_array();
	for (const struct tree *item = value->first; item; item = item->next) {
		if (value->type == TREE_MAP)
			json_object_set_new(json, item->key->text, tree_json(item));
		else
			json_array_append_new(json, tree_json(item));
	}
	return json;
}
