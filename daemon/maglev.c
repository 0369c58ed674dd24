// SPDX-License-Identifier: BSD-2-Clause
// Maglev's lookup table: every backend takes the next free slot of its own permutation, in turns.
#include "daemon/maglev.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

// A permutation of the slots: offset, offset + skip, ... modulo a prime.
struct turn {
	u32 next, skip;
	u32 weight;
	u32 credit;
	u32 id;
};

struct identity {
	struct weft_ip address;
	be16 port;
} __attribute__((packed));

static struct identity identity_of(const struct maglev_backend *backend)
{
	return (struct identity){backend->address, htons(backend->port)};
}

static int by_identity(const void *a, const void *b)
{
	struct identity x = identity_of(a), y = identity_of(b);
	return memcmp(&x, &y, sizeof(x));
}

static struct turn turn_of(const struct maglev_backend *backend, u32 size, u32 seed)
{
	struct identity identity = identity_of(backend);
	XXH128_hash_t hash = XXH3_128bits_withSeed(&identity, sizeof(identity), seed);
	return (struct turn){
		.next = (u32)(hash.low64 % size),
		.skip = (u32)(hash.high64 % (size - 1)) + 1,
		.weight = backend->weight,
		.id = backend->id,
	};
}

// There is a free one: the permutation meets every slot.
static void take(struct turn *turn, u32 *table, bool *taken, u32 size)
{
	while (taken[turn->next])
		turn->next = (turn->next + turn->skip) % size;
	taken[turn->next] = true;
	table[turn->next] = turn->id;
}

// In each round the heaviest has a turn, and another as often as its weight is of that: large
// weights do not take a small table before the last one's first turn.
static void fill(struct turn *turns, u32 count, u32 heaviest, u32 *table, bool *taken, u32 size)
{
	u32 filled = 0;
	for (u32 i = 0; i < count; i++)
		turns[i].credit = heaviest - turns[i].weight; // the first round is everybody's
	while (filled < size) {
		for (u32 i = 0; i < count && filled < size; i++) {
			turns[i].credit += turns[i].weight;
			if (turns[i].credit < heaviest)
				continue;
			turns[i].credit -= heaviest;
			take(&turns[i], table, taken, size);
			filled++;
		}
	}
}

bool maglev_fill(u32 *table, u32 size, u32 seed, struct maglev_backend *backends, u32 count)
{
	struct turn *turns = calloc(count + 1, sizeof(*turns));
	bool *taken = calloc(size, sizeof(*taken));
	u32 serving = 0, heaviest = 0;
	if (!turns || !taken)
		abort();
	if (count)
		qsort(backends, count, sizeof(*backends), by_identity);
	for (u32 i = 0; i < count; i++) {
		if (!backends[i].weight)
			continue;
		turns[serving++] = turn_of(&backends[i], size, seed);
		if (backends[i].weight > heaviest)
			heaviest = backends[i].weight;
	}
	if (serving)
		fill(turns, serving, heaviest, table, taken, size);
	free(turns);
	free(taken);
	return serving;
}
