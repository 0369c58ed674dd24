// SPDX-License-Identifier: BSD-2-Clause
// flowpcap.c - the frames that vugen's guest A would send, one of each flow, as a pcap file on
// stdout

#include "frames.h"

struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, digits, length, link;
};

struct pcap_frame {
	uint32_t seconds, micros, captured, length;
};

int main(int argc, char **argv)
{
	static const struct pcap_file file = {
		.magic = 0xa1b2c3d4, .major = 2, .minor = 4, .length = 65535, .link = 1};
	struct pcap_frame head = {0};
	struct frames flows = {.macs = 1, .mac_at = OFF_MAC_SRC};
	uint8_t frame[FRAME_SIZE_MAX] = {0};
	uint32_t i;

	if (argc != 3) {
		fputs("flowpcap FLOWS SIZE\n", stderr);
		return EXIT_BROKEN;
	}
	flows.flows = (uint32_t)parse_number("FLOWS", argv[1], 1 << 24);
	head.length = (uint32_t)parse_number("SIZE", argv[2], FRAME_SIZE_MAX);
	if (head.length < FRAME_SIZE_MIN)
		errx(EXIT_BROKEN, "SIZE: %d or more", FRAME_SIZE_MIN);
	head.captured = head.length;
	put_udp_frame(frame, &frames_end[0], &frames_end[1], head.length);
	fwrite(&file, sizeof(file), 1, stdout);
	for (i = 0; i < flows.flows; i++) {
		frames_next(&flows, frame);
		fwrite(&head, sizeof(head), 1, stdout);
		fwrite(frame, head.length, 1, stdout);
	}
	return fflush(stdout) ? EXIT_BROKEN : 0;
}
