// SPDX-License-Identifier: BSD-2-Clause
// histogram.h - numbers in log-linear buckets: 256 to each power of two, so a figure is off by 0.4
// %
#pragma once

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 8
#define HISTOGRAM_SUB  (1u << HISTOGRAM_BITS)

struct histogram {
	uint64_t count;
	uint64_t bucket[(65 - HISTOGRAM_BITS) * HISTOGRAM_SUB];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	unsigned int shift = 0;

	if (value >= HISTOGRAM_SUB)
		shift = 63 - HISTOGRAM_BITS - (unsigned int)__builtin_clzll(value);
	histogram->bucket[shift * HISTOGRAM_SUB + (value >> shift)]++;
	histogram->count++;
}

/* The smallest value of a bucket. */
static inline uint64_t histogram_value(unsigned int bucket)
{
	if (bucket < HISTOGRAM_SUB)
		return bucket;
	return (uint64_t)(HISTOGRAM_SUB + bucket % HISTOGRAM_SUB) << (bucket / HISTOGRAM_SUB - 1);
}

static inline uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t rank = (uint64_t)(share * (double)histogram->count), seen = 0;
	unsigned int i;

	for (i = 0; i < sizeof(histogram->bucket) / sizeof(histogram->bucket[0]); i++) {
		seen += histogram->bucket[i];
		if (seen > rank)
			return histogram_value(i);
	}
	return 0;
}

/* Members of a JSON object; values are divided by per_ns. */
static inline void histogram_print(const struct histogram *histogram, double per_ns)
{
	static const struct {
		const char *name;
		double share;
	} quantile[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
	unsigned int i;

	printf("\"samples\": %llu", (unsigned long long)histogram->count);
	for (i = 0; i < sizeof(quantile) / sizeof(quantile[0]); i++)
		printf(", \"%s_ns\": %.0f", quantile[i].name,
			(double)histogram_quantile(histogram, quantile[i].share) / per_ns);
}
