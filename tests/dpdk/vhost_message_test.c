// SPDX-License-Identifier: BSD-2-Clause
// Whoever is at a port's socket and speaks vhost-user badly: weft cuts it off with a reason, keeps
// nothing of it, and no other guest notices.

#include "tests/dpdk/vhost_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

static u32 descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	u32 count = 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static struct frontend_message message(u32 request, u64 first, u64 second)
{
	struct frontend_message m = {.request = request};
	m.log.size = first;
	m.log.offset = second;
	return m;
}

struct bad {
	const char *why;
	struct frontend_message message;
	u32 payload;
	u32 copies; // of its memory's descriptor
};

static void add_region(struct bad *bad, u64 guest, u64 bytes, u64 user, u64 offset)
{
	u32 i = bad->message.memory.regions++;
	bad->message.request = VHOST_SET_MEM_TABLE;
	bad->message.memory.region[i] = (struct frontend_region){guest, bytes, user, offset};
	bad->payload = 8 + bad->message.memory.regions * sizeof(struct frontend_region);
}

static struct bad memory_of_two(u64 guest, u64 bytes, u64 user, u64 offset)
{
	struct bad bad = {.copies = 2};
	add_region(&bad, 0, 1 << 20, 1 << 20, 0);
	add_region(&bad, guest, bytes, user, offset);
	return bad;
}

static const char offer[] = "the guest was cut off: it asks for what was not on offer";
static const char form[] = "the guest was cut off: a message has not the form that it must have";
static const char ring[] = "the guest was cut off: it has more queue pairs than the port: say "
			   "`queues N` there";

static u32 bad_messages(struct bad *bad)
{
	static const u32 unknown[] = {0, 7, 21, 22, 23, 24, 31, 32, 36, 41, 64, 1u << 31};
	u32 count = 0;
	for (u32 i = 0; i < RTE_DIM(unknown); i++)
		bad[count++] = (struct bad){offer, message(unknown[i], 1ull << 32, 4096), 24, 1};
	bad[count++] = (struct bad){form, message(VHOST_SET_FEATURES, 0, 0), 4};
	bad[count++] = (struct bad){form, message(VHOST_SET_VRING_ADDR, 0, 0), 39};
	bad[count++] = (struct bad){form, message(VHOST_GET_FEATURES, 0, 0), 0, 1};
	bad[count++] = (struct bad){form, message(VHOST_SET_VRING_KICK, 0, 0), 8, 2};
	bad[count++] = (struct bad){ring, message(VHOST_SET_VRING_NUM, 256ull << 32 | 4, 0), 8};
	bad[count++] = (struct bad){ring, message(VHOST_SET_VRING_ADDR, 0xffffffff, 0), 40};
	bad[count++] = (struct bad){ring, message(VHOST_GET_VRING_BASE, 4, 0), 8};
	bad[count++] = (struct bad){ring, message(VHOST_SET_VRING_CALL, 200, 0), 8, 1};
	bad[count++] =
		(struct bad){"the guest was cut off: it has a ring of a size that none can have",
			message(VHOST_SET_VRING_NUM, 0, 0), 8};
	bad[count++] =
		(struct bad){"the guest was cut off: it wants features that were not on offer",
			message(VHOST_SET_FEATURES, 1ull << 33, 0), 8};
	bad[count++] = (struct bad){"the guest was cut off: a descriptor is missing",
		message(VHOST_SET_VRING_KICK, 1, 0), 8};
	bad[count++] = (struct bad){
		"the guest was cut off: its log of written pages is shorter than it said",
		message(VHOST_SET_LOG_BASE, FRONTEND_MEMORY, 4096), 16, 1};
	bad[count] = memory_of_two(1 << 19, 1 << 20, 4 << 20, 0);
	bad[count++].why = "the guest was cut off: its memory has one part twice";
	bad[count] = memory_of_two(4 << 20, 1 << 20, 1 << 20, 0);
	bad[count++].why = "the guest was cut off: its memory has one part twice";
	bad[count] = memory_of_two(-4096ull, 1 << 20, 4 << 20, 0);
	bad[count++].why = "the guest was cut off: its memory wraps around";
	bad[count] = memory_of_two(4 << 20, 1 << 20, 4 << 20, -4096ull);
	bad[count++].why = "the guest was cut off: it shared memory that no file can have";
	bad[count] = memory_of_two(4 << 20, 0, 4 << 20, 0);
	bad[count++].why = "the guest was cut off: it shared memory that no file can have";
	bad[count] = memory_of_two(4 << 20, 1 << 20, 4 << 20, 0);
	bad[count].copies = 1;
	bad[count++].why =
		"the guest was cut off: its memory has no parts, too many, or not a file "
		"for each";
	return count;
}

