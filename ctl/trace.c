// SPDX-License-Identifier: BSD-2-Clause
// Hosts tell of a packet at moments of their own. Its lines are held until those of the others are
// there, too; then they are put out by time, counted from the first point that any of them saw.
// Hosts with other clocks count from a first point of their own: what lies between them, `path` can
// tell. It is for the same packets that all must look, so one that was seen before the last of them
// began is left out, and packets are counted here.
#include "ctl/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <weft/control.h>
#include "ctl/trace_packet.h"
#include "ctl/words.h"

enum {
	HOLD_MS = 150,
	HOLD_MOST_MS = 5000,
	START_MS = 50,     // what comes so soon may have passed a host before that began
	END_MS = 700,      // for the last packet's way
	WHOLES_MOST = 1024 // superpackets that are remembered
};

struct whole { // a superpacket, as a host took it from a peer
	const struct client *client;
	struct segment segment;
	char id[24];
};

struct trace {
	struct run_taker taker; // the first: it is cast
	const struct client *clients;
	const int *statuses;
	size_t hosts, begun;
	struct {
		long long clock;
		int64_t began_ns;
		int64_t newest_ns; // of what it has told
		int64_t told_ms;   // when it did
	} host[SOCKETS_MAX];       // by client
	int64_t ready_ms;          // 0: not all have begun
	struct packets packets;
	long wanted, counted;          // packets; wanted 0: all
	int64_t end_ms;                // 0: more are wanted
	struct seen ends[SOCKETS_MAX]; // the last words of hosts
	size_t ended;
	int64_t lost[SOCKETS_MAX];        // postcards, by client
	struct whole wholes[WHOLES_MOST]; // the oldest is overwritten
	size_t whole_count;
};

// What was not observed stands behind what was.
static int by_time(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->clock != y->clock)
		return x->clock < y->clock ? -1 : 1;
	if (!x->ns != !y->ns)
		return x->ns ? -1 : 1;
	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return strcmp(words_text(x->line, "point"), words_text(y->line, "point"));
}

// Could all see it from the start?
static bool is_whole(const struct trace *trace, struct packet *packet)
{
	for (size_t i = 0; trace->hosts > 1 && i < trace->hosts; i++) {
		const struct packet_clock *clock =
			&packet->clocks[packet_clock(packet, trace->host[i].clock)];

		if (clock->first_ns &&
			trace->host[i].began_ns + START_MS * 1000000ll > clock->first_ns)
			return false;
	}
	return true;
}

// Of several hosts each line says whose it is.
static void put_host(const struct trace *trace, const struct client *client)
{
	if (trace->hosts > 1)
		printf("%s: ", client_host(client));
}

static void put_point(
	const struct trace *trace, const struct packet *packet, const struct seen *seen)
{
	char time[32] = "not observed";

	if (seen->ns)
		snprintf(time, sizeof(time), "%+lld ns",
			(long long)(seen->ns - packet->clocks[seen->clock].first_ns));
	put_host(trace, seen->client);
	printf("%s  %s  %14s  %s\n", packet->id, words_text(seen->line, "point"), time,
		words_text(seen->line, "text"));
}

// Its head is gone, and its bytes are in a superpacket that a host took from the peer: by now that
// one's lines are here, too.
static void put_merged(const struct trace *trace, const struct packet *packet)
{
	for (size_t i = 0; i < WHOLES_MOST; i++) {
		const struct whole *whole = &trace->wholes[i];

		if (!whole->client || !segment_is_in(&packet->segment, &whole->segment))
			continue;
		printf("%s: %s  P3  %14s  into %s\n", client_host(whole->client), packet->id,
			"merged", whole->id);
		return;
	}
}

static void note_segment(
	struct trace *trace, struct packet *packet, const struct client *client, const json_t *line)
{
	struct whole *whole = &trace->wholes[trace->whole_count % WHOLES_MOST];

	segment_note(&packet->segment, line);
	if (strcmp(words_text(line, "point"), "P3") != 0 || !packet->segment.super)
		return;
	*whole = (struct whole){client, packet->segment, ""};
	snprintf(whole->id, sizeof(whole->id), "%s", packet->id);
	trace->whole_count++;
}

