// SPDX-License-Identifier: BSD-2-Clause
// `path A B measure T` over several hosts, and `path A B request N`: every host tells of the
// packets it sees, the client may send requests meanwhile, and what all saw is one way.
#include "ctl/path/join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/control.h>
#include "ctl/path/dry.h"
#include "ctl/path/print.h"
#include "ctl/path/requests.h"
#include "ctl/words.h"

enum { GRACE_MS = 700 }; // for the last packet's way

struct join {
	struct run_taker taker; // the first: it is cast
	const struct client *clients;
	struct client self; // for messages: what is joined is no host's
	const int *statuses;
	size_t count;
	const char *from, *plot;
	struct walk *walk;
	json_t *dry, *to_networks; // names
	char from_address[64];     // of a sender that is no port; else ""
	char to[80];               // as hosts name it; "": none knows
	size_t begun;              // hosts
	bool from_known;
	uint64_t lost;
	struct requests requests; // count 0: none
	int64_t end_ms;           // 0: it is not over yet
};

static const char *text_at(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

// --- while it runs

// Hosts that have one name are told apart by their sockets.
static const char *name_of(const struct join *join, const struct client *client)
{
	for (const struct client *other = join->clients; other < client; other++)
		if (!strcmp(client_host(other), client_host(client)))
			return client->socket;
	return client_host(client);
}

// Tenants may have the same addresses: what is not in the network of who asks is not meant.
static void note_networks(struct join *join, const json_t *line)
{
	const json_t *from = json_object_get(line, "from_networks");
	const json_t *to = json_object_get(line, "to_networks");

	if (json_array_size(from) == 1)
		snprintf(join->walk->network, sizeof(join->walk->network), "%s", words_at(from, 0));
	if (json_array_size(to))
		json_array_extend(join->to_networks, (json_t *)to);
}

// False: the other end is a port that is in other networks.
static bool shares_network(const struct join *join)
{
	size_t count = json_array_size(join->to_networks);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(words_at(join->to_networks, i), join->walk->network))
			return true;
	return !count || !*join->walk->network;
}

static void begin_host(struct join *join, const struct client *client, const json_t *line)
{
	const char *to = text_at(line, "to"), *address = text_at(line, "from_address");
	bool from = json_is_true(json_object_get(line, "from"));

	note_networks(join, line);
	walk_host(join->walk, name_of(join, client),
		(uint32_t)json_integer_value(json_object_get(line, "clock")), from);
	join->begun++;
	join->from_known |= from;
	if (address)
		snprintf(join->from_address, sizeof(join->from_address), "%s", address);
	if (to && !join->to[0])
		snprintf(join->to, sizeof(join->to), "%s", to);
}

static void take_line(struct run_taker *taker, const struct client *client, const json_t *line)
{
	struct join *join = (struct join *)taker;

	if (text_at(line, "state"))
		begin_host(join, client, line);
	else if (text_at(line, "packet"))
		walk_add(join->walk, line, name_of(join, client));
	else
		join->lost += (uint64_t)json_integer_value(json_object_get(line, "cards_lost"));
}

// Else nobody could say what it sees.
static bool is_known(const struct join *join)
{
	return join->from_known && join->to[0];
}

static bool has_port(const char *to)
{
	const char *colon = strchr(to, ':');

	return *to == '[' || (colon && !strchr(colon + 1, ':'));
}

static int take_turn(struct run_taker *taker, int *fd)
{
	struct join *join = (struct join *)taker;
	struct requests *requests = &join->requests;

	if (!run_all_begun(join->statuses, join->count, join->begun))
		return 1000;
	if (!is_known(join) || !shares_network(join))
		return -1;
	if (!requests->aim.count)
		return 1000;
	if (!requests->pid) {
		requests->aim.to = join->to;
		requests->aim.http = has_port(join->to);
		requests_begin(requests);
	} else if (requests->fd >= 0 && !requests_read(requests)) {
		join->end_ms = run_now_ms() + (requests->length ? GRACE_MS : 0);
	}
	*fd = requests->fd;
	if (!join->end_ms)
		return 500;
	return run_now_ms() < join->end_ms ? (int)(join->end_ms - run_now_ms()) : -1;
}

