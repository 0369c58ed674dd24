// SPDX-License-Identifier: BSD-2-Clause
// tapgen.c - two guests in one process: flood, round trips and superpackets between taps A and B

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "packet.h"
#include "tap.h"

#define BURST          64
#define FRAME_SIZE_MIN 64
#define MAGIC          0x77656674u
/* Offsets in our UDP frames: Ethernet 14, IPv4 20, UDP 8. */
#define OFF_UDP_PORT     34
#define OFF_MAGIC        42
#define OFF_SERIAL       46
#define FLOW_PORT_BASE   1024
#define FLOWS_MAX        60000
#define RTT_LOST_NS      (20 * NS_PER_MSEC)
#define DRAIN_NS         (50 * NS_PER_MSEC)
#define PATH_DEADLINE_NS (10 * NS_PER_SEC)

struct options {
	const char *tap[2];
	struct packet_end end[2];
	unsigned int offloads;
	uint64_t count;
	uint64_t limit_ns;
	size_t size;
	uint32_t flows;
	int cpu;
	int rx_cpu; /* -1: the sender's thread reads as well */
	const char *gso;
	uint16_t gso_size;
	uint16_t segments;
};

static struct options opt = {
	.end =
		{
			{.mac = {2, 0x77, 0, 0, 0, 0xa}, .host = 1, .port = FLOW_PORT_BASE},
			{.mac = {2, 0x77, 0, 0, 0, 0xb}, .host = 2, .port = 9},
		},
	.offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
	.count = 1000000,
	.limit_ns = 10 * NS_PER_SEC,
	.size = FRAME_SIZE_MIN,
	.flows = 1,
	.cpu = -1,
	.rx_cpu = -1,
	.gso = "tcp4",
	.gso_size = 1440,
	.segments = 44,
};
static int tap[2];

/* --- frames --- */

static void frame_init(struct tap_frame *frame, int from)
{
	uint32_t magic = MAGIC;

	memset(frame, 0, TAP_HDR_LEN + opt.size);
	put_udp_frame(frame->data, &opt.end[from], &opt.end[!from], opt.size);
	memcpy(frame->data + OFF_MAGIC, &magic, sizeof(magic));
}

static bool frame_send(int from, const struct tap_frame *frame)
{
	return write(tap[from], frame, TAP_HDR_LEN + opt.size) == (ssize_t)(TAP_HDR_LEN + opt.size);
}

/* Did our other end send this? The switch and the kernel put frames of their own on a tap. */
static bool frame_is_ours(const struct tap_frame *frame, ssize_t len, int at)
{
	uint32_t magic;

	if (len < (ssize_t)(TAP_HDR_LEN + OFF_SERIAL) ||
		memcmp(frame->data, opt.end[at].mac, ETH_ALEN))
		return false;
	memcpy(&magic, frame->data + OFF_MAGIC, sizeof(magic));
	return magic == MAGIC;
}

/* Read until the queue is empty; returns how many of the frames were ours. */
static uint64_t drain(int at)
{
	struct tap_frame frame;
	uint64_t ours = 0;
	ssize_t len;

	while ((len = read(tap[at], &frame, sizeof(frame))) > 0)
		ours += frame_is_ours(&frame, len, at);
	return ours;
}

/* Repeat a frame until it arrives: the switch is up, and has learned where this MAC lives. */
static void wait_for_path(int from)
{
	struct pollfd pfd = {.fd = tap[!from], .events = POLLIN};
	uint64_t deadline = now_ns() + PATH_DEADLINE_NS;
	struct tap_frame frame;

	frame_init(&frame, from);
	do {
		if (now_ns() > deadline)
			errx(EXIT_UNMET, "no frame gets from tap %s to tap %s", opt.tap[from],
				opt.tap[!from]);
		frame_send(from, &frame);
		poll(&pfd, 1, 10);
	} while (!drain(!from));
}

/* --- flood --- */

static atomic_bool sender_done;

static void *receiver(void *arg)
{
	struct pollfd pfd = {.fd = tap[1], .events = POLLIN};
	uint64_t *received = arg, idle_since = 0;

	pin_to_cpu(opt.rx_cpu);
	for (;;) {
		uint64_t got = drain(1);

		*received += got;
		if (got || !atomic_load(&sender_done))
			idle_since = 0;
		else if (!idle_since)
			idle_since = now_ns();
		else if (now_ns() - idle_since > DRAIN_NS)
			return NULL;
		if (!got)
			poll(&pfd, 1, 1);
	}
}

static uint64_t send_burst(struct tap_frame *frame, uint64_t *serial, uint64_t *write_ns)
{
	uint64_t start = now_ns(), sent = 0;
	int i;

	for (i = 0; i < BURST; i++) {
		uint16_t port = htons((uint16_t)(FLOW_PORT_BASE + *serial % opt.flows));

		memcpy(frame->data + OFF_UDP_PORT, &port, sizeof(port));
		++*serial;
		sent += frame_send(0, frame);
	}
	*write_ns += now_ns() - start;
	return sent;
}

