// SPDX-License-Identifier: BSD-2-Clause
// wirekinds.c - does every kind of frame pass a wire unchanged, checksum and GSO state included?

#include <poll.h>

#include "wireend.h"

#define DEADLINE_MS 2000
#define GSO_SIZE    1000

static int end_fd[2];

struct kind {
	const char *name;
	uint8_t start[26]; /* from the destination on; the source is filled in */
	size_t len;
};

#define TO_GROUP(last) 0x01, 0x80, 0xc2, 0, 0, last, 2, 0, 0, 0, 0, 1
#define TO_HOST        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1

static const struct kind kinds[] = {
	{"stp", {TO_GROUP(0x00), 0, 38, 0x42, 0x42, 3}, 60},
	{"pause", {TO_GROUP(0x01), 0x88, 0x08, 0, 1}, 60},
	{"lacp", {TO_GROUP(0x02), 0x88, 0x09, 1, 1}, 124},
	{"802.1x", {TO_GROUP(0x03), 0x88, 0x8e, 2}, 60},
	{"lldp", {TO_GROUP(0x0e), 0x88, 0xcc, 2, 7}, 180},
	{"broadcast", {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, 60},
	{"unknown type", {TO_HOST, 0x12, 0x34}, 61},
	{"short", {TO_HOST, 0x88, 0xb5}, 20},
	{"full", {TO_HOST, 0x88, 0xb5}, 1514},
	{"jumbo", {TO_HOST, 0x88, 0xb5}, 9014},
	{"802.1q", {TO_HOST, 0x81, 0, 0x60, 5, 0x88, 0xb5}, 64},
	{"priority tag", {TO_HOST, 0x81, 0, 0xe0, 0, 0x88, 0xb5}, 64},
	{"802.1q jumbo", {TO_HOST, 0x81, 0, 0, 5, 0x88, 0xb5}, 9018},
	{"802.1ad", {TO_HOST, 0x88, 0xa8, 0, 7, 0x88, 0xb5}, 64},
	{"qinq", {TO_HOST, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 0x88, 0xb5}, 1000},
	{"three tags", {TO_HOST, 0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x88, 0xb5}, 1000},
};

static const char *difference(const struct arrival *got, const struct virtio_net_hdr *vnet,
	const uint8_t *frame, size_t len)
{
	if (got->len != len)
		return "another length";
	if (memcmp(got->frame, frame, len))
		return "other bytes";
	if (got->vnet.gso_type != vnet->gso_type || got->vnet.gso_size != vnet->gso_size)
		return "other segments";
	if ((got->vnet.flags ^ vnet->flags) & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return "another checksum state";
	if (vnet->flags && (got->vnet.csum_start != vnet->csum_start ||
				   got->vnet.csum_offset != vnet->csum_offset))
		return "another place of the checksum";
	return NULL;
}

/* The frame must be the next one to arrive. Returns 1 when it is not as it was sent. */
static int pass(int from, const char *name, struct virtio_net_hdr *vnet, uint8_t *frame, size_t len)
{
	struct pollfd pfd = {.fd = end_fd[!from], .events = POLLIN};
	static struct arrival got;
	const char *wrong;

	transmit(end_fd[from], vnet, frame, len);
	if (poll(&pfd, 1, DEADLINE_MS) < 0)
		err(EXIT_BROKEN, "poll");
	wrong = receive(pfd.fd, &got) ? difference(&got, vnet, frame, len) : "nothing arrived";
	if (!wrong)
		return 0;
	warnx("%s from %s: %s (%zu bytes, arrived %zu, gso %u/%u, flags %u, checksum %u+%u)", name,
		from ? "b" : "a", wrong, len, got.len, got.vnet.gso_type, got.vnet.gso_size,
		got.vnet.flags, got.vnet.csum_start, got.vnet.csum_offset);
	return 1;
}

static int pass_plain(int from, const struct kind *kind)
{
	static uint8_t frame[TAP_FRAME_MAX];
	struct virtio_net_hdr vnet = {};
	size_t i;

	for (i = 0; i < kind->len; i++)
		frame[i] = (uint8_t)(i * 7 + 1);
	memcpy(frame, kind->start,
		kind->len < sizeof(kind->start) ? kind->len : sizeof(kind->start));
	return pass(from, kind->name, &vnet, frame, kind->len);
}

/* kind: bits: IPv6, UDP, superpacket, tagged, ECN */
enum { V6 = 1, UDP = 2, SUPER = 4, TAGGED = 8, ECN = 16, GSO_KINDS = 32 };

static int pass_gso(int from, int kind)
{
	static const uint8_t tag[4] = {0x81, 0, 0, 5};
	size_t payload = kind & SUPER ? 60000 : 700, len;
	static uint8_t frame[TAP_FRAME_MAX];
	struct virtio_net_hdr vnet;
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s%s%s", kind & TAGGED ? "tagged " : "",
		kind & UDP ? "udp" : "tcp", kind & V6 ? "6" : "4",
		kind & SUPER ? " superpacket" : " partial checksum", kind & ECN ? " ecn" : "");
	len = build_gso(&vnet, frame, from, kind & V6, kind & UDP, payload, GSO_SIZE);
	memset(frame + len, 0x5a, payload);
	len += payload;
	if (kind & ECN)
		vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	if (kind & TAGGED) {
		memmove(frame + 16, frame + 12, len - 12);
		memcpy(frame + 12, tag, sizeof(tag));
		len += sizeof(tag);
		vnet.csum_start += sizeof(tag);
		vnet.hdr_len += vnet.gso_type ? sizeof(tag) : 0;
	}
	return pass(from, name, &vnet, frame, len);
}

static int check_kinds(void)
{
	int from, kind, failed = 0, tried = 0;
	size_t i;

	for (from = 0; from < 2; from++) {
		for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++, tried++)
			failed += pass_plain(from, &kinds[i]);
		for (kind = 0; kind < GSO_KINDS; kind++) {
			if (kind & ECN && (kind & UDP || !(kind & SUPER)))
				continue; /* no such thing */
			failed += pass_gso(from, kind);
			tried++;
		}
	}
	printf("{\"tried\":%d,\"failed\":%d}\n", tried, failed);
	return failed ? EXIT_UNMET : 0;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		errx(EXIT_BROKEN, "usage: wirekinds NETNS DEV NETNS DEV (with MTU 9000 or more)");
	end_fd[0] = wire_end_open(argv[1], argv[2]);
	end_fd[1] = wire_end_open(argv[3], argv[4]);
	return check_kinds();
}
