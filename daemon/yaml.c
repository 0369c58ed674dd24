// SPDX-License-Identifier: BSD-2-Clause
// YAML by libyaml's event parser and emitter, one document, bounded depth.

#include "daemon/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <weft/types.h>

enum { DEPTH_MAX = 32 };

struct reader {
	yaml_parser_t parser;
	struct failure *failure;
	unsigned depth;
};

static json_t *refuse(struct reader *reader, const yaml_event_t *event, const char *what)
{
	fail(reader->failure, -EINVAL, "bad_file", "line %zu: %s", event->start_mark.line + 1,
		what);
	return NULL;
}

static bool next(struct reader *reader, yaml_event_t *event)
{
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	fail(reader->failure, -EINVAL, "bad_file", "line %zu: this is no YAML: %s",
		reader->parser.problem_mark.line + 1,
		reader->parser.problem ? reader->parser.problem : "it cannot be read");
	return false;
}

static json_t *read_node(struct reader *reader, const yaml_event_t *event);

static json_t *read_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	json_t *value;

	if (strlen(text) != length)
		return refuse(reader, event, "a NUL character");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (strcmp(text, "true") == 0)
			return json_true();
		if (strcmp(text, "false") == 0)
			return json_false();
		if (length == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
			return json_null();
	}
	value = json_stringn(text, length);
	return value ? value : refuse(reader, event, "text that is not UTF-8");
}

static json_t *read_sequence(struct reader *reader)
{
	json_t *array = json_array();
	bool done = false;

	while (!done) {
		yaml_event_t event;
		json_t *value = NULL;

		if (!next(reader, &event))
			break;
		done = event.type == YAML_SEQUENCE_END_EVENT;
		if (!done)
			value = read_node(reader, &event);
		yaml_event_delete(&event);
		if (done)
			return array;
		if (!value)
			break;
		json_array_append_new(array, value);
	}
	json_decref(array);
	return NULL;
}

static int read_pair(struct reader *reader, const yaml_event_t *key, json_t *object)
{
	char *name;
	yaml_event_t event;
	json_t *value = NULL;

	if (key->type != YAML_SCALAR_EVENT) {
		refuse(reader, key, "a key must be a word");
		return -EINVAL;
	}
	name = (char *)key->data.scalar.value;
	if (json_object_get(object, name)) {
		refuse(reader, key, "this key stands here twice");
		return -EINVAL;
	}
	if (!next(reader, &event))
		return -EINVAL;
	value = read_node(reader, &event);
	if (value && json_object_set_new(object, name, value) < 0) {
		refuse(reader, key, "a key that is not UTF-8");
		value = NULL;
	}
	yaml_event_delete(&event);
	return value ? 0 : -EINVAL;
}

static json_t *read_mapping(struct reader *reader)
{
	json_t *object = json_object();
	int err = 0;

	while (!err) {
		yaml_event_t key;

		if (!next(reader, &key))
			break;
		if (key.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&key);
			return object;
		}
		err = read_pair(reader, &key, object);
		yaml_event_delete(&key);
	}
	json_decref(object);
	return NULL;
}

static json_t *read_node(struct reader *reader, const yaml_event_t *event)
{
	json_t *value;

	if (reader->depth >= DEPTH_MAX)
		return refuse(reader, event, "nested too deep");
	reader->depth++;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		value = read_scalar(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		value = read_sequence(reader);
		break;
	case YAML_MAPPING_START_EVENT:
		value = read_mapping(reader);
		break;
	case YAML_ALIAS_EVENT:
		value = refuse(reader, event,
			"anchors and aliases are not read here; write the value again");
		break;
	default:
		value = refuse(reader, event, "not understood");
		break;
	}
	reader->depth--;
	return value;
}

