// SPDX-License-Identifier: BSD-2-Clause
// The tcx hook (Linux 6.6 and newer): one pinned link per device.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than the headers weft is built with.
enum { TCX_INGRESS = 46, TCX_PROGRAMS = 64 };

// The kernel's union bpf_attr as far as BPF_PROG_QUERY on tcx goes.
struct tcx_query {
	u32 ifindex;
	u32 attach_type;
	u32 query_flags;
	u32 attach_flags;
	u64 program_ids;
	u32 count;
	u32 reserved;
	u64 program_flags;
	u64 link_ids;
	u64 link_flags;
	u64 revision;
};

struct tcx_list {
	u32 count;
	u32 program_id[TCX_PROGRAMS];
	u32 link_id[TCX_PROGRAMS]; // 0: attached without a link
};

static int tcx_list(u32 ifindex, struct tcx_list *list)
{
	memset(list, 0, sizeof(*list));
	struct tcx_query query = {
		.ifindex = ifindex,
		.attach_type = TCX_INGRESS,
		.program_ids = (u64)(uintptr_t)list->program_id,
		.count = TCX_PROGRAMS,
		.link_ids = (u64)(uintptr_t)list->link_id,
	};
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)))
		return -errno;
	list->count = query.count;
	return 0;
}

bool ebpf_tcx_works(void)
{
	struct tcx_list list;
	return tcx_list(1, &list) == 0; // the loopback device of every namespace
}

static u32 link_id(int fd)
{
	struct bpf_link_info info = {0};
	u32 bytes = sizeof(info);
	return bpf_obj_get_info_by_fd(fd, &info, &bytes) ? 0 : info.id;
}

// A link whose device vanished, or lives in another network namespace, is not on this one.
static bool link_is_on(int fd, u32 ifindex)
{
	struct tcx_list list;
	u32 id = link_id(fd);
	if (!id || tcx_list(ifindex, &list))
		return false;
	for (u32 i = 0; i < list.count; i++)
		if (list.link_id[i] == id)
			return true;
	return false;
}

static void tcx_detach(const char *pin, u32 ifindex)
{
	(void)ifindex;
	int fd = bpf_obj_get(pin);
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(pin);
}

static int tcx_attach(const char *pin, u32 ifindex, int program_fd)
{
	int fd = bpf_obj_get(pin);
	if (fd >= 0 && link_is_on(fd, ifindex)) {
		int error = bpf_link_update(fd, program_fd, NULL);
		close(fd);
		return error;
	}
	if (fd >= 0)
		close(fd);
	tcx_detach(pin, ifindex);
	fd = bpf_link_create(program_fd, (int)ifindex, (enum bpf_attach_type)TCX_INGRESS, NULL);
	if (fd < 0)
		return fd;
	int error = bpf_obj_pin(fd, pin);
	close(fd); // an unpinned link ends here
	return error;
}

static void program_name(u32 id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {0};
	u32 bytes = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	name[0] = '\0';
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes))
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
}

static int tcx_check(const char *pin, u32 ifindex, const char **why)
{
	struct tcx_list list;
	char device[IF_NAMESIZE] = "?", name[BPF_OBJ_NAME_LEN];
	int fd = bpf_obj_get(pin);
	u32 ours = fd >= 0 ? link_id(fd) : 0;
	if (fd >= 0)
		close(fd);
	if (tcx_list(ifindex, &list))
		return 0;
	for (u32 i = 0; i < list.count; i++) {
		if (ours && list.link_id[i] == ours)
			continue;
		program_name(list.program_id[i], name);
		if_indextoname(ifindex, device);
		*why = ebpf_why(
			"%s already runs the TC program %s (id %u, link %u), which is not "
			"weft's: stop its owner or remove it (`bpftool net show dev %s`), then "
			"try again",
			device, name, list.program_id[i], list.link_id[i], device);
		return -EBUSY;
	}
	return 0;
}

const struct ebpf_hook ebpf_tcx = {
	.dir = "links",
	.attach = tcx_attach,
	.detach = tcx_detach,
	.check = tcx_check,
};