static int flood(void)
{
	uint64_t sent = 0, received = 0, serial = 0, write_ns = 0, start, total_ns;
	bool threaded = opt.rx_cpu >= 0;
	struct tap_frame frame;
	pthread_t thread;

	frame_init(&frame, 0);
	if (threaded && pthread_create(&thread, NULL, receiver, &received))
		errx(EXIT_BROKEN, "pthread_create");
	start = now_ns();
	while (serial < opt.count && now_ns() - start < opt.limit_ns) {
		sent += send_burst(&frame, &serial, &write_ns);
		if (!threaded)
			received += drain(1);
	}
	total_ns = now_ns() - start;
	if (threaded) {
		atomic_store(&sender_done, true);
		pthread_join(thread, NULL);
	}
	printf("{\"mode\":\"flood\",\"size_bytes\":%zu,\"flows\":%u,\"tried\":%llu,\"sent\":%llu,"
	       "\"received\":%llu,\"seconds\":%.3f,\"pps\":%.0f,\"ns_per_packet\":%.1f,"
	       "\"write_ns_per_packet\":%.1f}\n",
		opt.size, opt.flows, (unsigned long long)serial, (unsigned long long)sent,
		(unsigned long long)received, (double)total_ns / 1e9,
		(double)received * 1e9 / (double)total_ns,
		received ? (double)total_ns / (double)received : 0.0,
		(double)write_ns / (double)serial);
	return received ? 0 : EXIT_UNMET;
}

/* --- round trips --- */

