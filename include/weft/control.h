// SPDX-License-Identifier: BSD-2-Clause
// The control protocol between weftd and its clients: HTTP/1.1 and JSON over a unix socket.
//
//   POST /v1/run       {"words": ["port","add",...], "json": false, "files": {"WORD": "content"}}
//                      (of arguments of kind `data` in base64)
//                      -> {"exit": 0, "text": "..."} or, with "json": true,
//                      {"exit": 0, "result": [...]}; refused: {"exit": 1, "error":
//                      {"code": "...", "message": "...", "hint": "..."}}
//   POST /v1/complete  {"words": ["port","ad"]} -> {"words": ["add"]}; the last word is completed
//   GET  /v1/commands  every command with its arguments, as data
//   GET  /v1/OBJECT    what `OBJECT show` returns: an array; /v1/OBJECT/NAME: an array of one
//   GET  /metrics      OpenMetrics text
//
// Commands whose "stream" is true in /v1/commands answer /v1/run in lines, as they come, if they
// are not refused before: application/x-ndjson with "json": true, one object a line; else
// text/plain. The last line is an object in both, and of text the only line that begins with '{':
//   {"done": true, "exit": 0, "lines": 12, "dropped": 0} and, if it is so, "error": as above
// "dropped" lines came faster than the client read (then "exit" is 4). An answer without that last
// line was cut off. Who hangs up ends the command; who sends the byte WEFT_END_OF_STREAM meanwhile
// ends it, too, and gets what it has to say at its end ("exit" is 4, no "error"). A request with
// "stream": true is refused if its answer would not be a stream.
//
// Commands whose "joined" is true are about packets that several hosts see. A request of theirs
// with "points": true is answered by the packets themselves, for the client to join (ctl/path): one
// object {"state": "tracing", ...} when it has begun, the way by the host's tables as `path` has
// it, then a line for each point as `trace` has them; those of `trace` itself with what it says
// there as "text".
//
// An answer with "ending": true comes from a weftd that ends itself; it has ended when its process
// has.
//
// HTTP status: 200 done, 400 wrong words, 404 no such object or path, 409 refused, 413 too large.
// The body carries the truth; the status follows it. Each answer names its host in a header.
#pragma once

#define WEFT_RUN_DIR       "/run/weft"
#define WEFT_STATE_DIR     "/var/lib/weft"
#define WEFT_BPF_DIR       "/sys/fs/bpf"
#define WEFT_SOCKET_NAME   "weftd.sock"
#define WEFT_HOST_HEADER   "Weft-Host"
#define WEFT_END_OF_STREAM "\003" // ETX, as Ctrl-C

enum {
	WEFT_REQUEST_MAX_BYTES = 16 << 20,
	WEFT_DATA_MAX_BYTES = 8 << 20, // of a file that goes in base64
	// Counts that a client of joined commands minds itself.
	WEFT_PATH_REQUESTS_MAX = 2000,
	WEFT_TRACE_COUNT_MAX = 1000000000,
};

enum weft_exit {
	WEFT_EXIT_DONE = 0,
	WEFT_EXIT_REFUSED = 1,
	WEFT_EXIT_WORDS = 2,
	WEFT_EXIT_NO_DAEMON = 3,
	WEFT_EXIT_PARTIAL = 4, // done in part, or timed out
};
