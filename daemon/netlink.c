// SPDX-License-Identifier: BSD-2-Clause
// One request to the kernel and its answers, with the kernel's own words when it refuses.
#include "daemon/netlink.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

enum { EVENT_BUFFER_BYTES = 4 << 20, DUMP_ATTEMPTS = 8 };

struct netlink_exchange {
	netlink_answer_fn *fn;
	void *context;
	char *why;
	int error;
	bool done;
};

// libnl speaks in codes of its own; only what its sockets can meet is told apart.
static int netlink_errno(int nl_error)
{
	switch (-nl_error) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	default:
		return -EIO;
	}
}

struct nl_sock *netlink_open(const int *groups, int *error)
{
	int one = 1;
	*error = -ENOMEM;
	struct nl_sock *sock = nl_socket_alloc();
	if (!sock)
		return NULL;
	int nl_error = nl_connect(sock, NETLINK_ROUTE);
	if (nl_error)
		goto err_free;
	// Both are niceties that an old kernel may lack.
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	nl_socket_set_msg_buf_size(sock, 1 << 16);
	for (; groups && *groups; groups++) {
		nl_error = nl_socket_add_membership(sock, *groups);
		if (nl_error)
			goto err_free;
		nl_socket_disable_seq_check(sock);
		nl_socket_set_nonblocking(sock);
		nl_socket_set_buffer_size(sock, EVENT_BUFFER_BYTES, 0);
	}
	*error = 0;
	return sock;

err_free:
	*error = netlink_errno(nl_error);
	nl_socket_free(sock);
	return NULL;
}

static int netlink_valid(struct nl_msg *msg, void *arg)
{
	struct netlink_exchange *x = arg;
	if (x->fn)
		x->fn(nlmsg_hdr(msg), x->context);
	return NL_OK;
}

static int netlink_end(struct nl_msg *msg, void *arg)
{
	(void)msg;
	((struct netlink_exchange *)arg)->done = true;
	return NL_STOP;
}

static int netlink_refused(struct sockaddr_nl *from, struct nlmsgerr *refusal, void *arg)
{
	struct netlink_exchange *x = arg;
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)refusal - NLMSG_HDRLEN);
	struct nlattr *attributes[NLMSGERR_ATTR_MAX + 1] = {0};
	int skip = (int)sizeof(*refusal);
	(void)from;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		skip += (int)(refusal->msg.nlmsg_len - NLMSG_HDRLEN);
	if (header->nlmsg_flags & NLM_F_ACK_TLVS)
		nlmsg_parse(header, skip, attributes, NLMSGERR_ATTR_MAX, NULL);
	if (x->why && attributes[NLMSGERR_ATTR_MSG])
		snprintf(x->why, NETLINK_WHY_BYTES, "%s",
			nla_get_string(attributes[NLMSGERR_ATTR_MSG]));
	x->error = refusal->error;
	x->done = true;
	return NL_STOP;
}

static int netlink_receive(struct nl_sock *sock, struct netlink_exchange *x)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, netlink_valid, x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, netlink_end, x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, netlink_end, x);
	nl_cb_err(cb, NL_CB_CUSTOM, netlink_refused, x);
	bool interrupted = false;
	while (!x->done) {
		int error = nl_recvmsgs(sock, cb);
		if (error == -NLE_DUMP_INTR)
			interrupted = true;
		else if (error < 0 && !x->done)
			x->error = netlink_errno(error), x->done = true;
	}
	nl_cb_put(cb);
	return interrupted && !x->error ? -EAGAIN : x->error;
}

int netlink_talk(struct nl_sock *sock, struct nl_msg *msg, netlink_answer_fn *fn, void *context,
	char why[NETLINK_WHY_BYTES])
{
	int error = -EAGAIN;
	if (why)
		why[0] = '\0';
	// A dump that raced with a change is asked again: half an answer is none.
	for (int attempt = 0; msg && error == -EAGAIN && attempt < DUMP_ATTEMPTS; attempt++) {
		struct netlink_exchange x = {.fn = fn, .context = context, .why = why};
		nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
		int sent = nl_send_auto(sock, msg);
		error = sent < 0 ? netlink_errno(sent) : netlink_receive(sock, &x);
	}
	if (!msg)
		error = -ENOMEM;
	nlmsg_free(msg);
	if (error && why && !why[0])
		snprintf(why, NETLINK_WHY_BYTES, "%s", strerror(-error));
	return error;
}

struct nl_msg *netlink_veth(const char *name, const struct netlink_peer *peer)
{
	struct ifinfomsg info = {0};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	if (!msg)
		return NULL;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, name);
	struct nlattr *link = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "veth");
	struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA);
	struct nlattr *end = nla_nest_start(msg, VETH_INFO_PEER);
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, peer->name);
	if (peer->netns)
		nla_put_u32(msg, IFLA_NET_NS_FD, (u32)peer->netns);
	if (peer->mtu)
		nla_put_u32(msg, IFLA_MTU, peer->mtu);
	if (peer->mac)
		nla_put(msg, IFLA_ADDRESS, sizeof(*peer->mac), peer->mac);
	nla_nest_end(msg, end);
	nla_nest_end(msg, data);
	nla_nest_end(msg, link);
	return msg;
}
