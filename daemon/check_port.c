// SPDX-License-Identifier: BSD-2-Clause
// The way of checks: a veth from their namespace to a port of the switch that is no object's, and
// for each check the rows of a service with one backend.
//
// In the namespace everything goes to the veth as it is, to the MAC that the veth has itself: so
// nothing is resolved there, and the switch knows by that MAC what is for it.
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/mark.h"
#include "daemon/netlink.h"
#include "daemon/service.h"

LOG_MODULE(check);

#define MARK_NAME  "(checks)" // no port has this name
#define INNER_NAME "checks"
#define CHECK_MAC  ((struct weft_mac){{0x02, 0x57, 0x65, 0x66, 0x74, 0x02}})

// Of the namespace; and what its backends' addresses begin with. Nobody else sees them.
#define SOURCE4 "169.254.0.1"
#define SOURCE6 "fd57:6566:7400::1"
#define ALIAS4  "100.64.0.0"
#define ALIAS6  "fd57:6566:7400:1::"
enum { ALIASES = 1 << 22 };

// Every network takes packets of this size; checks need no larger ones.
enum { CHECK_MTU = 1280, LOOPBACK = 1 };

// More than checks can have; a connection of theirs is short.
enum { CHECK_IDLE_SECONDS = 10 };

struct check_way {
	struct link_watch watch; // first: the callback is given it
	struct weftd *weftd;
	struct check_space *space;
	char name[IFNAMSIZ];
	u32 alias; // the last one given
	bool open, busy;
};

u32 check_way_port(const struct check_way *way)
{
	return engine_capacity(way->weftd, WEFT_TABLE_port) - 2;
}

const struct link *check_way_link(const struct check_way *way)
{
	return way->watch.link;
}

// --- the namespace's end

static void take_index(struct nlmsghdr *message, void *context)
{
	if (message->nlmsg_type == RTM_NEWLINK)
		*(int *)context = ((struct ifinfomsg *)nlmsg_data(message))->ifi_index;
}

static int inner_index(struct nl_sock *sock)
{
	struct ifinfomsg info = {0};
	int index = 0;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, INNER_NAME);
	int error = netlink_talk(sock, msg, take_index, &index, NULL);
	return error ? error : index;
}

static int set_flags(struct nl_sock *sock, int index, u32 flags)
{
	struct ifinfomsg info = {.ifi_index = index, .ifi_flags = flags, .ifi_change = flags};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	return netlink_talk(sock, msg, NULL, NULL, NULL);
}

// No link-local address: by the veth goes what checks send, and nothing else.
static void set_quiet(struct nl_sock *sock, int index)
{
	struct ifinfomsg info = {.ifi_index = index};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	if (!msg)
		return;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	struct nlattr *families = nla_nest_start(msg, IFLA_AF_SPEC);
	struct nlattr *family = nla_nest_start(msg, AF_INET6);
	nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(msg, family);
	nla_nest_end(msg, families);
	netlink_talk(sock, msg, NULL, NULL, NULL); // a kernel without IPv6 is quiet by itself
}

static void put_ip(struct nl_msg *msg, int attribute, const struct weft_ip *ip)
{
	if (address_v4(ip))
		nla_put(msg, attribute, 4, &ip->byte[12]);
	else
		nla_put(msg, attribute, 16, ip->byte);
}

