// SPDX-License-Identifier: BSD-2-Clause
// weftctl: sends its words to weftd and prints the answer. It knows no command.

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include "ctl/base64.h"
#include "ctl/path/dry.h"
#include "ctl/path/join.h"
#include "ctl/probe.h"
#include "ctl/run.h"
#include "ctl/trace.h"
#include "ctl/words.h"

static const char usage[] =
	"Usage: weftctl [-s SOCKET] [-j] [--timeout SECONDS] OBJECT [VERB [NAME] [key value ...]]\n"
	"\n"
	"  -s SOCKET            the socket of weftd (else $WEFT_SOCKET, else " WEFT_RUN_DIR
	"/" WEFT_SOCKET_NAME ");\n"
	"                       more than once for commands that answer in lines, as watch does;\n"
	"                       what hosts see of `path`'s packets is joined to one way, of\n"
	"                       `trace`'s it is put in the order of time\n"
	"  -j                   JSON; of an answer in lines one object a line\n"
	"  --timeout SECONDS    give up if no answer has come after this time (default 60)\n"
	"  --complete WORD...   print what may stand for the last word (for the shell)\n"
	"  --help, --version\n"
	"\n"
	"`weftctl help` asks weftd for its commands.\n"
	"Exit status: 0 done, 1 refused, 2 wrong words, 3 no weftd, 4 done in part or timed out.\n";

enum { OPTION_TIMEOUT = 256, OPTION_COMPLETE, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"complete", no_argument, NULL, OPTION_COMPLETE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

struct invocation {
	struct client client; // of the first socket, or the only one
	const char *sockets[SOCKETS_MAX];
	size_t count;
	bool complete;
};

// An error of weftctl's own has the form of weftd's.
static int fail(const struct client *client, int status, const char *code, const char *message)
{
	json_t *error = json_pack("{s:i, s:{s:s, s:s, s:n}}", "exit", status, "error", "code", code,
		"message", message, "hint");

	client_print_error(client, error);
	json_decref(error);
	return status;
}

// Content of the file that a word names, as text or (data) in base64; NULL after a message.
static json_t *read_file(const struct client *client, const char *path, bool data)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	size_t most = data ? WEFT_DATA_MAX_BYTES : WEFT_REQUEST_MAX_BYTES;
	char *content = malloc(most);
	json_t *text = NULL;
	char message[512];
	size_t length;

	if (!file) {
		snprintf(message, sizeof(message), "cannot read %s: %s", path, strerror(errno));
	} else {
		length = fread(content, 1, most, file);
		if (ferror(file))
			snprintf(message, sizeof(message), "cannot read %s: %s", path,
				strerror(errno));
		else if (length == most)
			snprintf(message, sizeof(message),
				"%s is larger than weftd takes (%zu MiB)", path, most >> 20);
		else if (!(text = data ? base64_json(content, length)
				       : json_stringn(content, length)))
			snprintf(message, sizeof(message), "%s is no UTF-8 text", path);
		if (!is_stdin)
			fclose(file);
	}
	free(content);
	if (!text)
		fail(client, WEFT_EXIT_REFUSED, "no_file", message);
	return text;
}

// Opens the files that the words of this command name.
static int add_files(
	const struct client *client, const json_t *command, const json_t *words, json_t *files)
{
	size_t i;
	json_t *argument;

	json_array_foreach (json_object_get(command, "arguments"), i, argument) {
		size_t at = words_value_at(words, command, argument);
		bool data = words_argument_is(argument, "data");

		if (at && (data || words_argument_is(argument, "file"))) {
			json_t *text = read_file(client, words_at(words, at), data);

			if (!text)
				return -EIO;
			json_object_set_new(files, words_at(words, at), text);
		}
	}
	return 0;
}

static json_t *find_files(const struct client *client, const json_t *commands, const json_t *words)
{
	json_t *files = json_object();
	size_t i;
	json_t *command;

	json_array_foreach (commands, i, command) {
		if (words_fit(command, words) && add_files(client, command, words, files) < 0) {
			json_decref(files);
			return NULL;
		}
	}
	return files;
}

