// SPDX-License-Identifier: BSD-2-Clause
// The unix socket: what is served, by evhttp, with limits on everything a client may hold.

#include "daemon/api.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <weft/control.h>
#include <weft/log.h>
#include "daemon/api_stream.h"
#include "daemon/host.h"

LOG_MODULE(api);

enum {
	HEADERS_MAX_BYTES = 16 << 10,
	CONNECTIONS_MAX = 256, // further ones wait in the backlog
	IDLE_SECONDS = 30,
	BACKLOG = 1024,
	PAUSE_MS = 100,     // after accept() failed for lack of descriptors
	QUIET_SECONDS = 60, // until the log says so again
	TRIM_SECONDS = 1,
};

struct api {
	struct weftd *weftd;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct event *resume;
	struct event *trim;
	unsigned connections;
	time_t quiet_until; // CLOCK_MONOTONIC
	struct streams streams;
	struct sockaddr_un address;
};

// For accept_failed: its listener's context is evhttp's. A process has one socket.
static struct api *served;

// `host stop` was asked for: leave when its answer is out.
static void answered(struct evhttp_request *request, void *context)
{
	struct api *api = context;

	(void)request;
	if (api->weftd->stopping)
		event_base_loopbreak(api->weftd->base);
}

static void serve(struct evhttp_request *request, void *context)
{
	struct api *api = context;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(input);
	const char *body = length ? (const char *)evbuffer_pullup(input, -1) : "";
	char *path = evhttp_uridecode(raw ? raw : "/", 0, NULL);
	bool post = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
	struct outlet *outlet = stream_new(&api->streams, request);
	struct api_answer answer;

	evhttp_request_set_on_complete_cb(request, answered, api);
	// So who asks several hosts knows whose answer it is.
	evhttp_add_header(evhttp_request_get_output_headers(request), WEFT_HOST_HEADER,
		host_name(api->weftd));
	answer = api_answer(api->weftd, post, path ? path : "/", body, length, outlet);
	// The command may have taken long: without this its client would be seen as idle all the
	// time.
	event_base_update_cache_time(api->weftd->base);
	if (answer.body) {
		stream_free(outlet);
		api_reply(request, answer);
	}
	if (api->weftd->stopping) // even if the client does not wait for the answer
		event_base_loopexit(api->weftd->base, &(struct timeval){.tv_sec = 1});
	free(path);
}

// What many clients held at once lies between what is still in use: free() alone does not give it
// back to the host.
static void trim(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	(void)context;
	malloc_trim(0);
}

static void connection_closed(struct evhttp_connection *connection, void *context)
{
	struct api *api = context;
	const struct timeval delay = {.tv_sec = TRIM_SECONDS};

	if (connection)
		streams_connection_closed(&api->streams, connection);
	api->connections--;
	if (api->listener)
		evconnlistener_enable(api->listener);
	if (!event_pending(api->trim, EV_TIMEOUT, NULL))
		event_add(api->trim, &delay);
}

struct opening {
	struct api *api;
	struct bufferevent *stream;
};

// evhttp tells of a connection's end, but not of its begin; the stream it made knows the
// connection.
static void connection_opened(evutil_socket_t fd, short what, void *context)
{
	struct opening *opening = context;
	struct api *api = opening->api;
	void *connection = NULL;

	(void)fd;
	(void)what;
	bufferevent_getcb(opening->stream, NULL, NULL, NULL, &connection);
	free(opening);
	if (connection)
		evhttp_connection_set_closecb(connection, connection_closed, api);
	else
		connection_closed(NULL, api);
}

static struct bufferevent *make_stream(struct event_base *base, void *context)
{
	struct api *api = context;
	struct bufferevent *stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct opening *opening = calloc(1, sizeof(*opening));

	if (!stream || !opening)
		abort();
	*opening = (struct opening){.api = api, .stream = stream};
	if (event_base_once(base, -1, EV_TIMEOUT, connection_opened, opening, NULL) < 0)
		abort();
	if (++api->connections >= CONNECTIONS_MAX)
		evconnlistener_disable(api->listener);
	return stream;
}

static void resume(evutil_socket_t fd, short what, void *context)
{
	struct api *api = context;

	(void)fd;
	(void)what;
	if (api->connections < CONNECTIONS_MAX)
		evconnlistener_enable(api->listener);
}

