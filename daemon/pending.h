// SPDX-License-Identifier: BSD-2-Clause
// Commands that take their time: they answer in lines, as those come, while weftd goes on.
//
// Such a command has `cancelled` (command.h). Its life, all of it in the event loop's thread:
//
// One that is `whole` (command.h) says nothing by request_line(): its result is answered at the
// end. Without a pending request (request->pending NULL) it runs to its end at once.
//
//   run               checks, starts the work, keeps what it needs in request->context, and says
//                     `return request_later(request, deadline_ms);`. Or 0: that was all. Or what
//                     fail() returned: then it keeps nothing.
//   request_line()    any number of times, from run on.
//   request_done()    once, later, when the work has come to its end: the request is freed.
//   cancelled         instead of request_done, once: the client is gone or wants the end, the
//                     deadline is over, or weftd stops. It ends the work and frees
//                     request->context. What it still puts out by request_line() reaches a client
//                     that is there; who asked is then told why it was cut short, and the request
//                     is freed.
//
// A client that reads slowly never makes weftd wait or grow: beyond PENDING_OUTPUT_MAX_BYTES that
// it has not taken, lines are dropped, and the last object says how many.
#pragma once

#include "daemon/command.h"

enum {
	COMMAND_PENDING = 1, // what request_later() returns
	PENDING_MAX = 64,    // at once; one more is refused
	PENDING_OUTPUT_MAX_BYTES = 256 << 10,
};

// After deadline_ms the request is cut short: "timed out", exit status 4. 0: it has no deadline.
int request_later(struct request *request, unsigned long long deadline_ms);
// Takes the reference. No key may be `done` or `host`: they are the last object's and weftctl's.
void request_line(struct request *request, json_t *object);
// Half of what a client may leave untaken waits for it: a good moment to put out no more for now.
bool request_is_full(const struct request *request);
// failure NULL: all is done. The request is gone when this returns.
void request_done(struct request *request, const struct failure *failure);

// Where the lines of one request go: a connection of the API, or a test.
struct outlet {
	const struct outlet_ops *ops;
	struct pending *pending; // set while there may come more
};
struct outlet_ops {
	void (*open)(struct outlet *outlet, bool json); // once, before all else
	void (*put)(struct outlet *outlet, const char *text, size_t length);
	size_t (*held)(const struct outlet *outlet); // bytes that the client has not taken yet
	void (*close)(struct outlet *outlet);        // nothing more comes; it may free itself
	// Instead of these: there is to be one answer, later. It comes by whole(), which takes it,
	// and is the last that happens.
	void (*wait)(struct outlet *outlet);
	void (*whole)(struct outlet *outlet, json_t *answer);
};

// For command.c. NULL: the outlet was opened, the answer goes there. The request is copied.
json_t *pending_run(const struct request *request, struct outlet *outlet);
// The outlet's client is gone; the outlet is not used any more.
void pending_gone(struct outlet *outlet);
// The outlet's client wants the end: what there is, is summed up.
void pending_interrupt(struct outlet *outlet);
// weftd stops: every pending request ends with a sentence.
void pending_stop(struct weftd *weftd);
