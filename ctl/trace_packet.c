// SPDX-License-Identifier: BSD-2-Clause
// By identity, then by who has told of what, and when.
#include "ctl/trace_packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>
#include "ctl/words.h"

struct identity {
	char id[24];
	struct packet *packets; // by older, newer; the oldest is the first
	UT_hash_handle hh;
};

size_t packet_clock(struct packet *packet, long long clock)
{
	size_t i = 0;

	while (i < packet->clock_count && packet->clocks[i].clock != clock)
		i++;
	if (i == packet->clock_count && i < CLOCKS_MOST)
		packet->clocks[packet->clock_count++].clock = clock;
	return i < CLOCKS_MOST ? i : CLOCKS_MOST - 1;
}

static struct identity *identity_of(struct packets *packets, const char *text)
{
	struct identity *identity;
	char id[sizeof(identity->id)];

	snprintf(id, sizeof(id), "%s", text);
	HASH_FIND_STR(packets->identities, id, identity);
	if (identity)
		return identity;
	identity = calloc(1, sizeof(*identity));
	if (!identity)
		abort();
	strcpy(identity->id, id);
	HASH_ADD_STR(packets->identities, id, identity);
	return identity;
}

static struct packet *packet_new(struct packets *packets, struct identity *identity)
{
	struct packet *packet = calloc(1, sizeof(*packet));

	if (!packet)
		abort();
	strcpy(packet->id, identity->id);
	packet->identity = identity;
	packets->again += identity->packets != NULL;
	DL_APPEND2(identity->packets, packet, older, newer);
	DL_APPEND(packets->list, packet);
	packets->count++;
	return packet;
}

void packets_forget(struct packets *packets, struct packet *packet)
{
	struct identity *identity = packet->identity;

	DL_DELETE2(identity->packets, packet, older, newer);
	DL_DELETE(packets->list, packet);
	packets->count--;
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (packets->last[i] == packet)
			packets->last[i] = NULL;
	if (!identity->packets) {
		HASH_DEL(packets->identities, identity);
		free(identity);
	}
	free(packet);
}

// What is known of the packet by that clock: when it was first seen. 0: nothing.
static int64_t first_seen(const struct packet *packet, long long clock)
{
	for (size_t i = 0; i < packet->clock_count; i++)
		if (packet->clocks[i].clock == clock)
			return packet->clocks[i].first_ns;
	return 0;
}

// Of those that the host has not told of, and that were seen before, it is the oldest if that was
// just now: what comes close together stays in its order. Else it is the newest: older ones were
// lost. Where nobody has told how it came in, it is the first that was seen later.
static struct packet *arrived(
	struct identity *identity, uint64_t host, bool from_peer, long long clock, int64_t ns)
{
	struct packet *found = NULL, *packet;

	DL_FOREACH2(identity->packets, packet, newer)
	{
		bool before = !from_peer && !packet->from_port;
		int64_t first_ns = first_seen(packet, clock);

		if ((from_peer ? packet->from_peer : packet->from_port) & host)
			continue;
		if (ns && first_ns && (before ? ns > first_ns : ns < first_ns))
			continue;
		found = packet;
		if (before || (from_peer && first_ns && ns - first_ns < TRANSIT_NS))
			break;
	}
	return found;
}

// Who takes it does so in the order in which it was handed over.
static struct packet *taken(struct identity *identity, uint64_t host)
{
	struct packet *packet;

	DL_FOREACH2(identity->packets, packet, newer)
	if ((packet->from_port | packet->from_peer) & host && !(packet->taken & host))
		return packet;
	return NULL;
}

struct packet *packets_find(
	struct packets *packets, size_t host, const json_t *line, long long clock)
{
	struct identity *identity = identity_of(packets, words_text(line, "packet"));
	const char *point = words_text(line, "point");
	bool from_port = !strcmp(point, "P0"), from_peer = !strcmp(point, "P3");
	int64_t ns = json_integer_value(json_object_get(line, "time_ns"));
	struct packet *packet = packets->last[host];
	uint64_t bit = 1ull << host;

	if (from_port || from_peer)
		packet = arrived(identity, bit, from_peer, clock, ns);
	else if (!strcmp(point, "P6") && ns)
		packet = taken(identity, bit);
	if (!packet || packet->identity != identity)
		packet = from_port || from_peer || !identity->packets
				 ? packet_new(packets, identity)
				 : identity->packets->older; // the newest
	if (from_port || from_peer)
		packets->last[host] = packet;
	packet->from_port |= from_port ? bit : 0;
	packet->from_peer |= from_peer ? bit : 0;
	packet->taken |= !strcmp(point, "P6") ? bit : 0;
	return packet;
}
