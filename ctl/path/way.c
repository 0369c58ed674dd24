// SPDX-License-Identifier: BSD-2-Clause
// Pairs questions with their answers, and makes the steps of those that took the usual way.
#include "ctl/path/way.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
	const struct walk_packet *question, *answer;
	const struct pattern *pattern;
};

struct pattern { // the points of an exchange, in words
	char text[320];
	size_t times;
	UT_hash_handle hh;
};

struct flow { // who asks whom
	char ends[144];
	const struct walk_packet *open; // a question without an answer
	UT_hash_handle hh;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct way_times way_times(double *values_ns, size_t count)
{
	double sum_ns = 0;

	if (!count)
		return (struct way_times){0};
	qsort(values_ns, count, sizeof(*values_ns), by_value);
	for (size_t i = 0; i < count; i++)
		sum_ns += values_ns[i];
	return (struct way_times){
		.p50_ns = values_ns[count / 2],
		.p99_ns = values_ns[count * 99 / 100],
		.mean_ns = sum_ns / (double)count,
	};
}

// --- questions and answers

static int by_begin(const void *a, const void *b)
{
	const struct walk_packet *x = *(struct walk_packet *const *)a,
				 *y = *(struct walk_packet *const *)b;

	return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static struct walk_packet **in_order(
	const struct walk *walk, bool connect, size_t *count, size_t *again)
{
	struct walk_packet **list = calloc(HASH_COUNT(walk->packets) + 1, sizeof(*list));

	if (!list)
		abort();
	*count = 0;
	for (struct walk_packet *p = walk->packets; p; p = p->hh.next) {
		if (!p->ends.src[0] || !p->count || p->elsewhere ||
			!(connect ? p->connects : p->data))
			continue;
		if (p->again)
			++*again;
		else
			list[(*count)++] = p;
	}
	qsort(list, *count, sizeof(*list), by_begin);
	return list;
}

// "10.1.0.2" is also "10.1.0.2:80", and "fd00::2" is "[fd00::2]:80".
static bool is_at(const char *end, const char *to)
{
	size_t length = strlen(to);

	if (!strcmp(end, to))
		return true;
	if (*end == '[')
		return !strncmp(end + 1, to, length) && end[1 + length] == ']';
	return !strchr(to, ':') && !strncmp(end, to, length) && end[length] == ':';
}

// As the client knows it: a service's address is on one side of its translation only.
static const struct walk_ends *ends_of(const struct walk_packet *packet, const char *to)
{
	const struct walk_ends *becomes = &packet->becomes;

	return is_at(becomes->src, to) || is_at(becomes->dst, to) ? becomes : &packet->ends;
}

// Where the sender is, every packet that is seen is of its own.
static bool was_sent(const struct walk_packet *packet)
{
	for (size_t i = 0; i < packet->count; i++)
		if (packet->points[i].host->from)
			return true;
	return false;
}

static struct flow *flow_of(struct flow **flows, const char *from, const char *to, const char *echo)
{
	struct flow *flow;
	char ends[sizeof(flow->ends)];

	snprintf(ends, sizeof(ends), "%s>%s %s", from, to, echo);
	HASH_FIND_STR(*flows, ends, flow);
	if (!flow) {
		flow = calloc(1, sizeof(*flow));
		if (!flow)
			abort();
		strcpy(flow->ends, ends);
		HASH_ADD_STR(*flows, ends, flow);
	}
	return flow;
}

static const struct pattern *note_pattern(struct pattern **patterns,
	const struct walk_packet *question, const struct walk_packet *answer)
{
	const struct walk_packet *both[2] = {question, answer};
	struct pattern *pattern;
	char text[sizeof(pattern->text)];
	size_t used = 0;

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < both[k]->count && used < sizeof(text); i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u%s",
				i ? " " : "; ", both[k]->points[i].host->number,
				both[k]->points[i].name);
	HASH_FIND_STR(*patterns, text, pattern);
	if (!pattern) {
		pattern = calloc(1, sizeof(*pattern));
		if (!pattern)
			abort();
		strcpy(pattern->text, text);
		HASH_ADD_STR(*patterns, text, pattern);
	}
	pattern->times++;
	return pattern;
}

// "10.1.0.1:4242", "[fd00::1]:4242"; 0: an address alone.
static unsigned port_of(const char *end)
{
	const char *last = strrchr(end, ':');

	return last && (*end == '[' || last == strchr(end, ':'))
		       ? (unsigned)strtoul(last + 1, NULL, 10)
		       : 0;
}

static bool is_meant(const struct way_aim *aim, const char *src)
{
	unsigned port = port_of(src);

	if (*aim->from && !is_at(src, aim->from))
		return false;
	for (size_t i = 0; i < aim->port_count; i++)
		if (aim->ports[i] == port)
			return true;
	return !aim->port_count;
}

// A question of TCP may have several packets; of others a new one means that the last was lost.
static size_t pair_up(struct walk_packet **list, size_t count, const struct way_aim *aim,
	struct exchange *exchanges, struct pattern **patterns)
{
	const char *to = aim->to;
	struct flow *flows = NULL, *flow, *next;
	size_t pairs = 0;

