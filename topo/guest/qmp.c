// SPDX-License-Identifier: BSD-2-Clause
// qmp.c - QEMU's control socket: one command, one answer
#include "topo/guest/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QMP_TIMEOUT_MS 10000

/* The next object that is not an event. */
static int qmp_read(struct chan *chan, json_t **reply, int64_t deadline_ns)
{
	char *line;
	int err;

	for (;;) {
		err = chan_line(chan, &line, deadline_ns);
		if (err)
			return err;
		*reply = json_loads(line, 0, NULL);
		if (!*reply)
			return -EPROTO;
		if (!json_object_get(*reply, "event"))
			return 0;
		json_decref(*reply);
		*reply = NULL;
	}
}

static int qmp_run(struct chan *chan, json_t *command, json_t **reply, int64_t deadline_ns)
{
	char *text = json_dumps(command, JSON_COMPACT);
	int err;

	if (!text)
		return -EINVAL;
	err = chan_send(chan, text, strlen(text), deadline_ns);
	if (!err)
		err = chan_send(chan, "\n", 1, deadline_ns);
	free(text);
	if (!err)
		err = qmp_read(chan, reply, deadline_ns);
	return err;
}

/* Connect and read the greeting. */
static int qmp_connect(struct guest *guest, struct chan *chan, int64_t deadline_ns)
{
	char path[GUEST_PATH_LEN];
	json_t *greeting = NULL;
	int err;

	guest_path(guest, "qmp.sock", path);
	err = chan_open(chan, path, deadline_ns);
	if (err)
		return err;
	err = qmp_read(chan, &greeting, deadline_ns);
	json_decref(greeting);
	if (err)
		chan_close(chan);
	return err;
}

int guest_qmp_greeting(struct guest *guest, int64_t deadline_ns)
{
	struct chan chan;
	int err = qmp_connect(guest, &chan, deadline_ns);

	if (!err)
		chan_close(&chan);
	return err;
}

static int qmp_session(struct chan *chan, json_t *command, json_t **reply, int64_t deadline_ns)
{
	json_t *hello = json_pack("{s:s}", "execute", "qmp_capabilities");
	json_t *welcome = NULL;
	int err;

	err = qmp_run(chan, hello, &welcome, deadline_ns);
	json_decref(hello);
	json_decref(welcome);
	return err ? err : qmp_run(chan, command, reply, deadline_ns);
}

int guest_qmp_timed(struct guest *guest, json_t *command, unsigned int timeout_ms, json_t **reply)
{
	int64_t deadline_ns = guest_deadline_ns(timeout_ms);
	const char *text = "it gave no reason";
	struct chan chan;
	int err;

	*reply = NULL;
	if (!guest_pid(guest))
		return guest_died(guest);
	err = qmp_connect(guest, &chan, deadline_ns);
	if (!err) {
		err = qmp_session(&chan, command, reply, deadline_ns);
		chan_close(&chan);
	}
	if (err)
		return guest_fail(guest, -err, "guest %s: QEMU's control socket: %s", guest->name,
			strerror(-err));
	if (json_object_get(*reply, "return"))
		return 0;
	json_unpack(*reply, "{s:{s:s}}", "error", "desc", &text);
	return guest_fail(guest, EREMOTEIO, "guest %s: QEMU refused: %s", guest->name, text);
}

int guest_qmp(struct guest *guest, json_t *command, json_t **reply)
{
	return guest_qmp_timed(guest, command, QMP_TIMEOUT_MS, reply);
}
