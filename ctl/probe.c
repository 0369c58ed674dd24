// SPDX-License-Identifier: BSD-2-Clause
// A host knows what is behind another one by its addresses alone. So where B is a port of that one,
// it is asked who is behind the port, and A's host probes that.
#include "ctl/probe.h"

#include <string.h>
#include <weft/control.h>
#include "ctl/words.h"

// What a command with these words shows, an array; NULL: it was refused, or nobody answers.
static json_t *shown(struct client *client, const char *object, const char *key, const char *value)
{
	json_t *request = json_pack("{s:[s, s], s:b}", "words", object, "show", "json", 1),
	       *answer = NULL;
	json_t *words = json_object_get(request, "words"), *result = NULL;

	if (key)
		json_array_append_new(words, json_string(key));
	json_array_append_new(words, json_string(value));
	client->quiet = true;
	if (!client_post(client, "/v1/run", request, &answer))
		result = json_incref(json_object_get(answer, "result"));
	client->quiet = false;
	json_decref(answer);
	json_decref(request);
	return result;
}

// The host that has the port, the first to be asked before others; count: none.
static size_t find_port(
	struct client *clients, const int *statuses, size_t count, size_t first, const char *port)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = (first + i) % count;
		json_t *ports = statuses[at] ? NULL : shown(&clients[at], "port", NULL, port);
		bool has = json_array_size(ports) > 0;

		json_decref(ports);
		if (has)
			return at;
	}
	return count;
}

// Who is known behind the port is put in the place of its name. False: nobody is.
static bool name_guest(struct client *client, json_t *words, const char *port)
{
	json_t *rows = shown(client, "fdb", "port", port);
	const json_t *mac = json_object_get(json_array_get(rows, 0), "mac");
	bool known = json_is_string(mac);

	if (known)
		json_array_set(words, 2, (json_t *)mac);
	json_decref(rows);
	return known;
}

bool probe_wanted(const json_t *words, size_t hosts)
{
	return hosts > 1 && !strcmp(words_at(words, 0), "probe") && *words_at(words, 2);
}

int probe_run(struct client *clients, int *statuses, size_t count, const json_t *words)
{
	const char *from = words_at(words, 1), *to = words_at(words, 2);
	size_t here = find_port(clients, statuses, count, 0, from);
	size_t there = here < count ? find_port(clients, statuses, count, here, to) : count;
	struct client self = clients[0];
	json_t *asked = json_copy((json_t *)words), *request;
	int status;

	self.many = false;
	if (here == count) {
		status = run_no_port(&self, from);
	} else if (there < count && there != here && !name_guest(&clients[there], asked, to)) {
		status = client_fail(&self, WEFT_EXIT_REFUSED, "not_found",
			"let it send something, a ping for one, or name it by its address",
			"host %s knows nobody behind port %s", client_host(&clients[there]), to);
	} else {
		request = json_pack(
			"{s:O, s:b, s:b}", "words", asked, "json", clients->json, "stream", 1);
		status = run_request(&clients[here], &statuses[here], 1, request, NULL);
		json_decref(request);
	}
	json_decref(asked);
	return status;
}
