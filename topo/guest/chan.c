// SPDX-License-Identifier: BSD-2-Clause
// chan.c - lines over a unix stream socket, every step with a deadline
#include "topo/guest/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A guest may print much; something is wrong with one that prints more. */
#define LINE_MAX_BYTES (256u << 20)

/* Wait for events on the socket. */
static int chan_poll(struct chan *chan, short events, int64_t deadline_ns)
{
	struct pollfd fd = {.fd = chan->fd, .events = events};
	int n;

	do {
		int64_t left_ms = (deadline_ns - guest_now_ns() + 999999) / 1000000;

		if (left_ms <= 0)
			return -ETIMEDOUT;
		n = poll(&fd, 1, left_ms > 1000000 ? 1000000 : (int)left_ms);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int chan_open(struct chan *chan, const char *path, int64_t deadline_ns)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int err;

	memset(chan, 0, sizeof(*chan));
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
		(int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	chan->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (chan->fd < 0)
		return -errno;
	while (connect(chan->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		/* EAGAIN: others wait to be accepted; a unix socket has no way to poll for room. */
		err = errno == EAGAIN && guest_now_ns() > deadline_ns ? -ETIMEDOUT : -errno;
		if (err != -EAGAIN && err != -EINTR) {
			close(chan->fd);
			return err;
		}
		guest_pause_ms(10);
	}
	return 0;
}

int chan_send(struct chan *chan, const char *data, size_t len, int64_t deadline_ns)
{
	while (len) {
		ssize_t n = send(chan->fd, data, len, MSG_NOSIGNAL);
		int err;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = chan_poll(chan, POLLOUT, deadline_ns);
		if (err)
			return err;
	}
	return 0;
}

static int chan_fill(struct chan *chan, int64_t deadline_ns)
{
	ssize_t n;
	int err;

	if (chan->size - chan->len < 2) {
		size_t size = chan->size ? chan->size * 2 : 4096;
		char *buf = size > LINE_MAX_BYTES ? NULL : realloc(chan->buf, size);

		if (!buf)
			return -ENOMEM;
		chan->buf = buf;
		chan->size = size;
	}
	for (;;) {
		n = read(chan->fd, chan->buf + chan->len, chan->size - chan->len - 1);
		if (n > 0) {
			chan->len += (size_t)n;
			return 0;
		}
		if (n == 0 || errno == ECONNRESET)
			return -EPIPE;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = chan_poll(chan, POLLIN, deadline_ns);
		if (err)
			return err;
	}
}

int chan_line(struct chan *chan, char **line, int64_t deadline_ns)
{
	size_t seen = 0;
	char *end;
	int err;

	if (chan->used) {
		chan->len -= chan->used;
		memmove(chan->buf, chan->buf + chan->used, chan->len);
		chan->used = 0;
	}
	for (;;) {
		end = chan->len > seen ? memchr(chan->buf + seen, '\n', chan->len - seen) : NULL;
		if (end)
			break;
		seen = chan->len;
		err = chan_fill(chan, deadline_ns);
		if (err)
			return err;
	}
	*end = 0;
	*line = chan->buf;
	chan->used = (size_t)(end - chan->buf) + 1;
	return 0;
}

void chan_close(struct chan *chan)
{
	close(chan->fd);
	free(chan->buf);
	memset(chan, 0, sizeof(*chan));
	chan->fd = -1;
}