// The commands of the first word's object, from the first weftd that answers. Those that do not are
// done with.
static size_t find_commands(
	struct client *clients, int *statuses, size_t count, const char *object, json_t **commands)
{
	bool plain = strlen(object) < 32 && !object[strspn(object, "abcdefghijklmnopqrstuvwxyz-")];
	char path[64];
	size_t i = 0;

	snprintf(path, sizeof(path), "/v1/commands/%s", plain ? object : "-");
	while (i < count && (statuses[i] = client_get(&clients[i], path, commands)))
		i++;
	return i;
}

static int run_plain(
	struct client *clients, int *statuses, size_t count, const json_t *commands, json_t *words)
{
	const struct client *first = clients;
	json_t *files, *request;
	int status;

	while (statuses[first - clients])
		first++;
	files = find_files(first, commands, words);
	if (!files)
		return WEFT_EXIT_REFUSED;
	request = json_pack("{s:O, s:b, s:o, s:b}", "words", words, "json", clients->json, "files",
		files, "stream", count > 1);
	status = run_request(clients, statuses, count, request, NULL);
	json_decref(request);
	return status;
}

static bool is_help(const json_t *words)
{
	return !strcmp(words_at(words, 0), "help") ||
	       !strcmp(words_at(words, json_array_size(words) - 1), "help");
}

// Commands for which hosts are asked one after another, each for its part: who does not answer says
// so first. Those up to `first` have been asked. False: somebody does not.
static bool try_others(
	struct client *clients, int *statuses, size_t first, size_t count, const json_t *words)
{
	bool all = !first; // those before it did not

	if (strcmp(words_at(words, 0), "path") != 0 && strcmp(words_at(words, 0), "probe") != 0)
		return true;
	for (size_t i = first + 1; i < count; i++) {
		json_t *ignored = NULL;

		statuses[i] = client_get(&clients[i], "/v1/commands/-", &ignored);
		all = all && !statuses[i];
		json_decref(ignored);
	}
	return all;
}

// Ports go by their names, which a host has once.
static bool names_two(const struct ask_hosts *hosts, const json_t *words)
{
	bool ports = !strcmp(words_at(words, 0), "path") || !strcmp(words_at(words, 0), "probe");

	return ports && hosts->count > 1 &&
	       (ask_many_have(hosts, words_at(words, 1)) ||
		       ask_many_have(hosts, words_at(words, 2)));
}

static int run_at(struct client *clients, size_t count, json_t *words)
{
	int statuses[SOCKETS_MAX] = {0}, status;
	json_t *commands;
	size_t first;
	bool all;

	if (is_help(words)) // any of them knows
		count = 1;
	first = find_commands(clients, statuses, count, words_at(words, 0), &commands);
	if (first == count)
		return statuses[0];
	words_complete(words, commands);
	all = try_others(clients, statuses, first, count, words);
	if (names_two(&(struct ask_hosts){clients, statuses, count}, words))
		status = WEFT_EXIT_REFUSED;
	else if (join_wanted(commands, words, count))
		status = join_run(clients, statuses, count, commands, words);
	else if (dry_wanted(words, count))
		status = dry_run(&(struct ask_hosts){clients, statuses, count}, words);
	else if (trace_wanted(clients, commands, words))
		status = trace_run(clients, statuses, count, commands, words);
	else if (probe_wanted(words, count))
		status = probe_run(clients, statuses, count, words);
	else
		status = run_plain(clients, statuses, count, commands, words);
	json_decref(commands);
	return status || all ? status : WEFT_EXIT_PARTIAL;
}

static int run(struct invocation *invocation, json_t *words)
{
	size_t count = invocation->count ? invocation->count : 1;
	struct client *clients = calloc(count, sizeof(*clients));
	int status;

	if (!clients)
		abort();
	for (size_t i = 0; i < count; i++) {
		clients[i] = invocation->client;
		clients[i].many = count > 1;
		if (invocation->count)
			clients[i].socket = invocation->sockets[i];
	}
	status = run_at(clients, count, words);
	for (size_t i = 0; i < count; i++)
		client_close(&clients[i]);
	free(clients);
	return status;
}

