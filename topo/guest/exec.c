// SPDX-License-Identifier: BSD-2-Clause
// exec.c - run commands in a guest through its agent; the protocol is in the file agent
#include "topo/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

/* How long the agent may be silent before it is asked again, and in all (it may end an abandoned
 * command). */
#define HELLO_AGAIN_MS 500
#define HELLO_MS       15000
/* What a loaded machine may add to a command's own time. */
#define SLACK_MS 15000
/* Longer commands do not fit one argument of the guest's shell. */
#define COMMAND_MAX 100000

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* `out` has room for base64_len(len) + 1. */
static size_t base64_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

static void base64_encode(const char *in, size_t len, char *out)
{
	const unsigned char *p = (const unsigned char *)in;

	for (; len; p += 3, len = len > 3 ? len - 3 : 0) {
		unsigned int v = (unsigned int)p[0] << 16;

		if (len > 1)
			v |= (unsigned int)p[1] << 8;
		if (len > 2)
			v |= p[2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = len > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = len > 2 ? digits[v & 63] : '=';
	}
	*out = 0;
}

/* A new buffer with the decoded text and a NUL; NULL: no memory or not base64. "-" is empty. */
static char *base64_decode(const char *in, size_t *len)
{
	size_t chars = strcmp(in, "-") ? strcspn(in, "=") : 0, i;
	char *out = malloc(chars / 4 * 3 + 4), *p = out;
	unsigned int v = 0;

	for (i = 0; out && i < chars; i++) {
		const char *digit = strchr(digits, in[i]);

		if (!digit) {
			free(out);
			return NULL;
		}
		v = v << 6 | (unsigned int)(digit - digits);
		if (i % 4)
			*p++ = (char)(v >> (6 - i % 4 * 2));
	}
	if (!out)
		return NULL;
	*p = 0;
	*len = (size_t)(p - out);
	return out;
}

/* A word that no earlier request had: late answers to those must not pass for this one's. */
static void new_id(char id[17])
{
	unsigned char raw[8];
	size_t i;

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		abort();
	for (i = 0; i < sizeof(raw); i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
}

/* Send a request and read up to its answer, which is split into words. */
static int ask(
	struct chan *chan, const char *request, const char *id, char *words[4], int64_t deadline_ns)
{
	char *line;
	int i, err;

	err = chan_send(chan, request, strlen(request), deadline_ns);
	while (!err) {
		err = chan_line(chan, &line, deadline_ns);
		if (err)
			break;
		for (i = 0; i < 4; i++)
			words[i] = strsep(&line, " \r");
		if (words[3] && !strcmp(words[0], id))
			return 0;
	}
	return err;
}

/*
 * Repeat a request that does nothing until it is answered. Bytes may be lost while the guest opens
 * its end, and the leading newline ends a half line that a client left when it died.
 */
static int hello(struct chan *chan, int64_t deadline_ns)
{
	char id[17], request[32], *words[4];
	int err;

	do {
		int64_t again_ns = guest_deadline_ns(HELLO_AGAIN_MS);

		new_id(id);
		snprintf(request, sizeof(request), "\n%s 0 -\n", id);
		err = ask(
			chan, request, id, words, again_ns < deadline_ns ? again_ns : deadline_ns);
	} while (err == -ETIMEDOUT && guest_now_ns() < deadline_ns);
	return err;
}

/* One client at a time talks to the agent. Close to unlock. */
static int lock_agent(struct guest *guest, int64_t deadline_ns)
{
	char path[GUEST_PATH_LEN];
	int fd;

	guest_path(guest, "agent.lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return guest_pid(guest) ? guest_fail(guest, errno, "%s: %m", path)
					: guest_died(guest);
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (guest_now_ns() > deadline_ns) {
			close(fd);
			return guest_fail(
				guest, EBUSY, "guest %s is busy with another command", guest->name);
		}
		guest_pause_ms(5);
	}
	return fd;
}

static int explain(struct guest *guest, int err)
{
	/* Its end is seen on the socket a moment before the process is gone. */
	if (err == -EPIPE || err == -ECONNREFUSED || err == -ENOENT)
		guest_pause_ms(100);
	if (!guest_pid(guest))
		return guest_died(guest);
	if (err == -ETIMEDOUT)
		return guest_fail(guest, ETIMEDOUT, "guest %s does not answer (see its console)",
			guest->name);
	return guest_fail(guest, -err, "guest %s: agent: %s", guest->name, strerror(-err));
}

/* Connect and make sure that the agent listens; QEMU may still be making the socket. */
static int reach_agent(struct guest *guest, struct chan *chan, int64_t deadline_ns)
{
	char path[GUEST_PATH_LEN];
	int err;

	guest_path(guest, "agent.sock", path);
	while ((err = chan_open(chan, path, deadline_ns))) {
		bool early = err == -ENOENT || err == -ECONNREFUSED;

		if (!early || !guest_pid(guest) || guest_now_ns() > deadline_ns)
			return err;
		guest_pause_ms(20);
	}
	err = hello(chan, deadline_ns);
	if (err)
		chan_close(chan);
	return err;
}

int guest_wait(struct guest *guest, unsigned int timeout_ms)
{
	int64_t deadline_ns = guest_deadline_ns(timeout_ms);
	struct chan chan;
	int lock, err;

	lock = lock_agent(guest, deadline_ns);
	if (lock < 0)
		return lock;
	err = reach_agent(guest, &chan, deadline_ns);
	if (!err)
		chan_close(&chan);
	close(lock);
	return err ? explain(guest, err) : 0;
}

static int run(
	struct chan *chan, const char *command, unsigned int timeout_s, struct guest_output *output)
{
	size_t len = strlen(command);
	char id[17], *words[4], *request;
	int err, n;

	request = malloc(base64_len(len) + 64);
	if (!request)
		return -ENOMEM;
	new_id(id);
	n = sprintf(request, "%s %u ", id, timeout_s);
	base64_encode(command, len, request + n);
	strcat(request + n, "\n");
	err = ask(chan, request, id, words, guest_deadline_ns(timeout_s * 1000 + SLACK_MS));
	free(request);
	if (err)
		return err;
	output->status = atoi(words[1]);
	output->out = base64_decode(words[2], &output->out_len);
	output->err = base64_decode(words[3], &output->err_len);
	if (output->out && output->err)
		return 0;
	guest_output_free(output);
	return -EPROTO;
}

int guest_exec(struct guest *guest, const char *command, unsigned int timeout_s,
	struct guest_output *output)
{
	int64_t deadline_ns = guest_deadline_ns(timeout_s * 1000 + HELLO_MS);
	struct chan chan;
	int lock, err;

	memset(output, 0, sizeof(*output));
	if (!*command || strlen(command) > COMMAND_MAX)
		return guest_fail(guest, EINVAL, "a command has 1 to %d bytes", COMMAND_MAX);
	lock = lock_agent(guest, deadline_ns);
	if (lock < 0)
		return lock;
	err = reach_agent(guest, &chan, guest_deadline_ns(HELLO_MS));
	if (!err) {
		err = run(&chan, command, timeout_s, output);
		chan_close(&chan);
	}
	close(lock);
	return err ? explain(guest, err) : 0;
}

void guest_output_free(struct guest_output *output)
{
	free(output->out);
	free(output->err);
	memset(output, 0, sizeof(*output));
}
