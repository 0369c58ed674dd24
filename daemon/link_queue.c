// SPDX-License-Identifier: BSD-2-Clause
// The root queueing discipline of a device: none on taps, where weft may choose.
#include "daemon/link.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "daemon/netlink.h"

// The handle by which ours is known again. The kernel's defaults have none (0).
#define OUR_HANDLE 0x57460000u

struct root_queue {
	u32 ifindex;
	u32 handle;
};

static void take_queue(struct nlmsghdr *message, void *context)
{
	struct root_queue *queue = context;
	const struct tcmsg *tc = nlmsg_data(message);
	if (message->nlmsg_type == RTM_NEWQDISC && (u32)tc->tcm_ifindex == queue->ifindex &&
		tc->tcm_parent == TC_H_ROOT)
		queue->handle = tc->tcm_handle;
}

static struct nl_msg *queue_request(int type, int flags, const struct link *link, u32 handle)
{
	struct tcmsg tc = {
		.tcm_ifindex = (int)link->ifindex,
		.tcm_parent = TC_H_ROOT,
		.tcm_handle = handle,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	if (msg)
		nlmsg_append(msg, &tc, sizeof(tc), NLMSG_ALIGNTO);
	return msg;
}

int link_set_no_queue(struct links *links, const struct link *link, bool on)
{
	struct nl_sock *sock = links_socket(links);
	struct root_queue queue = {.ifindex = link->ifindex};
	int error = netlink_talk(
		sock, queue_request(RTM_GETQDISC, 0, link, 0), take_queue, &queue, NULL);
	if (error || queue.handle != (on ? 0 : OUR_HANDLE))
		return error;
	struct nl_msg *msg =
		on ? queue_request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, link, OUR_HANDLE)
		   : queue_request(RTM_DELQDISC, 0, link, 0);
	if (msg && on)
		nla_put_string(msg, TCA_KIND, "noqueue");
	return netlink_talk(sock, msg, NULL, NULL, NULL);
}
