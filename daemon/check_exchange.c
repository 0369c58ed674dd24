// SPDX-License-Identifier: BSD-2-Clause
// One check: a socket of the namespace, connect, ask, read until it is known how it ends. Nothing
// waits: the event loop goes on in between, and a check that takes too long has failed.
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/fdb.h"
#include "daemon/service.h"

// Descriptors that checks have at most, and no more than half of weftd's. A check that finds none
// free waits a little.
enum { EXCHANGES = 2048, ASK_BYTES = 768, STATUS_BYTES = 256, DATAGRAM_BYTES = 2048 };

// A token names a slot and how often it was used.
enum { SERIALS = 1 << 20 };

enum step { STEP_FREE, STEP_SOCKET, STEP_CONNECT, STEP_ANSWER };

struct exchange {
	struct exchanges *all;
	struct check *check;
	json_t *service; // words; a reference
	enum step step;
	u32 serial; // an answer to an older order is for nobody
	int fd;
	struct event *ready, *timeout;
	struct sockaddr_storage to;
	socklen_t to_bytes;
	u8 answer[STATUS_BYTES]; // of HTTP: so much that the status is in it
	u32 answer_bytes;
	struct exchange *next_free;
};

struct exchanges {
	struct weftd *weftd;
	struct check_space *space;
	exchange_fn *fn;
	struct exchange *free;
	struct exchange slot[EXCHANGES];
};

static bool is(const struct exchange *x, const char *kind)
{
	return strcmp(spec_text(x->service, "check", ""), kind) == 0;
}

static void release(struct exchange *x)
{
	if (x->ready)
		event_free(x->ready);
	x->ready = NULL;
	event_del(x->timeout);
	if (x->fd >= 0)
		close(x->fd);
	x->fd = -1;
	json_decref(x->service);
	x->service = NULL;
	x->check = NULL;
	x->step = STEP_FREE;
	x->serial++;
	x->next_free = x->all->free;
	x->all->free = x;
}

static void end(struct exchange *x, bool success, const char *why)
{
	struct check *check = x->check;
	release(x);
	x->all->fn(check, success, why);
}

static void end_error(struct exchange *x, int error)
{
	char why[CHECK_WHY_BYTES];
	const char *name = error == ECONNREFUSED ? "connection refused"
			   : error == ECONNRESET ? "connection reset"
						 : strerror(error);
	snprintf(why, sizeof(why), "%s", name);
	end(x, false, why);
}

// --- what comes back

static void judge_status(struct exchange *x, int status)
{
	char why[CHECK_WHY_BYTES];
	u32 first = 200, last = 399;
	check_status_read(spec_text(x->service, "status", "200-399"), &first, &last);
	snprintf(why, sizeof(why), "HTTP status %d", status);
	end(x, status >= (int)first && status <= (int)last, why);
}

static void read_http(struct exchange *x, size_t bytes)
{
	x->answer_bytes += (u32)bytes;
	int status = check_http_status((const char *)x->answer, x->answer_bytes);
	if (status > 0)
		judge_status(x, status);
	else if (status < 0)
		end(x, false, "the answer is no HTTP");
	else if (!bytes)
		end(x, false, "the connection was closed without an answer");
}

static void read_udp(struct exchange *x, const u8 *answer, size_t answer_bytes)
{
	u8 expect[ASK_BYTES];
	int bytes = check_payload_read(spec_text(x->service, "expect", ""), expect, sizeof(expect));
	bool good = bytes <= 0 || memmem(answer, answer_bytes, expect, (size_t)bytes);
	end(x, good, good ? "answered" : "another answer than expected");
}

static void receive(struct exchange *x)
{
	u8 datagram[DATAGRAM_BYTES];
	bool udp = is(x, "udp");
	ssize_t bytes = udp ? recv(x->fd, datagram, sizeof(datagram), 0)
			    : recv(x->fd, x->answer + x->answer_bytes,
				      sizeof(x->answer) - x->answer_bytes, 0);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes < 0)
		end_error(x, errno);
	else if (udp)
		read_udp(x, datagram, (size_t)bytes);
	else
		read_http(x, (size_t)bytes);
}

// --- what goes there

static void on_ready(evutil_socket_t fd, short what, void *context);

static void wait_for(struct exchange *x, short what)
{
	if (x->ready)
		event_free(x->ready);
	x->ready = event_new(x->all->weftd->base, x->fd, what | EV_PERSIST, on_ready, x);
	if (!x->ready || event_add(x->ready, NULL))
		abort();
}

// RFC 9110 section 7.2.
static void default_host(const struct exchange *x, char host[64])
{
	const char *vip = spec_text(x->service, "vip", "");
	long long port = spec_number(x->service, "port", 80);
	bool v6 = strchr(vip, ':');
	int used = snprintf(host, 64, v6 ? "[%s]" : "%s", vip);
	if (port != 80)
		snprintf(host + used, 64 - (size_t)used, ":%lld", port);
}

