// SPDX-License-Identifier: BSD-2-Clause
// From host to host by `path`, and by `explain` where a packet comes from a peer.
#include "ctl/path/dry.h"

#include <stdio.h>
#include <string.h>
#include <weft/control.h>
#include "ctl/run.h"
#include "ctl/words.h"

enum { WORDS_MOST = 32 };

// `path`, at one host.
struct dry_words {
	const char *word[6];
};

static struct dry_words words_of(const char *from, const char *to, const char *proto)
{
	return (struct dry_words){{"path", from, to, proto ? "proto" : NULL, proto, NULL}};
}

// NULL: no host has the sender, or knows the other end.
static json_t *walk(const struct ask_hosts *hosts, const struct dry_words *words)
{
	json_t *steps = NULL;

	for (size_t i = 0; i < hosts->count && !steps; i++)
		if (!hosts->statuses[i])
			steps = ask(&hosts->clients[i], words->word);
	return steps;
}

static bool better(const json_t *row, const json_t *than)
{
	bool v6 = strchr(words_text(row, "ip"), ':'), than_v6 = strchr(words_text(than, "ip"), ':');

	if (!than || v6 != than_v6)
		return !than || than_v6;
	return json_integer_value(json_object_get(row, "age_seconds")) <
	       json_integer_value(json_object_get(than, "age_seconds"));
}

// Of a port that is in one; else "".
static void network_of(const struct ask_hosts *hosts, const char *port, char *name, size_t size)
{
	json_t *rows;

	ask_port(hosts, 0, port, &rows);
	snprintf(name, size, "%s", words_text(json_array_get(rows, 0), "network"));
	json_decref(rows);
}

// A port of another host goes by the address of its guest, in the network of who asks (tenants may
// have the same addresses). False: nobody knows one.
static bool name_guest(
	const struct ask_hosts *hosts, const char *network, const char *to, char *text, size_t size)
{
	const char *port = to + strcspn(to, ":");
	size_t at;
	json_t *rows, *row, *best = NULL;
	const char *ip;
	size_t i;

	snprintf(text, size, "%.*s", (int)(port - to), to);
	at = ask_port(hosts, 0, text, NULL);
	if (at == hosts->count)
		return false;
	rows = ask(&hosts->clients[at],
		(const char *const[]){"neighbour", "show", "port", text, NULL});
	json_array_foreach (rows, i, row)
		if ((!*network || !strcmp(words_text(row, "network"), network)) &&
			better(row, best))
			best = row;
	ip = words_text(best, "ip");
	snprintf(text, size, *port && strchr(ip, ':') ? "[%s]%s" : "%s%s", ip, port);
	json_decref(rows);
	return best;
}

// The name that the host has for the peer with this address.
static bool find_peer(struct client *client, const char *address, char *name, size_t size)
{
	json_t *peers = ask(client, (const char *const[]){"peer", "show", NULL}), *peer;
	size_t i;

	*name = '\0';
	json_array_foreach (peers, i, peer)
		if (!strcmp(words_text(peer, "address"), address))
			snprintf(name, size, "%s", words_text(peer, "name"));
	json_decref(peers);
	return *name;
}

// The host itself by its address. NULL: it was not asked.
static struct client *find_host(const struct ask_hosts *hosts, const char *address)
{
	for (size_t i = 0; i < hosts->count; i++) {
		json_t *shown = hosts->statuses[i]
					? NULL
					: ask(&hosts->clients[i],
						  (const char *const[]){"host", "show", NULL});
		const json_t *host = json_array_get(shown, 0);
		bool is = !strcmp(words_text(host, "address"), address);

		if (is)
			snprintf(hosts->clients[i].host, sizeof(hosts->clients[i].host), "%s",
				words_text(host, "name"));
		json_decref(shown);
		if (is)
			return &hosts->clients[i];
	}
	return NULL;
}

