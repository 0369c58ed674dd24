// SPDX-License-Identifier: BSD-2-Clause
// corepair.c - how far two cores are from each other: a cache line goes there and back, ns each way

#include <pthread.h>
#include <stdatomic.h>

#include "tool.h"

#define TURNS  20000u
#define ROUNDS 31

static _Alignas(128) atomic_uint turn;

/* Write every other number, after the one before it has come. */
static void play(unsigned int first)
{
	unsigned int i;

	for (i = first; i < TURNS; i += 2) {
		while (atomic_load_explicit(&turn, memory_order_acquire) != i)
			;
		atomic_store_explicit(&turn, i + 1, memory_order_release);
	}
}

static void *partner(void *arg)
{
	pin_to_cpu(*(int *)arg);
	play(1);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	double ns[ROUNDS];
	int cpu[2], i;
	pthread_t thread;
	uint64_t begin;

	if (argc != 3) {
		fputs("corepair CPU CPU: ns that a cache line takes from one to the other\n",
			stderr);
		return EXIT_BROKEN;
	}
	for (i = 0; i < 2; i++)
		cpu[i] = (int)parse_number("CPU", argv[i + 1], 1023);
	pin_to_cpu(cpu[0]);
	for (i = 0; i < ROUNDS; i++) {
		atomic_store(&turn, 0);
		begin = now_ns();
		if (pthread_create(&thread, NULL, partner, &cpu[1]))
			err(EXIT_BROKEN, "thread");
		play(0);
		pthread_join(thread, NULL);
		ns[i] = (double)(now_ns() - begin) / TURNS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	printf("%.1f\n", ns[ROUNDS / 4]); /* the quieter rounds */
	return 0;
}
