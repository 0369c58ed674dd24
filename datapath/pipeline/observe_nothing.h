// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// For hooks that observe no packet (pipeline.seen is always NULL).
#pragma once

weft_inline u64 observe_identity(struct pipeline *line)
{
	(void)line;
	return 1;
}

weft_inline void observe_listen(struct pipeline *line)
{
	(void)line;
}

weft_inline void observe_card(struct pipeline *line)
{
	(void)line;
}

weft_inline void probe_take(struct pipeline *line)
{
	(void)line;
}

weft_inline void observe_out(struct pipeline *line, enum weft_drop drop)
{
	(void)line, (void)drop;
}
