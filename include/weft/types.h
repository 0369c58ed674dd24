// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Integer names and byte order helpers shared by host C and BPF.
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
// Wire order: never compared or computed with before weft_ntoh16(). Headers are read where the
// bytes of a frame lie, so these may alias anything.
typedef __be16 be16 __attribute__((may_alias));
#ifdef __bpf__
typedef __be32 be32 __attribute__((may_alias));
#else
// A frame in memory of our own begins anywhere even; in an skb the IP header is aligned to 4.
typedef __be32 be32 __attribute__((aligned(2), may_alias));
#endif

#define weft_inline static inline __attribute__((always_inline))

#define WEFT_BIT(n)        (1u << (n))
#define WEFT_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

// x86-64 and arm64 hosts run little endian; BPF follows its host.
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weft supports little-endian hosts only"
#endif
#define weft_swap16(x) ((u16)__builtin_bswap16(x))
#define weft_swap32(x) ((u32)__builtin_bswap32(x))
#define weft_ntoh16(x) weft_swap16((u16)(x))
#define weft_ntoh32(x) weft_swap32((u32)(x))
#define weft_hton16(x) ((be16)weft_swap16(x))
#define weft_hton32(x) ((be32)weft_swap32(x))

// A MAC address as it stands on the wire. Alignment 2 lets BPF load it in three steps, not six.
struct weft_mac {
	u8 byte[6];
} __attribute__((aligned(2)));

// Zero stands for none.
weft_inline bool weft_mac_known(const struct weft_mac *mac)
{
	const u8 *b = mac->byte;
	return b[0] | b[1] | b[2] | b[3] | b[4] | b[5];
}

// An IPv6 address, or an IPv4 address mapped into ::ffff:0:0/96 (RFC 4291 section 2.5.5.2).
struct weft_ip {
	union {
		u8 byte[16];
		be32 word[4];
	};
};
