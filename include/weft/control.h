// SPDX-License-Identifier: BSD-2-Clause
// The control protocol between weftd and its clients: HTTP/1.1 and JSON over a unix socket.
//
//   POST /v1/run         {"words": ["port","add",...], "json": false, "files": {"WORD": "content"}}
//                        -> {"exit": 0, "text": "..."} or, with "json": true, {"exit": 0, "result":
//                        [...]}; refused: {"exit": 1, "error": {"code": "...", "message": "...",
//                        "hint": "..."}}
//   POST /v1/complete    {"words": ["port","ad"]}  -> {"words": ["add"]}; the last word is
//   completed GET  /v1/commands    every command with its arguments, as data GET  /v1/OBJECT what
//   `OBJECT show` returns: an array; /v1/OBJECT/NAME: an array of one GET  /metrics OpenMetrics
//   text
//
// HTTP status: 200 done, 400 wrong words, 404 no such object or path, 409 refused, 413 too large.
// The body carries the truth; the status follows it.
#pragma once

#define WEFT_RUN_DIR     "/run/weft"
#define WEFT_STATE_DIR   "/var/lib/weft"
#define WEFT_BPF_DIR     "/sys/fs/bpf"
#define WEFT_SOCKET_NAME "weftd.sock"

enum { WEFT_REQUEST_MAX_BYTES = 16 << 20 };

enum weft_exit {
	WEFT_EXIT_DONE = 0,
	WEFT_EXIT_REFUSED = 1,
	WEFT_EXIT_WORDS = 2,
	WEFT_EXIT_NO_DAEMON = 3,
	WEFT_EXIT_PARTIAL = 4, // done in part, or timed out
};
