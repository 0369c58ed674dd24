// SPDX-License-Identifier: BSD-2-Clause
// frame.c - send single frames and wait for frames, in hex, on a device or as the guest of a tap

#include <ctype.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>

#include "packet.h"
#include "tap.h"

#define FILTERS_MAX 16
#define TAGS_MAX    4

struct filter {
	size_t offset;
	uint8_t bytes[128];
	size_t len;
};

struct options {
	const char *netns;
	const char *dev;
	const char *tap;
	uint64_t count;
	/* recv */
	struct filter match[FILTERS_MAX];
	size_t matches;
	struct filter until;
	bool quiet;
	int timeout_ms;
	/* send */
	uint8_t dst[6], src[6];
	uint16_t tag[TAGS_MAX];
	size_t tags;
	uint16_t type;
	size_t payload_size;
	const char *payload;
};

/* A frame, and for a tap the virtio_net_hdr that came with it. */
static struct tap_frame frame;
static struct options opt = {
	.count = 1,
	.timeout_ms = 5000,
	.dst = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	.src = {2, 0, 0, 0, 0, 1},
	.type = 0x88b5, /* IEEE: for local experiments */
	.payload_size = 46,
};

/* --- hex --- */

/* Spaces and colons between bytes are welcome. */
static size_t parse_hex(const char *text, uint8_t *out, size_t max)
{
	size_t len = 0;

	while (*text) {
		if (isspace((unsigned char)*text) || *text == ':') {
			text++;
			continue;
		}
		if (len == max || !isxdigit((unsigned char)text[0]) ||
			!isxdigit((unsigned char)text[1]) || sscanf(text, "%2hhx", &out[len]) != 1)
			errx(EXIT_BROKEN, "'%s' is not hex, or more than %zu bytes", text, max);
		len++;
		text += 2;
	}
	return len;
}

static void parse_filter(struct filter *filter, const char *text)
{
	char *copy = strdup(text), *colon = strchr(copy, ':');

	if (!colon)
		errx(EXIT_BROKEN, "filter '%s': use OFFSET:HEX", text);
	*colon = 0;
	filter->offset = parse_number("filter offset", copy, TAP_FRAME_MAX);
	filter->len = parse_hex(colon + 1, filter->bytes, sizeof(filter->bytes));
	if (!filter->len)
		errx(EXIT_BROKEN, "filter '%s': use OFFSET:HEX", text);
	free(copy);
}

static void print_frame(size_t len)
{
	const struct virtio_net_hdr *vnet = &frame.vnet.hdr;
	size_t i;

	for (i = 0; i < len; i++)
		printf("%02x", frame.data[i]);
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		printf(" needs_csum=%u+%u", vnet->csum_start, vnet->csum_offset);
	if (vnet->gso_type)
		printf(" gso=%u/%u", vnet->gso_type, vnet->gso_size);
	putchar('\n');
	fflush(stdout);
}

/* --- ends --- */

static int open_device(void)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq promisc = {.mr_type = PACKET_MR_PROMISC};
	int on = 1, buffer = 32 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	addr.sll_ifindex = promisc.mr_ifindex = (int)if_nametoindex(opt.dev);
	if (fd < 0 || !addr.sll_ifindex)
		err(EXIT_BROKEN, "%s", opt.dev);
	/* A burst must not be lost here. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)) ||
		bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(EXIT_BROKEN, "%s", opt.dev);
	return fd;
}

static int open_end(void)
{
	int old = netns_enter(opt.netns);
	int fd = opt.tap ? tap_open(opt.tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) : open_device();

	netns_leave(old);
	return fd;
}

/* The kernel keeps the outer tag beside the bytes: put it back where it was on the wire. */
static size_t reinsert_tag(const struct tpacket_auxdata *aux, size_t len)
{
	uint16_t tag[2] = {htons(ETH_P_8021Q), htons(aux->tp_vlan_tci)};

	if (!(aux->tp_status & TP_STATUS_VLAN_VALID))
		return len;
	if (aux->tp_status & TP_STATUS_VLAN_TPID_VALID)
		tag[0] = htons(aux->tp_vlan_tpid);
	memmove(frame.data + 16, frame.data + 12, len - 12);
	memcpy(frame.data + 12, tag, sizeof(tag));
	return len + sizeof(tag);
}

