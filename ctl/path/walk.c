// SPDX-License-Identifier: BSD-2-Clause
// Joins what hosts tell of packets, whichever clock they read.
#include "ctl/path/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl/words.h"

struct walk_text { // each once
	UT_hash_handle hh;
	char text[];
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
	struct walk_packet *packet, *next_packet;
	struct walk_text *text, *next_text;
	struct walk_host *host, *next_host;

	HASH_ITER (hh, walk->packets, packet, next_packet) {
		HASH_DEL(walk->packets, packet);
		free(packet);
	}
	HASH_ITER (hh, walk->texts, text, next_text) {
		HASH_DEL(walk->texts, text);
		free(text);
	}
	HASH_ITER (hh, walk->hosts, host, next_host) {
		HASH_DEL(walk->hosts, host);
		free(host);
	}
	free(walk);
}

void walk_host(struct walk *walk, const char *name, uint32_t clock, bool from)
{
	struct walk_host *host;

	HASH_FIND_STR(walk->hosts, name, host);
	if (!host) {
		host = calloc(1, sizeof(*host));
		if (!host)
			abort();
		snprintf(host->name, sizeof(host->name), "%s", name);
		host->number = HASH_COUNT(walk->hosts);
		HASH_ADD_STR(walk->hosts, name, host);
	}
	host->clock = clock;
	host->from = from;
}

// --- lines

static const char *keep(struct walk *walk, const char *text)
{
	struct walk_text *kept;

	HASH_FIND_STR(walk->texts, text, kept);
	if (!kept) {
		kept = malloc(sizeof(*kept) + strlen(text) + 1);
		if (!kept)
			abort();
		strcpy(kept->text, text);
		HASH_ADD_STR(walk->texts, text, kept);
	}
	return kept->text;
}

static struct walk_packet *packet_of(struct walk *walk, const char *id)
{
	struct walk_packet *packet;

	HASH_FIND_STR(walk->packets, id, packet);
	if (packet)
		return packet;
	if (HASH_COUNT(walk->packets) == WALK_PACKETS_MAX) {
		walk->left_out++;
		return NULL;
	}
	packet = calloc(1, sizeof(*packet));
	if (!packet)
		abort();
	snprintf(packet->id, sizeof(packet->id), "%s", id);
	HASH_ADD_STR(walk->packets, id, packet);
	return packet;
}

static void set_ends(struct walk_ends *ends, const char *src, const char *dst)
{
	snprintf(ends->src, sizeof(ends->src), "%s", src);
	snprintf(ends->dst, sizeof(ends->dst), "%s", dst);
}

// Who translates it knows both flows that it is of; others see one of them.
static void describe(struct walk_packet *packet, const json_t *line)
{
	const char *protocol = words_text(line, "proto");
	bool translated = *words_text(line, "becomes_src");

	if ((packet->ends.src[0] && !translated) || !*words_text(line, "src"))
		return;
	set_ends(&packet->ends, words_text(line, "src"), words_text(line, "dst"));
	set_ends(
		&packet->becomes, words_text(line, "becomes_src"), words_text(line, "becomes_dst"));
	snprintf(packet->echo, sizeof(packet->echo), "%s", words_text(line, "echo"));
	packet->tcp = !strcmp(protocol, "tcp");
	packet->connects = packet->tcp && strchr(words_text(line, "flags"), 'S');
	packet->data = packet->tcp ? json_integer_value(json_object_get(line, "payload_bytes")) > 0
				   : strcmp(protocol, "arp") != 0;
}

// A packet comes in at a host once. One that is sent again, or is alike in all that its identity is
// made of, has the same: which points are whose nobody can tell.
static bool comes_again(
	const struct walk_packet *packet, const struct walk_host *where, const char *point)
{
	if (strcmp(point, "P0") != 0 && strcmp(point, "P3") != 0)
		return false;
	for (size_t i = 0; i < packet->count; i++)
		if (packet->points[i].host == where && !strcmp(packet->points[i].name, point))
			return true;
	return false;
}

void walk_add(struct walk *walk, const json_t *line, const char *host)
{
	const char *id = words_text(line, "packet"), *point = words_text(line, "point");
	const char *place =
		*words_text(line, "port") ? words_text(line, "port") : words_text(line, "peer");
	int64_t ns = json_integer_value(json_object_get(line, "time_ns"));
	struct walk_packet *packet;
	struct walk_host *where;
	struct walk_point *seen;

	HASH_FIND_STR(walk->hosts, host, where);
	if (!*id || !*point || !where)
		return;
	packet = packet_of(walk, id);
	if (!packet)
		return;
	describe(packet, line);
	if (!ns || packet->count == WALK_POINTS) // 0: not observed
		return;
	packet->elsewhere |= where->from && *walk->network && *words_text(line, "network") &&
			     strcmp(words_text(line, "network"), walk->network) != 0;
	packet->again |= comes_again(packet, where, point);
	seen = &packet->points[packet->count++];
	*seen = (struct walk_point){.host = where,
		.place = keep(walk, place),
		.path = keep(walk, words_text(line, "path")),
		.ns = ns};
	snprintf(seen->name, sizeof(seen->name), "%s", point);
}

// --- clocks

