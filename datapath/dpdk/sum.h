// SPDX-License-Identifier: BSD-2-Clause
// The Internet checksum's sum (RFC 1071) over bytes and mbuf chains.
//
// A sum is of 16-bit words as they lie in memory, folded to 16 bits, not complemented: it can be
// written back as it is. Bytes that follow an odd number of others count swapped: sum_odd().
#pragma once

#include <rte_mbuf.h>
#include <weft/types.h>

u16 sum_bytes(const void *from, u32 bytes);
// The same while copying, in one pass.
u16 sum_copy(void *to, const void *from, u32 bytes);
// From an offset of the frame to its end; 0 beyond it.
u16 sum_chain(const struct rte_mbuf *frame, u32 offset);

weft_inline u16 sum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}

weft_inline u16 sum_odd(u16 sum, u32 bytes_before)
{
	return bytes_before & 1 ? weft_swap16(sum) : sum;
}