// The clock of the host that sent it, whoever was quicker to tell.
static void put_sender_first(struct packet *packet)
{
	struct packet_clock first = packet->clocks[0];
	size_t sender = 0;

	for (size_t i = 0; i < packet->held; i++)
		if (!strcmp(words_text(packet->seen[i].line, "point"), "P0"))
			sender = packet->seen[i].clock;
	packet->clocks[0] = packet->clocks[sender];
	packet->clocks[sender] = first;
	for (size_t i = 0; sender && i < packet->held; i++) {
		size_t *clock = &packet->seen[i].clock;

		*clock = *clock == sender ? 0 : *clock ? *clock : sender;
	}
}

static void put_out(struct trace *trace, struct packet *packet)
{
	put_sender_first(packet);
	qsort(packet->seen, packet->held, sizeof(*packet->seen), by_time);
	if (packet->state == UNKNOWN) {
		packet->state = trace->end_ms || !is_whole(trace, packet) ? LEFT_OUT : SHOWN;
		if (packet->state == SHOWN && ++trace->counted == trace->wanted)
			trace->end_ms = run_now_ms() + END_MS;
	}
	for (size_t i = 0; i < packet->held; i++) {
		if (packet->state == SHOWN)
			put_point(trace, packet, &packet->seen[i]);
		json_decref(packet->seen[i].line);
	}
	packet->held = 0;
	if (packet->state == SHOWN && segment_is_missing(&packet->segment))
		put_merged(trace, packet);
	fflush(stdout);
}

static void forget(struct trace *trace, struct packet *packet)
{
	if (packet->held)
		put_out(trace, packet);
	packets_forget(&trace->packets, packet);
}

static void note_time(struct trace *trace, struct packet *packet, size_t host, struct seen *seen)
{
	struct packet_clock *clock;

	seen->clock = packet_clock(packet, trace->host[host].clock);
	clock = &packet->clocks[seen->clock];
	if (seen->ns && (!clock->first_ns || seen->ns < clock->first_ns) &&
		packet->state == UNKNOWN)
		clock->first_ns = seen->ns;
	if (seen->ns > clock->last_ns)
		clock->last_ns = seen->ns;
	if (seen->ns > trace->host[host].newest_ns)
		trace->host[host].newest_ns = seen->ns;
	trace->host[host].told_ms = run_now_ms();
}

static void note_lost(struct trace *trace, size_t host, const json_t *line)
{
	int64_t lost = json_integer_value(json_object_get(line, "cards_lost"));

	if (lost > trace->lost[host])
		trace->lost[host] = lost;
}

static void take_line(struct run_taker *taker, const struct client *client, const json_t *line)
{
	struct trace *trace = (struct trace *)taker;
	size_t host = (size_t)(client - trace->clients);
	const char *id = words_text(line, "packet");
	struct packet *packet;

	if (*words_text(line, "state")) {
		trace->host[host].clock = json_integer_value(json_object_get(line, "clock"));
		trace->host[host].began_ns = json_integer_value(json_object_get(line, "began_ns"));
		trace->begun++;
		return;
	}
	if (!*id && trace->ended < SOCKETS_MAX) {
		trace->ends[trace->ended++] = (struct seen){client, json_incref((json_t *)line), 0};
		return;
	}
	if (trace->packets.count == PACKETS_MOST)
		forget(trace, trace->packets.list);
	packet = packets_find(&trace->packets, host, line, trace->host[host].clock);
	note_lost(trace, host, line);
	note_segment(trace, packet, client, line);
	if (packet->held == POINTS_MOST)
		put_out(trace, packet);
	if (!packet->held)
		packet->due_ms = run_now_ms() + (trace->hosts > 1 ? HOLD_MS : 0);
	packet->seen[packet->held] = (struct seen){client, json_incref((json_t *)line),
		json_integer_value(json_object_get(line, "time_ns")), 0};
	note_time(trace, packet, host, &packet->seen[packet->held++]);
}

