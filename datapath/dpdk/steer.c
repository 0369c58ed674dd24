// SPDX-License-Identifier: BSD-2-Clause
// Loads the XDP program once, and puts it on devices.
#include "datapath/dpdk/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <unistd.h>

#include "datapath/dpdk/claim.h"

#include "weft_steer.skel.h"

struct steer {
	u32 ifindex;
	u32 place; // of the device: its sockets are place * WEFT_STEERED_QUEUES and up
	int link;
};

static const char foreign[] = "an XDP program of somebody else is on the device: take it off "
			      "(ip link set dev DEVICE xdp off)";

static struct weft_steer_bpf *loaded; // for good, as the claims
static u64 taken;                     // places

static int load(void)
{
	if (loaded)
		return 0;
	int rows = claim_rows(), vips = claim_vip_rows();
	struct weft_steer_bpf *skeleton = rows < 0 ? NULL : weft_steer_bpf__open();
	if (!skeleton)
		return rows < 0 ? rows : -errno;
	int error = bpf_map__reuse_fd(skeleton->maps.weft_claims, rows);
	error = error ? error : bpf_map__reuse_fd(skeleton->maps.weft_claim_vips, vips);
	error = error ? error : weft_steer_bpf__load(skeleton);
	if (error)
		weft_steer_bpf__destroy(skeleton);
	else
		loaded = skeleton;
	return error;
}

static int attach(struct steer *steer)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	u32 first = steer->place * WEFT_STEERED_QUEUES;
	int error = bpf_map_update_elem(
		bpf_map__fd(loaded->maps.weft_steered), &steer->ifindex, &first, BPF_ANY);
	if (error)
		return error;
	steer->link = bpf_link_create(
		bpf_program__fd(loaded->progs.weft_steer), (int)steer->ifindex, BPF_XDP, &options);
	if (steer->link >= 0)
		return 0;
	return steer->link == -EEXIST ? -EBUSY : steer->link;
}

int steer_open(struct steer **out, u32 ifindex, const char **why)
{
	struct steer *steer = NULL;
	*why = "the kernel refused weft's XDP program: it needs AF_XDP sockets";
	int error = load();
	if (!error) {
		*why = "there are too many devices with AF_XDP";
		error = ~taken ? 0 : -ENOSPC;
	}
	if (!error) {
		steer = malloc(sizeof(*steer));
		*why = "there is no memory for the port";
		error = steer ? 0 : -ENOMEM;
	}
	if (error)
		return error;
	*steer = (struct steer){ifindex, (u32)__builtin_ctzll(~taken), -1};
	taken |= 1ull << steer->place;
	error = attach(steer);
	if (!error) {
		*out = steer;
		return 0;
	}
	*why = error == -EBUSY ? foreign
			       : "its driver does not take an XDP program, or not with this MTU";
	steer_close(steer);
	return error;
}

int steer_socket(struct steer *steer, u32 queue, int socket)
{
	u32 key = steer->place * WEFT_STEERED_QUEUES + queue;
	return bpf_map_update_elem(bpf_map__fd(loaded->maps.weft_sockets), &key, &socket, BPF_ANY);
}

bool steer_own(u32 program)
{
	struct bpf_prog_info info = {0};
	u32 bytes = sizeof(info);
	return loaded &&
	       !bpf_obj_get_info_by_fd(bpf_program__fd(loaded->progs.weft_steer), &info, &bytes) &&
	       info.id == program;
}

bool steer_foreign(u32 ifindex, const char **why)
{
	u32 program = 0;
	if (bpf_xdp_query_id((int)ifindex, 0, &program) || !program || steer_own(program))
		return false;
	*why = foreign;
	return true;
}

// A socket that is closed leaves the map by itself.
void steer_close(struct steer *steer)
{
	if (!steer)
		return;
	if (steer->link >= 0)
		close(steer->link);
	bpf_map_delete_elem(bpf_map__fd(loaded->maps.weft_steered), &steer->ifindex);
	taken &= ~(1ull << steer->place);
	free(steer);
}
