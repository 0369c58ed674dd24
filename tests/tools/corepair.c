// SPDX-License-Identifier: BSD-2-Clause
// corepair.c - how far two cores are from each other: a cache line goes there and back, ns each way

#include <pthread.h>
#include <stdatomic.h>

#include "tool.h"

#define CHUNK  1000u /* turns */
#define CHUNKS 501u

static _Alignas(128) atomic_uint turn;

/* Write number N, after the one before it has come. */
static void play(unsigned int n)
{
	while (atomic_load_explicit(&turn, memory_order_acquire) != n)
		;
	atomic_store_explicit(&turn, n + 1, memory_order_release);
}

static void *partner(void *arg)
{
	unsigned int i;

	pin_to_cpu(*(int *)arg);
	for (i = 1; i < CHUNK * CHUNKS; i += 2)
		play(i);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	static double ns[CHUNKS];
	unsigned int i;
	pthread_t thread;
	uint64_t begin;
	int cpu[2];

	if (argc != 3) {
		fputs("corepair CPU CPU: ns that a cache line takes from one to the other\n",
			stderr);
		return EXIT_BROKEN;
	}
	for (i = 0; i < 2; i++)
		cpu[i] = (int)parse_number("CPU", argv[i + 1], 1023);
	pin_to_cpu(cpu[0]);
	if (pthread_create(&thread, NULL, partner, &cpu[1]))
		err(EXIT_BROKEN, "thread");
	begin = now_ns();
	for (i = 0; i < CHUNK * CHUNKS; i += 2) {
		play(i);
		if (i % CHUNK)
			continue;
		ns[i / CHUNK] = (double)(now_ns() - begin) / CHUNK;
		begin = now_ns();
	}
	pthread_join(thread, NULL);
	qsort(ns, CHUNKS, sizeof(ns[0]), compare);
	printf("%.1f\n", ns[CHUNKS / 2]);
	return 0;
}