static void warn_failed(struct api *api, int error)
{
	struct failure failure;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < api->quiet_until)
		return;
	api->quiet_until = now.tv_sec + QUIET_SECONDS;
	fail(&failure, -error, "no_client", "cannot accept a client: %s", strerror(error));
	log_warn("%s", failure.message);
}

// Out of descriptors: the pending connection stays readable, so without a pause this would spin.
static void accept_failed(struct evconnlistener *listener, void *context)
{
	const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};

	(void)context;
	warn_failed(served, errno);
	evconnlistener_disable(listener);
	event_add(served->resume, &pause);
}

static int fail_socket(const struct api *api, int err, const char *doing, struct failure *failure)
{
	return fail(failure, -err, "no_socket", "cannot %s the socket %s: %s", doing,
		api->address.sun_path, strerror(err));
}

// A socket without a server behind it was left by a weftd that died: we hold the lock.
static int clear_path(const struct api *api, struct failure *failure)
{
	const char *path = api->address.sun_path;
	struct stat st;
	int probe, err;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail_socket(api, errno, "look at", failure);
	if (!S_ISSOCK(st.st_mode)) {
		fail(failure, -EEXIST, "no_socket", "%s exists and is no socket", path);
		return fail_hint(failure, "move it away, or choose another --run-dir");
	}
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = connect(probe, (const struct sockaddr *)&api->address, sizeof(api->address)) ? errno
											   : 0;
	close(probe);
	if (err == 0 || err == EAGAIN || err == EPROTOTYPE) {
		fail(failure, -EADDRINUSE, "taken", "another program serves the socket %s", path);
		return fail_hint(failure, "stop it, or choose another --run-dir");
	}
	return unlink(path) < 0 ? fail_socket(api, errno, "remove", failure) : 0;
}

static int listen_on(struct api *api, struct failure *failure)
{
	mode_t mask;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return fail_socket(api, errno, "make", failure);
	mask = umask(0177);
	err = bind(fd, (const struct sockaddr *)&api->address, sizeof(api->address)) ? errno : 0;
	umask(mask);
	if (err) {
		close(fd);
		return fail_socket(api, err, "make", failure);
	}
	// 0: the socket does not listen yet, evconnlistener is to do it.
	api->listener = evconnlistener_new(api->weftd->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (!api->listener || !evhttp_bind_listener(api->http, api->listener)) {
		close(fd);
		return fail_socket(api, errno, "serve", failure);
	}
	served = api;
	evconnlistener_set_error_cb(api->listener, accept_failed);
	return 0;
}

int api_open(struct weftd *weftd, struct failure *failure)
{
	struct api *api = calloc(1, sizeof(*api));
	int length, err;

	weftd->api = api;
	api->weftd = weftd;
	api->address.sun_family = AF_UNIX;
	length = snprintf(api->address.sun_path, sizeof(api->address.sun_path), "%s/%s",
		weftd->settings.run_dir, WEFT_SOCKET_NAME);
	if (length >= (int)sizeof(api->address.sun_path))
		return fail(failure, -ENAMETOOLONG, "no_socket",
			"the name of the run directory is too long for a socket: %s",
			weftd->settings.run_dir);
	err = clear_path(api, failure);
	if (err)
		return err;
	api->resume = evtimer_new(weftd->base, resume, api);
	api->trim = evtimer_new(weftd->base, trim, NULL);
	api->http = evhttp_new(weftd->base);
	if (!api->http || !api->resume || !api->trim)
		abort();
	evhttp_set_max_body_size(api->http, WEFT_REQUEST_MAX_BYTES);
	evhttp_set_max_headers_size(api->http, HEADERS_MAX_BYTES);
	evhttp_set_timeout(api->http, IDLE_SECONDS);
	evhttp_set_allowed_methods(api->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_bevcb(api->http, make_stream, api);
	evhttp_set_gencb(api->http, serve, api);
	return listen_on(api, failure);
}

void api_close(struct weftd *weftd)
{
	struct api *api = weftd->api;

	if (!api)
		return;
	api->streams.stopping = true;
	pending_stop(weftd);
	if (api->listener)
		unlink(api->address.sun_path);
	api->listener = NULL; // evhttp_free frees it before the connections, whose end is told here
	if (api->http)
		evhttp_free(api->http);
	if (api->resume)
		event_free(api->resume);
	if (api->trim)
		event_free(api->trim);
	free(api);
	weftd->api = NULL;
}