static ssize_t read_device(int fd)
{
	struct iovec iov = {frame.data, sizeof(frame.data) - 4};
	union {
		char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &msg, 0);
	struct cmsghdr *cmsg = len < ETH_HLEN ? NULL : CMSG_FIRSTHDR(&msg);
	struct tpacket_auxdata aux;

	for (; cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_PACKET || cmsg->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
		return (ssize_t)reinsert_tag(&aux, (size_t)len);
	}
	return len;
}

/* --- recv --- */

static bool passes(const struct filter *filter, size_t len)
{
	return filter->offset + filter->len <= len &&
	       !memcmp(frame.data + filter->offset, filter->bytes, filter->len);
}

static bool passes_all(size_t len)
{
	size_t i;

	for (i = 0; i < opt.matches; i++)
		if (!passes(&opt.match[i], len))
			return false;
	return true;
}

/* Length of the next frame; -1 when there is none yet. */
static ssize_t next_frame(int fd)
{
	ssize_t len;

	if (!opt.tap) {
		len = read_device(fd);
	} else {
		len = read(fd, &frame, sizeof(frame));
		len = len < (ssize_t)TAP_HDR_LEN ? -1 : len - (ssize_t)TAP_HDR_LEN;
	}
	if (len < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
		err(EXIT_BROKEN, "%s", opt.tap ? opt.tap : opt.dev);
	return len;
}

/* Until the deadline, the last expected frame, or the frame that --until describes. */
static int receive_frames(char **argv)
{
	struct pollfd pfd = {.fd = open_end(), .events = POLLIN};
	uint64_t deadline = now_ns() + (uint64_t)opt.timeout_ms * NS_PER_MSEC, got = 0;
	pid_t command = command_start(argv);
	bool done = false;

	while (!done && now_ns() < deadline) {
		ssize_t len = next_frame(pfd.fd);

		if (len < 0) {
			poll(&pfd, 1, (int)((deadline - now_ns()) / NS_PER_MSEC) + 1);
			continue;
		}
		if (opt.until.len && passes(&opt.until, (size_t)len)) {
			done = true;
			break;
		}
		if (!passes_all((size_t)len))
			continue;
		got++;
		if (!opt.quiet)
			print_frame((size_t)len);
		done = !opt.until.len && got == opt.count;
	}
	command_finish(command);
	if (done && got == opt.count)
		return 0;
	warnx("%llu matching frames, expected %llu%s", (unsigned long long)got,
		(unsigned long long)opt.count,
		opt.until.len && !done ? ", and the frame of --until did not come" : "");
	return EXIT_UNMET;
}

/* --- send --- */

static size_t build_frame(void)
{
	uint16_t type = htons(opt.type);
	size_t len = 12, i;

	memcpy(frame.data, opt.dst, 6);
	memcpy(frame.data + 6, opt.src, 6);
	for (i = 0; i < opt.tags; i++, len += 4) {
		uint16_t tag[2] = {htons(ETH_P_8021Q), htons(opt.tag[i])};

		memcpy(frame.data + len, tag, sizeof(tag));
	}
	memcpy(frame.data + len, &type, sizeof(type));
	len += sizeof(type);
	for (i = 0; i < opt.payload_size; i++)
		frame.data[len + i] = (uint8_t)i;
	if (opt.payload)
		parse_hex(opt.payload, frame.data + len, opt.payload_size);
	return len + opt.payload_size;
}

static int send_frames(char **hex)
{
	int fd = open_end();
	uint64_t i;

	do {
		size_t len = *hex ? parse_hex(*hex, frame.data, TAP_FRAME_MAX) : build_frame();
		const void *start = opt.tap ? (void *)&frame : frame.data;

		len += opt.tap ? TAP_HDR_LEN : 0;
		for (i = 0; i < opt.count; i++)
			if (write(fd, start, len) != (ssize_t)len)
				err(EXIT_UNMET, "%s", opt.tap ? opt.tap : opt.dev);
	} while (*hex && *++hex);
	return 0;
}

/* --- main --- */

static const char usage[] =
	"usage: frame send --dev DEV|--tap TAP [options] [HEX...]\n"
	"       frame recv --dev DEV|--tap TAP [options] [-- COMMAND...]\n"
	"  --netns NAME         where DEV or TAP is\n"
	"  --count N            send: each frame N times; recv: expect N (1)\n"
	"send, unless the frames are given in hex:\n"
	"  --dst MAC --src MAC  (broadcast, 02:00:00:00:00:01)\n"
	"  --vlan TCI           802.1Q tag, outer one first\n"
	"  --type N             EtherType (0x88b5)\n"
	"  --payload HEX        first bytes of the payload; the rest is 00 01 02 ...\n"
	"  --payload-size N     (46)\n"
	"recv, frames in hex on stdout, with their tags (and needs_csum=, gso= from a tap):\n"
	"  --match OFFSET:HEX   only these frames (repeat: all must hold)\n"
	"  --until OFFSET:HEX   end when this frame comes; it is not counted. Proves absence:\n"
	"                       --count 0 --until LAST_FRAME\n"
	"  --timeout MS         deadline (5000)\n"
	"  --quiet              no hex\n"
	"  COMMAND runs once the receiver listens. Exit 0: N frames came\n"
	"                       (with --until: exactly N, then that frame); 1: deadline\n";

static void set_option(int c)
{
	switch (c) {
	case 'n':
		opt.netns = optarg;
		break;
	case 'd':
		opt.dev = optarg;
		break;
	case 't':
		opt.tap = optarg;
		break;
	case 'c':
		opt.count = parse_number("--count", optarg, 100000000);
		break;
	case 'D':
		parse_mac(optarg, opt.dst);
		break;
	case 'S':
		parse_mac(optarg, opt.src);
		break;
	case 'v':
		if (opt.tags == TAGS_MAX)
			errx(EXIT_BROKEN, "at most %d tags", TAGS_MAX);
		opt.tag[opt.tags++] = (uint16_t)parse_number("--vlan", optarg, 0xffff);
		break;
	case 'T':
		opt.type = (uint16_t)parse_number("--type", optarg, 0xffff);
		break;
	case 'P':
		opt.payload = optarg;
		break;
	case 'z':
		opt.payload_size = parse_number("--payload-size", optarg, 65000);
		break;
	case 'm':
		if (opt.matches == FILTERS_MAX)
			errx(EXIT_BROKEN, "at most %d filters", FILTERS_MAX);
		parse_filter(&opt.match[opt.matches++], optarg);
		break;
	case 'u':
		parse_filter(&opt.until, optarg);
		break;
	case 'w':
		opt.timeout_ms = (int)parse_number("--timeout", optarg, 3600000);
		break;
	case 'q':
		opt.quiet = true;
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"netns", 1, NULL, 'n'}, {"dev", 1, NULL, 'd'},
		{"tap", 1, NULL, 't'}, {"count", 1, NULL, 'c'}, {"dst", 1, NULL, 'D'},
		{"src", 1, NULL, 'S'}, {"vlan", 1, NULL, 'v'}, {"type", 1, NULL, 'T'},
		{"payload", 1, NULL, 'P'}, {"payload-size", 1, NULL, 'z'}, {"match", 1, NULL, 'm'},
		{"until", 1, NULL, 'u'}, {"timeout", 1, NULL, 'w'}, {"quiet", 0, NULL, 'q'},
		{"help", 0, NULL, 'h'}, {}};
	bool sending = argc > 1 && !strcmp(argv[1], "send");
	int c;

	if (argc < 2 || (!sending && strcmp(argv[1], "recv")))
		set_option('h');
	argc--;
	argv++;
	while ((c = getopt_long(argc, argv, "+", longopts, NULL)) != -1)
		set_option(c);
	if (!opt.dev == !opt.tap || (!sending && !opt.count && !opt.until.len))
		set_option('h');
	return sending ? send_frames(argv + optind) : receive_frames(argv + optind);
}
