// SPDX-License-Identifier: BSD-2-Clause
// Who is known to be behind a place, and where an address is: for what the words leave open.
#include "daemon/explain.h"

#include <string.h>
#include "daemon/address.h"

struct search {
	struct explain_station *wanted;
	bool v6, found;
	u32 place;
	u64 seen_ns;
	struct weft_mac mac;
	struct weft_ip ip;
};

static bool same_mac(const struct weft_mac *a, const struct weft_mac *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool heard_later(struct search *s, u64 seen_ns)
{
	if (s->found && (s64)(seen_ns - s->seen_ns) <= 0)
		return false;
	s->found = true;
	s->seen_ns = seen_ns;
	return true;
}

// RFC 6724 rule 2: an address of the link is for others of it.
static bool same_scope(const struct weft_ip *ip, const struct weft_ip *talks_to)
{
	bool multicast = talks_to->byte[0] == 0xff;
	return multicast || address_link_local(ip) == address_link_local(talks_to);
}

static int look_at_binding(const void *key, const void *data, void *context)
{
	struct search *s = context;
	const struct explain_station *wanted = s->wanted;
	struct weft_neighbour_key at;
	struct weft_neighbour_row row;
	struct weft_ip ip;
	memcpy(&at, key, sizeof(at));
	memcpy(&row, data, sizeof(row));
	memcpy(&ip, at.ip, sizeof(ip));
	if (at.network != wanted->network || (wanted->place && row.port != wanted->place) ||
		address_v4(&ip) == s->v6 ||
		(wanted->talks_to && !same_scope(&ip, wanted->talks_to)) ||
		(wanted->mac_known && !same_mac(&row.mac, &wanted->mac)) ||
		(wanted->ip_known && !address_same(&ip, &wanted->ip)) ||
		!heard_later(s, row.seen_ns))
		return 0;
	s->place = row.port;
	s->mac = row.mac;
	s->ip = ip;
	return 0;
}

bool explain_know_ip(struct weftd *weftd, bool v6, struct explain_station *station)
{
	struct search s = {.wanted = station, .v6 = v6};
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_neighbour, look_at_binding, &s);
	if (!s.found)
		return false;
	station->place = s.place;
	station->mac = s.mac;
	station->ip = s.ip;
	station->mac_known = station->ip_known = true;
	return true;
}

static int look_at_fdb(const void *key, const void *data, void *context)
{
	struct search *s = context;
	struct weft_fdb_key at;
	struct weft_fdb_row row;
	memcpy(&at, key, sizeof(at));
	memcpy(&row, data, sizeof(row));
	if (at.network == s->wanted->network && row.port == s->wanted->place &&
		heard_later(s, row.seen_ns))
		s->mac = at.mac;
	return 0;
}

bool explain_know_mac(struct weftd *weftd, struct explain_station *station)
{
	struct search s = {.wanted = station};
	weftd->engine_ops->table_walk(weftd->engine, WEFT_TABLE_fdb, look_at_fdb, &s);
	if (!s.found)
		return false;
	station->mac = s.mac;
	station->mac_known = true;
	return true;
}