// What becomes of it at the host that the step would ask; NULL: that is none of these.
static json_t *go_on(const struct ask_hosts *hosts, const json_t *step)
{
	const json_t *asks = json_object_get(step, "ask"), *words = json_object_get(asks, "words");
	struct client *client = find_host(hosts, words_text(asks, "address"));
	const char *list[WORDS_MOST] = {"explain", "peer"}, *note;
	char peer[256];
	json_t *shown, *next = NULL;

	if (!client || !find_peer(client, words_text(asks, "as_address"), peer, sizeof(peer)) ||
		json_array_size(words) > WORDS_MOST - 4)
		return NULL;
	list[2] = peer;
	for (size_t i = 0; i < json_array_size(words); i++)
		list[3 + i] = words_at(words, i);
	shown = ask(client, list);
	note = words_text(json_array_get(shown, 0), "note");
	if (shown)
		next = json_pack("{s:O, s:s, s:s, s:s, s:s, s:[], s:n, s:n, s:n}", "step",
			json_object_get(step, "step"), "host", client_host(client), "what",
			"the packet", "verdict", words_text(json_array_get(shown, 0), "verdict"),
			"why", *note ? note : words_text(json_array_get(shown, 0), "why"),
			"assumed", "hop", "p50_ns", "p99_ns");
	json_decref(shown);
	return next;
}

json_t *dry_walk(const struct ask_hosts *hosts, const char *from, const char *to, const char *proto)
{
	struct dry_words words = words_of(from, to, proto);
	char address[80] = "", network[80];
	json_t *steps = walk(hosts, &words), *next;
	size_t last;

	if (!steps) {
		network_of(hosts, from, network, sizeof(network));
		words.word[2] = address;
		if (name_guest(hosts, network, to, address, sizeof(address)))
			steps = walk(hosts, &words);
	}
	last = json_array_size(steps) ? json_array_size(steps) - 1 : 0;
	if (json_object_get(json_array_get(steps, last), "ask")) {
		next = go_on(hosts, json_array_get(steps, last));
		if (next)
			json_array_set_new(steps, last, next);
	}
	return steps ? steps : json_array();
}

void dry_print(FILE *out, const json_t *steps)
{
	size_t i;
	json_t *step;

	json_array_foreach (steps, i, step)
		fprintf(out, "%s%-14s %s: %s. %s\n", i ? "" : "By the tables:\n",
			words_text(step, "host"), words_text(step, "what"),
			words_text(step, "verdict"), words_text(step, "why"));
}

bool dry_wanted(const json_t *words, size_t hosts)
{
	return hosts > 1 && !strcmp(words_at(words, 0), "path") &&
	       (json_array_size(words) == 3 ||
		       (json_array_size(words) == 5 && !strcmp(words_at(words, 3), "proto")));
}

static bool are_wrong(const char *to, const char *proto)
{
	const char *colon = *to == '[' ? strstr(to, "]:") : strchr(to, ':');
	const char *port = !colon ? "" : *to == '[' ? colon + 2 : colon + 1;

	if (proto && strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
		return true;
	return colon && !strchr(port, ':') && !words_count(port, 65535);
}

// Why no host could walk it: the one that has the sender can say, but of another host's port.
static int fail_dry(const struct ask_hosts *hosts, const struct client *self, const char *from,
	const char *to, const char *proto)
{
	const struct dry_words words = words_of(from, to, proto);
	size_t here = ask_port(hosts, 0, from, NULL), there;
	char name[80];

	if (are_wrong(to, proto)) // any host says what is wrong with them
		return ask_aloud(&hosts->clients[here < hosts->count ? here : 0], words.word);
	if (here == hosts->count)
		return client_fail(self, WEFT_EXIT_REFUSED, "not_found",
			"`port show` lists the ports of a host; an address is known once it has "
			"sent; -s names one more host",
			"no host that was asked has a port %s, or knows where that comes in", from);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(to, ":"), to);
	there = ask_port(hosts, 0, name, NULL);
	if (there == hosts->count)
		return ask_aloud(&hosts->clients[here], words.word);
	return client_fail(self, WEFT_EXIT_REFUSED, "not_found",
		"let it send something, a ping for one, or name it by its address",
		"host %s knows nobody behind port %s whom %s could ask: it is silent, or in "
		"another network",
		client_host(&hosts->clients[there]), name, from);
}

int dry_run(const struct ask_hosts *hosts, const json_t *words)
{
	const char *from = words_at(words, 1), *to = words_at(words, 2);
	const char *proto = json_array_size(words) == 5 ? words_at(words, 4) : NULL;
	json_t *steps = dry_walk(hosts, from, to, proto);
	struct client self = *hosts->clients;
	int status = WEFT_EXIT_DONE;

	self.many = false;
	if (!json_array_size(steps)) {
		status = fail_dry(hosts, &self, from, to, proto);
	} else if (self.json) {
		json_dumpf(steps, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		dry_print(stdout, steps);
	}
	json_decref(steps);
	return status;
}