static int by_time(const void *a, const void *b)
{
	const struct walk_point *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

// Of two clocks, times do not say who was first; points do.
static int by_point(const void *a, const void *b)
{
	const struct walk_point *x = a, *y = b;
	int names = strcmp(x->name, y->name);

	return names ? names : by_time(a, b);
}

static const struct walk_host *asker(const struct walk *walk)
{
	const struct walk_host *host = walk->hosts;

	while (host && !host->from)
		host = host->hh.next;
	return host ? host : walk->hosts;
}

struct offset {
	bool there, back; // somebody came by
	int64_t least_there, least_back;
};

struct span { // of the asker's time
	int64_t from_ns, to_ns;
};

static void least(bool *any, int64_t *value, int64_t ns)
{
	if (!*any || ns < *value)
		*value = ns;
	*any = true;
}

// What one clock reads more than the other when a packet arrives: the delay and the offset.
static void note_crossings(struct offset *offset, const struct walk_packet *packet,
	const struct span *span, uint32_t mine, uint32_t other)
{
	for (size_t i = 0; i + 1 < packet->count; i++) {
		const struct walk_point *a = &packet->points[i], *b = a + 1;
		bool there = a->host->clock == mine && b->host->clock == other;
		bool back = a->host->clock == other && b->host->clock == mine;
		int64_t at_ns = there ? a->ns : b->ns;

		if ((!there && !back) || at_ns < span->from_ns || at_ns >= span->to_ns)
			continue;
		if (there)
			least(&offset->there, &offset->least_there, b->ns - a->ns);
		else
			least(&offset->back, &offset->least_back, b->ns - a->ns);
	}
}

static bool estimate(const struct walk *walk, const struct span *span, uint32_t mine,
	uint32_t other, int64_t *offset_ns, int64_t *error_ns)
{
	struct offset o = {0};

	for (const struct walk_packet *p = walk->packets; p; p = p->hh.next)
		note_crossings(&o, p, span, mine, other);
	*offset_ns = (o.least_there - o.least_back) / 2;
	*error_ns = (o.least_there + o.least_back + 1) / 2;
	return o.there && o.back;
}

static struct span whole_span(const struct walk *walk, uint32_t mine)
{
	struct span span = {INT64_MAX, 0};

	for (const struct walk_packet *p = walk->packets; p; p = p->hh.next)
		for (size_t i = 0; i < p->count; i++) {
			const struct walk_point *point = &p->points[i];

			if (point->host->clock != mine)
				continue;
			if (point->ns < span.from_ns)
				span.from_ns = point->ns;
			if (point->ns >= span.to_ns)
				span.to_ns = point->ns + 1;
		}
	return span;
}

static void shift(struct walk *walk, uint32_t clock, bool known, int64_t offset_ns)
{
	for (struct walk_packet *p = walk->packets; p; p = p->hh.next) {
		bool has = false;

		for (size_t i = 0; i < p->count; i++) {
			if (p->points[i].host->clock != clock)
				continue;
			p->points[i].ns -= offset_ns;
			has = true;
		}
		if (has && !known)
			p->count = 0;
	}
}

// Clocks drift and are set: what the two halves of the time do not agree on is error, too.
static int64_t drift(
	const struct walk *walk, const struct span *span, uint32_t mine, uint32_t other)
{
	int64_t middle_ns = span->from_ns + (span->to_ns - span->from_ns) / 2;
	const struct span first = {span->from_ns, middle_ns}, second = {middle_ns, span->to_ns};
	int64_t before_ns, after_ns, ignored;

	if (!estimate(walk, &first, mine, other, &before_ns, &ignored) ||
		!estimate(walk, &second, mine, other, &after_ns, &ignored))
		return 0;
	return before_ns < after_ns ? after_ns - before_ns : before_ns - after_ns;
}

static void align_one(struct walk *walk, uint32_t mine, uint32_t other, struct walk_clock *clock)
{
	const struct span span = whole_span(walk, mine);
	int64_t offset_ns, error_ns, drift_ns = drift(walk, &span, mine, other);
	bool known = estimate(walk, &span, mine, other, &offset_ns, &error_ns);

	shift(walk, other, known, offset_ns);
	if (!known)
		return;
	error_ns = (error_ns > 0 ? error_ns : 0) + drift_ns;
	if (error_ns > clock->error_ns)
		clock->error_ns = error_ns;
}

static int64_t begin_of(const struct walk_packet *packet, uint32_t mine)
{
	for (size_t i = 0; i < packet->count; i++)
		if (packet->points[i].host->clock == mine)
			return packet->points[i].ns;
	return packet->count ? packet->points[0].ns : 0;
}

struct walk_clock walk_align(struct walk *walk)
{
	const struct walk_host *mine = asker(walk);
	struct walk_clock clock = {.one = true};

	for (const struct walk_host *host = walk->hosts; host; host = host->hh.next)
		clock.one = clock.one && host->clock == mine->clock;
	for (struct walk_packet *p = walk->packets; p; p = p->hh.next)
		qsort(p->points, p->count, sizeof(p->points[0]), clock.one ? by_time : by_point);
	for (const struct walk_host *host = walk->hosts; host; host = host->hh.next) {
		bool first = host->clock != mine->clock;

		for (const struct walk_host *h = walk->hosts; h != host; h = h->hh.next)
			first = first && h->clock != host->clock;
		if (first)
			align_one(walk, mine->clock, host->clock, &clock);
	}
	for (struct walk_packet *p = walk->packets; p; p = p->hh.next)
		p->begin_ns = begin_of(p, mine->clock);
	return clock;
}
