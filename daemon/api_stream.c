// SPDX-License-Identifier: BSD-2-Clause
// Answers that come later, by evhttp: lines in chunks, or one; who hangs up meanwhile, who reads
// nothing.

#include "daemon/api_stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <weft/control.h>

// Who takes nothing for so long, though there is something, is gone.
enum { STALLED_SECONDS = 300 };

struct stream {
	struct outlet outlet;
	struct streams *streams;
	struct evhttp_request *request;
	struct evhttp_connection *connection; // known longer than the request knows it
	struct event *end;                    // the client wants it
	struct stream *prev, *next;
};

static struct bufferevent *wire(const struct stream *stream)
{
	return evhttp_connection_get_bufferevent(stream->connection);
}

// What a client says while it is answered is nothing to keep, but that it wants the end; and
// reading must go on, for only so it is seen that the client hangs up.
static void take_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *context)
{
	struct stream *stream = context;

	if (!info->n_added)
		return;
	if (evbuffer_search(input, WEFT_END_OF_STREAM, 1, NULL).pos >= 0)
		event_active(stream->end, EV_TIMEOUT, 0); // later: evhttp is reading
	evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
	struct stream *stream = context;

	(void)fd;
	(void)what;
	pending_interrupt(&stream->outlet);
}

// evhttp reads on while it answers, but newer ones do not, and would not see that the client hangs
// up; and its time limit is for clients that are to say something.
static void watch_client(struct stream *stream)
{
	const struct timeval stalled = {.tv_sec = STALLED_SECONDS};

	stream->end = evtimer_new(evhttp_connection_get_base(stream->connection), on_end, stream);
	if (!stream->end ||
		!evbuffer_add_cb(bufferevent_get_input(wire(stream)), take_input, stream))
		abort();
	bufferevent_set_timeouts(wire(stream), NULL, &stalled);
	bufferevent_enable(wire(stream), EV_READ);
	// All that one turn of the loop has put out, or it grows where the client is not to blame.
	bufferevent_set_max_single_write(wire(stream), PENDING_OUTPUT_MAX_BYTES);
}

static void enter(struct outlet *outlet)
{
	struct stream *stream = (struct stream *)outlet;

	DL_APPEND(stream->streams->first, stream);
	watch_client(stream);
}

static void open_stream(struct outlet *outlet, bool json)
{
	struct stream *stream = (struct stream *)outlet;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(stream->request);

	evhttp_add_header(headers, "Content-Type",
		json ? "application/x-ndjson" : "text/plain; charset=utf-8");
	// So nothing that was said meanwhile is the next request.
	evhttp_add_header(headers, "Connection", "close");
	evhttp_send_reply_start(stream->request, HTTP_OK, NULL);
	enter(outlet);
}

static void put_line(struct outlet *outlet, const char *text, size_t length)
{
	struct stream *stream = (struct stream *)outlet;
	struct evbuffer *chunk = evbuffer_new();

	if (!chunk || evbuffer_add(chunk, text, length) < 0)
		abort();
	evhttp_send_reply_chunk(stream->request, chunk);
	evbuffer_free(chunk);
}

static size_t held_bytes(const struct outlet *outlet)
{
	return evbuffer_get_length(bufferevent_get_output(wire((const struct stream *)outlet)));
}

// As much as the client's socket takes; weftd does not wait for it.
static void flush(struct bufferevent *bufferevent)
{
	struct evbuffer *output = bufferevent_get_output(bufferevent);

	evbuffer_unfreeze(output, 1); // a bufferevent's own: its event would write, but never comes
	while (evbuffer_get_length(output) > 0 &&
		evbuffer_write(output, bufferevent_getfd(bufferevent)) > 0)
		;
	evbuffer_freeze(output, 1);
}

// Its connection may live on for a while.
static void leave(struct stream *stream)
{
	DL_DELETE(stream->streams->first, stream);
	evbuffer_remove_cb(bufferevent_get_input(wire(stream)), take_input, stream);
	event_free(stream->end);
}

static void stream_end(struct stream *stream, struct bufferevent *bufferevent)
{
	if (stream->streams->stopping)
		flush(bufferevent);
	free(stream);
}

static void close_stream(struct outlet *outlet)
{
	struct stream *stream = (struct stream *)outlet;
	struct bufferevent *bufferevent = wire(stream);

	leave(stream);
	evhttp_send_reply_end(stream->request);
	stream_end(stream, bufferevent);
}

void api_reply(struct evhttp_request *request, struct api_answer answer)
{
	struct evbuffer *buffer = evhttp_request_get_output_buffer(request);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", answer.type);
	evbuffer_add(buffer, answer.body, strlen(answer.body));
	free(answer.body);
	evhttp_send_reply(request, answer.status, NULL, buffer);
}

static void answer_whole(struct outlet *outlet, json_t *answer)
{
	struct stream *stream = (struct stream *)outlet;
	struct bufferevent *bufferevent = wire(stream);

	leave(stream);
	api_reply(stream->request, api_answer_to_run(answer));
	stream_end(stream, bufferevent);
}

static const struct outlet_ops stream_ops = {
	.open = open_stream,
	.put = put_line,
	.held = held_bytes,
	.close = close_stream,
	.wait = enter,
	.whole = answer_whole,
};

struct outlet *stream_new(struct streams *streams, struct evhttp_request *request)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		abort();
	*stream = (struct stream){
		.outlet.ops = &stream_ops,
		.streams = streams,
		.request = request,
		.connection = evhttp_request_get_connection(request),
	};
	return &stream->outlet;
}

void stream_free(struct outlet *outlet)
{
	free(outlet);
}

void streams_connection_closed(struct streams *streams, const struct evhttp_connection *connection)
{
	struct stream *stream;

	DL_FOREACH(streams->first, stream)
	if (stream->connection == connection)
		break;
	if (!stream)
		return;
	leave(stream);
	pending_gone(&stream->outlet);
	// evhttp has let go of a request that it still answered; it is ours to free.
	if (!evhttp_request_get_connection(stream->request))
		evhttp_request_free(stream->request);
	free(stream);
}
