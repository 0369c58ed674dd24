// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Stage learn: what the frame tells about its source address. Limits are commit's to enforce.
#pragma once

// The tag that the source's port has in this network; one that is payload is none.
weft_inline u16 learn_tag(const struct weft_key_head *key, const struct weft_verdict *verdict)
{
	return verdict->flags & WEFT_VERDICT_KEEP_TAG ? 0 : key->vid;
}

weft_inline bool stage_learn(struct decide *d)
{
	const struct weft_key_head *key = d->key;
	if (d->outside || mac_is_gateway(&key->src))
		return false;
	struct weft_fdb_key place = fdb_key(d->verdict->network, &key->src);
	const struct weft_fdb_row *row = TABLE_GET(d->tables, fdb, &place);

	if (!row || !fdb_live(row, d->network, d->now_ns))
		d->verdict->effects = WEFT_EFFECT_learn;
	else if (row->kind == WEFT_FDB_STATIC)
		d->verdict->effects = 0;
	else if (row->port != key->in_port || row->tag != learn_tag(key, d->verdict))
		d->verdict->effects = WEFT_EFFECT_move;
	else if ((s64)(d->now_ns - row->seen_ns) > (s64)WEFT_REFRESH_NS)
		d->verdict->effects = WEFT_EFFECT_refresh;
	return false;
}
