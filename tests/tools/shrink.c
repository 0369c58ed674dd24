// SPDX-License-Identifier: BSD-2-Clause
// shrink SOCKET: a guest on a vhost-user socket that sends three frames whose headers lie, then a
// good one every millisecond. After a line on its standard input its hypervisor takes its memory
// away, and kicks weft awake to look at it. It stays connected until its input ends.

#include <poll.h>
#include "tests/dpdk/frontend.h"

static bool input_within(int milliseconds)
{
	struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
	return poll(&wait, 1, milliseconds) == 1;
}

int main(int argc, char **argv)
{
	struct frontend f;
	char line[8];
	const struct virtio_net_hdr lie = {.flags = 1, .csum_start = 60000};
	u8 frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x55, 0x88, 0xb5};
	if (argc != 2)
		return 2;
	frontend_init(&f);
	frontend_connect(&f, argv[1]);
	FRONTEND_MUST(!frontend_start(&f, FRONTEND_ALL, 1));
	frontend_fill(&f, 0);
	for (u32 i = 0; i < 3; i++)
		frontend_send(&f, 0, &lie, frame, sizeof(frame));
	while (!input_within(1))
		frontend_send(&f, 0, NULL, frame, sizeof(frame));
	FRONTEND_MUST(read(STDIN_FILENO, line, 1) == 1);
	frontend_send(&f, 0, NULL, frame, sizeof(frame));
	FRONTEND_MUST(!ftruncate(f.memory_fd, 0));
	eventfd_write(f.ring[1].kick, 1);
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
