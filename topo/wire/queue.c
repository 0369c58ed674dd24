// SPDX-License-Identifier: BSD-2-Clause
// queue.c - packets under way in one direction: a ring of bytes, mapped twice in a row
#include "topo/wire/queue.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int queue_open(struct queue *queue, size_t size_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_bytes + page - 1) / page * page;
	int fd = memfd_create("weft-wire", MFD_CLOEXEC), err = 0;
	uint8_t *memory;

	if (fd < 0)
		return -errno;
	memory = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ftruncate(fd, (off_t)size) || memory == MAP_FAILED ||
		mmap(memory, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
			MAP_FAILED ||
		mmap(memory + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
			MAP_FAILED)
		err = -errno;
	close(fd);
	*queue = (struct queue){.memory = memory, .size = size};
	return err;
}

static struct packet *at(const struct queue *queue, uint64_t position)
{
	return (struct packet *)(queue->memory + position % queue->size);
}

static uint64_t space(const struct packet *packet)
{
	return (PACKET_HEAD_BYTES + packet->bytes + 7) / 8 * 8;
}

struct packet *queue_room(const struct queue *queue)
{
	if (queue->size - (queue->tail - queue->head) < sizeof(struct packet))
		return NULL;
	return at(queue, queue->tail);
}

void queue_push(struct queue *queue)
{
	queue->tail += space(at(queue, queue->tail));
}

struct packet *queue_first(const struct queue *queue)
{
	return queue->head == queue->tail ? NULL : at(queue, queue->head);
}

void queue_pop(struct queue *queue)
{
	queue->head += space(at(queue, queue->head));
	/* A queue that runs empty starts over: the same pages, warm in the cache. */
	if (queue->head == queue->tail)
		queue->head = queue->tail = 0;
}
