// SPDX-License-Identifier: BSD-2-Clause
// Claims on devices: the TC program, its rows and where it is attached.
#include "datapath/dpdk/claim.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include "datapath/dpdk/vnet.h"
#include "datapath/netdev.h"

#include "weft_claim.skel.h"

// TCX_INGRESS: newer than the headers weft is built with. HANDLE: so that a filter that an earlier
// process left is replaced, and nobody else's.
enum { TCX_INGRESS = 46, HANDLE = 0x77656674, PRIORITY = 1 };

struct claim {
	u32 ifindex;
	int link; // tcx; -1: a clsact filter
};

static struct weft_claim_bpf *loaded; // for good: the array of live programs is the process's

static int load(void)
{
	if (loaded)
		return 0;
	struct weft_claim_bpf *skeleton = weft_claim_bpf__open();
	if (!skeleton)
		return -errno;
	skeleton->rodata->weft_claim_uso = vnet_has_uso();
	int error = weft_claim_bpf__load(skeleton);
	u32 index = 0;
	int program = bpf_program__fd(skeleton->progs.weft_claim);
	if (!error)
		error = bpf_map_update_elem(
			bpf_map__fd(skeleton->maps.weft_claim_alive), &index, &program, BPF_ANY);
	if (error)
		weft_claim_bpf__destroy(skeleton);
	else
		loaded = skeleton;
	return error;
}

static int attach_clsact(u32 ifindex)
{
	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options,
		.prog_fd = bpf_program__fd(loaded->progs.weft_claim_alive_only), .handle = HANDLE,
		.priority = PRIORITY, .flags = BPF_TC_F_REPLACE);
	int error = bpf_tc_hook_create(&hook);
	return error && error != -EEXIST ? error : bpf_tc_attach(&hook, &options);
}

// The qdisc stays, empty: it costs nothing, and others may have come to use it.
static void detach_clsact(u32 ifindex)
{
	DECLARE_LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = HANDLE, .priority = PRIORITY);
	bpf_tc_detach(&hook, &options);
}

// A link's error is given only where the kernel has tcx; else it does not know the attach type.
static int attach(struct claim *claim, bool force_clsact)
{
	claim->link = -1;
	if (!force_clsact) {
		claim->link = bpf_link_create(bpf_program__fd(loaded->progs.weft_claim),
			(int)claim->ifindex, (enum bpf_attach_type)TCX_INGRESS, NULL);
		if (claim->link >= 0 || claim->link != -EINVAL)
			return claim->link < 0 ? claim->link : 0;
	}
	return attach_clsact(claim->ifindex);
}

int claim_open(struct claim **out, u32 ifindex, bool force_clsact, const char **why)
{
	struct claim *claim = calloc(1, sizeof(*claim));
	*why = "there is no memory for the claim";
	int error = claim ? 0 : -ENOMEM;
	if (!error) {
		*why = "the device is not in weftd's network namespace";
		error = netdev_find(ifindex);
	}
	if (!error) {
		*why = "the kernel refused weft's claim program: weftd needs CAP_BPF and "
		       "CAP_NET_ADMIN, and Linux 6.1";
		error = load();
	}
	if (!error) {
		*why = "the kernel refused weft's claim program on the device: see `tc filter show "
		       "dev DEVICE ingress` for what is there";
		claim->ifindex = ifindex;
		error = attach(claim, force_clsact);
	}
	if (error) {
		free(claim);
		return error;
	}
	*out = claim;
	return 0;
}

int claim_set(struct claim *claim, const struct weft_claim *what)
{
	return bpf_map_update_elem(
		bpf_map__fd(loaded->maps.weft_claims), &claim->ifindex, what, BPF_ANY);
}

int claim_vip(struct claim *claim, const struct weft_ip *address, bool claimed)
{
	struct weft_claim_vip key = {claim->ifindex, *address};
	u32 one = 1;
	int map = bpf_map__fd(loaded->maps.weft_claim_vips);
	return claimed ? bpf_map_update_elem(map, &key, &one, BPF_ANY)
		       : bpf_map_delete_elem(map, &key);
}

// An ifindex may come again, for another device.
static void forget_vips(u32 ifindex)
{
	int map = bpf_map__fd(loaded->maps.weft_claim_vips);
	struct weft_claim_vip key, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);
	while (more) {
		key = next;
		more = !bpf_map_get_next_key(map, &key, &next);
		if (key.ifindex == ifindex)
			bpf_map_delete_elem(map, &key);
	}
}

void claim_close(struct claim *claim)
{
	if (!claim)
		return;
	if (claim->link >= 0)
		close(claim->link);
	else
		detach_clsact(claim->ifindex);
	bpf_map_delete_elem(bpf_map__fd(loaded->maps.weft_claims), &claim->ifindex);
	forget_vips(claim->ifindex);
	free(claim);
}

int claim_filter(bool underlay)
{
	int error = load();
	if (error)
		return error;
	return bpf_program__fd(
		underlay ? loaded->progs.weft_claim_underlay : loaded->progs.weft_claim_port);
}

int claim_rows(void)
{
	int error = load();
	return error ? error : bpf_map__fd(loaded->maps.weft_claims);
}

int claim_vip_rows(void)
{
	int error = load();
	return error ? error : bpf_map__fd(loaded->maps.weft_claim_vips);
}
