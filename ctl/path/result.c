// SPDX-License-Identifier: BSD-2-Clause
// The hosts' steps and the client's own view, put together.
#include "ctl/path/result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void add_step(struct path_result *path, const char *where, const char *what,
	struct way_times took, bool observed)
{
	struct way_step *step = &path->steps[path->count++];

	*step = (struct way_step){.took = took, .observed = observed};
	snprintf(step->host, sizeof(step->host), "%s", where);
	snprintf(step->what, sizeof(step->what), "%s", what);
}

static const struct way_step *guest_of(const struct way *way)
{
	for (size_t i = 0; i < way->count; i++)
		if (way_is_guest(&way->steps[i]))
			return &way->steps[i];
	return NULL;
}

static struct way_times remainder_of(struct way_times whole, struct way_times part)
{
	return (struct way_times){
		.p50_ns = whole.p50_ns - part.p50_ns,
		.p99_ns = whole.p99_ns - part.p99_ns,
		.mean_ns = whole.mean_ns - part.mean_ns,
	};
}

// The guest's kernel answers a connection by itself: what a request takes longer is the service's.
// The two are of different packets, so nothing can be said of single ones.
static void split_guest(
	struct path_result *path, const struct way_step *step, const struct way_step *kernel)
{
	struct way_times service;

	add_step(path, step->host, step->what, kernel ? kernel->took : step->took, true);
	if (!kernel)
		return;
	service = remainder_of(step->took, kernel->took);
	service.p99_ns = NAN;
	add_step(path, step->host, "service", service, true);
}

// What the hosts did not see of it. Where each request is known by its place in the row, of each
// that the steps tell of; else what all took must do.
static void add_client(
	struct path_result *path, const struct way *way, const struct requests_seen *seen)
{
	double *first_ns = calloc(seen->count, sizeof(*first_ns));
	double *own_ns = calloc(seen->count, sizeof(*own_ns));
	bool each = seen->count == way->requests + way->others;
	size_t count = 0;
	struct way_times own;

	if (!first_ns || !own_ns)
		abort();
	for (size_t i = 0; i < seen->count; i++) {
		if (each && isnan(way->spans_ns[i]))
			continue;
		first_ns[count] = seen->first[i];
		own_ns[count++] = each ? seen->first[i] - way->spans_ns[i] : NAN;
	}
	path->whole = way_times(first_ns, count);
	own = each ? way_times(own_ns, count) : remainder_of(path->whole, way->took);
	if (!each)
		own.p99_ns = NAN;
	add_step(path, path->from, "client and its wire", own, false);
	free(first_ns);
	free(own_ns);
}

static void put_client(
	struct path_result *path, const struct way *way, const struct requests_seen *seen)
{
	path->client = true;
	add_client(path, way, seen);
	path->connect = way_times(seen->connect, seen->count);
	path->total = way_times(seen->total, seen->count);
}

void path_make(struct path_result *path, const struct way *way, const struct way *connect,
	const struct requests_seen *seen)
{
	path->steps = calloc(way->count + 4, sizeof(*path->steps));
	if (!path->steps)
		abort();
	path->requests = way->requests;
	path->others = way->others;
	path->whole = way->took;
	if (seen->count)
		put_client(path, way, seen);
	for (size_t i = 0; i < way->count; i++) {
		if (way_is_guest(&way->steps[i]))
			split_guest(path, &way->steps[i], guest_of(connect));
		else
			path->steps[path->count++] = way->steps[i];
	}
}