// --- what comes of it

static int draw(const struct join *join, const struct path_result *path)
{
	FILE *out = fopen(join->plot, "we");

	if (out)
		path_svg(out, path);
	if (out && fclose(out) == 0)
		return WEFT_EXIT_DONE;
	return client_fail(&join->self, WEFT_EXIT_REFUSED, "no_file", NULL, "cannot write %s: %s",
		join->plot, strerror(errno));
}

static int print(const struct join *join, const struct path_result *path)
{
	bool here = join->plot && !strcmp(join->plot, "-");

	if (join->self.json)
		path_json(stdout, path);
	else
		path_table(stdout, path);
	if (here)
		path_bars(join->self.json ? stderr : stdout, path);
	return join->plot && !here ? draw(join, path) : WEFT_EXIT_DONE;
}

// Where nothing was seen.
static const char *advice(const struct requests_aim *aim)
{
	if (!aim->count)
		return "have the first ask the other something meanwhile, or say `request N`";
	if (!aim->netns && !aim->with)
		return "they were sent from here: `netns NAME`, or `with 'ssh CLIENT'`, sends them "
		       "from the client";
	return "does it answer at all? `drops show` of each host may say more";
}

// Weft's own answers, the gateway's, lead nowhere.
static bool answered_by_weft(const json_t *dry)
{
	const json_t *last = json_array_get(dry, json_array_size(dry) - 1);

	return !strcmp(words_text(last, "verdict"), "reply");
}

// There is no way to show, and why.
static int fail_unseen(
	const struct join *join, const struct path_result *path, const struct requests_seen *seen)
{
	const struct requests_aim *aim = &join->requests.aim;

	if (!join->self.json)
		dry_print(stdout, path->dry);
	if (aim->count && !seen->count && !seen->cut_short && !seen->not_sent)
		return client_fail(&join->self, WEFT_EXIT_PARTIAL, "not_answered", advice(aim),
			"no request from %s to %s got an answer", path->from, path->to);
	if (answered_by_weft(path->dry))
		return client_fail(&join->self, WEFT_EXIT_REFUSED, "not_seen",
			"`latency show` has what answers take",
			"weft itself answers for %s: no way leads on", path->to);
	return client_fail(&join->self, aim->count ? WEFT_EXIT_REFUSED : WEFT_EXIT_PARTIAL,
		"not_seen", advice(aim), "no host saw a request from %s to %s and its answer",
		path->from, path->to);
}

// The way is known, but was it what was asked for?
static int judge(const struct join *join, const struct requests_seen *seen)
{
	unsigned count = join->requests.aim.count;

	if (!seen->cut_short && seen->count < count)
		return client_fail(&join->self, WEFT_EXIT_PARTIAL, "not_answered",
			"`drops show` of each host may say more",
			"%zu of %u requests got no answer", count - seen->count, count);
	if (seen->errors)
		return client_fail(&join->self, WEFT_EXIT_PARTIAL, "http_error",
			"the way is that of these answers: ask the service why",
			"%zu of %zu answers were HTTP errors, the first was %u", seen->errors,
			seen->count, seen->error);
	return WEFT_EXIT_DONE;
}

