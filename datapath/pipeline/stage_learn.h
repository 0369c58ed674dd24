// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage learn: what the frame tells about its source address. Limits are commit's to enforce.
#pragma once

weft_inline bool stage_learn(struct decide *d)
{
	const struct weft_key *key = d->key;
	struct weft_fdb_key place = fdb_key(d->verdict->network, &key->src);
	const struct weft_fdb_row *row = TABLE_GET(d->tables, fdb, &place);

	if (!row || !fdb_live(row, d->network, d->now_ns))
		d->verdict->effects = WEFT_EFFECT_learn;
	else if (row->kind == WEFT_FDB_STATIC)
		d->verdict->effects = 0;
	else if (row->port != key->in_port || row->tag != key->vid)
		d->verdict->effects = WEFT_EFFECT_move;
	else if ((s64)(d->now_ns - row->seen_ns) > (s64)WEFT_REFRESH_NS)
		d->verdict->effects = WEFT_EFFECT_refresh;
	return false;
}