	for (size_t i = 0; i < count; i++) {
		const struct walk_packet *p = list[i];
		const struct walk_ends *ends = ends_of(p, to);

		if (is_at(ends->dst, to) && was_sent(p)) {
			if (!is_meant(aim, ends->src))
				continue;
			flow = flow_of(&flows, ends->src, ends->dst, p->echo);
			if (!flow->open || !p->tcp)
				flow->open = p;
		} else if (is_at(ends->src, to)) {
			flow = flow_of(&flows, ends->dst, ends->src, p->echo);
			if (!flow->open)
				continue;
			exchanges[pairs++] = (struct exchange){
				flow->open, p, note_pattern(patterns, flow->open, p)};
			flow->open = NULL;
		}
	}
	HASH_ITER (hh, flows, flow, next) {
		HASH_DEL(flows, flow);
		free(flow);
	}
	return pairs;
}

// --- steps

static void name_step(struct way_step *step, const struct walk_point *a, const struct walk_point *b)
{
	const char *way = !strcmp(b->name, "P2") ? b->path : "";

	snprintf(step->host, sizeof(step->host), "%s", b->host->name);
	if (a->host != b->host) {
		snprintf(step->host, sizeof(step->host), "%s > %s", a->host->name, b->host->name);
		snprintf(step->what, sizeof(step->what), "underlay");
		step->between = a->host->clock != b->host->clock;
	} else if (!strcmp(b->name, "P1")) {
		snprintf(step->what, sizeof(step->what), "decide");
	} else if (!strcmp(b->name, "P4")) {
		snprintf(step->what, sizeof(step->what), "decapsulate, decide");
	} else if (!strcmp(b->name, "P2")) {
		snprintf(step->what, sizeof(step->what), "encapsulate%s%s", *way ? ": " : "", way);
	} else if (!strcmp(b->name, "P5")) {
		snprintf(step->what, sizeof(step->what), "hand over to %s", b->place);
	} else if (!strcmp(b->name, "P6")) {
		snprintf(step->what, sizeof(step->what), "queue of %s", b->place);
	} else {
		snprintf(step->what, sizeof(step->what), "%s to %s", a->name, b->name);
	}
	step->observed = true;
}

bool way_is_guest(const struct way_step *step)
{
	return !strcmp(step->what, "guest") || !strcmp(step->what, "guest and its queue");
}

// Between a question's last point and the answer's first.
static void name_turn(
	struct way_step *step, const struct walk_point *last, const struct walk_point *first)
{
	const char *what = !strcmp(last->name, "P2")   ? "underlay, that host, its guest"
			   : strcmp(first->name, "P0") ? "guest, and what was not observed"
			   : !strcmp(last->name, "P6")
				   ? "guest"
				   : "guest and its queue"; // P6 is not observed

