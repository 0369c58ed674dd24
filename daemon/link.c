// SPDX-License-Identifier: BSD-2-Clause
// Links: the netdevs of weftd's network namespace, as the kernel has them now.
#include "daemon/link.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <weft/log.h>
#include "daemon/link_parse.h"
#include "daemon/netlink.h"
#include "daemon/weftd.h"

LOG_MODULE(link);

enum { EVENT_READS = 64 }; // before the changes are looked at

struct links {
	struct nl_sock *requests;
	struct nl_sock *events;
	struct event *event;
	struct link *by_index;
	struct link *by_name;
	struct link *queue; // changed, not asked yet
	struct link_watch *watches;
	bool addresses_changed;
	bool events_lost;
};

static void link_changed(struct links *links, struct link *link)
{
	if (link->changed)
		return;
	link->changed = true;
	DL_APPEND(links->queue, link);
}

static void link_seen(struct links *links, struct link *link)
{
	if (!link->changed)
		return;
	link->changed = false;
	DL_DELETE(links->queue, link);
}

static struct link *link_new(struct links *links, u32 ifindex)
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->ifindex = ifindex;
	HASH_ADD(by_index, links->by_index, ifindex, sizeof(link->ifindex), link);
	return link;
}

// A link without a name has been renamed and not been asked again.
static void link_name(struct links *links, struct link *link, const char *name)
{
	struct link *other = link_find(links, name);
	if (link->name[0])
		HASH_DELETE(by_name, links->by_name, link);
	if (other) {
		HASH_DELETE(by_name, links->by_name, other);
		other->name[0] = '\0';
		link_changed(links, other);
	}
	memcpy(link->name, name, sizeof(link->name));
	HASH_ADD(by_name, links->by_name, name, strlen(link->name), link);
}

static struct link *link_take(struct links *links, const struct link *now)
{
	struct link *link = link_at(links, now->ifindex);
	if (!link)
		link = link_new(links, now->ifindex);
	if (!link)
		return NULL;
	memcpy(link, now, offsetof(struct link, name));
	if (strcmp(link->name, now->name) != 0)
		link_name(links, link, now->name);
	return link;
}

// Whom a change of the link concerns: its watch, or one that waits for a device of this name.
static struct link_watch *watch_of(struct links *links, const struct link *link)
{
	struct link_watch *named = link_watch_find(links, link->name);
	if (link->watch)
		return link->watch;
	return named && !named->link ? named : NULL;
}

static void link_drop(struct links *links, struct link *link)
{
	struct link_watch *watch = watch_of(links, link);
	log_debug("%s (ifindex %u) is gone", link->name, link->ifindex);
	link_seen(links, link);
	HASH_DELETE(by_index, links->by_index, link);
	if (link->name[0])
		HASH_DELETE(by_name, links->by_name, link);
	free(link);
	if (watch) {
		watch->link = NULL;
		watch->changed(watch, NULL);
	}
}

struct answer {
	struct links *links;
	struct link *link; // the last one
};

static void take_answer(struct nlmsghdr *message, void *context)
{
	struct answer *answer = context;
	struct link now = {0};
	if (message->nlmsg_type == RTM_NEWLINK && link_parse(message, &now) == 0)
		answer->link = link_take(answer->links, &now);
}

// By name, or by ifindex; neither: every link.
static int link_ask(struct links *links, const char *name, u32 ifindex, struct link **link)
{
	struct ifinfomsg info = {.ifi_index = (int)ifindex};
	struct answer answer = {.links = links};
	int flags = name || ifindex ? 0 : NLM_F_DUMP;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, flags);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	if (name)
		nla_put_string(msg, IFLA_IFNAME, name);
	nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int error = netlink_talk(links->requests, msg, take_answer, &answer, NULL);
	if (link)
		*link = answer.link;
	return error;
}

static void take_address(struct nlmsghdr *message, void *context)
{
	struct links *links = context;
	u32 ifindex = message->nlmsg_type == RTM_NEWADDR ? link_parse_address(message) : 0;
	struct link *link = ifindex ? link_at(links, ifindex) : NULL;
	if (link)
		link->has_address = true;
}

static int read_addresses(struct links *links)
{
	struct ifaddrmsg address = {0};
	struct link *link;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &address, sizeof(address), NLMSG_ALIGNTO);
	links->addresses_changed = false;
	for (link = links->by_index; link; link = link->by_index.next) {
		if (link->has_address) // it may lose them all
			link_changed(links, link);
		link->has_address = false;
	}
	int error = netlink_talk(links->requests, msg, take_address, links, NULL);
	for (link = links->by_index; link; link = link->by_index.next) {
		if (link->has_address)
			link_changed(links, link);
	}
	return error;
}

// A watch that is told may delete itself, its link or another.
static void link_notify(struct links *links, struct link *link)
{
	struct link_watch *watch = watch_of(links, link);
	if (watch)
		watch->changed(watch, link);
}

