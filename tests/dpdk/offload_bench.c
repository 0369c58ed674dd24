// SPDX-License-Identifier: BSD-2-Clause
// What software offloads cost: a 64 KiB superpacket to segments, checksums, outer headers.
#include "tests/dpdk/frames.h"
#include "datapath/dpdk/sum.h"

#include <time.h>

// The best of many short runs: the machine has others to serve.
enum { TIMES = 20, REPEATS = 2000 };

static u64 now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

static struct flat flat;
static struct rte_mempool *pool;

static struct rte_mbuf *superpacket(void)
{
	struct rte_mbuf *frame = rte_pktmbuf_alloc(pool), *last = frame;
	u32 at = 0;
	for (;; last = last->next) {
		u32 part = RTE_MIN(2048u, flat.length - at);
		last->data_len = (u16)part;
		memcpy(rte_pktmbuf_mtod(last, u8 *), flat.bytes + at, part);
		at += part;
		if (at == flat.length)
			break;
		last->next = rte_pktmbuf_alloc(pool);
		frame->nb_segs++;
	}
	frame->pkt_len = flat.length;
	return frame;
}

// Nanoseconds per superpacket, less what making it costs (takes all).
static double cut(u32 takes, u32 segment_bytes)
{
	struct rte_mbuf *out[DPDK_SEGMENTS];
	double best = 1e12;
	for (u32 r = 0; r < REPEATS; r++) {
		u64 spent = 0;
		for (u32 i = 0; i < TIMES; i++) {
			struct rte_mbuf *frame = superpacket();
			flat.segment_bytes = segment_bytes;
			mbuf_describe(frame, &flat);
			u64 from = now_ns();
			u32 count = dpdk_finish(frame, takes, out, DPDK_SEGMENTS);
			spent += now_ns() - from;
			rte_pktmbuf_free_bulk(out, count);
		}
		best = RTE_MIN(best, (double)spent / TIMES);
	}
	return best;
}

static double rate(bool copy, u32 bytes)
{
	static u8 to[FLAT_BYTES];
	volatile u16 sum = 0;
	double best = 1e12;
	for (u32 r = 0; r < REPEATS; r++) {
		u64 from = now_ns();
		for (u32 i = 0; i < TIMES; i++)
			sum += copy ? sum_copy(to, flat.bytes, bytes)
				    : sum_bytes(flat.bytes, bytes);
		best = RTE_MIN(best, (double)(now_ns() - from) / TIMES);
	}
	return bytes / best;
}

static double push(u32 bytes)
{
	struct rte_mbuf *frame = superpacket();
	u8 outer[70] = {0};
	double best = 1e12;
	rte_pktmbuf_trim(frame, 0);
	frame->data_len = 1500;
	frame->pkt_len = 1500;
	struct rte_mbuf *rest = frame->next;
	frame->next = NULL;
	frame->nb_segs = 1;
	rte_pktmbuf_free(rest);
	for (u32 r = 0; r < REPEATS; r++) {
		u64 from = now_ns();
		for (u32 i = 0; i < TIMES; i++) {
			if (!dpdk_push_outer(&frame, outer, bytes))
				abort();
			rte_pktmbuf_adj(frame, (u16)bytes);
		}
		best = RTE_MIN(best, (double)(now_ns() - from) / TIMES);
	}
	rte_pktmbuf_free(frame);
	return best;
}

int main(void)
{
	frames_start();
	pool = rte_pktmbuf_pool_create("bench", 4095, 256, 0, 2048 + 128, SOCKET_ID_ANY);
	flat_make(&flat, false, false, false, 65000);
	printf("64 KiB to 1448: %.0f ns with checksums, %.0f ns partial\n", cut(0, 1448),
		cut(ENGINE_TAKES_CHECKSUM, 1448));
	printf("64 KiB to 8948: %.0f ns with checksums, %.0f ns partial\n", cut(0, 8948),
		cut(ENGINE_TAKES_CHECKSUM, 8948));
	printf("64 KiB checksum alone: %.0f ns, passed whole: %.0f ns\n", cut(0, 0),
		cut(ENGINE_TAKES_ALL, 1448));
	for (u32 bytes = 64; bytes <= 65536; bytes *= 2)
		if (bytes == 64 || bytes == 256 || bytes == 2048 || bytes == 65536)
			printf("sum of %u bytes: %.1f GB/s, with copy %.1f GB/s\n", bytes,
				rate(false, bytes), rate(true, bytes));
	printf("outer headers on 1500 bytes: %.0f ns IPv4, %.0f ns IPv6\n", push(50), push(70));
	rte_eal_cleanup();
	return 0;
}
