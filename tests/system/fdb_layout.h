// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The row of the fdb table as another version of weft may have it: reordered, with two more fields.
#pragma once

#define WEFT_ROW_fdb(F) \
	F(u64, seen_ns, ) \
	F(u32, peer, ) \
	F(u16, kind, ) \
	F(u16, tag, ) \
	F(u32, hits, ) \
	F(u32, port, )
