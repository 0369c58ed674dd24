// SPDX-License-Identifier: BSD-2-Clause
// Answers that come later, most in lines: HTTP chunks on one connection.
#pragma once

#include <event2/http.h>
#include "daemon/api.h"
#include "daemon/pending.h"

struct stream;
struct streams {
	struct stream *first; // those that are open
	bool stopping;        // the event loop runs no more: what is put goes out at once, or never
};

// The one answer, at once. Takes its body.
void api_reply(struct evhttp_request *request, struct api_answer answer);

// An outlet for this request. It frees itself once it was opened; else by stream_free.
struct outlet *stream_new(struct streams *streams, struct evhttp_request *request);
void stream_free(struct outlet *outlet);
// To be told of each connection that ends.
void streams_connection_closed(struct streams *streams, const struct evhttp_connection *connection);
