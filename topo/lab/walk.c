// SPDX-License-Identifier: BSD-2-Clause
// walk.c - joins what hosts tell of packets: first by packet, then request and answer
#include "topo/lab/walk.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { POINTS = 24, STEPS = 2 * POINTS };

struct point {
	char host[32];
	char name[4];   // "P0"
	char place[64]; // port or peer
	char path[8];
	int64_t ns;
};

struct packet {
	char id[17];
	char src[64], dst[64], flags[12];
	bool data; // a payload of TCP, or no TCP
	size_t count;
	struct point points[POINTS];
	UT_hash_handle hh;
};

struct walk {
	struct packet *packets;
};

struct walk *walk_new(void)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		abort();
	return walk;
}

void walk_free(struct walk *walk)
{
	struct packet *packet, *next;

	HASH_ITER (hh, walk->packets, packet, next) {
		HASH_DEL(walk->packets, packet);
		free(packet);
	}
	free(walk);
}

static const char *text(const json_t *line, const char *key)
{
	const char *value = json_string_value(json_object_get(line, key));

	return value ? value : "";
}

static void describe(struct packet *packet, const json_t *line)
{
	const json_t *payload = json_object_get(line, "payload_bytes");

	if (packet->src[0] || !*text(line, "src"))
		return;
	snprintf(packet->src, sizeof(packet->src), "%s", text(line, "src"));
	snprintf(packet->dst, sizeof(packet->dst), "%s", text(line, "dst"));
	snprintf(packet->flags, sizeof(packet->flags), "%s", text(line, "flags"));
	packet->data = strcmp(text(line, "proto"), "tcp") != 0 || json_integer_value(payload) > 0;
}

void walk_add(struct walk *walk, const json_t *line, const char *host)
{
	const char *id = text(line, "packet"), *point = text(line, "point");
	const char *place = *text(line, "port") ? text(line, "port") : text(line, "peer");
	int64_t ns = json_integer_value(json_object_get(line, "time_ns"));
	struct packet *packet;
	struct point *seen;

	if (!*id || !*point || !ns)
		return;
	HASH_FIND_STR(walk->packets, id, packet);
	if (!packet) {
		packet = calloc(1, sizeof(*packet));
		if (!packet)
			abort();
		snprintf(packet->id, sizeof(packet->id), "%s", id);
		HASH_ADD_STR(walk->packets, id, packet);
	}
	describe(packet, line);
	if (packet->count == POINTS)
		return;
	seen = &packet->points[packet->count++];
	if (*text(line, "host"))
		host = text(line, "host");
	snprintf(seen->host, sizeof(seen->host), "%s", host);
	snprintf(seen->name, sizeof(seen->name), "%s", point);
	snprintf(seen->place, sizeof(seen->place), "%s", place);
	snprintf(seen->path, sizeof(seen->path), "%s", text(line, "path"));
	seen->ns = ns;
}

static int by_time(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double walk_quantile(double *values, size_t count, double quantile)
{
	size_t rank = (size_t)(quantile * (double)count);

	qsort(values, count, sizeof(*values), by_value);
	return count ? values[rank < count ? rank : count - 1] : 0;
}

// --- requests and answers

struct exchange {
	const struct packet *request, *answer;
	char pattern[256]; // its points, in words
};

static bool is_to(const char *dst, const char *to)
{
	return strcmp(dst, to) == 0;
}

static bool fits(const struct packet *packet, bool connect)
{
	return connect ? strchr(packet->flags, 'S') != NULL : packet->data;
}

static int by_begin(const void *a, const void *b)
{
	const struct packet *x = *(struct packet *const *)a, *y = *(struct packet *const *)b;

	return (x->points[0].ns > y->points[0].ns) - (x->points[0].ns < y->points[0].ns);
}

static struct packet **in_order(const struct walk *walk, size_t *count)
{
	struct packet **list = calloc(HASH_COUNT(walk->packets) + 1, sizeof(*list)), *packet, *next;

	if (!list)
		abort();
	*count = 0;
	HASH_ITER (hh, walk->packets, packet, next) {
		qsort(packet->points, packet->count, sizeof(packet->points[0]), by_time);
		if (packet->src[0])
			list[(*count)++] = packet;
	}
	qsort(list, *count, sizeof(*list), by_begin);
	return list;
}

static void note_pattern(struct exchange *exchange)
{
	const struct packet *both[2] = {exchange->request, exchange->answer};
	size_t used = 0;

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < both[k]->count; i++)
			if (used < sizeof(exchange->pattern))
				used += (size_t)snprintf(exchange->pattern + used,
					sizeof(exchange->pattern) - used, "%s%s ",
					both[k]->points[i].host, both[k]->points[i].name);
}

// The first packets of each pair: one request per source (its port), and the first answer to it.
static size_t pair_up(struct packet **list, size_t count, const char *to, bool connect,
	struct exchange *exchanges)
{
	size_t pairs = 0;