static int show(const struct join *join, const struct requests_seen *seen)
{
	struct path_result path = {.lost = join->lost, .dry = join->dry, .hosts = join->begun};
	struct way_aim aim = {.from = join->from_address, .to = join->to, .ports = seen->numbers};
	struct way way, connect;
	int status;

	path.clock = walk_align(join->walk);
	path.left_out = join->walk->left_out;
	path.sent = seen->cut_short ? seen->count : join->requests.aim.count;
	snprintf(path.from, sizeof(path.from), "%s", join->from);
	snprintf(path.to, sizeof(path.to), "%s", join->to);
	aim.port_count = join->requests.aim.http ? seen->count : 0;
	way = way_find(join->walk, &aim);
	if (!way.requests && aim.port_count) { // somebody translates them before the first host
		aim.port_count = 0;
		way_free(&way);
		way = way_find(join->walk, &aim);
	}
	path.again = way.again;
	aim.connect = true;
	connect = way_find(join->walk, &aim);
	if (way.requests && (seen->count || !join->requests.aim.count)) {
		path_make(&path, &way, &connect, seen);
		status = print(join, &path);
		if (status == WEFT_EXIT_DONE)
			status = judge(join, seen);
	} else {
		status = fail_unseen(join, &path, seen);
	}
	free(path.steps);
	way_free(&way);
	way_free(&connect);
	return status;
}

static int fail_unknown(const struct join *join, const char *to)
{
	if (!join->from_known)
		return run_no_port(&join->self, join->from);
	return client_fail(&join->self, WEFT_EXIT_REFUSED, "not_found",
		"let it send something, a ping for one, or name it by its address",
		"no host that was asked knows an address of %s", to);
}

// --- words

static const json_t *find_command(const json_t *commands, const json_t *words)
{
	size_t i;
	json_t *command;

	json_array_foreach (commands, i, command)
		if (json_is_true(json_object_get(command, "joined")) && words_fit(command, words) &&
			(words_value(words, command, "measure_seconds") ||
				words_value(words, command, "request")))
			return command;
	return NULL;
}

bool join_wanted(const json_t *commands, const json_t *words, size_t hosts)
{
	const json_t *command = find_command(commands, words);

	return command && (hosts > 1 || words_value(words, command, "request") ||
				  words_value(words, command, "plot"));
}

static void read_words(struct join *join, const json_t *words, const json_t *command)
{
	const char *count = words_value(words, command, "request");

	join->from = words_value(words, command, "from");
	join->plot = words_value(words, command, "plot");
	join->requests = (struct requests){
		.fd = -1,
		.aim =
			{
				.count = (unsigned)words_count(count, WEFT_PATH_REQUESTS_MAX),
				.netns = words_value(words, command, "netns"),
				.with = words_value(words, command, "with"),
			},
	};
}

static bool any_failed(const int *statuses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (statuses[i])
			return true;
	return false;
}

int join_run(struct client *clients, int *statuses, size_t count, const json_t *commands,
	const json_t *words)
{
	struct join join = {
		.taker = {take_line, take_turn},
		.clients = clients,
		.self = *clients,
		.statuses = statuses,
		.count = count,
		.walk = walk_new(),
		.to_networks = json_array(),
	};
	struct requests_seen seen;
	int status;

	join.self.many = false;
	read_words(&join, words, find_command(commands, words));
	status = run_points(clients, statuses, count, words, &join.taker);
	seen = requests_end(&join.requests);
	// not before: the tables know now what the requests have taught them
	join.dry = dry_walk(&(struct ask_hosts){clients, statuses, count}, join.from,
		words_value(words, find_command(commands, words), "to"),
		words_value(words, find_command(commands, words), "proto"));
	if (is_known(&join) && !shares_network(&join))
		status = client_fail(&join.self, WEFT_EXIT_REFUSED, "not_found", NULL,
			"%s is in network %s, and %s is not", join.from, join.walk->network,
			words_at(words, 2));
	else if (is_known(&join))
		status = show(&join, &seen);
	else if (!any_failed(statuses, count)) // who did has said so
		status = fail_unknown(&join, words_at(words, 2));
	if (join.begun && !status && any_failed(statuses, count))
		status = WEFT_EXIT_PARTIAL;
	requests_free(&seen);
	json_decref(join.dry);
	json_decref(join.to_networks);
	walk_free(join.walk);
	return status;
}
