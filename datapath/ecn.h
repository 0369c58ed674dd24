// SPDX-License-Identifier: BSD-2-Clause
// Decapsulation's last step over plain bytes: congestion marks go from outside to inside. Include
// it behind pipeline.h.
#pragma once

// RFC 6040 on the inner frame. False: it must be dropped.
static inline bool ecn_carry(u8 *frame, u32 length, u8 outer)
{
	u8 *l3 = frame + sizeof(struct eth_header);
	u16 type = length < 34 ? 0 : (u16)(frame[12] << 8 | frame[13]);
	if (type != WEFT_ETH_IPV4 && type != WEFT_ETH_IPV6)
		return true; // it knows no congestion: none to carry
	u8 inner = overlay_inner_tos(type, l3);
	int ecn = overlay_ecn(inner, outer);
	if (ecn < 0)
		return false;
	if (ecn == (inner & 3))
		return true;
	if (type == WEFT_ETH_IPV6) {
		l3[1] = (u8)((l3[1] & 0xcf) | ecn << 4);
		return true;
	}
	struct ipv4_header *ip = (struct ipv4_header *)l3;
	be16 before = *(be16 *)l3;
	ip->tos = (u8)((inner & ~3) | ecn);
	ip->checksum = reply_checksum_change(ip->checksum, before, *(be16 *)l3);
	return true;
}
