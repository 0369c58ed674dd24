// SPDX-License-Identifier: BSD-2-Clause
// The clsact hook (Linux before 6.6): one filter per device, handle 1, priority 1.
//
// Whose a filter is follows from the program it runs: ours is pinned under the device's index. The
// new program is pinned beside the old one before the filter changes, so that it is known as ours
// at every moment. A directory INDEX-qdisc says that weft made the device's clsact qdisc.
//
// Replacing the program loses no packet. Making and removing the qdisc does: the kernel stops the
// device's transmit queues for it, about a millisecond, at the first attach and at detach.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HANDLE = 1, PRIORITY = 1 };

#define INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define EGRESS  TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

struct filter {
	char kind[16];
	char name[64];
	u32 handle;
	u32 priority;
	u32 program_id; // bpf only
};

typedef void filter_fn(const struct filter *filter, void *context);

struct filter_dump {
	filter_fn *fn;
	void *context;
};

static int filter_read(struct nl_msg *message, void *context)
{
	struct filter_dump *dump = context;
	struct nlmsghdr *header = nlmsg_hdr(message);
	struct tcmsg *tc = nlmsg_data(header);
	struct nlattr *attributes[TCA_MAX + 1], *options[TCA_BPF_MAX + 1];
	struct filter filter = {.handle = tc->tcm_handle, .priority = tc->tcm_info >> 16};

	if (header->nlmsg_type != RTM_NEWTFILTER ||
		nlmsg_parse(header, sizeof(*tc), attributes, TCA_MAX, NULL) ||
		!attributes[TCA_KIND] || !attributes[TCA_OPTIONS])
		return NL_OK; // without options it only announces the priority
	nla_strlcpy(filter.kind, attributes[TCA_KIND], sizeof(filter.kind));
	if (strcmp(filter.kind, "bpf") == 0 &&
		nla_parse_nested(options, TCA_BPF_MAX, attributes[TCA_OPTIONS], NULL) == 0) {
		if (options[TCA_BPF_ID])
			filter.program_id = nla_get_u32(options[TCA_BPF_ID]);
		if (options[TCA_BPF_NAME])
			nla_strlcpy(filter.name, options[TCA_BPF_NAME], sizeof(filter.name));
	}
	dump->fn(&filter, dump->context);
	return NL_OK;
}

// No device and no qdisc are no filters.
static int filter_each(u32 ifindex, u32 parent, filter_fn *fn, void *context)
{
	struct filter_dump dump = {fn, context};
	struct tcmsg tc = {
		.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent};
	struct nl_sock *socket = nl_socket_alloc();
	int error = socket ? nl_connect(socket, NETLINK_ROUTE) : -NLE_NOMEM;
	if (!error) {
		nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, filter_read, &dump);
		error = nl_send_simple(socket, RTM_GETTFILTER, NLM_F_DUMP, &tc, sizeof(tc));
		error = error < 0 ? error : nl_recvmsgs_default(socket);
	}
	nl_socket_free(socket);
	return error < 0 ? -EIO : 0;
}

static u32 pinned_id(const char *path)
{
	struct bpf_prog_info info = {0};
	u32 bytes = sizeof(info);
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	int error = bpf_obj_get_info_by_fd(fd, &info, &bytes);
	close(fd);
	return error ? 0 : info.id;
}

// What runs on a device, seen from its pin.
struct state {
	char next[EBPF_PATH_BYTES + 16];  // pin of a program that is being put in place
	char qdisc[EBPF_PATH_BYTES + 16]; // mark
	u32 pinned;
	u32 pinned_next;
	u32 running; // our program, as the filter has it; 0: our filter is not there
	bool foreign;
	struct filter other; // one that is not ours
};

static void state_filter(const struct filter *filter, void *context)
{
	struct state *state = context;
	if (filter->handle == HANDLE && filter->priority == PRIORITY && filter->program_id &&
		(filter->program_id == state->pinned || filter->program_id == state->pinned_next)) {
		state->running = filter->program_id;
		return;
	}
	state->foreign = true;
	state->other = *filter;
}

static int state_read(struct state *state, const char *pin, u32 ifindex)
{
	memset(state, 0, sizeof(*state));
	snprintf(state->next, sizeof(state->next), "%s" EBPF_NEW, pin);
	snprintf(state->qdisc, sizeof(state->qdisc), "%s-qdisc", pin);
	state->pinned = pinned_id(pin);
	state->pinned_next = pinned_id(state->next);
	return filter_each(ifindex, INGRESS, state_filter, state);
}

static int make_qdisc(const struct state *state, u32 ifindex)
{
	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	bool marked = mkdir(state->qdisc, 0700) == 0;
	int error = bpf_tc_hook_create(&hook);
	if (error && marked) // not made by us
		rmdir(state->qdisc);
	return error == -EEXIST ? 0 : error;
}

static int clsact_attach(const char *pin, u32 ifindex, int program_fd)
{
	struct state state;
	int error = state_read(&state, pin, ifindex);
	if (error)
		return error;
	// An earlier weftd died between the filter and the rename.
	if (state.running && state.running == state.pinned_next)
		rename(state.next, pin);
	unlink(state.next);
	if (bpf_obj_pin(program_fd, state.next))
		return -errno;

	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .handle = HANDLE,
		.priority = PRIORITY, .flags = state.running ? BPF_TC_F_REPLACE : 0);
	if (!state.running)
		error = make_qdisc(&state, ifindex);
	if (!error)
		error = bpf_tc_attach(&hook, &options);
	if (error) {
		unlink(state.next);
		return error;
	}
	return rename(state.next, pin) ? -errno : 0;
}

static void count_filter(const struct filter *filter, void *context)
{
	(void)filter;
	++*(u32 *)context;
}

static void clsact_detach(const char *pin, u32 ifindex)
{
	struct state state;
	u32 left = 0;
	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = HANDLE, .priority = PRIORITY);
	if (!state_read(&state, pin, ifindex) && state.running)
		bpf_tc_detach(&hook, &options);
	if (access(state.qdisc, F_OK) == 0) {
		bool known = !filter_each(ifindex, INGRESS, count_filter, &left) &&
			     !filter_each(ifindex, EGRESS, count_filter, &left);
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		if (known && !left)
			bpf_tc_hook_destroy(&hook);
		rmdir(state.qdisc);
	}
	unlink(state.next);
	unlink(pin);
}

static int clsact_check(const char *pin, u32 ifindex, const char **why)
{
	struct state state;
	char device[IF_NAMESIZE] = "?";
	int error = state_read(&state, pin, ifindex);
	if (error)
		*why = "the kernel does not list its TC filters over netlink";
	if (error || !state.foreign)
		return error;
	if_indextoname(ifindex, device);
	const struct filter *other = &state.other;
	char program[96] = "";
	if (other->program_id)
		snprintf(program, sizeof(program), " %s (program id %u)", other->name,
			other->program_id);
	*why = ebpf_why("%s already has the %s filter%s of priority %u, which is not weft's: stop "
			"its owner or remove it (`tc filter del dev %s ingress pref %u`), then try "
			"again",
		device, other->kind, program, other->priority, device, other->priority);
	return -EBUSY;
}

const struct ebpf_hook ebpf_clsact = {
	.dir = "filters",
	.attach = clsact_attach,
	.detach = clsact_detach,
	.check = clsact_check,
};
