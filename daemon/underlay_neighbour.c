// SPDX-License-Identifier: BSD-2-Clause
// The MACs of next hops: read from the kernel's ARP and ND tables, which keep them alive for weft.
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/netlink.h"
#include "daemon/underlay_parts.h"

LOG_MODULE(underlay);

enum {
	VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT,
	STATIC = NUD_PERMANENT | NUD_NOARP,
};

// What the kernel says of a neighbour.
struct entry {
	struct neighbour_place place;
	u32 state; // NUD_*; 0: there is none
	u32 flags; // NTF_*
	bool managed;
	u8 protocol;
	struct weft_mac mac;
};

static bool entry_parse(struct nlmsghdr *message, struct entry *entry)
{
	struct nlattr *part[NDA_MAX + 1] = {0};
	if (message->nlmsg_type != RTM_NEWNEIGH ||
		nlmsg_parse(message, sizeof(struct ndmsg), part, NDA_MAX, NULL))
		return false;
	const struct ndmsg *header = nlmsg_data(message);
	*entry = (struct entry){.state = header->ndm_state, .flags = header->ndm_flags};
	entry->place.ifindex = (u32)header->ndm_ifindex;
	if (!part[NDA_DST] ||
		!ip_take(&entry->place.ip, nla_data(part[NDA_DST]), nla_len(part[NDA_DST])))
		return false;
	if (part[NDA_FLAGS_EXT])
		entry->managed = nla_get_u32(part[NDA_FLAGS_EXT]) & NTF_EXT_MANAGED;
	if (part[NDA_PROTOCOL])
		entry->protocol = nla_get_u8(part[NDA_PROTOCOL]);
	if (part[NDA_LLADDR] && nla_len(part[NDA_LLADDR]) == (int)sizeof(entry->mac))
		memcpy(&entry->mac, nla_data(part[NDA_LLADDR]), sizeof(entry->mac));
	else
		entry->state &= ~(u32)VALID;
	return true;
}

static struct nl_msg *place_message(
	int type, int flags, u8 use, const struct neighbour_place *place)
{
	struct ndmsg header = {.ndm_family = (u8)ip_family(&place->ip),
		.ndm_ifindex = (int)place->ifindex,
		.ndm_flags = use};
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	if (!msg)
		return NULL;
	nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO);
	ip_put(msg, NDA_DST, &place->ip);
	return msg;
}

static void take_entry(struct nlmsghdr *message, void *context)
{
	entry_parse(message, context);
}

static struct entry entry_ask(struct underlay *u, const struct neighbour_place *place)
{
	struct entry entry = {0};
	struct nl_msg *msg = place_message(RTM_GETNEIGH, 0, 0, place);
	netlink_talk(links_socket(u->weftd->links), msg, take_entry, &entry, NULL);
	return entry;
}

// NTF_USE keeps the entry's state, and has the kernel ask for a MAC where there is none.
static int entry_set(struct underlay *u, const struct neighbour_place *place, bool managed)
{
	struct nl_msg *msg = place_message(
		RTM_NEWNEIGH, NLM_F_REPLACE | (managed ? NLM_F_CREATE : 0), NTF_USE, place);
	if (!msg)
		return -ENOMEM;
	nla_put_u8(msg, NDA_PROTOCOL, managed ? UNDERLAY_PROTOCOL : RTPROT_BOOT);
	if (managed)
		nla_put_u32(msg, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return netlink_talk(links_socket(u->weftd->links), msg, NULL, NULL, NULL);
}

// Static entries, and those that somebody else keeps alive, are left to their owner.
static bool entry_foreign(const struct entry *entry)
{
	return (entry->state & STATIC) || (entry->flags & NTF_EXT_LEARNED) ||
	       (entry->managed && entry->protocol != UNDERLAY_PROTOCOL);
}

static void neighbour_read(struct underlay *u, struct underlay_neighbour *n)
{
	struct entry entry = entry_ask(u, &n->place);
	n->stale = false;
	n->valid = entry.state & VALID;
	n->mac = entry.mac;
	if (entry_foreign(&entry)) {
		n->managed = false;
		return;
	}
	bool settled = entry.managed && (n->valid || !n->urge);
	n->urge = false;
	if (settled)
		return;
	int error = entry_set(u, &n->place, true);
	n->managed = !error;
	if (error) { // its device is going away, and events will tell
		char text[ADDRESS_TEXT_BYTES];
		address_text(&n->place.ip, text);
		log_debug("the kernel does not look for %s on device %u: %s", text,
			n->place.ifindex, strerror(-error));
	}
}

void neighbours_read(struct underlay *u)
{
	struct underlay_neighbour *n, *next;
	u->neighbours_stale = false;
	HASH_ITER (hh, u->neighbours, n, next) {
		if (n->stale)
			neighbour_read(u, n);
	}
}

struct underlay_neighbour *neighbour_find(struct underlay *u, u32 ifindex, const struct weft_ip *ip)
{
	struct neighbour_place place = {ifindex, *ip};
	struct underlay_neighbour *n = NULL;
	HASH_FIND(hh, u->neighbours, &place, sizeof(place), n);
	return n;
}

static struct underlay_neighbour *neighbour_new(
	struct underlay *u, const struct neighbour_place *place)
{
	struct underlay_neighbour *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->place = *place;
	HASH_ADD(hh, u->neighbours, place, sizeof(n->place), n);
	return n;
}

struct underlay_neighbour *neighbour_need(struct underlay *u, const struct way *way)
{
	struct underlay_neighbour *n = neighbour_find(u, way->ifindex, &way->gateway);
	if (!n)
		n = neighbour_new(u, &(struct neighbour_place){way->ifindex, way->gateway});
	n->needed = n->stale = n->urge = u->neighbours_stale = true;
	return n;
}

static void neighbour_free(struct underlay *u, struct underlay_neighbour *n, bool release)
{
	if (release && n->managed)
		entry_set(u, &n->place, false); // gone with its device: nothing to give back
	HASH_DEL(u->neighbours, n);
	free(n);
}

void neighbours_sweep(struct underlay *u)
{
	struct underlay_neighbour *n, *next;
	HASH_ITER (hh, u->neighbours, n, next) {
		if (!n->needed)
			neighbour_free(u, n, true);
	}
}

void neighbours_free(struct underlay *u, bool release)
{
	struct underlay_neighbour *n, *next;
	HASH_ITER (hh, u->neighbours, n, next)
		neighbour_free(u, n, release);
}

static void adopt_entry(struct nlmsghdr *message, void *context)
{
	struct underlay *u = context;
	struct entry entry;
	if (!entry_parse(message, &entry) || !entry.managed || entry.protocol != UNDERLAY_PROTOCOL)
		return;
	if (!neighbour_find(u, entry.place.ifindex, &entry.place.ip)) // a dump may start anew
		neighbour_new(u, &entry.place)->managed = true;
}

int neighbours_adopt(struct underlay *u)
{
	struct ndmsg header = {0};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNEIGH, NLM_F_DUMP);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO);
	return netlink_talk(links_socket(u->weftd->links), msg, adopt_entry, u, NULL);
}
