// SPDX-License-Identifier: BSD-2-Clause
// fate.c - what happens to the n-th packet: a counter-based generator, so that nothing else matters
#include "topo/wire/wire.h"

/* Each question has a stream of its own: asking one never changes the answer to another. */
enum question { LOST, DUPLICATED, REORDERED, JITTER, QUESTIONS };

/* splitmix64 (Steele, Lea, Flood 2014): its step and its finalizer. */
#define STEP 0x9e3779b97f4a7c15ull

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Uniform in [0, 1). */
static double draw(uint64_t seed, unsigned int direction, enum question question, uint64_t n)
{
	uint64_t stream = mix(mix(seed + STEP) + (direction * QUESTIONS + question + 1) * STEP);

	return (double)(mix(stream + n * STEP) >> 11) * 0x1p-53;
}

struct fate fate_of(const struct impairment *impairment, unsigned int direction, uint64_t n)
{
	uint64_t seed = impairment->seed;

	return (struct fate){
		.lost = draw(seed, direction, LOST, n) < impairment->loss,
		.duplicated = draw(seed, direction, DUPLICATED, n) < impairment->duplicate,
		.reordered = draw(seed, direction, REORDERED, n) < impairment->reorder,
		.jitter = 2 * draw(seed, direction, JITTER, n) - 1,
	};
}