// Hosts that have much to tell are behind, each as far as it is: for what they may yet say of a
// packet it waits, as long as they come.
static bool is_due(const struct trace *trace, struct packet *packet, int64_t now)
{
	if (now < packet->due_ms)
		return false;
	if (trace->hosts == 1 || now >= packet->due_ms + HOLD_MOST_MS)
		return true;
	for (size_t i = 0; i < trace->hosts; i++) {
		const struct packet_clock *clock =
			&packet->clocks[packet_clock(packet, trace->host[i].clock)];

		if (clock->last_ns && now - trace->host[i].told_ms < HOLD_MS &&
			trace->host[i].newest_ns < clock->last_ns + TRANSIT_NS)
			return false;
	}
	return true;
}

// Those that were held long enough. They stay known: a guest may take one late.
static int take_turn(struct run_taker *taker, int *fd)
{
	struct trace *trace = (struct trace *)taker;
	int64_t now = run_now_ms(), next = 1000;
	struct packet *packet, *tmp;

	(void)fd;
	if (!trace->ready_ms && run_all_begun(trace->statuses, trace->hosts, trace->begun))
		trace->ready_ms = now + (trace->hosts > 1 ? HOLD_MS : 0);
	if (!trace->ready_ms || now < trace->ready_ms)
		return HOLD_MS / 2;
	if (trace->end_ms && now >= trace->end_ms)
		return -1;
	DL_FOREACH_SAFE(trace->packets.list, packet, tmp)
	{
		if (packet->held && is_due(trace, packet, now))
			put_out(trace, packet);
		else if (packet->held && packet->due_ms - now < next)
			next = packet->due_ms > now ? packet->due_ms - now : HOLD_MS / 10;
	}
	if (trace->end_ms && trace->end_ms - now < next)
		next = trace->end_ms - now;
	return (int)next;
}

static const json_t *find_command(const json_t *commands, const json_t *words)
{
	size_t i;
	json_t *command;

	json_array_foreach (commands, i, command)
		if (json_is_true(json_object_get(command, "joined")) && words_fit(command, words))
			return command;
	return NULL;
}

bool trace_wanted(const struct client *client, const json_t *commands, const json_t *words)
{
	return !client->json && !strcmp(words_at(words, 0), "trace") &&
	       strcmp(words_at(words, 1), "help") != 0 && find_command(commands, words);
}

// Each host would count its own. What is no number the hosts refuse.
static long take_count(json_t *words, const json_t *command)
{
	size_t at = words_key_at(words, command, "count");
	long count = at ? words_count(words_at(words, at), WEFT_TRACE_COUNT_MAX) : 0;

	if (!count)
		return 0;
	json_array_remove(words, at);
	json_array_remove(words, at - 1);
	return count;
}

// Those of the hosts, if they came to tell.
static void put_sums(struct trace *trace)
{
	int64_t lost = 0;

	for (size_t i = 0; i < trace->ended; i++) {
		put_host(trace, trace->ends[i].client);
		printf("%s\n", words_text(trace->ends[i].line, "text"));
		json_decref(trace->ends[i].line);
	}
	for (size_t i = 0; i < trace->hosts; i++)
		lost += trace->lost[i];
	if (trace->begun && !trace->ended)
		printf("# %ld packets, %llu seen again, %lld postcards lost\n", trace->counted,
			(unsigned long long)trace->packets.again, (long long)lost);
}

int trace_run(struct client *clients, int *statuses, size_t count, const json_t *commands,
	const json_t *words)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	const json_t *command = find_command(commands, words);
	json_t *asked = json_copy((json_t *)words);
	struct client self = *clients;
	int status;

	if (!trace)
		abort();
	trace->taker = (struct run_taker){take_line, take_turn};
	trace->clients = clients;
	trace->statuses = statuses;
	trace->hosts = count;
	trace->wanted = take_count(asked, command);
	if (words_key_at(asked, command, "count")) { // twice, which the hosts refuse
		json_array_clear(asked);
		json_array_extend(asked, (json_t *)words);
	}
	status = run_points(clients, statuses, count, asked, &trace->taker);
	while (trace->packets.list)
		forget(trace, trace->packets.list);
	put_sums(trace);
	self.many = false;
	if (!status && trace->counted < trace->wanted && !run_interrupted())
		status = client_fail(&self, WEFT_EXIT_PARTIAL, "timed_out", NULL,
			"%ld of %ld packets came", trace->counted, trace->wanted);
	json_decref(asked);
	free(trace);
	return status;
}
