// SPDX-License-Identifier: BSD-2-Clause
// XDP in front of a device's hook: one pinned link per device, in native mode only. The device's
// driver may refuse it for many reasons; then the hook alone does the work.
//
// A directory INDEX-tags says that the driver took tags out of frames before, and shall again.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft/log.h>
#include "datapath/netdev.h"

#include "weft_xdp.skel.h"

LOG_MODULE(ebpf);

static void pin_paths(const struct engine *engine, u32 ifindex, char pin[EBPF_PATH_BYTES],
	char tags[EBPF_PATH_BYTES])
{
	ebpf_pin_path(pin, engine, "xdp", "%u", ifindex);
	ebpf_pin_path(tags, engine, "xdp", "%u-tags", ifindex);
}

static int link_open(const char *pin, struct bpf_link_info *info)
{
	u32 bytes = sizeof(*info);
	int fd = bpf_obj_get(pin);
	memset(info, 0, sizeof(*info));
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, info, &bytes)) {
		close(fd);
		return -1;
	}
	return fd;
}

// Zeros: there is none.
static struct bpf_link_info link_read(const char *pin)
{
	struct bpf_link_info info;
	int fd = link_open(pin, &info);
	if (fd >= 0)
		close(fd);
	return info;
}

// A link whose device has vanished is on none.
bool ebpf_xdp_is_on(const struct engine *engine, u32 ifindex)
{
	char pin[EBPF_PATH_BYTES];
	ebpf_pin_path(pin, engine, "xdp", "%u", ifindex);
	return link_read(pin).xdp.ifindex == ifindex;
}

void ebpf_xdp_detach(struct engine *engine, u32 ifindex)
{
	char pin[EBPF_PATH_BYTES], tags[EBPF_PATH_BYTES], device[IF_NAMESIZE];
	struct bpf_link_info info;
	pin_paths(engine, ifindex, pin, tags);
	int fd = link_open(pin, &info);
	bool vanished = fd >= 0 && info.xdp.ifindex != ifindex; // another device may be it now
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(pin);
	if (rmdir(tags) == 0 && !vanished && if_indextoname(ifindex, device))
		netdev_let_take_tags(device, true);
}

// XDP has no other place for a tag than the bytes.
static bool keeps_tags(const char *device, const char *mark)
{
	if (!netdev_takes_tags(device))
		return true;
	mkdir(mark, 0700);
	netdev_let_take_tags(device, false);
	return !netdev_takes_tags(device);
}

static const char *refusal(int error)
{
	switch (error) {
	case -EBUSY:
		return "it has an XDP program of somebody else";
	case -EOPNOTSUPP:
		return "its driver runs no XDP programs";
	default:
		return "its driver refused the program: a smaller MTU or fewer queues may help, "
		       "the kernel's log (dmesg) may say which";
	}
}

static int link_make(struct engine *engine, u32 ifindex, const char *pin, const char **why)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	int program = bpf_program__fd(engine->xdp->progs.weft_xdp);
	int fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &options);
	*why = refusal(fd);
	if (fd < 0)
		return fd;
	int error = bpf_obj_pin(fd, pin);
	close(fd); // an unpinned link ends here
	*why = "its XDP program cannot be pinned";
	return error;
}

int ebpf_xdp_attach(struct engine *engine, u32 ifindex, bool *sends, const char **why)
{
	char pin[EBPF_PATH_BYTES], tags[EBPF_PATH_BYTES], device[IF_NAMESIZE];
	struct bpf_link_info info;
	*sends = false;
	*why = "the kernel refused weft's XDP program: the log has its reason";
	int error = engine->xdp ? 0 : ebpf_load_xdp(engine);
	if (error)
		return error;
	*why = "the device has vanished";
	if (!if_indextoname(ifindex, device))
		return -ENODEV;
	pin_paths(engine, ifindex, pin, tags);
	int fd = link_open(pin, &info);
	if (fd >= 0 && info.xdp.ifindex == ifindex) {
		*why = "the kernel refused to replace its XDP program";
		error = bpf_link_update(fd, bpf_program__fd(engine->xdp->progs.weft_xdp), NULL);
		close(fd);
	} else {
		if (fd >= 0)
			close(fd);
		ebpf_xdp_detach(engine, ifindex);
		*why = "its driver takes VLAN tags out of the frames, and cannot be told not to";
		error = keeps_tags(device, tags) ? link_make(engine, ifindex, pin, why) : -ENOTSUP;
	}
	if (error) {
		ebpf_xdp_detach(engine, ifindex);
		return error;
	}
	*sends = netdev_sends_xdp(ifindex);
	*why = NULL;
	return 0;
}

void ebpf_xdp_prune(struct engine *engine, bool (*wanted)(struct engine *engine, u32 ifindex))
{
	ebpf_pin_prune(engine, "xdp", wanted, ebpf_xdp_detach);
}

struct search {
	u32 program;
	bool found;
};

static void look(struct engine *engine, const char *name, void *context)
{
	struct search *search = context;
	char pin[EBPF_PATH_BYTES];
	ebpf_pin_path(pin, engine, "xdp", "%s", name);
	search->found |= link_read(pin).prog_id == search->program;
}

bool ebpf_own_xdp(struct engine *engine, u32 program)
{
	struct search search = {.program = program};
	if (program) // 0 is none
		ebpf_pin_each(engine, "xdp", look, &search);
	return search.found;
}