// Quiet: a shell that completes has no use for messages.
static int complete(struct client *client, json_t *words)
{
	json_t *request = json_pack("{s:O}", "words", words);
	json_t *answer = NULL;
	size_t i;
	json_t *word;
	int status;

	client->quiet = true;
	client->timeout_seconds = 2;
	status = client_post(client, "/v1/complete", request, &answer);
	json_array_foreach (json_object_get(answer, "words"), i, word)
		puts(json_string_value(word));
	if (json_is_true(json_object_get(answer, "file")))
		puts("<file>");
	json_decref(request);
	json_decref(answer);
	return status;
}

static int set_timeout(struct client *client, const char *text)
{
	char *end;
	long seconds = strtol(text, &end, 10);

	if (*text && !*end && seconds >= 1 && seconds <= 86400) {
		client->timeout_seconds = seconds;
		return -1;
	}
	return fail(
		client, WEFT_EXIT_WORDS, "bad_words", "--timeout wants seconds, from 1 to 86400");
}

static int add_socket(struct invocation *invocation, const char *path)
{
	for (size_t i = 0; i < invocation->count; i++)
		if (!strcmp(invocation->sockets[i], path))
			return fail(&invocation->client, WEFT_EXIT_WORDS, "bad_words",
				"-s names one socket twice: each weftd is asked once");
	if (invocation->count == SOCKETS_MAX)
		return fail(&invocation->client, WEFT_EXIT_WORDS, "bad_words", "too many sockets");
	if (!invocation->count)
		invocation->client.socket = path;
	invocation->sockets[invocation->count++] = path;
	return -1;
}

// Returns -1 to go on, else the exit status.
static int read_options(int argc, char **argv, struct invocation *invocation)
{
	int option;

	// Options end at the first word: words may begin with '-' (`port set up0 trunk -red:20`).
	while ((option = getopt_long(argc, argv, "+s:j", options, NULL)) != -1) {
		switch (option) {
		case 's':
			option = add_socket(invocation, optarg);
			if (option >= 0)
				return option;
			break;
		case 'j':
			invocation->client.json = true;
			break;
		case OPTION_TIMEOUT:
			option = set_timeout(&invocation->client, optarg);
			if (option >= 0)
				return option;
			break;
		case OPTION_COMPLETE:
			invocation->complete = true;
			break;
		case OPTION_HELP:
			fputs(usage, stdout);
			return WEFT_EXIT_DONE;
		case OPTION_VERSION:
			puts("weftctl " WEFT_VERSION);
			return WEFT_EXIT_DONE;
		default:
			return WEFT_EXIT_WORDS;
		}
	}
	return -1;
}

static int run_words(struct invocation *invocation, char **argv)
{
	json_t *words = json_array();
	int status = -1;

	for (; *argv && status < 0; argv++) {
		json_t *word = json_string(*argv);

		if (word)
			json_array_append_new(words, word);
		else
			status = fail(&invocation->client, WEFT_EXIT_WORDS, "bad_words",
				"a word is no UTF-8 text");
	}
	if (status < 0)
		status = invocation->complete ? complete(&invocation->client, words)
					      : run(invocation, words);
	json_decref(words);
	return status;
}

int main(int argc, char **argv)
{
	const char *environment = getenv("WEFT_SOCKET");
	struct invocation invocation = {
		.client =
			{
				.socket = environment && *environment ? environment
								      : WEFT_RUN_DIR
						  "/" WEFT_SOCKET_NAME,
				.timeout_seconds = 60,
			},
	};
	int status = read_options(argc, argv, &invocation);

	if (status < 0)
		status = run_words(&invocation, argv + optind);
	client_close(&invocation.client);
	if (fflush(stdout) != 0 && status == 0) {
		perror("weftctl: standard output");
		status = WEFT_EXIT_REFUSED;
	}
	return status;
}
