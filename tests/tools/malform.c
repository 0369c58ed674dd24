// SPDX-License-Identifier: BSD-2-Clause
// malform.c - VXLAN frames that are wrong in some way, each another one, sent on an underlay

#include <getopt.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "packet.h"
#include "tool.h"

#define INNER_BYTES 60
#define OUTER_BYTES 50
#define FRAME_BYTES 1514

static struct {
	const char *netns, *dev;
	uint8_t to_mac[6], from_mac[6];
	struct in_addr from, to;
	uint64_t count, pps, seed;
	uint32_t vni;
} opt = {.count = 20000, .pps = 20000, .seed = 1, .vni = 100};

/* splitmix64: the n-th frame of a seed is always the same. */
static uint64_t next_random(void)
{
	uint64_t z = opt.seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static size_t put_valid(uint8_t *frame)
{
	struct packet_end a = {.mac = {2, 0x66, 0, 0, 0, 1}, .host = 77, .port = 7};
	struct packet_end b = {.mac = {2, 0x66, 0, 0, 0, 2}, .host = 78, .port = 9};
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(OUTER_BYTES - 14 + INNER_BYTES),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = opt.from.s_addr,
		.daddr = opt.to.s_addr,
	};
	struct udphdr udp = {
		.source = htons(50000),
		.dest = htons(4789),
		.len = htons(OUTER_BYTES - 34 + INNER_BYTES),
	};
	const uint8_t vxlan[8] = {
		8, 0, 0, 0, (uint8_t)(opt.vni >> 16), (uint8_t)(opt.vni >> 8), (uint8_t)opt.vni, 0};
	struct ethhdr eth = {.h_proto = htons(ETH_P_IP)};

	memcpy(eth.h_dest, opt.to_mac, 6);
	memcpy(eth.h_source, opt.from_mac, 6);
	memcpy(frame, &eth, 14);
	memcpy(frame + 14, &ip, 20);
	memcpy(frame + 34, &udp, 8);
	memcpy(frame + 42, vxlan, 8);
	put_udp_frame(frame + OUTER_BYTES, &a, &b, INNER_BYTES);
	return OUTER_BYTES + INNER_BYTES;
}

/* Bytes behind the addresses change, or the end goes, or rubbish is added; the outer IP checksum is
 * right, so that the kernel looks further. */
static size_t spoil(uint8_t *frame, size_t length)
{
	uint64_t r = next_random();
	unsigned int changes = 1 + r % 4;

	while (changes--) {
		uint64_t where = next_random();
		size_t at = 34 + where % (length - 34);

		frame[at] ^= 1u << (where >> 32) % 8;
		if (where >> 60 == 1) /* IP: version, length, fragment, protocol */
			frame[14 + (where >> 40) % 10] ^= 1u << (where >> 48) % 8;
	}
	if (r >> 60 == 2)
		length = 14 + (r >> 16) % (length - 14);
	else if (r >> 60 == 3)
		length += (r >> 16) % 64;
	struct iphdr *ip = (struct iphdr *)(frame + 14);

	ip->check = 0;
	ip->check = htons((uint16_t)~sum_add(0, ip, 20));
	return length;
}

static int open_socket(void)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	int old = netns_enter(opt.netns);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	address.sll_ifindex = (int)if_nametoindex(opt.dev);
	if (fd < 0 || !address.sll_ifindex ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(EXIT_BROKEN, "packet socket on %s", opt.dev);
	netns_leave(old);
	return fd;
}

static void usage(void)
{
	errx(EXIT_BROKEN,
		"usage: malform --netns N --dev D --to-mac M --from-mac M --from IP --to IP "
		"[--count 20000] [--pps 20000] [--seed 1] [--vni 100]");
}

static void set_option(int c)
{
	switch (c) {
	case 'n':
		opt.netns = optarg;
		break;
	case 'd':
		opt.dev = optarg;
		break;
	case 'M':
		parse_mac(optarg, opt.to_mac);
		break;
	case 'm':
		parse_mac(optarg, opt.from_mac);
		break;
	case 'f':
		inet_pton(AF_INET, optarg, &opt.from);
		break;
	case 't':
		inet_pton(AF_INET, optarg, &opt.to);
		break;
	case 'c':
		opt.count = parse_number("--count", optarg, 10000000);
		break;
	case 'p':
		opt.pps = parse_number("--pps", optarg, 10000000);
		break;
	case 's':
		opt.seed = parse_number("--seed", optarg, UINT64_MAX);
		break;
	case 'v':
		opt.vni = (uint32_t)parse_number("--vni", optarg, 0xffffff);
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"netns", 1, NULL, 'n'}, {"dev", 1, NULL, 'd'},
		{"to-mac", 1, NULL, 'M'}, {"from-mac", 1, NULL, 'm'}, {"from", 1, NULL, 'f'},
		{"to", 1, NULL, 't'}, {"count", 1, NULL, 'c'}, {"pps", 1, NULL, 'p'},
		{"seed", 1, NULL, 's'}, {"vni", 1, NULL, 'v'}, {0}};
	static uint8_t frame[FRAME_BYTES];
	uint64_t sent = 0, start;
	int c, fd;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set_option(c);
	if (!opt.dev || !opt.from.s_addr || !opt.to.s_addr || !opt.pps)
		usage();
	fd = open_socket();
	start = now_ns();
	for (uint64_t n = 0; n < opt.count; n++) {
		memset(frame, 0xa5, sizeof(frame));
		size_t length = spoil(frame, put_valid(frame));
		struct timespec pause = {.tv_nsec = 1000000};

		while (now_ns() - start < n * NS_PER_SEC / opt.pps)
			nanosleep(&pause, NULL);
		sent += send(fd, frame, length, 0) == (ssize_t)length;
	}
	printf("{\"mode\":\"malform\",\"sent\":%llu}\n", (unsigned long long)sent);
	return 0;
}