// Asks what each changed link is now and tells those who care.
static void take_changes(struct links *links)
{
	if (links->events_lost) {
		log_warn("netlink events were lost: reading every link again");
		links->events_lost = false;
		links->addresses_changed = true;
		link_ask(links, NULL, 0, NULL);
		for (struct link *link = links->by_index; link; link = link->by_index.next)
			link_changed(links, link);
	}
	if (links->addresses_changed)
		read_addresses(links);
	while (links->queue) {
		struct link *link = links->queue;
		u32 ifindex = link->ifindex;
		link_seen(links, link);
		int error = link_ask(links, NULL, ifindex, NULL);
		if (error == -ENODEV)
			link_drop(links, link);
		else if (error)
			log_error("cannot read link %u: %s", ifindex, strerror(-error));
		else
			link_notify(links, link);
	}
}

static int on_message(struct nl_msg *msg, void *context)
{
	struct links *links = context;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	if (header->nlmsg_type == RTM_NEWADDR || header->nlmsg_type == RTM_DELADDR)
		links->addresses_changed = true;
	if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
		!nlmsg_valid_hdr(header, sizeof(struct ifinfomsg)))
		return NL_OK;
	const struct ifinfomsg *info = nlmsg_data(header);
	struct link *link = link_at(links, (u32)info->ifi_index);
	if (!link && header->nlmsg_type == RTM_NEWLINK)
		link = link_new(links, (u32)info->ifi_index);
	if (link)
		link_changed(links, link);
	return NL_OK;
}

static void on_events(evutil_socket_t fd, short what, void *context)
{
	struct links *links = context;
	int error = 0;
	(void)fd, (void)what;
	for (int i = 0; i < EVENT_READS && error >= 0; i++) {
		error = nl_recvmsgs_default(links->events);
		if (error == -NLE_NOMEM) // ENOBUFS
			links->events_lost = true;
	}
	take_changes(links);
}

int links_open(struct weftd *weftd, struct failure *failure)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0};
	struct links *links = calloc(1, sizeof(*links));
	int error = -ENOMEM;
	if (!links)
		return fail(failure, error, "no_memory", "out of memory");
	weftd->links = links;
	links->events = netlink_open(groups, &error);
	if (links->events)
		links->requests = netlink_open(NULL, &error);
	if (links->requests)
		error = link_ask(links, NULL, 0, NULL);
	if (!error)
		error = read_addresses(links);
	if (error)
		goto err_close;
	nl_socket_modify_cb(links->events, NL_CB_VALID, NL_CB_CUSTOM, on_message, links);
	links->event = event_new(weftd->base, nl_socket_get_fd(links->events), EV_READ | EV_PERSIST,
		on_events, links);
	error = -ENOMEM;
	if (!links->event || event_add(links->event, NULL))
		goto err_close;
	return 0;

err_close:
	links_close(weftd);
	return fail(failure, error, "netlink",
		"cannot read the links of this network namespace: %s", strerror(-error));
}

void links_close(struct weftd *weftd)
{
	struct links *links = weftd->links;
	struct link *link, *next;
	if (!links)
		return;
	if (links->event)
		event_free(links->event);
	nl_socket_free(links->events);
	nl_socket_free(links->requests);
	HASH_CLEAR(hh, links->watches);
	HASH_CLEAR(by_name, links->by_name);
	HASH_ITER (by_index, links->by_index, link, next) {
		HASH_DELETE(by_index, links->by_index, link);
		free(link);
	}
	free(links);
	weftd->links = NULL;
}

struct link *link_at(struct links *links, u32 ifindex)
{
	struct link *link = NULL;
	HASH_FIND(by_index, links->by_index, &ifindex, sizeof(ifindex), link);
	return link;
}

struct link *link_find(struct links *links, const char *name)
{
	struct link *link = NULL;
	HASH_FIND(by_name, links->by_name, name, strlen(name), link);
	return link;
}

struct nl_sock *links_socket(struct links *links)
{
	return links->requests;
}

struct link *link_first(struct links *links)
{
	return links->by_index;
}

struct link *link_refresh(struct links *links, const char *name)
{
	struct link *link = NULL;
	return link_ask(links, name, 0, &link) ? NULL : link;
}

int link_watch_add(struct links *links, struct link_watch *watch, const char *name)
{
	if (link_watch_find(links, name))
		return -EEXIST;
	snprintf(watch->name, sizeof(watch->name), "%s", name);
	HASH_ADD(hh, links->watches, name, strlen(watch->name), watch);
	return 0;
}

void link_watch_del(struct links *links, struct link_watch *watch)
{
	link_bind(watch, NULL);
	HASH_DELETE(hh, links->watches, watch);
}

struct link_watch *link_watch_find(struct links *links, const char *name)
{
	struct link_watch *watch = NULL;
	HASH_FIND(hh, links->watches, name, strlen(name), watch);
	return watch;
}

void link_bind(struct link_watch *watch, struct link *link)
{
	if (watch->link)
		watch->link->watch = NULL;
	watch->link = link;
	if (link)
		link->watch = watch;
}

int link_delete(struct links *links, struct link *link, struct failure *failure)
{
	char why[NETLINK_WHY_BYTES];
	struct ifinfomsg info = {.ifi_index = (int)link->ifindex};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_DELLINK, 0);
	if (!msg)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	int error = netlink_talk(links->requests, msg, NULL, NULL, why);
	if (error && error != -ENODEV)
		return fail(failure, error, "device", "the kernel refused to delete %s: %s",
			link->name, why);
	link_drop(links, link);
	return 0;
}