static size_t write_ask(const struct exchange *x, u8 ask[ASK_BYTES])
{
	char host[64];
	int bytes;
	default_host(x, host);
	if (is(x, "udp"))
		bytes = check_payload_read(spec_text(x->service, "send", ""), ask, ASK_BYTES);
	else
		bytes = snprintf((char *)ask, ASK_BYTES,
			"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weft\r\nAccept: */*\r\n"
			"Connection: close\r\n\r\n",
			spec_text(x->service, "path", "/"), spec_text(x->service, "host", host));
	return bytes > 0 ? (size_t)bytes : 0;
}

static void send_ask(struct exchange *x)
{
	u8 ask[ASK_BYTES];
	size_t bytes = write_ask(x, ask);
	if (send(x->fd, ask, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
		end_error(x, errno);
		return;
	}
	x->step = STEP_ANSWER;
	wait_for(x, EV_READ);
}

static void connected(struct exchange *x)
{
	int error = 0;
	socklen_t size = sizeof(error);
	getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) {
		end_error(x, error);
	} else if (is(x, "tcp")) {
		end(x, true, "connected");
	} else {
		send_ask(x);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
	struct exchange *x = context;
	(void)fd, (void)what;
	if (x->step == STEP_CONNECT)
		connected(x);
	else
		receive(x);
}

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
	struct exchange *x = context;
	char why[CHECK_WHY_BYTES];
	(void)fd, (void)what;
	snprintf(why, sizeof(why), "%s within %u s",
		x->step == STEP_ANSWER ? "no answer" : "no connection",
		check_timeout_ms(x->service) / 1000);
	end(x, false, why);
}

static void on_socket(void *context, u32 token, int fd)
{
	struct exchanges *all = context;
	struct exchange *x = &all->slot[token % EXCHANGES];
	if (x->step != STEP_SOCKET || x->serial % SERIALS != token / EXCHANGES) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd < 0) {
		end_error(x, -fd);
		return;
	}
	x->fd = fd;
	x->step = STEP_CONNECT;
	if (connect(fd, (struct sockaddr *)&x->to, x->to_bytes) && errno != EINPROGRESS)
		end_error(x, errno);
	else
		wait_for(x, EV_WRITE);
}

// --- begin and end

static void aim(struct exchange *x, const struct check_row *row)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = weft_hton16(row->key.port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = weft_hton16(row->key.port)};
	memcpy(&v4.sin_addr, &row->alias.byte[12], sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, row->alias.byte, sizeof(v6.sin6_addr));
	bool is_v4 = address_v4(&row->alias);
	x->to_bytes = is_v4 ? sizeof(v4) : sizeof(v6);
	memcpy(&x->to, is_v4 ? (void *)&v4 : (void *)&v6, x->to_bytes);
}

int exchange_begin(struct exchanges *all, struct check *check, const json_t *service,
	const struct check_row *row)
{
	struct exchange *x = all->free;
	if (!x)
		return -EAGAIN;
	u32 token = (u32)(x - all->slot) + x->serial % SERIALS * EXCHANGES;
	u32 timeout_ms = check_timeout_ms(service);
	struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	bool v4 = address_v4(&row->alias);
	int type = check_protocol(service) == WEFT_IP_UDP ? SOCK_DGRAM : SOCK_STREAM;
	if (check_space_socket(all->space, token, v4 ? AF_INET : AF_INET6, type))
		return -EAGAIN;
	all->free = x->next_free;
	x->step = STEP_SOCKET;
	x->check = check;
	x->service = json_incref((json_t *)service);
	x->answer_bytes = 0;
	aim(x, row);
	event_add(x->timeout, &timeout);
	return 0;
}

void exchange_cancel(struct exchanges *all, const struct check *check)
{
	for (u32 i = 0; i < EXCHANGES; i++) {
		if (all->slot[i].step != STEP_FREE && all->slot[i].check == check)
			release(&all->slot[i]);
	}
}

static u32 most(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 2 > EXCHANGES)
		return EXCHANGES;
	return (u32)files.rlim_cur / 2;
}

struct exchanges *exchanges_new(struct weftd *weftd, exchange_fn *fn, const char **why)
{
	struct exchanges *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->weftd = weftd;
	all->fn = fn;
	all->space = check_space_open(weftd->base, on_socket, all, why);
	for (u32 i = most(); i-- > 0 && all->space;) {
		struct exchange *x = &all->slot[i];
		*x = (struct exchange){.all = all, .fd = -1, .next_free = all->free};
		all->free = x;
		x->timeout = evtimer_new(weftd->base, on_timeout, x);
		if (!x->timeout)
			abort();
	}
	if (all->space)
		return all;
	free(all);
	return NULL;
}

void exchanges_free(struct exchanges *all)
{
	if (!all)
		return;
	for (u32 i = 0; i < EXCHANGES; i++) {
		if (all->slot[i].step != STEP_FREE)
			release(&all->slot[i]);
		if (all->slot[i].timeout)
			event_free(all->slot[i].timeout);
	}
	check_space_close(all->space);
	free(all);
}

struct check_space *exchanges_space(const struct exchanges *all)
{
	return all->space;
}
