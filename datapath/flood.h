// SPDX-License-Identifier: BSD-2-Clause
// Who hears a flood, over native tables: one walk for the engines that have them. Include it behind
// pipeline.h.
#pragma once

// The engine's: one copy out of a port or to a peer. The packet itself stays as it is.
static void flood_copy(struct pipeline *line, u32 port, u16 tag);

static void flood_list(struct pipeline *line, u32 network_id)
{
	struct weft_index index = {network_id};
	const struct weft_network_row *network = TABLE_GET(line->tables, network, &index);
	struct weft_member_key key = {network_id, network->member_epoch, 0};
	for (; key.index < network->member_count; key.index++) {
		const struct weft_member_row *member = TABLE_GET(line->tables, member, &key);
		if (!member || member->port == line->key->in_port ||
			(member->tag == WEFT_MEMBER_PEER &&
				line->verdict->flags & WEFT_VERDICT_FROM_PEER) ||
			!packet_may_reach(line->tables, line->verdict->flags, member->port))
			continue;
		flood_copy(line, member->port,
			packet_leave_tag(line->verdict->flags, line->key->vid, member->tag));
	}
}

static enum weft_drop apply_flood(struct pipeline *line)
{
	flood_list(line, line->verdict->network);
	if (line->verdict->vni && !(line->verdict->flags & WEFT_VERDICT_FROM_PEER))
		flood_list(line, 0);
	return WEFT_DROP_none;
}