static int add_address(struct nl_sock *sock, const struct weft_ip *ip)
{
	struct ifaddrmsg info = {
		.ifa_family = address_v4(ip) ? AF_INET : AF_INET6,
		.ifa_prefixlen = address_v4(ip) ? 32 : 128,
		.ifa_flags = IFA_F_NODAD,
		.ifa_index = LOOPBACK,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	put_ip(msg, IFA_LOCAL, ip);
	put_ip(msg, IFA_ADDRESS, ip);
	return netlink_talk(sock, msg, NULL, NULL, NULL);
}

static int add_route(struct nl_sock *sock, int index, const struct weft_ip *source)
{
	struct rtmsg info = {
		.rtm_family = address_v4(source) ? AF_INET : AF_INET6,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = address_v4(source) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_u32(msg, RTA_OIF, (u32)index);
	put_ip(msg, RTA_PREFSRC, source);
	return netlink_talk(sock, msg, NULL, NULL, NULL);
}

// A kernel without IPv6 has checks of IPv4.
static int dress_inner(struct nl_sock *sock)
{
	struct weft_ip source4 = address_read(SOURCE4), source6 = address_read(SOURCE6);
	int index = inner_index(sock);
	int error = index > 0 ? set_flags(sock, LOOPBACK, IFF_UP) : -ENODEV;
	if (!error)
		set_quiet(sock, index);
	if (!error)
		error = set_flags(sock, index, IFF_NOARP | IFF_UP);
	if (!error)
		error = add_address(sock, &source4);
	if (!error)
		error = add_route(sock, index, &source4);
	if (!error && add_address(sock, &source6) == 0)
		add_route(sock, index, &source6);
	return error;
}

// --- the device

// One that a killed weftd has left goes with its namespace, but that takes its time.
static int delete_left(struct check_way *way, struct failure *failure)
{
	struct link *link = link_refresh(way->weftd->links, way->name);
	struct mark mark;
	if (!link)
		return 0;
	bool ours = mark_read(link->alias, &mark) ? strcmp(mark.uuid, way->weftd->uuid) == 0
						  : !link->alias[0];
	if (strcmp(link->kind, "veth") != 0 || !ours)
		return fail(failure, -EEXIST, "in_use",
			"there is a device %s that is not this weftd's: `ip link del %s`",
			way->name, way->name);
	return link_delete(way->weftd->links, link, failure);
}

static int dress_outer(struct check_way *way, struct link *link, struct failure *failure)
{
	struct mark mark = {.port = MARK_NAME};
	char alias[LINK_ALIAS_BYTES];
	struct link_change change = {.alias = alias, .quiet = true};
	strcpy(mark.uuid, way->weftd->uuid);
	mark_write(&mark, alias);
	return link_set(way->weftd->links, link, &change, failure);
}

static struct link *make(struct check_way *way, struct failure *failure)
{
	struct links *links = way->weftd->links;
	const struct weft_mac mac = CHECK_MAC;
	const struct netlink_peer inner = {INNER_NAME, check_space_fd(way->space), CHECK_MTU, &mac};
	char why[NETLINK_WHY_BYTES];
	if (delete_left(way, failure))
		return NULL;
	int error =
		netlink_talk(links_socket(links), netlink_veth(way->name, &inner), NULL, NULL, why);
	struct link *link = error ? NULL : link_refresh(links, way->name);
	if (!link) {
		fail(failure, error ? error : -ENODEV, "device",
			"the kernel refuses the veth %s: %s", way->name, why);
		return NULL;
	}
	error = dress_inner(check_space_netlink(way->space));
	if (error)
		fail(failure, error, "device", "the namespace of checks cannot be set up: %s",
			strerror(-error));
	if (!error)
		error = dress_outer(way, link, failure);
	if (!error)
		return link;
	link_delete(links, link, NULL);
	return NULL;
}

// --- the port

static int put_port(struct check_way *way)
{
	struct weft_index index = {check_way_port(way)};
	struct weft_mac mac = CHECK_MAC;
	struct weft_port_row row = {.flags = WEFT_PORT_PRESENT | WEFT_PORT_VIPS};
	memcpy(row.address, &mac, sizeof(mac));
	return engine_put(way->weftd, port, &index, &row);
}

static void del_port(struct check_way *way)
{
	static const struct weft_port_row none;
	struct weft_index index = {check_way_port(way)};
	way->weftd->engine_ops->port_detach(way->weftd->engine, index.index);
	engine_put(way->weftd, port, &index, &none);
}

static int attach(struct check_way *way, struct link *link, struct failure *failure)
{
	struct weftd *weftd = way->weftd;
	const char *why = NULL;
	struct link_change up = {.flags = IFF_UP, .flags_mask = IFF_UP};
	struct engine_port port = {
		.id = check_way_port(way),
		.ifindex = link->ifindex,
		.name = link->name,
		.kind = ENGINE_PORT_NETDEV,
	};
	int error = put_port(way);
	if (error)
		return fail(failure, error, "table_full", "the port table has no row %u", port.id);
	error = weftd->engine_ops->port_attach(weftd->engine, &port, &why);
	if (error)
		return fail(failure, error, "device", "%s cannot be attached: %s", link->name,
			fail_reason(error, why));
	return link_set(weftd->links, link, &up, failure);
}

int check_way_open(struct check_way *way, struct failure *failure)
{
	if (way->open || way->busy)
		return 0;
	way->busy = true;
	struct link *link = make(way, failure);
	int error = link ? attach(way, link, failure) : failure->code;
	if (link && error) {
		del_port(way);
		link_delete(way->weftd->links, link, NULL);
	} else if (link) {
		link_bind(&way->watch, link);
		log_info("made for checks dev=%s", link->name);
	}
	way->open = !error;
	way->busy = false;
	return error;
}

void check_way_close(struct check_way *way)
{
	struct link *link = way->watch.link;
	if (!way->open)
		return;
	way->open = false;
	del_port(way);
	link_bind(&way->watch, NULL);
	if (link)
		link_delete(way->weftd->links, link, NULL);
}

static void changed(struct link_watch *watch, struct link *link)
{
	struct check_way *way = (struct check_way *)watch;
	struct failure failure = {0};
	if (link || !way->open)
		return;
	log_warn("the device of checks is gone: it is made again");
	way->open = false;
	del_port(way);
	if (check_way_open(way, &failure))
		log_error("%s", failure.message);
}

struct check_way *check_way_new(struct weftd *weftd, struct check_space *space)
{
	struct check_way *way = calloc(1, sizeof(*way));
	if (!way)
		abort();
	way->weftd = weftd;
	way->space = space;
	way->watch.changed = changed;
	snprintf(way->name, sizeof(way->name), "weft-chk%.7s", weftd->uuid);
	if (link_watch_add(weftd->links, &way->watch, way->name)) {
		free(way);
		return NULL;
	}
	return way;
}

void check_way_free(struct check_way *way)
{
	if (!way)
		return;
	check_way_close(way);
	link_watch_del(way->weftd->links, &way->watch);
	free(way);
}

// --- the rows of a check

static struct weft_ip next_alias(struct check_way *way, bool v4)
{
	struct weft_ip ip = address_read(v4 ? ALIAS4 : ALIAS6);
	way->alias = way->alias % (ALIASES - 1) + 1;
	for (int i = 0; i < 3; i++)
		ip.byte[15 - i] |= (u8)(way->alias >> 8 * i);
	return ip;
}

static u32 ring_row(struct weftd *weftd, u32 backend)
{
	u32 ring = engine_capacity(weftd, WEFT_TABLE_ring);
	u32 backends = engine_capacity(weftd, WEFT_TABLE_backend);
	return ring + backend > backends ? ring - backends + backend : 0;
}

static int put_backend(struct check_way *way, struct check_row *row,
	const struct weft_backend_row *backend, struct failure *failure)
{
	struct weft_index id = {row->backend}, at = {ring_row(way->weftd, row->backend)};
	struct weft_ring_row ring = {row->backend};
	if (memcmp(backend, &row->row, sizeof(*backend)) == 0)
		return 0;
	if (!at.index || service_ring_taken(way->weftd, at.index, 1))
		return fail(failure, -ENOSPC, "table_full",
			"the ring table has no row left for its check");
	int error = engine_put(way->weftd, backend, &id, backend);
	if (!error)
		error = engine_put(way->weftd, ring, &at, &ring);
	if (error)
		return fail(failure, error, "table_full",
			"the backend table has no row left for its check");
	row->row = *backend;
	return 0;
}

static int put_service(struct check_way *way, struct check_row *row,
	const struct weft_service_key *key, struct failure *failure)
{
	struct weft_service_row service = {
		.id = row->row.service,
		.flags = WEFT_SERVICE_NAT,
		.ring = ring_row(way->weftd, row->backend),
		.ring_size = 1,
		.connection_limit = WEFT_CONNECTIONS_OF_CHECKS,
		.idle_ns = CHECK_IDLE_SECONDS * 1000000000ull,
		.network = row->network,
	};
	if (memcmp(key, &row->key, sizeof(*key)) == 0)
		return 0;
	if (row->key.scope)
		engine_del(way->weftd, service, &row->key, NULL);
	row->key = (struct weft_service_key){0};
	if (engine_put(way->weftd, service, key, &service))
		return fail(failure, -ENOSPC, "table_full",
			"the service table has no row left for its check");
	row->key = *key;
	return 0;
}

int check_row_set(struct check_way *way, struct check_row *row, const json_t *service,
	const struct backend *backend, u16 port, struct failure *failure)
{
	struct weft_backend_row checked = {
		.flags = WEFT_BACKEND_PRESENT,
		.service = engine_capacity(way->weftd, WEFT_TABLE_service_usage) - 1,
		.port = port,
		.mac = backend->row.mac,
	};
	struct weft_ip address;
	memcpy(checked.address, backend->row.address, sizeof(checked.address));
	memcpy(&address, backend->row.address, sizeof(address));
	if (!row->key.scope)
		row->alias = next_alias(way, address_v4(&address));
	row->network = service_network(way->weftd, service);
	struct weft_service_key key = {
		.scope = check_way_port(way) | WEFT_SCOPE_PORT,
		.port = port,
		.protocol = check_protocol(service),
	};
	memcpy(key.address, row->alias.byte, sizeof(key.address));
	int error = put_backend(way, row, &checked, failure);
	return error ? error : put_service(way, row, &key, failure);
}

void check_row_clear(struct check_way *way, struct check_row *row)
{
	static const struct weft_backend_row none;
	struct weft_index id = {row->backend};
	if (row->key.scope)
		engine_del(way->weftd, service, &row->key, NULL);
	if (row->row.flags)
		engine_put(way->weftd, backend, &id, &none);
	*row = (struct check_row){0};
}
