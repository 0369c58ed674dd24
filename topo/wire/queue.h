// SPDX-License-Identifier: BSD-2-Clause
// queue.h - packets under way in one direction, in the order in which they leave
#pragma once

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>

/* 64 KiB of payload, its headers and tags; a larger superpacket (IPv6 BIG TCP) is never offered. */
#define FRAME_MAX_BYTES (65536 + 256)

/* In the kernel's headers (6.17) struct virtio_net_hdr_v1_hash_tunnel: where inner headers are. */
#define TUNNEL_BYTES 14

/* `data` is a packet as a tap reads and writes it, `bytes` long. */
struct packet {
	uint64_t due_ns;
	uint32_t bytes;
	struct {
		struct virtio_net_hdr vnet;
		uint8_t tunnel[TUNNEL_BYTES];
		uint8_t frame[FRAME_MAX_BYTES];
	} data;
};

#define PACKET_HEAD_BYTES offsetof(struct packet, data)
#define VNET_BYTES        (sizeof(struct virtio_net_hdr) + TUNNEL_BYTES)

/*
 * A ring of bytes whose memory is mapped twice in a row, so that a packet never wraps. Packets are
 * built in place: write at queue_room(), then queue_push(). Positions only grow.
 */
struct queue {
	uint8_t *memory;
	size_t size;
	uint64_t head, tail;
};

/* 0 or -errno. Memory is taken from the system as it is first used, and at most size_bytes. */
int queue_open(struct queue *queue, size_t size_bytes);

/* Where the next packet goes, with room for the largest one; NULL: full. */
struct packet *queue_room(const struct queue *queue);

/* The packet at queue_room() belongs to the queue from now on. */
void queue_push(struct queue *queue);

/* The packet that leaves next, or NULL. Valid until queue_pop(). */
struct packet *queue_first(const struct queue *queue);
void queue_pop(struct queue *queue);
