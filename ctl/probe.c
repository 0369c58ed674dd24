// SPDX-License-Identifier: BSD-2-Clause
// A host knows what is behind another one by its addresses alone. So where B is a port of that one,
// it is asked who is behind the port, and A's host probes that.
#include "ctl/probe.h"

#include <string.h>
#include <weft/control.h>
#include "ctl/ask.h"
#include "ctl/words.h"

// Who is known behind the port is put in the place of its name. False: nobody is.
static bool name_guest(struct client *client, json_t *words, const char *port)
{
	json_t *rows = ask(client, (const char *const[]){"fdb", "show", "port", port, NULL});
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
	struct ask_hosts hosts = {clients, statuses, count};
	size_t here = ask_port(&hosts, 0, from, NULL);
	size_t there = here < count ? ask_port(&hosts, here, to, NULL) : count;
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
