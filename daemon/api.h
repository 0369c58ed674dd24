// SPDX-License-Identifier: BSD-2-Clause
// The server of include/weft/control.h on the unix socket.
#pragma once

#include <stdio.h>
#include "daemon/weftd.h"

int api_open(struct weftd *weftd, struct failure *failure); // sets weftd->api
void api_close(struct weftd *weftd);

// What the server answers, without the network: for the server and the fuzzer.
struct api_answer {
	int status;       // of HTTP
	const char *type; // Content-Type
	char *body;       // malloc; NULL: the answer goes to the outlet, in lines
};
struct outlet;                                       // pending.h; NULL: none
struct api_answer api_answer_to_run(json_t *answer); // takes it
struct api_answer api_answer(struct weftd *weftd, bool post, const char *path, const char *body,
	size_t length, struct outlet *outlet);

char *metrics_text(struct weftd *weftd); // OpenMetrics; malloc
void metrics_cpu(FILE *out, struct weftd *weftd);