	for (size_t i = 0; i < count; i++) {
		const struct packet *q = list[i];
		bool again = false;

		if (!is_to(q->dst, to) || !fits(q, connect))
			continue;
		for (size_t k = 0; k < pairs && strchr(q->src, ':') && q->flags[0]; k++)
			again |= !strcmp(exchanges[k].request->src, q->src);
		if (again) // a later request of the connection, or sent again
			continue;
		for (size_t k = i + 1; k < count; k++) {
			const struct packet *r = list[k];

			if (strcmp(r->dst, q->src) != 0 || !is_to(r->src, to) || !fits(r, connect))
				continue;
			exchanges[pairs] = (struct exchange){q, r, ""};
			note_pattern(&exchanges[pairs++]);
			break;
		}
	}
	return pairs;
}

static const char *most_common(const struct exchange *exchanges, size_t pairs, size_t *times)
{
	const char *best = "";

	*times = 0;
	for (size_t i = 0; i < pairs; i++) {
		size_t same = 0;

		for (size_t k = 0; k < pairs; k++)
			same += !strcmp(exchanges[i].pattern, exchanges[k].pattern);
		if (same > *times) {
			*times = same;
			best = exchanges[i].pattern;
		}
	}
	return best;
}

// --- steps

static void name_step(struct walk_step *step, const struct point *a, const struct point *b)
{
	const char *way = b->path[0] && !strcmp(b->name, "P2") ? b->path : "";

	snprintf(step->host, sizeof(step->host), "%s", b->host);
	if (strcmp(a->host, b->host) != 0) {
		snprintf(step->host, sizeof(step->host), "%.29s > %.29s", a->host, b->host);
		snprintf(step->what, sizeof(step->what), "underlay");
	} else if (!strcmp(b->name, "P1")) {
		snprintf(step->what, sizeof(step->what), "decide");
	} else if (!strcmp(b->name, "P4")) {
		snprintf(step->what, sizeof(step->what), "decapsulate, decide");
	} else if (!strcmp(b->name, "P2")) {
		snprintf(step->what, sizeof(step->what), "encapsulate%s%s", *way ? ": " : "", way);
	} else if (!strcmp(b->name, "P5")) {
		snprintf(step->what, sizeof(step->what), "hand over to %.40s", b->place);
	} else if (!strcmp(b->name, "P6")) {
		snprintf(step->what, sizeof(step->what), "queue of %.40s", b->place);
	} else {
		snprintf(step->what, sizeof(step->what), "%s to %s", a->name, b->name);
	}
	step->observed = true;
}

static const struct point *point_at(const struct exchange *exchange, size_t index)
{
	return index < exchange->request->count
		       ? &exchange->request->points[index]
		       : &exchange->answer->points[index - exchange->request->count];
}

static void fill_step(struct walk_step *step, const struct exchange *exchanges, size_t pairs,
	const char *pattern, size_t from, size_t to)
{
	double *ns = calloc(pairs + 1, sizeof(*ns));
	size_t count = 0;

	if (!ns)
		abort();
	for (size_t i = 0; i < pairs; i++)
		if (!strcmp(exchanges[i].pattern, pattern))
			ns[count++] = (double)(point_at(&exchanges[i], to)->ns -
					       point_at(&exchanges[i], from)->ns);
	step->p50_ns = walk_quantile(ns, count, 0.5);
	step->p99_ns = walk_quantile(ns, count, 0.99);
	free(ns);
}

static void make_steps(
	struct walk_way *way, const struct exchange *exchanges, size_t pairs, const char *pattern)
{
	const struct exchange *one = exchanges;
	struct walk_step whole;

	while (strcmp(one->pattern, pattern) != 0)
		one++;
	way->count = one->request->count + one->answer->count - 1;
	way->steps = calloc(way->count + 1, sizeof(*way->steps));
	if (!way->steps)
		abort();
	for (size_t i = 0; i < way->count; i++) {
		struct walk_step *step = &way->steps[i];

		name_step(step, point_at(one, i), point_at(one, i + 1));
		if (i + 1 == one->request->count) {
			snprintf(step->host, sizeof(step->host), "%s", point_at(one, i)->place);
			snprintf(step->what, sizeof(step->what), "guest");
		}
		fill_step(step, exchanges, pairs, pattern, i, i + 1);
	}
	fill_step(&whole, exchanges, pairs, pattern, 0, way->count);
	way->p50_ns = whole.p50_ns;
	way->p99_ns = whole.p99_ns;
}

struct walk_way walk_way(const struct walk *walk, const char *to, bool connect)
{
	struct walk_way way = {0};
	size_t count;
	struct packet **list = in_order(walk, &count);
	struct exchange *exchanges = calloc(count + 1, sizeof(*exchanges));
	size_t pairs;

	if (!exchanges)
		abort();
	pairs = pair_up(list, count, to, connect, exchanges);
	if (pairs)
		make_steps(&way, exchanges, pairs, most_common(exchanges, pairs, &way.requests));
	way.others = pairs - way.requests;
	free(exchanges);
	free(list);
	return way;
}

void walk_way_free(struct walk_way *way)
{
	free(way->steps);
}