	*step = (struct way_step){.observed = true};
	snprintf(step->host, sizeof(step->host), "%s", last->place);
	snprintf(step->what, sizeof(step->what), "%s", what);
}

static const struct walk_point *point_at(const struct exchange *exchange, size_t index)
{
	return index < exchange->question->count
		       ? &exchange->question->points[index]
		       : &exchange->answer->points[index - exchange->question->count];
}

static struct way_times times_between(const struct exchange *exchanges, size_t pairs,
	const struct pattern *pattern, size_t from, size_t to)
{
	double *ns = calloc(pairs + 1, sizeof(*ns));
	struct way_times took;
	size_t count = 0;

	if (!ns)
		abort();
	for (size_t i = 0; i < pairs; i++)
		if (exchanges[i].pattern == pattern)
			ns[count++] = (double)(point_at(&exchanges[i], to)->ns -
					       point_at(&exchanges[i], from)->ns);
	took = way_times(ns, count);
	free(ns);
	return took;
}

static unsigned number_of(const struct walk_packet *question, const char *to)
{
	const char *sequence = strrchr(question->echo, '.'); // "identifier.sequence"

	return sequence ? (unsigned)strtoul(sequence + 1, NULL, 10)
			: port_of(ends_of(question, to)->src);
}

static void note_turns(struct way *way, const struct exchange *exchanges, size_t pairs,
	const struct pattern *pattern, const char *to)
{
	way->turns = calloc(pairs, sizeof(*way->turns));
	if (!way->turns)
		abort();
	for (size_t i = 0; i < pairs; i++) {
		const struct exchange *e = &exchanges[i];
		size_t last = e->question->count - 1;

		way->turns[i] = (struct way_turn){number_of(e->question, to), NAN, NAN};
		if (e->pattern != pattern)
			continue;
		way->turns[i].ns = (double)(point_at(e, last + 1)->ns - point_at(e, last)->ns);
		way->turns[i].span_ns = (double)(point_at(e, way->count)->ns - point_at(e, 0)->ns);
	}
}

const struct way_turn *way_turn(const struct way *way, unsigned number)
{
	for (size_t i = 0; number && i < way->requests + way->others; i++)
		if (way->turns[i].number == number && !isnan(way->turns[i].ns))
			return &way->turns[i];
	return NULL;
}

static void make_steps(struct way *way, const struct exchange *exchanges, size_t pairs,
	const struct pattern *pattern, const char *to)
{
	const struct exchange *one = exchanges;

	while (one->pattern != pattern)
		one++;
	way->requests = pattern->times;
	way->count = one->question->count + one->answer->count - 1;
	way->steps = calloc(way->count + 1, sizeof(*way->steps));
	if (!way->steps)
		abort();
	for (size_t i = 0; i < way->count; i++) {
		struct way_step *step = &way->steps[i];

		name_step(step, point_at(one, i), point_at(one, i + 1));
		if (i + 1 == one->question->count)
			name_turn(step, point_at(one, i), point_at(one, i + 1));
		step->took = times_between(exchanges, pairs, pattern, i, i + 1);
	}
	way->took = times_between(exchanges, pairs, pattern, 0, way->count);
	note_turns(way, exchanges, pairs, pattern, to);
}

struct way way_find(const struct walk *walk, const struct way_aim *aim)
{
	struct way way = {0};
	size_t count, pairs;
	struct walk_packet **list = in_order(walk, aim->connect, &count, &way.again);
	struct exchange *exchanges = calloc(count + 1, sizeof(*exchanges));
	struct pattern *patterns = NULL, *pattern, *next, *best;

	if (!exchanges)
		abort();
	pairs = pair_up(list, count, aim, exchanges, &patterns);
	best = patterns;
	for (pattern = patterns; pattern; pattern = pattern->hh.next)
		if (pattern->times > best->times)
			best = pattern;
	if (best)
		make_steps(&way, exchanges, pairs, best, aim->to);
	way.others = pairs - way.requests;
	HASH_ITER (hh, patterns, pattern, next) {
		HASH_DEL(patterns, pattern);
		free(pattern);
	}
	free(exchanges);
	free(list);
	return way;
}

void way_free(struct way *way)
{
	free(way->steps);
	free(way->turns);
}
