// SPDX-License-Identifier: BSD-2-Clause
// A command at one weftd, for its answer alone.
#include "ctl/ask.h"

json_t *ask(struct client *client, const char *const *words)
{
	json_t *request = json_pack("{s:[], s:b}", "words", "json", 1), *answer = NULL;
	json_t *list = json_object_get(request, "words"), *result = NULL;

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	client->quiet = true;
	if (!client_post(client, "/v1/run", request, &answer) &&
		!json_integer_value(json_object_get(answer, "exit")))
		result = json_incref(json_object_get(answer, "result"));
	client->quiet = false;
	json_decref(answer);
	json_decref(request);
	return result;
}

size_t ask_port(const struct ask_hosts *hosts, size_t first, const char *port)
{
	for (size_t i = 0; i < hosts->count; i++) {
		size_t at = (first + i) % hosts->count;
		json_t *ports = hosts->statuses[at]
					? NULL
					: ask(&hosts->clients[at], (const char *const[]){"port",
									   "show", port, NULL});
		bool has = json_array_size(ports) > 0;

		json_decref(ports);
		if (has)
			return at;
	}
	return hosts->count;
}
