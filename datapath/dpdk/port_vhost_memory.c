// SPDX-License-Identifier: BSD-2-Clause
// The guest's memory is a file of its hypervisor, who may cut it short after it was mapped. Whoever
// touches what is behind the end gets SIGBUS, which would end weftd for all guests.
//
// The handler puts a page of zeros there, so that the access completes, and writes down whose
// memory it was: that guest is cut off (port_vhost.c), nobody else notices. It knows the memory of
// guests whose rings are open. Seals do not replace it: files on hugetlbfs and tmpfs cannot have
// any.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RANGES = VRING_REGIONS + 1 }; // and the log of written pages

// By the guest's number. Written while no worker touches that guest's memory; but another guest's
// worker may be in the handler then.
static struct {
	struct {
		u64 start, bytes;
	} range[RANGES];
	bool lost;
} guests[VHOST_GUESTS];

static struct sigaction before;
static u64 page_sizes[] = {4096, 2ul << 20, 1ul << 30};

static int owner(u64 address)
{
	for (int guest = 0; guest < VHOST_GUESTS; guest++)
		for (u32 i = 0; i < RANGES; i++) {
			u64 bytes =
				__atomic_load_n(&guests[guest].range[i].bytes, __ATOMIC_ACQUIRE);
			u64 start =
				__atomic_load_n(&guests[guest].range[i].start, __ATOMIC_RELAXED);
			if (address - start < bytes)
				return guest;
		}
	return -1;
}

// A part of a large page cannot be replaced: the kernel refuses, and the next size is tried.
static bool put_zeros(u64 address)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(page_sizes); i++) {
		void *page = (void *)(address & ~(page_sizes[i] - 1));
		if (mmap(page, page_sizes[i], PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			    0) != MAP_FAILED)
			return true;
	}
	return false;
}

// As if there were no handler of ours.
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		signal(SIGBUS, SIG_DFL);
		if (info->si_code <= 0) // somebody sent it; else the access comes again
			raise(SIGBUS);
	}
}

// Calls nothing but the kernel.
static void on_bus(int number, siginfo_t *info, void *context)
{
	int error = errno;
	int guest = info->si_code > 0 ? owner((u64)info->si_addr) : -1;
	if (guest >= 0 && put_zeros((u64)info->si_addr))
		__atomic_store_n(&guests[guest].lost, true, __ATOMIC_RELEASE);
	else
		pass_on(number, info, context);
	errno = error;
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	page_sizes[0] = (u64)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, NULL, &before); // before the handler may ask for it
	sigaction(SIGBUS, &action, NULL);
}

void vhost_memory_guard(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
}

static void set_range(int guest, u32 index, u64 start, u64 bytes)
{
	__atomic_store_n(&guests[guest].range[index].bytes, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guests[guest].range[index].start, start, __ATOMIC_RELEASE);
	__atomic_store_n(&guests[guest].range[index].bytes, bytes, __ATOMIC_RELEASE);
}

void vhost_memory_forget(const struct vhost_guest *guest)
{
	for (u32 i = 0; i < RANGES; i++)
		set_range((int)guest->number, i, 0, 0);
}

void vhost_memory_learn(struct vhost_port *vhost)
{
	struct vhost_guest *guest = vhost->guest;
	struct vring_memory *memory = &vhost->memory;
	int number = (int)guest->number;
	memory->count = 0;
	memory->lost = &guests[number].lost;
	memory->log = guest->log.host;
	memory->log_bytes = guest->log.bytes;
	for (u32 i = 0; i < VRING_REGIONS; i++) {
		const struct vhost_map *map = &guest->regions[i];
		if (!map->host)
			continue;
		set_range(number, memory->count, (u64)map->host, map->bytes);
		memory->regions[memory->count++] =
			(struct vring_region){map->guest, map->bytes, map->host};
	}
	set_range(number, VRING_REGIONS, (u64)guest->log.host, guest->log.bytes);
}

static void unmap(struct vhost_map *map)
{
	if (map->base)
		munmap(map->base, map->base_bytes);
	*map = (struct vhost_map){0};
}

