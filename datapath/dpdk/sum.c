// SPDX-License-Identifier: BSD-2-Clause
// Sums for checksums, 64 bytes at a time.
#include "datapath/dpdk/sum.h"

#include <string.h>

// Lanes of 64 bits that words of 32 are added to: no carry is lost below 16 GiB.
typedef u64 lanes __attribute__((vector_size(32)));

weft_inline u64 sum_tail(u8 *to, const u8 *from, u32 bytes)
{
	u64 sum = 0;
	for (; bytes >= 4; bytes -= 4, from += 4) {
		u32 word;
		memcpy(&word, from, 4);
		if (to)
			to = (u8 *)memcpy(to, &word, 4) + 4;
		sum += word;
	}
	if (bytes) {
		u32 word = 0;
		memcpy(&word, from, bytes);
		if (to)
			memcpy(to, &word, bytes);
		sum += word;
	}
	return sum;
}

// to: NULL, known when compiling, or where the bytes are copied to.
weft_inline u16 sum_run(u8 *to, const u8 *from, u32 bytes)
{
	lanes a = {0}, b = {0}, low = {0};
	low = low + 0xffffffff;
	for (; bytes >= 64; bytes -= 64, from += 64) {
		lanes x, y;
		memcpy(&x, from, 32);
		memcpy(&y, from + 32, 32);
		if (to) {
			memcpy(to, &x, 32);
			memcpy(to + 32, &y, 32);
			to += 64;
		}
		a += (x & low) + (y & low);
		b += (x >> 32) + (y >> 32);
	}
	a += b;
	u64 sum = sum_tail(to, from, bytes);
	for (int i = 0; i < 4; i++)
		sum += a[i];
	return sum_fold(sum);
}

// DPDK's packages are built for any x86-64; what runs here usually has AVX2.
#ifdef __x86_64__
#define SUM_AVX2       __attribute__((target("avx2")))
#define sum_has_avx2() __builtin_cpu_supports("avx2")
#else
#define SUM_AVX2
#define sum_has_avx2() false
#endif

SUM_AVX2 static u16 sum_bytes_avx2(const u8 *from, u32 bytes)
{
	return sum_run(NULL, from, bytes);
}

SUM_AVX2 static u16 sum_copy_avx2(u8 *to, const u8 *from, u32 bytes)
{
	return sum_run(to, from, bytes);
}

u16 sum_bytes(const void *from, u32 bytes)
{
	return sum_has_avx2() ? sum_bytes_avx2(from, bytes) : sum_run(NULL, from, bytes);
}

u16 sum_copy(void *to, const void *from, u32 bytes)
{
	return sum_has_avx2() ? sum_copy_avx2(to, from, bytes) : sum_run(to, from, bytes);
}

u16 sum_chain(const struct rte_mbuf *frame, u32 offset)
{
	u64 sum = 0;
	u32 done = 0;
	for (; frame; frame = frame->next) {
		if (offset >= frame->data_len) {
			offset -= frame->data_len;
			continue;
		}
		u32 bytes = frame->data_len - offset;
		u16 part = sum_bytes(rte_pktmbuf_mtod_offset(frame, u8 *, offset), bytes);
		sum += sum_odd(part, done);
		done += bytes;
		offset = 0;
	}
	return sum_fold(sum);
}
