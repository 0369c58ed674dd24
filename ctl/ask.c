// SPDX-License-Identifier: BSD-2-Clause
// A command at one weftd, for its answer alone.
#include "ctl/ask.h"

#include <stdio.h>
#include <string.h>
#include <weft/control.h>

static json_t *request_of(const char *const *words)
{
	json_t *request = json_pack("{s:[], s:b}", "words", "json", 1);

	for (; *words; words++)
		json_array_append_new(json_object_get(request, "words"), json_string(*words));
	return request;
}

json_t *ask(struct client *client, const char *const *words)
{
	json_t *request = request_of(words), *answer = NULL, *result = NULL;

	client->quiet = true;
	if (!client_post(client, "/v1/run", request, &answer) &&
		!json_integer_value(json_object_get(answer, "exit")))
		result = json_incref(json_object_get(answer, "result"));
	client->quiet = false;
	json_decref(answer);
	json_decref(request);
	return result;
}

int ask_aloud(struct client *client, const char *const *words)
{
	json_t *request = request_of(words), *answer = NULL;
	int status = client_post(client, "/v1/run", request, &answer);

	if (!status)
		status = client_print_answer(client, answer);
	json_decref(answer);
	json_decref(request);
	return status;
}

bool ask_many_have(const struct ask_hosts *hosts, const char *port)
{
	struct client self = *hosts->clients;
	char name[80];
	size_t one, other;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(port, ":"), port);
	one = ask_port(hosts, 0, name, NULL);
	other = one < hosts->count ? ask_port(hosts, one + 1, name, NULL) : one;
	if (one == other)
		return false;
	self.many = false;
	client_fail(&self, WEFT_EXIT_REFUSED, "ambiguous",
		"name it by the address of its guest, or ask fewer hosts",
		"hosts %s and %s both have a port %s", client_host(&hosts->clients[one]),
		client_host(&hosts->clients[other]), name);
	return true;
}

size_t ask_port(const struct ask_hosts *hosts, size_t first, const char *port, json_t **shown)
{
	const char *const words[] = {"port", "show", port, NULL};

	for (size_t i = 0; i < hosts->count; i++) {
		size_t at = (first + i) % hosts->count;
		json_t *ports = hosts->statuses[at] ? NULL : ask(&hosts->clients[at], words);
		bool has = json_array_size(ports) > 0;

		if (has && shown)
			*shown = json_incref(ports);
		json_decref(ports);
		if (has)
			return at;
	}
	if (shown)
		*shown = NULL;
	return hosts->count;
}