static void expect_cut(struct rig *rig, const char *why)
{
	u8 byte;
	struct pollfd wait = {.fd = rig->guest.socket, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, FRONTEND_DEADLINE_MS), 1);
	assert_true(recv(rig->guest.socket, &byte, 1, 0) <= 0);
	rig_gone(rig);
	rig_expect(rig, 0, why);
	frontend_hang_up(&rig->guest);
}

// Before its driver runs, and while it does.
static void cut_off(void **state)
{
	(void)state;
	static struct bad bad[64];
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1), *rig = rig_new("bad");
	const char *why;
	u32 count = bad_messages(bad);
	assert_int_equal(rig_open(rig, false, 2, &why), 0);
	rig_pass(good); // so that what it opens is open
	u32 before = descriptors();
	for (u32 i = 0; i < 2 * count; i++) {
		struct bad *b = &bad[i / 2];
		struct frontend_message m = b->message;
		frontend_connect(&rig->guest, rig->path);
		if (i & 1)
			assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
		frontend_tell_with(&rig->guest, &m, b->payload, rig->guest.memory_fd, b->copies);
		expect_cut(rig, b->why);
		rig_pass(good);
		assert_int_equal(descriptors(), before);
	}
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
	rig_expect(rig, 1, NULL);
	rig_free(rig);
	rig_free(good);
}

// Memory that somebody could keep from being read, on a file system of his own.
static void memory_on_disk(void **state)
{
	(void)state;
	struct rig *rig = rig_new("disk");
	const char *why;
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct bad bad = memory_of_two(4 << 20, 4096, 4 << 20, 0);
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	frontend_connect(&rig->guest, rig->path);
	frontend_tell_with(&rig->guest, &bad.message, bad.payload, file, 2);
	expect_cut(rig, "the guest was cut off: it shared memory that is no memfd and no file on "
			"tmpfs or hugetlbfs");
	close(file);
	rig_free(rig);
}

static void send_part(struct frontend *f, const void *bytes, u32 count, int descriptor)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {(void *)bytes, count};
	struct msghdr header = {.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &descriptor, sizeof(int));
	assert_int_equal(sendmsg(f->socket, &header, 0), count);
}

// A part of a message, and no more: nobody waits, the port can be closed, and nothing stays.
static void half_a_message(void **state)
{
	(void)state;
	struct frontend_message m = {.request = VHOST_SET_VRING_CALL, .flags = 1, .size = 8};
	struct rig *good = rig_new("good");
	const char *why;
	assert_int_equal(rig_open(good, false, 1, &why), 0);
	u32 before = 0;
	for (u32 bytes = 1; bytes < 20; bytes++) {
		struct rig *rig = rig_new("half");
		assert_int_equal(rig_open(rig, false, 1, &why), 0);
		frontend_connect(&rig->guest, rig->path);
		assert_int_equal(frontend_sync(&rig->guest), 0);
		send_part(&rig->guest, &m, bytes, rig->guest.memory_fd);
		frontend_connect(&good->guest, good->path);
		assert_int_equal(frontend_start(&good->guest, FRONTEND_ALL, 1), 0);
		frontend_fill(&good->guest, 0);
		rig_pass(good);
		frontend_hang_up(&good->guest);
		rig_gone(good);
		if (bytes & 1) { // the rest
			assert_int_equal(send(rig->guest.socket, (u8 *)&m + bytes, 20 - bytes, 0),
				20 - bytes);
			assert_int_equal(frontend_sync(&rig->guest), 0);
		}
		dpdk_vhost.close(&rig->port);
		rig->port.driver_state = NULL;
		rig_free(rig);
		if (bytes > 1)
			assert_int_equal(descriptors(), before);
		before = descriptors();
	}
	rig_free(good);
}