// Elsewhere than in memory somebody could keep a worker waiting for a page.
static const char *map_file(int file, u64 offset, u64 bytes, struct vhost_map *map)
{
	struct statfs place;
	struct stat status;
	u64 end;
	if (file < 0 || fstatfs(file, &place) || fstat(file, &status) ||
		(place.f_type != TMPFS_MAGIC && place.f_type != HUGETLBFS_MAGIC))
		return VHOST_CUT
			"it shared memory that is no memfd and no file on tmpfs or hugetlbfs";
	u64 page = (u64)place.f_bsize, skip = offset & (page - 1);
	if (!bytes || __builtin_add_overflow(offset, bytes, &end) || end > INT64_MAX - page)
		return VHOST_CUT "it shared memory that no file can have";
	if ((u64)status.st_size < end)
		return NULL; // none of its memory
	map->base_bytes = (skip + bytes + page - 1) & ~(page - 1);
	map->base = mmap(NULL, map->base_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		file, (off_t)(offset - skip));
	if (map->base == MAP_FAILED) {
		map->base = NULL;
		return VHOST_CUT "its memory cannot be mapped: may weftd write to it?";
	}
	madvise(map->base, map->base_bytes, MADV_DONTDUMP);
	map->host = map->base + skip;
	map->bytes = bytes;
	return NULL;
}

static bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a - b < b_bytes || b - a < a_bytes;
}

static const char *check_table(const struct vhost_message *message)
{
	const struct vhost_region *region = message->memory.region;
	for (u32 i = 0; i < message->memory.count; i++) {
		u64 bytes = region[i].bytes, end;
		if (__builtin_add_overflow(region[i].guest, bytes, &end) ||
			__builtin_add_overflow(region[i].user, bytes, &end))
			return VHOST_CUT "its memory wraps around";
		for (u32 j = 0; j < i; j++)
			if (overlap(region[i].guest, bytes, region[j].guest, region[j].bytes) ||
				overlap(region[i].user, bytes, region[j].user, region[j].bytes))
				return VHOST_CUT "its memory has one part twice";
	}
	return NULL;
}

const char *vhost_memory_share(struct vhost_guest *guest, const struct vhost_message *message)
{
	u32 count = message->memory.count;
	if (!count || count > VRING_REGIONS || guest->descriptors != count ||
		message->bytes < 8 + count * sizeof(struct vhost_region))
		return VHOST_CUT "its memory has no parts, too many, or not a file for each";
	const char *why = check_table(message);
	vhost_memory_unshare(guest);
	for (u32 i = 0; !why && i < count; i++) {
		const struct vhost_region *region = &message->memory.region[i];
		int file = vhost_take_descriptor(guest);
		why = map_file(file, region->offset, region->bytes, &guest->regions[i]);
		guest->regions[i].guest = region->guest;
		guest->regions[i].user = region->user;
		close(file);
	}
	__atomic_store_n(&guests[guest->number].lost, false, __ATOMIC_RELEASE);
	guest->shared = !why;
	return why;
}

const char *vhost_memory_log(struct vhost_guest *guest, const struct vhost_message *message)
{
	int file = vhost_take_descriptor(guest);
	unmap(&guest->log);
	const char *why = map_file(file, message->log.offset, message->log.bytes, &guest->log);
	if (!why && !guest->log.host)
		why = VHOST_CUT "its log of written pages is shorter than it said";
	if (file >= 0)
		close(file);
	return why;
}

void vhost_memory_unlog(struct vhost_guest *guest)
{
	unmap(&guest->log);
}

void vhost_memory_unshare(struct vhost_guest *guest)
{
	for (u32 i = 0; i < VRING_REGIONS; i++)
		unmap(&guest->regions[i]);
	guest->shared = false;
}

void *vhost_memory_find(const struct vhost_guest *guest, u64 user)
{
	for (u32 i = 0; i < VRING_REGIONS; i++) {
		const struct vhost_map *map = &guest->regions[i];
		if (map->host && user - map->user < map->bytes)
			return map->host + (user - map->user);
	}
	return NULL;
}
