// SPDX-License-Identifier: BSD-2-Clause
// Rows -> a sentence for each stage that had a say: which row it was, and whose object that is.
#include "daemon/explain.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/service.h"

struct walk {
	struct weftd *weftd;
	const struct explain *e;
	FILE *out;
	bool said; // something, in this stage
};

// Each part of a sentence begins with it.
static FILE *part(struct walk *w)
{
	if (w->said)
		fputs("; ", w->out);
	w->said = true;
	return w->out;
}

static void put_place(struct walk *w, u32 id)
{
	const struct object *place = place_at(w->weftd, id);
	if (place)
		fprintf(w->out, "%s %s", place->noun->name, place->name);
	else
		fprintf(w->out, "a place that is no more (%u)", id);
}

static const char *network_name(struct walk *w, u32 id)
{
	const struct object *network = object_by_id(w->weftd, &noun_network, id);
	return network ? network->name : "(none)";
}

static void put_age(struct walk *w, u64 seen_ns)
{
	s64 age = (s64)(w->e->now_ns - seen_ns) / 1000000000;
	fprintf(w->out, ", last heard %lld s ago", (long long)(age > 0 ? age : 0));
}

static void say_port(struct walk *w, const struct explain_row *look)
{
	const struct weft_port_row *row = (const void *)look->row;
	if (look->stage != EXPLAIN_admit)
		return;
	part(w);
	put_place(w, (u32)look->key[0]);
	if (!look->found || !(row->flags & WEFT_PORT_PRESENT))
		fputs(" is being removed", w->out);
	else if (row->flags & WEFT_PORT_PEER)
		fprintf(w->out, " sends in VNI %u", w->e->vni);
	else if (row->flags & WEFT_PORT_TRUNK && w->e->key.vid)
		fprintf(w->out, " is a trunk, the tag is %u", w->e->key.vid);
	else if (row->flags & WEFT_PORT_TRUNK)
		fprintf(w->out, " is a trunk%s",
			row->network ? ", untagged is its native network"
				     : " without a native network");
	else
		fputs(row->network ? " is an access port" : " is in no network", w->out);
}

static void say_tag(struct walk *w, const struct explain_row *look)
{
	const struct weft_tag_key *key = (const void *)look->key;
	const struct weft_tag_row *row = (const void *)look->row;
	const struct object *place = place_at(w->weftd, key->port);
	bool vni = !key->port || (place && place_is_peer(place));
	if (look->found && look->stage != EXPLAIN_admit)
		return;
	fprintf(part(w), "%s %u ", vni ? "VNI" : "tag", key->tag);
	if (look->found)
		fprintf(w->out, "is network %s", network_name(w, row->network));
	else
		fprintf(w->out, "has no network on %s", place ? place->name : "any peer");
}

static void say_network(struct walk *w, const struct explain_row *look)
{
	const struct weft_network_row *row = (const void *)look->row;
	if (look->stage != EXPLAIN_admit || !look->found)
		return;
	fprintf(part(w), "network %s, MTU %u", network_name(w, (u32)look->key[0]), row->mtu);
	if (row->vni)
		fprintf(w->out, ", VNI %u", row->vni);
}

static void say_fdb(struct walk *w, const struct explain_row *look)
{
	const struct weft_fdb_key *key = (const void *)look->key;
	const struct weft_fdb_row *row = (const void *)look->row;
	const struct object *network = object_by_id(w->weftd, &noun_network, key->network);
	u64 ageing_ns = network ? network_ageing_ns(network) : 0;
	char mac[MAC_TEXT_BYTES];
	mac_text(&key->mac, mac);
	fprintf(part(w), "fdb: %s is ", mac);
	if (!look->found) {
		fputs("not known", w->out);
		return;
	}
	fputs("behind ", w->out);
	put_place(w, row->port);
	if (row->kind == WEFT_FDB_STATIC) {
		fputs(", static", w->out);
		return;
	}
	fputs(", learned", w->out);
	put_age(w, row->seen_ns);
	if (ageing_ns && (s64)(w->e->now_ns - row->seen_ns) > (s64)ageing_ns)
		fputs(", which is too old", w->out);
}

