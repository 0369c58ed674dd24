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

// What each request took longer than its own connection did. Where not each has one (it was there
// before, or was not seen), all of them together must do, and nothing is said of single ones.
static struct way_times service_of(const struct way *way, const struct way *connect,
	const struct way_step *step, const struct way_step *kernel)
{
	double *ns = calloc(way->requests + 1, sizeof(*ns));
	struct way_times took;
	size_t count = 0;

	if (!ns)
		abort();
	for (size_t i = 0; i < way->requests + way->others; i++) {
		const struct way_turn *turn = &way->turns[i],
				      *accepted = way_turn(connect, turn->number);

		if (!isnan(turn->ns) && accepted)
			ns[count++] = turn->ns - accepted->ns;
	}
	took = way_times(ns, count);
	free(ns);
	if (count == way->requests && count == connect->requests)
		return took;
	took = remainder_of(step->took, kernel->took);
	took.p99_ns = NAN;
	return took;
}

// The guest's kernel answers a connection by itself: what a request takes longer is the service's.
static void split_guest(struct path_result *path, const struct way *way, const struct way *connect,
	const struct way_step *step)
{
	const struct way_step *kernel = guest_of(connect);

	add_step(path, step->host, step->what, kernel ? kernel->took : step->took, true);
	if (kernel)
		add_step(path, step->host, "service", service_of(way, connect, step, kernel), true);
}

// What the hosts did not see of it, of each request that the steps tell of: it is known by its
// number, or, where somebody changes that before the first host, by its place in the row. Where
// neither says which is which, nothing is said.
static void add_client(
	struct path_result *path, const struct way *way, const struct requests_seen *seen)
{
	double *first_ns = calloc(seen->count, sizeof(*first_ns));
	double *own_ns = calloc(seen->count, sizeof(*own_ns));
	bool in_row = seen->count == way->requests + way->others;
	size_t count = 0;

	if (!first_ns || !own_ns)
		abort();
	for (size_t i = 0; i < seen->count; i++) {
		const struct way_turn *turn = way_turn(way, seen->numbers[i]);
		double span_ns = turn ? turn->span_ns : in_row ? way->turns[i].span_ns : NAN;

		if (isnan(span_ns))
			continue;
		first_ns[count] = seen->first[i];
		own_ns[count++] = seen->first[i] - span_ns;
	}
	if (count) {
		path->whole = way_times(first_ns, count);
		add_step(path, path->from, "client and its wire", way_times(own_ns, count), false);
	} else {
		path->whole = way_times(seen->first, seen->count);
	}
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
			split_guest(path, way, connect, &way->steps[i]);
		else
			path->steps[path->count++] = way->steps[i];
	}
}
