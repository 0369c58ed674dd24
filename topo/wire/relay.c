// SPDX-License-Identifier: BSD-2-Clause
// relay.c - the life of a packet: read from one end, meet its fate, wait, be written to the other
#include "topo/wire/queue.h"
#include "topo/wire/wire.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Newer than the headers of Debian 12 (kernel 6.2). */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define GSO_TYPE 0x1f /* without the bits for ECN and for a tunnel */

#define NS_PER_SEC 1000000000ull
/* Packets read or written in a row before something else gets its turn. */
#define BATCH 64

/* packets + duplicated = delivered + lost + overflow + full + down + refused + queued */
struct counters {
	uint64_t packets, bytes; /* as read */
	uint64_t delivered, lost, duplicated, reordered;
	uint64_t overflow; /* waited too long for the line, or no memory left */
	uint64_t full;     /* the far end did not take it just now */
	uint64_t down;     /* the far end is down */
	uint64_t refused;  /* the kernel found something wrong with it */
	uint64_t queued;
	uint64_t cost_ns; /* sum, from read to written, less the intended wait */
};

struct direction {
	const char *name;
	unsigned int index;
	int from, to;
	bool readable;
	struct queue queue;
	uint64_t line_free_ns; /* when the last bit so far has left the sender */
	uint64_t last_due_ns;
	struct counters count;
};

static const struct impairment *impairment;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* A superpacket takes the room of the frames that it stands for, each with its headers: those up
 * to the innermost transport, whose checksum is open. */
static uint64_t line_bytes(const struct packet *packet)
{
	const struct virtio_net_hdr *vnet = &packet->data.vnet;
	uint64_t bytes = packet->bytes - VNET_BYTES, headers;
	bool udp = (vnet->gso_type & GSO_TYPE) == VIRTIO_NET_HDR_GSO_UDP_L4;

	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE || !vnet->gso_size ||
		vnet->csum_start + 20u > bytes)
		return bytes;
	headers = vnet->csum_start +
		  (udp ? 8u : (packet->data.frame[vnet->csum_start + 12] >> 4) * 4u);
	if (bytes <= headers)
		return bytes;
	return bytes + ((bytes - headers - 1) / vnet->gso_size) * headers;
}

/* When the last bit has left the sender. False: the line is too far behind. */
static bool take_line(
	struct direction *dir, const struct packet *packet, uint64_t now, uint64_t *sent_ns)
{
	*sent_ns = now;
	if (impairment->rate_bps == 0)
		return true;
	if (dir->line_free_ns < now)
		dir->line_free_ns = now;
	if (dir->line_free_ns - now > impairment->queue_ns)
		return false;
	dir->line_free_ns +=
		(uint64_t)((double)line_bytes(packet) * 8 * NS_PER_SEC / impairment->rate_bps);
	*sent_ns = dir->line_free_ns;
	return true;
}

static void transmit(struct direction *dir, const struct packet *packet)
{
	ssize_t written = write(dir->to, &packet->data, packet->bytes);
	struct counters *count = &dir->count;

	if (written == (ssize_t)packet->bytes)
		count->delivered++;
	else if (errno == EIO || errno == EBADFD)
		count->down++;
	else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		count->full++;
	else
		count->refused++;
	count->cost_ns += now_ns() - packet->due_ns;
}

/* `packet` is at queue_room(): send it at once, or leave it there until it is due. */
static void admit(
	struct direction *dir, struct packet *packet, const struct fate *fate, uint64_t now)
{
	double jitter_ns = fate->jitter * (double)impairment->jitter_ns;
	uint64_t sent_ns;

	if (!take_line(dir, packet, now, &sent_ns)) {
		dir->count.overflow++;
		return;
	}
	packet->due_ns = now;
	if (fate->reordered) {
		transmit(dir, packet);
		return;
	}
	/* Jitter stretches and squeezes, but a wire never lets one packet overtake another. */
	packet->due_ns = sent_ns + impairment->delay_ns + (uint64_t)(int64_t)jitter_ns;
	if (packet->due_ns < dir->last_due_ns)
		packet->due_ns = dir->last_due_ns;
	dir->last_due_ns = packet->due_ns;
	if (packet->due_ns <= now && !queue_first(&dir->queue)) {
		transmit(dir, packet);
		return;
	}
	queue_push(&dir->queue);
	dir->count.queued++;
}

/* The copy follows directly behind and shares the fate; it takes the line a second time. */
static void admit_copy(
	struct direction *dir, const struct packet *packet, const struct fate *fate, uint64_t now)
{
	struct packet *copy = queue_room(&dir->queue);

	dir->count.duplicated++;
	if (!copy) {
		dir->count.overflow++;
		return;
	}
	if (copy != packet)
		memcpy(copy, packet, PACKET_HEAD_BYTES + packet->bytes);
	admit(dir, copy, fate, now);
}

/* Returns 0, or -errno of the read. */
static int accept_packet(struct direction *dir)
{
	static struct packet no_room;
	struct packet *room = queue_room(&dir->queue), *packet = room ? room : &no_room;
	ssize_t bytes = read(dir->from, &packet->data, sizeof(packet->data));
	struct fate fate;
	uint64_t now;

	if (bytes < 0)
		return -errno;
	now = now_ns();
	packet->bytes = (uint32_t)bytes;
	fate = fate_of(impairment, dir->index, dir->count.packets++);
	dir->count.bytes += packet->bytes - VNET_BYTES;
	if (fate.lost) {
		dir->count.lost++;
	} else if (!room) {
		dir->count.overflow++;
	} else {
		dir->count.reordered += fate.reordered;
		admit(dir, packet, &fate, now);
		if (fate.duplicated)
			admit_copy(dir, packet, &fate, now);
	}
	return 0;
}