static void say_neighbour(struct walk *w, const struct explain_row *look)
{
	const struct weft_neighbour_key *key = (const void *)look->key;
	const struct weft_neighbour_row *row = (const void *)look->row;
	struct weft_ip ip;
	char text[ADDRESS_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	memcpy(&ip, key->ip, sizeof(ip));
	address_text(&ip, text);
	fprintf(part(w), "neighbour: %s is ", text);
	if (!look->found) {
		fputs("not known", w->out);
		return;
	}
	mac_text(&row->mac, mac);
	fprintf(w->out, "%s behind ", mac);
	put_place(w, row->port);
	put_age(w, row->seen_ns);
	if (row->flags & WEFT_NEIGHBOUR_CONTESTED)
		fputs(", contested by another", w->out);
}

static void say_service(struct walk *w, const struct explain_row *look)
{
	const struct weft_service_row *row = (const void *)look->row;
	const struct object *service =
		look->found ? object_by_id(w->weftd, &noun_service, row->id) : NULL;
	if (!look->found || row->flags & WEFT_SERVICE_ADDRESS)
		return;
	fprintf(part(w), "service %s, mode %s", service ? service->name : "(gone)",
		row->flags & WEFT_SERVICE_NAT        ? "nat"
		: row->flags & WEFT_SERVICE_HOST_DSR ? "host-dsr"
						     : "dsr");
}

static void say_connection(struct walk *w, const struct explain_row *look)
{
	const struct weft_connection_row *row = (const void *)look->row;
	const struct object *service;
	if (!look->found)
		return;
	service = object_by_id(w->weftd, &noun_service, row->service);
	fprintf(part(w), "%s a connection of service %s%s",
		row->flags & WEFT_CONNECTION_REPLY ? "an answer in" : "of",
		service ? service->name : "(gone)",
		row->flags & WEFT_CONNECTION_CLOSED    ? ", which is closed"
		: row->flags & WEFT_CONNECTION_OPENING ? ", which is not open yet"
						       : "");
	put_age(w, row->seen_ns);
}

static void say_ring(struct walk *w, const struct explain_row *look)
{
	const struct weft_ring_row *row = (const void *)look->row;
	char text[BACKEND_TEXT_BYTES];
	fprintf(part(w), "the hash of its addresses chooses %s",
		backend_text(w->weftd, look->found ? row->backend : 0, text));
}

static void say_block(struct walk *w, const struct explain_row *look)
{
	const struct weft_port_block_row *row = (const void *)look->row;
	if (w->e->verdict.service || !look->found || !row->owner || row->owner == WEFT_BLOCK_NONE)
		return;
	fputs("the gateway's port is that of ", part(w));
	put_place(w, row->owner);
}

// The tables whose rows are worth a word; of the others the verdict tells.
static void (*const sayings[WEFT_TABLE_count])(struct walk *w, const struct explain_row *look) = {
	[WEFT_TABLE_port] = say_port,
	[WEFT_TABLE_tag] = say_tag,
	[WEFT_TABLE_network] = say_network,
	[WEFT_TABLE_fdb] = say_fdb,
	[WEFT_TABLE_neighbour] = say_neighbour,
	[WEFT_TABLE_service] = say_service,
	[WEFT_TABLE_connection] = say_connection,
	[WEFT_TABLE_ring] = say_ring,
	[WEFT_TABLE_port_block] = say_block,
};

static bool quota_full(struct walk *w)
{
	struct weft_usage_row *usage = place_usage(w->weftd, w->e->port);
	struct weft_index index = {w->e->port};
	struct weft_port_row row;
	return usage && !engine_get(w->weftd, port, &index, &row) && usage->macs >= row.mac_limit;
}

// What the stage makes of it for the tables.
static void say_effects(struct walk *w, enum explain_stage stage)
{
	u32 effects = w->e->verdict.effects;
	bool full = effects & WEFT_EFFECT_place && quota_full(w);
	if (stage == EXPLAIN_learn && effects & WEFT_EFFECT_place) {
		fprintf(part(w), "it %s here%s",
			full                          ? "is not learned"
			: effects & WEFT_EFFECT_learn ? "is learned"
						      : "moves",
			full ? ": the port's mac-limit is reached" : "");
	}
	if (stage == EXPLAIN_resolve && effects & WEFT_EFFECT_bind)
		fputs("the sender's address is noted", part(w));
	if (stage == EXPLAIN_forward && w->e->key.dst.byte[0] & 1)
		fputs("a group address", part(w));
}

static void say_stage(struct walk *w, enum explain_stage stage, json_t *list)
{
	char *text = NULL;
	size_t size;
	w->out = open_memstream(&text, &size);
	w->said = false;
	for (const struct explain_row *look = w->e->rows; look; look = look->next)
		if (look->stage == stage && sayings[look->table])
			sayings[look->table](w, look);
	if (stage <= w->e->decided)
		say_effects(w, stage);
	fclose(w->out);
	if (w->said)
		json_array_append_new(list,
			json_pack("{s:s, s:s}", "stage", explain_stage_name(stage), "says", text));
	free(text);
}

json_t *explain_walk(struct weftd *weftd, const struct explain *e)
{
	struct walk walk = {.weftd = weftd, .e = e};
	json_t *list = json_array();
	for (u32 stage = EXPLAIN_parse; stage < EXPLAIN_apply; stage++)
		say_stage(&walk, stage, list);
	return list;
}
