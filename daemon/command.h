// SPDX-License-Identifier: BSD-2-Clause
// The command table: arguments declared as data. Parsing, help, completion, the man page and the
// schema of files all come from it.
#pragma once

#include <stdbool.h>
#include <jansson.h>
#include "daemon/failure.h"

struct weftd;
struct noun;
struct pending; // pending.h
struct outlet;  // pending.h

// What an argument's text may be, and the canonical JSON value it becomes.
enum argument_kind {
	ARGUMENT_NAME,      // [a-z0-9][a-z0-9._-]{0,62}                      -> string
	ARGUMENT_DEVICE,    // a netdev name as the kernel allows, or a PCI
			    // address: 0000:01:00.0                          -> string
	ARGUMENT_CHOICE,    // one of `choices` ("tap|device")                -> string
	ARGUMENT_BOOL,      // on|off                                         -> true, false
	ARGUMENT_NUMBER,    // min..max, decimal                              -> integer
	ARGUMENT_DURATION,  // 300, 300s, 5m, 2h                              -> integer seconds,
			    // min..max
	ARGUMENT_MAC,       // aa:bb:cc:dd:ee:ff, unicast                     -> lower-case string
	ARGUMENT_ADDRESS,   // IPv4 or IPv6                                   -> canonical string
	ARGUMENT_PREFIX,    // address/length, host bits zero                 -> canonical string
	ARGUMENT_TAGS,      // network:vid,network:vid                        -> array of strings
	ARGUMENT_NAMES,     // a,b,c                                          -> array of strings
	ARGUMENT_ADDRESSES, // A,B                                           -> array of strings
	ARGUMENT_USER,      // user or group, name or number                  -> string
	ARGUMENT_TEXT,      // anything printable up to 255 bytes             -> string
	ARGUMENT_ANY_MAC,   // the same, a group's too                         -> lower-case string
	ARGUMENT_FILE,      // a file that the client opens; `-` is its stdin -> string: the content
	ARGUMENT_DATA,   // the same, of any bytes                -> string: the content in base64
	ARGUMENT_OUTPUT, // a file that the client writes; `-`: its stdout  -> string
};

enum argument_flag {
	ARGUMENT_REQUIRED = 1 << 0,   // add is refused without it
	ARGUMENT_POSITIONAL = 1 << 1, // stands without its word, in table order, before the others
	ARGUMENT_FIXED = 1 << 2,      // part of the identity or not to be changed by set
	ARGUMENT_REST = 1 << 3,       // a positional text of several words, up to one with a value
};

struct argument {
	const char *word; // on the command line; NULL ends the array
	const char *key;  // in JSON and YAML: snake_case with unit suffix; NULL: the same as word
	enum argument_kind kind;
	unsigned flags;
	const char *choices;  // ARGUMENT_CHOICE; a number: a word for its minimum
	const char *refers;   // noun whose names complete it ("network"); existence is check's job
	long long min, max;   // numbers and durations
	const char *fallback; // the default, as it would be typed; NULL: absent
	const char *help;     // one line
};

struct request {
	struct weftd *weftd;
	const struct command *command;
	json_t *arguments; // object: key -> canonical value; only what was given. Borrowed.
	bool json;         // the client wants data
	bool points;       // and joins what several hosts say: weft/control.h
	json_t *result;    // out: array of objects. Owned by the request.
	char *text; // out: what is printed when !json; NULL: rendered from result. Owned (malloc).
	struct failure failure;  // out
	struct pending *pending; // of a command that may answer later: pending.h; else NULL
	void *context;           // that command's own
};

struct command {
	const char *object;
	const char *verb;
	const struct argument *arguments; // NULL: none
	const char *help;                 // one line
	const char *columns; // for tables rendered from result: "name,type,network,state"; NULL:
			     // all keys
	int (*run)(struct request *request); // 0, what fail() returned, or request_later()
	const struct noun *noun;             // set for the verbs that object.c provides
	const char *identity; // of a show that is no noun's: the keys that tell its rows apart
	// A command that takes its time answers in lines, as they come. It has this, and pending.h
	// is its contract. Called once, when the answer is wanted no more or its time is over.
	void (*cancelled)(struct request *request);
	// It takes its time, but its answer is one, by `result`, as of those that do not.
	bool whole;
	// The text of one line, malloc. NULL: a table of `columns` that grows.
	char *(*line)(const struct request *request, const json_t *object);
	bool joined; // it answers in points if it is asked to: weft/control.h
};

// List 4: every command (daemon/command_list.c): the verbs of each noun, then the others.
// Words -> command and validated arguments -> run -> rendered answer. Never aborts on bad input.
// Answers as weft/control.h says; the caller owns the returned object.
json_t *command_run(struct weftd *weftd, const json_t *request);
// The same for a client that takes lines as well: NULL when the answer goes there.
json_t *command_start(struct weftd *weftd, const json_t *request, struct outlet *outlet);
// Of a request that has run; failure NULL: it is done. Takes the text.
json_t *command_answer(struct request *request, const struct failure *failure);
json_t *command_complete(struct weftd *weftd, const json_t *request);
json_t *command_list(const char *object); // GET /v1/commands; not NULL: /v1/commands/OBJECT
