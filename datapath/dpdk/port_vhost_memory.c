// SPDX-License-Identifier: BSD-2-Clause
// The guest's memory is a file of its hypervisor, who may cut it short after it was mapped. Whoever
// touches what is behind the end gets SIGBUS, which would end weftd for all guests.
//
// The handler puts a page of zeros there, so that the access completes, and writes down whose
// memory it was: that guest is cut off (port_vhost.c), nobody else notices. It knows the memory of
// guests whose rings are open, and a thread that handles a guest's message touches that guest's.
// Seals do not replace it: files on hugetlbfs and tmpfs cannot have any.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <rte_vhost.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RANGES = VRING_REGIONS + 1 }; // and the log of written pages

// By the library's number. Written by its thread while no worker touches that guest's memory; but
// another guest's worker may be in the handler then.
static struct {
	struct {
		u64 start, bytes;
	} range[RANGES];
	bool lost;
} guests[VHOST_GUESTS];

static struct {
	pid_t thread; // 0: no message is being handled
	int guest;
} message;

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
	if (__atomic_load_n(&message.thread, __ATOMIC_ACQUIRE) == gettid())
		return message.guest;
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

void vhost_memory_message(int guest)
{
	message.guest = guest;
	__atomic_store_n(&message.thread, guest >= 0 ? gettid() : 0, __ATOMIC_RELEASE);
}

void vhost_memory_renew(int guest)
{
	__atomic_store_n(&guests[guest].lost, false, __ATOMIC_RELEASE);
}

static void set_range(int guest, u32 index, u64 start, u64 bytes)
{
	__atomic_store_n(&guests[guest].range[index].bytes, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guests[guest].range[index].start, start, __ATOMIC_RELEASE);
	__atomic_store_n(&guests[guest].range[index].bytes, bytes, __ATOMIC_RELEASE);
}

void vhost_memory_forget(struct vhost_port *vhost)
{
	for (u32 i = 0; vhost->guarded >= 0 && i < RANGES; i++)
		set_range(vhost->guarded, i, 0, 0);
	vhost->guarded = -1;
}

// What is too short from the start is none of the guest's memory.
static bool file_has(const struct rte_vhost_mem_region *region)
{
	struct stat status;
	u64 offset = region->host_user_addr - (u64)region->mmap_addr;
	return !fstat(region->fd, &status) &&
	       (!S_ISREG(status.st_mode) || (u64)status.st_size >= offset + region->size);
}

void vhost_memory_learn(struct vhost_port *vhost)
{
	struct rte_vhost_memory *table;
	struct vring_memory *memory = &vhost->memory;
	uint64_t log = 0, log_bytes = 0;
	vhost->guarded = vhost->guest;
	memory->count = 0;
	memory->lost = &guests[vhost->guest].lost;
	if (rte_vhost_get_mem_table(vhost->guest, &table))
		return;
	for (u32 i = 0; i < RTE_MIN(table->nregions, (u32)VRING_REGIONS); i++) {
		const struct rte_vhost_mem_region *region = &table->regions[i];
		if (!file_has(region))
			continue;
		set_range(vhost->guest, memory->count, region->host_user_addr, region->size);
		memory->regions[memory->count++] = (struct vring_region){
			region->guest_phys_addr, region->size, (u8 *)region->host_user_addr};
	}
	free(table);
	if (!rte_vhost_get_log_base(vhost->guest, &log, &log_bytes))
		set_range(vhost->guest, VRING_REGIONS, log, log_bytes);
}