// The events before and after the one document.
static json_t *read_document(struct reader *reader)
{
	json_t *value = NULL;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;

		if (!next(reader, &event))
			break;
		type = event.type;
		if (type == YAML_STREAM_END_EVENT)
			return value ? value : json_object();
		if (type == YAML_DOCUMENT_START_EVENT && value) {
			refuse(reader, &event, "a second document");
			type = YAML_NO_EVENT;
		} else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
			   type != YAML_DOCUMENT_END_EVENT) {
			value = read_node(reader, &event);
			type = value ? type : YAML_NO_EVENT;
		}
		yaml_event_delete(&event);
		if (type == YAML_NO_EVENT)
			break;
	}
	json_decref(value);
	return NULL;
}

json_t *yaml_parse(const char *text, size_t length, struct failure *failure)
{
	struct reader reader = {.failure = failure};
	json_t *value;

	if (!yaml_parser_initialize(&reader.parser))
		abort();
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
	value = read_document(&reader);
	yaml_parser_delete(&reader.parser);
	return value;
}

json_t *document_parse(const char *text, size_t length, struct failure *failure)
{
	size_t blank = strspn(text, " \t\r\n");
	json_error_t error;
	json_t *value;

	if (text[blank] != '{' && text[blank] != '[')
		return yaml_parse(text, length, failure);
	value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		fail(failure, -EINVAL, "bad_file", "line %d: this is no JSON: %s", error.line,
			error.text);
	return value;
}

// Words that other YAML readers would take for something else than text are quoted.
static bool plain_is_safe(const char *text)
{
	static const char *const taken[] = {
		"true", "false", "null", "yes", "no", "on", "off", "y", "n"};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(taken); i++)
		if (strcasecmp(text, taken[i]) == 0)
			return false;
	if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/", *text) || !*text)
		return false;
	return text[strspn(text,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")] == 0;
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
	if (!yaml_emitter_emit(emitter, event)) // takes the event; memory is all it can lack
		abort();
}

static void emit_text(yaml_emitter_t *emitter, const char *text, bool plain)
{
	yaml_event_t event;

	yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
		(int)strlen(text), 1, 1,
		plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	emit(emitter, &event);
}

static void emit_value(yaml_emitter_t *emitter, const json_t *value);

static void emit_array(yaml_emitter_t *emitter, const json_t *array)
{
	bool leaves = true;
	yaml_event_t event;
	size_t i;
	json_t *element;

	json_array_foreach (array, i, element)
		leaves &= !json_is_array(element) && !json_is_object(element);
	yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
		leaves ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
	emit(emitter, &event);
	json_array_foreach (array, i, element)
		emit_value(emitter, element);
	yaml_sequence_end_event_initialize(&event);
	emit(emitter, &event);
}

static void emit_object(yaml_emitter_t *emitter, const json_t *object)
{
	yaml_event_t event;
	const char *key;
	json_t *value;

	yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
	emit(emitter, &event);
	json_object_foreach ((json_t *)object, key, value) {
		emit_text(emitter, key, plain_is_safe(key));
		emit_value(emitter, value);
	}
	yaml_mapping_end_event_initialize(&event);
	emit(emitter, &event);
}

static void emit_value(yaml_emitter_t *emitter, const json_t *value)
{
	char *text;

	if (json_is_object(value)) {
		emit_object(emitter, value);
	} else if (json_is_array(value)) {
		emit_array(emitter, value);
	} else if (json_is_string(value)) {
		emit_text(
			emitter, json_string_value(value), plain_is_safe(json_string_value(value)));
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY);
		emit_text(emitter, text, true);
		free(text);
	}
}

static int write_out(void *out, unsigned char *bytes, size_t size)
{
	return fwrite(bytes, 1, size, out) == size;
}

char *yaml_dump(const json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	yaml_emitter_t emitter;
	yaml_event_t event;

	if (!yaml_emitter_initialize(&emitter))
		abort();
	yaml_emitter_set_output(&emitter, write_out, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, 100);
	yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	emit(&emitter, &event);
	yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
	emit(&emitter, &event);
	emit_value(&emitter, value);
	yaml_document_end_event_initialize(&event, 1);
	emit(&emitter, &event);
	yaml_stream_end_event_initialize(&event);
	emit(&emitter, &event);
	yaml_emitter_delete(&emitter);
	fclose(out);
	return text;
}