/* A batch at most: a backlog must not keep the other direction waiting. */
static void deliver_due(struct direction *dir)
{
	const struct packet *packet;
	int i;

	for (i = 0; i < BATCH; i++) {
		packet = queue_first(&dir->queue);
		if (!packet || packet->due_ns > now_ns())
			return;
		transmit(dir, packet);
		queue_pop(&dir->queue);
		dir->count.queued--;
	}
}

/* False: an end is gone. */
static bool relay(struct direction dir[2])
{
	int round, i;

	for (round = 0; round < BATCH && (dir[0].readable || dir[1].readable); round++) {
		for (i = 0; i < 2; i++) {
			int err = dir[i].readable ? accept_packet(&dir[i]) : 0;

			if (err == -EAGAIN)
				dir[i].readable = false;
			else if (err && err != -EINTR)
				return false;
			deliver_due(&dir[i]);
		}
	}
	deliver_due(&dir[0]);
	deliver_due(&dir[1]);
	return true;
}

static void print_direction(const struct direction *dir, const char *before)
{
	const struct counters *count = &dir->count;
	uint64_t passed = count->delivered + count->full + count->down + count->refused;

	printf("%s\"%s\":{\"packets\":%llu,\"bytes\":%llu,\"delivered\":%llu,\"lost\":%llu,"
	       "\"duplicated\":%llu,\"reordered\":%llu,\"overflow\":%llu,\"full\":%llu,"
	       "\"down\":%llu,\"refused\":%llu,\"queued\":%llu,\"relay_cost_ns\":%llu}",
		before, dir->name, (unsigned long long)count->packets,
		(unsigned long long)count->bytes, (unsigned long long)count->delivered,
		(unsigned long long)count->lost, (unsigned long long)count->duplicated,
		(unsigned long long)count->reordered, (unsigned long long)count->overflow,
		(unsigned long long)count->full, (unsigned long long)count->down,
		(unsigned long long)count->refused, (unsigned long long)count->queued,
		(unsigned long long)(passed ? count->cost_ns / passed : 0));
}

/* False: it was a signal to end. */
static bool handle_signal(int signals, const struct direction dir[2])
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGUSR1)
		return false;
	print_direction(&dir[0], "{");
	print_direction(&dir[1], ",");
	puts("}");
	fflush(stdout);
	return true;
}

/* How long until a packet is due; NULL: none waits. */
static struct timespec *until_due(const struct direction dir[2], struct timespec *wait)
{
	const struct packet *first[2] = {queue_first(&dir[0].queue), queue_first(&dir[1].queue)};
	uint64_t due_ns = UINT64_MAX, now = now_ns();
	int i;

	for (i = 0; i < 2; i++)
		if (first[i] && first[i]->due_ns < due_ns)
			due_ns = first[i]->due_ns;
	if (due_ns == UINT64_MAX)
		return NULL;
	due_ns = due_ns > now ? due_ns - now : 0;
	*wait = (struct timespec){
		.tv_sec = (time_t)(due_ns / NS_PER_SEC), .tv_nsec = (long)(due_ns % NS_PER_SEC)};
	return wait;
}

static void direction_open(struct direction *dir, unsigned int index, const struct end end[2],
	const struct wire_spec *spec)
{
	int error;

	*dir = (struct direction){.name = index ? "b_to_a" : "a_to_b",
		.index = index,
		.from = end[index].tap,
		.to = end[!index].tap};
	error = queue_open(&dir->queue, spec->limit_bytes);
	errno = -error;
	if (error)
		err(WIRE_FAILED, "no memory for a limit of %llu bytes",
			(unsigned long long)spec->limit_bytes);
}

/* Carriers and namespaces; false: the wire has to end. */
static bool look_at_ends(struct end end[2], const struct pollfd *link, const struct pollfd *names)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (link[i].revents)
			end_follow(&end[i], &end[!i]);
		if (names[i].revents && end_is_orphan(&end[i])) {
			warnx("the namespace %s is gone: the wire ends", end[i].spec->netns);
			return false;
		}
	}
	return true;
}

int relay_run(const struct wire_spec *spec, struct end end[2], int signals,
	void (*ready)(const struct wire_spec *spec))
{
	enum { TAP = 0, LINK = 2, NAMES = 4, SIGNALS = 6, FDS };
	struct pollfd fd[FDS] = {{.fd = end[0].tap}, {.fd = end[1].tap}, {.fd = end[0].link},
		{.fd = end[1].link}, {.fd = end[0].names}, {.fd = end[1].names}, {.fd = signals}};
	static struct direction dir[2];
	struct timespec wait;
	int i;

	for (i = 0; i < FDS; i++)
		fd[i].events = POLLIN;
	impairment = &spec->impairment;
	direction_open(&dir[0], 0, end, spec);
	direction_open(&dir[1], 1, end, spec);
	ready(spec);
	for (;;) {
		if (ppoll(fd, FDS, until_due(dir, &wait), NULL) < 0)
			err(WIRE_FAILED, "ppoll");
		dir[0].readable = fd[TAP].revents;
		dir[1].readable = fd[TAP + 1].revents;
		if (!relay(dir)) {
			warnx("an end has vanished: the wire ends");
			return WIRE_FAILED;
		}
		if (!look_at_ends(end, fd + LINK, fd + NAMES))
			return WIRE_FAILED;
		if (fd[SIGNALS].revents && !handle_signal(signals, dir))
			return WIRE_DONE;
	}
}
