// SPDX-License-Identifier: BSD-2-Clause
// Interrupting a guest by its eventfd, without ever waiting for the guest.
//
// A write to an eventfd waits when the counter is full, and whether it may wait is a flag of the
// open file, which the guest's hypervisor has, too: it can fill the counter and clear the flag at
// any time, and would hold up the worker of all ports. The kernel's own way to signal an eventfd
// never waits; an asynchronous read that is complete at once (of a byte in memory) goes that way.
#include "datapath/dpdk/vring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EVENTS = 32 };

static __thread struct {
	aio_context_t context; // 0: not yet, or the kernel has none to give
	int file;              // of one byte, which is read
	u8 byte;
	bool tried;
} caller;

static void open_context(void)
{
	caller.tried = true;
	caller.file = memfd_create("weft-call", MFD_CLOEXEC);
	if (caller.file < 0 || ftruncate(caller.file, 1) ||
		syscall(SYS_io_setup, EVENTS, &caller.context))
		caller.context = 0;
}

static bool submit(int descriptor)
{
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)caller.file,
		.aio_buf = (u64)&caller.byte,
		.aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (u32)descriptor,
	};
	struct iocb *list[] = {&read};
	return syscall(SYS_io_submit, caller.context, 1, list) == 1;
}

static void forget_answers(void)
{
	struct io_event events[EVENTS];
	struct timespec now = {0};
	syscall(SYS_io_getevents, caller.context, 0, EVENTS, events, &now);
}

// The next best: what the guest did not change behind our back does not wait.
static bool call_by_write(int descriptor)
{
	int flags = fcntl(descriptor, F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)))
		return false;
	return !eventfd_write(descriptor, 1) || errno == EAGAIN;
}

bool vring_call(int descriptor)
{
	if (unlikely(!caller.tried))
		open_context();
	if (unlikely(!caller.context))
		return call_by_write(descriptor);
	if (likely(submit(descriptor)))
		return true;
	if (errno != EAGAIN)
		return false;
	forget_answers(); // there is room for so many
	return submit(descriptor) || errno == EAGAIN;
}