/* Spin until the frame with this serial number arrives. */
static bool await_serial(int at, uint32_t serial, uint64_t deadline)
{
	struct tap_frame frame;

	for (;;) {
		ssize_t len = read(tap[at], &frame, sizeof(frame));

		if (len > 0 && frame_is_ours(&frame, len, at) &&
			!memcmp(frame.data + OFF_SERIAL, &serial, sizeof(serial)))
			return true;
		if (len <= 0 && now_ns() > deadline)
			return false;
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_rtt(uint32_t *sample, size_t n, uint64_t lost)
{
	static const struct {
		const char *name;
		double part;
	} rank[] = {
		{"min", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
	size_t i;

	qsort(sample, n, sizeof(*sample), compare_u32);
	printf("{\"mode\":\"rtt\",\"count\":%zu,\"lost\":%llu", n, (unsigned long long)lost);
	for (i = 0; n && i < sizeof(rank) / sizeof(rank[0]); i++)
		printf(",\"%s_ns\":%u", rank[i].name,
			sample[(size_t)((double)(n - 1) * rank[i].part)]);
	printf("}\n");
}

static int rtt(void)
{
	uint64_t begin = now_ns(), lost = 0;
	struct tap_frame ping, pong;
	uint32_t *sample, serial;
	size_t n = 0;

	sample = calloc(opt.count, sizeof(*sample));
	if (!sample)
		err(EXIT_BROKEN, "calloc");
	frame_init(&ping, 0);
	frame_init(&pong, 1);
	for (serial = 1; serial <= opt.count; serial++) {
		uint64_t start = now_ns(), deadline = start + RTT_LOST_NS;

		if (start - begin > opt.limit_ns)
			break;
		memcpy(ping.data + OFF_SERIAL, &serial, sizeof(serial));
		memcpy(pong.data + OFF_SERIAL, &serial, sizeof(serial));
		if (frame_send(0, &ping) && await_serial(1, serial, deadline) &&
			frame_send(1, &pong) && await_serial(0, serial, deadline))
			sample[n++] = (uint32_t)(now_ns() - start);
		else
			lost++;
	}
	print_rtt(sample, n, lost);
	free(sample);
	return n ? 0 : EXIT_UNMET;
}

/* --- superpackets --- */

struct gso_kind {
	const char *name;
	bool ipv6;
	uint8_t proto;
	uint8_t vnet_type;
};

static const struct gso_kind gso_kinds[] = {
	{"tcp4", false, IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4},
	{"tcp6", true, IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV6},
	{"udp4", false, IPPROTO_UDP, VIRTIO_NET_HDR_GSO_UDP_L4},
	{"udp6", true, IPPROTO_UDP, VIRTIO_NET_HDR_GSO_UDP_L4},
};

struct gso_result {
	uint64_t received, whole, segments, needs_csum, bad_checksum, payload_bytes;
};

static const struct gso_kind *gso_kind(void)
{
	size_t i;

	for (i = 0; i < sizeof(gso_kinds) / sizeof(gso_kinds[0]); i++)
		if (!strcmp(opt.gso, gso_kinds[i].name))
			return &gso_kinds[i];
	errx(EXIT_BROKEN, "--type is tcp4, tcp6, udp4 or udp6, not '%s'", opt.gso);
}

/* A superpacket as a guest writes it: only the pseudo-header is in the checksum field. */
static size_t gso_build(struct tap_frame *frame, const struct gso_kind *kind)
{
	size_t payload = (size_t)opt.gso_size * opt.segments, i;
	size_t l4 = sizeof(struct ethhdr) +
		    (kind->ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	size_t check = kind->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check)
						  : offsetof(struct udphdr, check);
	size_t headers;
	uint16_t pseudo;

	memset(frame, 0, TAP_HDR_LEN + 128);
	headers = put_headers(
		frame->data, &opt.end[0], &opt.end[1], kind->ipv6, kind->proto, payload);
	for (i = 0; i < payload; i++)
		frame->data[headers + i] = (uint8_t)(i * 7);
	pseudo = htons((uint16_t)sum_pseudo(kind->ipv6, frame->data + sizeof(struct ethhdr),
		kind->proto, headers - l4 + payload));
	memcpy(frame->data + l4 + check, &pseudo, sizeof(pseudo));
	frame->vnet.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->vnet.hdr.gso_type = kind->vnet_type;
	frame->vnet.hdr.hdr_len = (uint16_t)headers;
	frame->vnet.hdr.gso_size = opt.gso_size;
	frame->vnet.hdr.csum_start = (uint16_t)l4;
	frame->vnet.hdr.csum_offset = (uint16_t)check;
	return headers + payload;
}

/* Add one received frame to the result. */
static void gso_account(struct gso_result *res, const struct gso_kind *kind,
	const struct tap_frame *frame, size_t len, size_t sent_len)
{
	const struct virtio_net_hdr *vnet = &frame->vnet.hdr;
	size_t l4 = sizeof(struct ethhdr) +
		    (kind->ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	size_t headers =
		l4 + (kind->proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	uint32_t sum;

	if (len <= headers || memcmp(frame->data, opt.end[1].mac, ETH_ALEN))
		return;
	res->received++;
	res->payload_bytes += len - headers;
	if (vnet->gso_type == kind->vnet_type && vnet->gso_size == opt.gso_size && len == sent_len)
		res->whole++;
	else if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		res->segments++;
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		res->needs_csum++;
		return;
	}
	sum = sum_pseudo(kind->ipv6, frame->data + sizeof(struct ethhdr), kind->proto, len - l4);
	res->bad_checksum += sum_add(sum, frame->data + l4, len - l4) != 0xffff;
}

/* A switch with threads of its own needs time: no more than so many are under way, as with TCP.
 * What does not come in GSO_PATIENCE_NS is lost. */
enum { GSO_WINDOW = 16, GSO_PATIENCE_NS = 200000000 };

static uint64_t gso_frames(const struct gso_result *res)
{
	uint64_t each = opt.segments;
	return res->whole + (res->received - res->whole + each - 1) / each;
}

static void gso_drain(struct gso_result *res, const struct gso_kind *kind, size_t sent_len,
	uint64_t sent, uint64_t *lost)
{
	uint64_t last = now_ns();
	struct tap_frame got;
	ssize_t n;

	while (sent > *lost + gso_frames(res) + GSO_WINDOW && now_ns() - last < GSO_PATIENCE_NS)
		while ((n = read(tap[1], &got, sizeof(got))) > 0) {
			gso_account(res, kind, &got, (size_t)n - TAP_HDR_LEN, sent_len);
			last = now_ns();
		}
	if (sent > *lost + gso_frames(res) + GSO_WINDOW)
		*lost = sent - gso_frames(res);
}

static int gso(void)
{
	const struct gso_kind *kind = gso_kind();
	struct gso_result res = {};
	struct tap_frame frame;
	size_t len = gso_build(&frame, kind);
	uint64_t start = now_ns(), sent = 0, lost = 0, tried;
	double seconds;

	for (tried = 0; tried < opt.count && now_ns() - start < opt.limit_ns; tried++) {
		ssize_t n = write(tap[0], &frame, TAP_HDR_LEN + len);

		sent += n == (ssize_t)(TAP_HDR_LEN + len);
		gso_drain(&res, kind, len, sent, &lost);
	}
	gso_drain(&res, kind, len, sent + GSO_WINDOW, &lost); // all of them
	seconds = (double)(now_ns() - start) / 1e9;
	printf("{\"mode\":\"gso\",\"type\":\"%s\",\"gso_size\":%u,\"segments_each\":%u,"
	       "\"sent\":%llu,\"received\":%llu,\"whole\":%llu,\"segments\":%llu,"
	       "\"needs_csum\":%llu,\"bad_checksum\":%llu,\"sent_payload_bytes\":%llu,"
	       "\"received_payload_bytes\":%llu,\"seconds\":%.3f,\"gbit_per_s\":%.2f}\n",
		kind->name, opt.gso_size, opt.segments, (unsigned long long)sent,
		(unsigned long long)res.received, (unsigned long long)res.whole,
		(unsigned long long)res.segments, (unsigned long long)res.needs_csum,
		(unsigned long long)res.bad_checksum,
		(unsigned long long)(sent * opt.gso_size * opt.segments),
		(unsigned long long)res.payload_bytes, seconds,
		(double)res.payload_bytes * 8 / 1e9 / seconds);
	return res.received ? 0 : EXIT_UNMET;
}

/* --- main --- */

static const char usage[] =
	"usage: tapgen flood|rtt|gso --a TAP --b TAP [options]\n"
	"Opens both taps as QEMU does and plays the two guests. One line of JSON on stdout.\n"
	"TAP may be NAME@NETNS, with NETNS a name in /run/netns.\n"
	"  flood   frames from A to B as fast as possible: ns per packet, write and read included\n"
	"  rtt     A to B and back, both ends polling: percentiles\n"
	"  gso     superpackets with a partial checksum from A to B: what arrives\n"
	"  --count N         frames, round trips or superpackets (1000000)\n"
	"  --seconds N       stop after this time (10)\n"
	"  --size N          frame length in flood and rtt, without FCS (64)\n"
	"  --flows N         UDP source ports used in turn (1)\n"
	"  --mac-a M --mac-b M\n"
	"  --cpu N           run on this core\n"
	"  --rx-cpu N        flood: read in a thread of its own on this core\n"
	"  --offload LIST    what both guests accept: csum,tso4,tso6,uso or none (csum,tso4,tso6)\n"
	"  --type T          gso: tcp4, tcp6, udp4, udp6\n"
	"  --gso-size N --segments N    gso: payload of a segment (1440), their number (44)\n";

static void set_option(int c)
{
	switch (c) {
	case 'a':
	case 'b':
		opt.tap[c - 'a'] = optarg;
		break;
	case 'A':
	case 'B':
		parse_mac(optarg, opt.end[c - 'A'].mac);
		break;
	case 'n':
		opt.count = parse_number("--count", optarg, 100000000);
		break;
	case 't':
		opt.limit_ns = parse_number("--seconds", optarg, 3600) * NS_PER_SEC;
		break;
	case 's':
		opt.size = parse_number("--size", optarg, 65000);
		break;
	case 'f':
		opt.flows = (uint32_t)parse_number("--flows", optarg, FLOWS_MAX);
		break;
	case 'c':
		opt.cpu = (int)parse_number("--cpu", optarg, CPU_SETSIZE - 1);
		break;
	case 'r':
		opt.rx_cpu = (int)parse_number("--rx-cpu", optarg, CPU_SETSIZE - 1);
		break;
	case 'o':
		opt.offloads = parse_offloads(optarg);
		break;
	case 'T':
		opt.gso = optarg;
		break;
	case 'S':
		opt.gso_size = (uint16_t)parse_number("--gso-size", optarg, 9000);
		break;
	case 'N':
		opt.segments = (uint16_t)parse_number("--segments", optarg, 128);
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"a", 1, NULL, 'a'}, {"b", 1, NULL, 'b'},
		{"mac-a", 1, NULL, 'A'}, {"mac-b", 1, NULL, 'B'}, {"count", 1, NULL, 'n'},
		{"seconds", 1, NULL, 't'}, {"size", 1, NULL, 's'}, {"flows", 1, NULL, 'f'},
		{"cpu", 1, NULL, 'c'}, {"rx-cpu", 1, NULL, 'r'}, {"offload", 1, NULL, 'o'},
		{"type", 1, NULL, 'T'}, {"gso-size", 1, NULL, 'S'}, {"segments", 1, NULL, 'N'},
		{"help", 0, NULL, 'h'}, {}};
	int (*mode)(void) = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set_option(c);
	if (optind == argc - 1)
		mode = !strcmp(argv[optind], "flood") ? flood
		       : !strcmp(argv[optind], "rtt") ? rtt
		       : !strcmp(argv[optind], "gso") ? gso
						      : NULL;
	if (!mode || !opt.tap[0] || !opt.tap[1] || !opt.count || !opt.flows || !opt.gso_size ||
		!opt.segments || opt.size < FRAME_SIZE_MIN || opt.gso_size * opt.segments > 65400)
		set_option('h');
	tap[0] = tap_open_at(opt.tap[0], opt.offloads);
	tap[1] = tap_open_at(opt.tap[1], opt.offloads);
	pin_to_cpu(opt.cpu);
	wait_for_path(0);
	wait_for_path(1);
	return mode();
}