// It asks and never reads.
static void deaf_guest(void **state)
{
	(void)state;
	struct frontend_message m = {.request = VHOST_GET_FEATURES};
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1), *rig = rig_new("deaf");
	const char *why;
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	frontend_connect(&rig->guest, rig->path);
	while (!frontend_tell(&rig->guest, &m, 0, -1))
		;
	rig_gone(rig);
	rig_expect(rig, 0, "the guest was cut off: it does not read what it is told");
	rig_pass(good);
	rig_free(rig);
	rig_free(good);
}

// A counter that is full and may wait: the guest can make it so at any time.
static void full_counter(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("full", FRONTEND_PLAIN, 1);
	u8 bytes[64] = {0};
	int call = rig->guest.ring[1].call;
	assert_int_equal(fcntl(call, F_SETFL, 0), 0);
	alarm(20);
	assert_int_equal(eventfd_write(call, UINT64_MAX - 1), 0);
	for (u32 i = 0; i < 3 * FRONTEND_SLOTS; i++) {
		assert_true(frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes)));
		rte_pktmbuf_free(rig_receive(rig, 0));
	}
	alarm(0);
	rig_free(rig);
}

// One that is no counter is not written to, and an honest one is.
static void interrupts(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("calls", FRONTEND_PLAIN, 1);
	u8 bytes[64] = {0}, byte;
	int ends[2];
	eventfd_t count;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	for (u32 i = 0; i < 3; i++) {
		if (i)
			frontend_number(&rig->guest, VHOST_SET_VRING_CALL, 1,
				i == 1 ? ends[1] : rig->guest.ring[1].call);
		assert_int_equal(frontend_sync(&rig->guest), 0);
		assert_true(frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes)));
		rte_pktmbuf_free(rig_receive(rig, 0));
		assert_int_equal(eventfd_read(rig->guest.ring[1].call, &count), i == 1 ? -1 : 0);
	}
	assert_int_equal(read(ends[0], &byte, 1), -1);
	close(ends[0]);
	close(ends[1]);
	rig_free(rig);
}

// The device's status is the guest's to say, and DPDK's driver reads back what it said. Where it is
// spoken of, the driver runs when the status says so.
static void status_decides(void **state)
{
	(void)state;
	enum { SET_STATUS = 39, GET_STATUS = 40, FEATURES_OK = 11, DRIVER_OK = 15 };
	struct rig *rig = rig_new("status");
	const char *why;
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
	rig_expect(rig, 1, NULL);
	frontend_number(&rig->guest, VHOST_SET_PROTOCOL_FEATURES, 1 << 16, -1);
	for (u32 i = 0; i < 3; i++) {
		struct frontend_message m = {.request = GET_STATUS};
		u64 status = i & 1 ? DRIVER_OK : FEATURES_OK;
		frontend_number(&rig->guest, SET_STATUS, status, -1);
		assert_int_equal(frontend_ask(&rig->guest, &m, 0), 0);
		assert_int_equal(m.number, status);
		rig_expect(rig, i & 1, i & 1 ? NULL : "the guest's driver has not started");
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_off),
		cmocka_unit_test(memory_on_disk),
		cmocka_unit_test(half_a_message),
		cmocka_unit_test(deaf_guest),
		cmocka_unit_test(full_counter),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(status_decides),
	};
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
